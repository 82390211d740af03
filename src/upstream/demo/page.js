// The page as a whole: the ratio, two panes, and the controls above them.

import { drawHero } from './hero.js';
import { Pane, SLOT_MS } from './pane.js';
import { Refused, burst } from './trials.js';

const PROBE_MS = 1000;
const $ = (id) => document.getElementById(id);

/** WebSockets of the second pane, and whether they are cut off. */
const line = { cut: false, open: new Set() };

function dial(url) {
  if (line.cut) return new Refused();
  const socket = new WebSocket(url);
  line.open.add(socket);
  socket.addEventListener('close', () => line.open.delete(socket));
  return socket;
}

/** Tells this tab's messages from others'. */
const tab = Math.random().toString(36).slice(2);

function say(pane, text) {
  pane.client.emit('chat', { from: pane.name, text, tab, at: performance.now() });
}

const polling = new Pane($('pane'), {
  name: 'Polling',
  word: 'polling',
  what: 'HTTP requests only: a GET that waits for messages, and a POST for each message sent.',
  transports: ['polling'],
  dial,
  say,
});
const socket = new Pane($('pane'), {
  name: 'WebSocket',
  word: 'websocket',
  what: 'One connection for both directions. If it is refused, the client falls back to polling.',
  transports: ['websocket', 'polling'],
  dial,
  say,
});
const panes = [polling, socket];
$('panes').append(...panes.map((pane) => pane.root));

for (const pane of panes) {
  pane.client.addEventListener('event', ({ detail: { name, args } }) => {
    if (name === 'chat') hear(pane, args);
  });
  pane.client.open();
}

/** Others may send anything: what is not of this page is shown as it is. */
function hear(pane, args) {
  const [said] = args;
  if (said?.tab === tab) {
    const mine = panes.find(({ name }) => name === said.from)?.root.dataset.pane;
    return pane.line(said.from, said.text, { mine, took: performance.now() - said.at });
  }
  if (typeof said?.text === 'string') return pane.line(`${said.from} elsewhere`, said.text);
  pane.line('Somebody', args.map((arg) => (typeof arg === 'string' ? arg : JSON.stringify(arg))).join(' '));
}

$('burst').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { count, size: length, pace } = Object.fromEntries(new FormData(event.target));
  const button = event.submitter ?? event.target.querySelector('button');
  button.disabled = true;
  await Promise.all(panes.map((pane) => burst(pane, Number(count), Number(length), Number(pace))));
  button.disabled = false;
  refresh();
});

$('cut').addEventListener('click', () => {
  line.cut = !line.cut;
  $('cut').textContent = line.cut ? 'Unblock WebSocket' : 'Block WebSocket';
  $('cut').classList.toggle('running', line.cut);
  socket.note(line.cut ? 'WebSocket is blocked.' : 'WebSocket is allowed again.');
  if (line.cut) for (const one of line.open) one.close();
  else socket.client.upgrade();
});

$('reset').addEventListener('click', () => {
  for (const pane of panes) pane.reset();
  refresh();
});

// What its session does not answer, it has told by itself.
const time = (pane) => pane.echo('time').catch(() => {});
setInterval(() => {
  if (!$('probe').checked || document.hidden) return;
  for (const pane of panes) if (pane.client.state in { polling: 1, websocket: 1 }) time(pane);
}, PROBE_MS);

setInterval(() => {
  for (const pane of panes) pane.tick();
  refresh();
}, SLOT_MS);

function refresh() {
  const [a, b] = panes.map((pane) => pane.peaks());
  const peaks = Object.fromEntries(Object.keys(a).map((kind) => [kind, Math.max(a[kind], b[kind])]));
  for (const pane of panes) pane.draw(peaks);
  drawHero(polling.recent, socket.recent, line.cut);
}

for (const origin of document.querySelectorAll('[data-origin]')) origin.textContent = location.origin;
addEventListener('pagehide', () => panes.forEach((pane) => pane.client.close()));
addEventListener('pageshow', ({ persisted }) => persisted && panes.forEach((pane) => pane.client.open()));
