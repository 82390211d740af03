// The table of sessions, which is asked for every two seconds while it can be seen, and the live tail.

import { $, NAMES, bytes, clock, count, h, say, span, words } from './words.js';

const EVERY_MS = 2000;
const SHOWN = 12;
const LINES = 100;
/** What waits for a client that reads: more is held up. */
const HELD_UP = 16_000;
const rows = new Map();
let sort = 'newest';
let asked = 0;

/** Returns the hue of a session: of the transport in use now, or of what its client is. */
const hue = ({ dialect, version, transport, upgrading }) => {
  if (upgrading) return 'upgrading';
  if (version === 3 && transport !== 'websocket') return 'old';
  return dialect === 'longpoll' && transport !== 'websocket' ? 'longpoll' : transport;
};

function pill(session) {
  const t = hue(session);
  const version = session.version === 3 ? ', v3' : '';
  const name = t === 'old' ? 'polling' : NAMES[t];
  return h('span', { class: 'pill', t }, `${name}${version}`);
}

function row(session) {
  const cell = (className, ...children) => h('td', { class: className }, ...children);
  const waiting = session.waiting.bytes;
  return [
    cell('mono wide', session.id), cell('', session.client), cell('wide', session.route), cell('', pill(session)),
    cell('number', span(session.age_seconds)), cell('number wide', bytes(session.from_client.bytes + session.to_client.bytes)),
    cell(waiting > HELD_UP ? 'number wrong' : 'number', bytes(waiting)),
  ];
}

async function close(id, button) {
  button.disabled = true;
  const answer = await fetch(`api/sessions/${id}`, { method: 'DELETE' }).catch(() => null);
  say($('said'), answer?.ok ? `Session ${id} was closed.` : `Session ${id} could not be closed${answer?.status === 404 ? ': it has ended' : ''}.`);
  refresh();
}

/** A row stays the same element while its session lives, so that what has the focus keeps it. */
function draw(sessions) {
  const body = $('sessions').tBodies[0];
  const shown = new Set(sessions.map(({ id }) => id));
  for (const [id, element] of rows) {
    if (!shown.has(id)) {
      element.remove();
      rows.delete(id);
    }
  }
  for (const [index, session] of sessions.entries()) {
    let element = rows.get(session.id);
    if (!element) {
      const button = h('button', { type: 'button', 'aria-label': `Close session ${session.id}` }, 'Close');
      button.addEventListener('click', () => close(session.id, button));
      element = h('tr', {}, h('td', {}, button));
      rows.set(session.id, element);
    }
    const last = element.lastElementChild;
    while (element.firstElementChild !== last) element.firstElementChild.remove();
    last.before(...row(session));
    if (body.children[index] !== element) body.insertBefore(element, body.children[index] ?? null);
  }
}

async function refresh() {
  const number = ++asked;
  const query = new URLSearchParams({ limit: SHOWN, sort, text: $('filter').value.trim() });
  const answer = await fetch(`api/sessions?${query}`).catch(() => null);
  if (!answer?.ok || number !== asked) return;
  const { total, matching, sessions } = await answer.json();
  say($('count'), matching === total ? `${count(total)}, showing ${sessions.length}` : `${count(matching)} of ${count(total)}, showing ${sessions.length}`);
  draw(sessions);
}

export function beginSessions() {
  $('filter').addEventListener('input', refresh);
  for (const button of document.querySelectorAll('[data-sort]')) {
    button.addEventListener('click', () => {
      sort = sort === button.dataset.sort ? 'newest' : button.dataset.sort;
      for (const other of document.querySelectorAll('[data-sort]')) {
        const heading = other.closest('th');
        if (other.dataset.sort === sort) heading.setAttribute('aria-sort', 'descending');
        else heading.removeAttribute('aria-sort');
      }
      refresh();
    });
  }
  setInterval(() => document.hidden || refresh(), EVERY_MS);
  refresh();
}

const SIGNS = { began: '+', ended: '–', upgraded: '↑', refused: '✕' };
/** A line of each kind: its sign, what it says, in which hue, and where. */
function line({ what, transport, route, reason, age_seconds: age }) {
  const t = { began: transport, upgraded: 'websocket' }[what];
  const text = { began: NAMES[transport], ended: words(reason ?? ''), upgraded: 'upgraded', refused: `refused: ${words(reason ?? '')}` }[what];
  const isFault = what === 'refused' && reason !== 'draining';
  return h('p', { t, class: isFault ? 'fault' : null }, h('span', {}, clock(Date.now())), h('span', { 'aria-hidden': 'true' }, SIGNS[what]),
    h('span', {}, text), h('span', {}, age === undefined ? route : `${route}, ${span(age)}`));
}

let held = [];
function put(element) {
  const tail = $('tail');
  const isHeld = $('pause').getAttribute('aria-pressed') === 'true' || tail.matches(':hover');
  held.unshift(element);
  held.length = Math.min(held.length, LINES);
  if (isHeld) return;
  tail.prepend(...held);
  held = [];
  while (tail.childElementCount > LINES) tail.lastElementChild.remove();
}

export const tell = (told) => put(line(told));
export const tellMissed = (missed) => put(h('p', {}, h('span', {}, clock(Date.now())), h('span', {}, '…'), h('span', {}, `${count(missed)} more, not shown`)));

export function beginTail() {
  $('pause').addEventListener('click', () => {
    const isPaused = $('pause').getAttribute('aria-pressed') !== 'true';
    $('pause').setAttribute('aria-pressed', isPaused);
  });
}
