// The page as a whole: its clients, what draws them, and the buttons.

import { Chart } from './chart.js';
import { CLIENTS } from './clients.js';
import { command, offer } from './controls.js';
import { Cursor } from './cursor.js';
import { Exchanges } from './exchanges.js';
import { drawHero } from './hero.js';
import { Line } from './line.js';
import { milliseconds, size, whole, write } from './numbers.js';
import { Pane, SLOT_MS } from './pane.js';
import { Picks } from './picks.js';
import { Room } from './room.js';
import { result, share } from './share.js';
import { Stage } from './stage.js';
import { Tally } from './tally.js';
import { burst, plan } from './tries.js';

const PROBE_MS = 1000;
const SHOWN_MAX = 3;
/** Clients that lose their sessions together are back sooner. */
const GONE_MS = 1500;
const $ = (id) => document.getElementById(id);

const line = new Line();
const tally = new Tally();
/** What the visitor did, for the charts. */
const marks = [];
/** The clients that are on, in the order of `CLIENTS`, and what draws their exchanges. */
let panes = [];
const views = new Map();
let isPaused = false;

const room = new Room(() => panes);
const stage = new Stage(line);
const cursor = new Cursor(() => panes);
const picks = new Picks(views);
const charts = [
  new Chart($('chart-bytes'), { value: ({ bytes }) => bytes, unit: size, least: 1000 }),
  new Chart($('chart-trips'), { value: ({ trip }) => trip, unit: milliseconds, least: 10 }),
];

/** Turns a client on. */
function show(row) {
  const pane = new Pane(row, line, tally);
  panes = [...panes, pane].sort((a, b) => CLIENTS.indexOf(a.row) - CLIENTS.indexOf(b.row));
  pane.addEventListener('state', () => {
    if (pane.fellBack !== undefined) tell(`${pane.name} fell back to polling in ${(pane.fellBack / 1000).toFixed(1)} s.`);
    picks.paint();
    refresh();
    stage.draw();
  });
  room.join(pane);
  cursor.join(pane);
  views.set(pane, new Exchanges(pane));
  arrange();
  pane.client.open();
}

function hide(pane) {
  pane.client.close();
  panes = panes.filter((one) => one !== pane);
  document.getElementById(`bar-${pane.row.word}`)?.remove();
  views.get(pane).element.remove();
  views.delete(pane);
  cursor.leave(pane);
  room.list();
  arrange();
}

function arrange() {
  $('wires').classList.toggle('many', panes.length > 2);
  $('wires').replaceChildren(...panes.map((pane) => views.get(pane).element));
  for (const chip of $('chips').children) {
    const isOn = panes.some(({ row }) => row.word === chip.dataset.hue);
    chip.setAttribute('aria-pressed', String(isOn));
    // At least one stays.
    chip.disabled = isOn && panes.length === 1;
  }
  for (const old of $('bars').querySelectorAll('[data-hue]')) old.remove();
  picks.show(panes);
  stage.show(panes);
  refresh();
}

for (const row of CLIENTS) {
  const chip = document.createElement('button');
  chip.type = 'button';
  chip.className = 'chip';
  chip.dataset.hue = row.word;
  chip.textContent = row.chip;
  chip.addEventListener('click', () => {
    const pane = panes.find((one) => one.row === row);
    if (pane) return hide(pane);
    // No more than fit side by side: the latest makes room.
    if (panes.length === SHOWN_MAX) hide([...views.keys()].at(-1));
    show(row);
  });
  $('chips').append(chip);
}

/** Says an event, and no figure, to those who listen to the page. */
function tell(text) {
  write($('told'), text);
}

/** Notes an act of the visitor, or the beginning of a state. */
function mark(label, isState) {
  const noted = { at: performance.now(), label, until: isState ? Infinity : undefined };
  marks.push(noted);
  return noted;
}

$('burst').addEventListener('click', async () => {
  const planned = plan(location.search);
  const [button, total] = [$('burst'), planned.count * panes.length];
  let back = 0;
  button.disabled = true;
  mark(`burst of ${planned.count}`);
  const running = setInterval(() => write(label(button), `${Math.floor(back / (total / planned.count))} of ${planned.count}`), 100);
  const some = panes;
  const told = await Promise.all(some.map((pane) => burst(pane, planned, () => (back += 1))));
  clearInterval(running);
  write(label(button), 'Send a burst');
  button.disabled = false;
  some.forEach((pane, index) => {
    const { back: came, wrong, took } = told[index];
    const order = wrong ? `${wrong} out of order` : 'in order';
    room.note(pane, `${pane.name}: ${came} of ${planned.count} came back, ${order}, in ${milliseconds(took)}.`);
  });
});

let block;
$('block').addEventListener('click', () => {
  line.block(!line.cut);
  toggle($('block'), line.cut, 'Unblock WebSocket', 'Block WebSocket');
  tell(line.cut ? 'WebSocket is blocked.' : 'WebSocket is allowed again.');
  room.note(undefined, line.cut ? 'WebSocket is blocked.' : 'WebSocket is allowed again.');
  if (line.cut) block = mark('blocked', true);
  else {
    block.until = performance.now();
    for (const pane of panes) pane.client.upgrade();
  }
});

let slow;
$('slow').addEventListener('click', () => {
  line.slow = !line.slow;
  toggle($('slow'), line.slow, 'Restore the line', 'Slow the line');
  tell(line.slow ? 'The line is 300 ms slower.' : 'The line is fast again.');
  if (line.slow) slow = mark('+300 ms', true);
  else slow.until = performance.now();
});

$('restart').addEventListener('click', () => {
  mark('restart');
  tell('The backend restarts.');
  room.note(undefined, 'The backend restarts.');
  // It ends the connections that it has for these clients, and no one else's.
  for (const pane of panes) if (pane.client.isConnected) pane.client.emit('restart');
});

for (const control of ['drain', 'kill']) {
  $(control).addEventListener('click', () => {
    mark(control);
    command(control, panes, (text) => {
      tell(text);
      room.note(undefined, text);
    });
  });
}

function label(button) {
  return button.querySelector('span');
}

function toggle(button, isOn, on, off) {
  write(label(button), isOn ? on : off);
  button.classList.toggle('running', isOn);
}

$('pause').addEventListener('click', () => {
  isPaused = !isPaused;
  write(label($('pause')), isPaused ? 'Go on' : 'Pause');
});

const isProbing = new URLSearchParams(location.search).get('echo') !== 'off';
setInterval(() => {
  if (!isProbing || document.hidden) return;
  for (const pane of panes) if (pane.client.isConnected) pane.echo('time');
}, PROBE_MS);

setInterval(() => {
  for (const pane of panes) pane.tick();
  refresh();
}, SLOT_MS);

function refresh() {
  drawHero(panes, line.cut);
  if (!isPaused) {
    const longest = Math.max(1, ...[...views.values()].map(({ peak }) => peak));
    for (const view of views.values()) view.draw(longest);
  }
  for (const view of views.values()) view.head();
  for (const chart of charts) chart.draw(panes, marks);
  drawTally();
  drawHealth();
}

function drawTally() {
  const { lost, sent, repeated } = tally;
  $('tally').classList.toggle('wrong', lost > 0);
  write($('lost'), `${whole.format(lost)} lost`);
  write($('sent'), `of ${whole.format(sent)}${repeated ? `, ${whole.format(repeated)} sent again` : ''}`);
}

/** One word for all clients: a server that none of them reaches is told once, and not where they are back at once. */
function drawHealth() {
  const connected = panes.filter(({ client }) => client.isConnected).length;
  const since = Math.max(...panes.map(({ endedAt }) => endedAt ?? 0));
  const isGone = connected === 0 && since > 0 && performance.now() - since > GONE_MS;
  document.body.classList.toggle('gone', isGone);
  $('health').dataset.status = isGone ? 'wrong' : 'good';
  write($('health'), isGone ? `Server unreachable, retrying${soon()}` : connected ? `running, ${connected} client${connected === 1 ? '' : 's'}` : 'connecting');
}

/** When the next attempt comes, if none is under way. */
function soon() {
  const left = Math.min(...panes.map(({ client }) => client.retryAt ?? Infinity)) - performance.now();
  return left > 0 && left < Infinity ? ` in ${Math.ceil(left / 1000)} s` : '';
}

offer();
share(() => result(panes, tally));
for (const row of CLIENTS.slice(0, 2)) show(row);
for (const origin of document.querySelectorAll('[data-origin]')) origin.textContent = location.origin;
addEventListener('pagehide', () => panes.forEach((pane) => pane.client.close(true)));
addEventListener('pageshow', ({ persisted }) => persisted && panes.forEach((pane) => pane.client.open()));
