// The first thing on the page: how many times the bytes, above the clients' bars on one scale.

import { size, write } from './numbers.js';

const $ = (id) => document.getElementById(id);

/** The sentence that is cut around the number, for a `ratio` of bytes a message. */
export function verdict(ratio, other) {
  const percent = Math.round(Math.abs(ratio - 1) * 100);
  if (ratio >= 1.3) return { number: ratio < 9.95 ? ratio.toFixed(1) : ratio.toFixed(0), unit: '×', rest: `the bytes of ${other}.` };
  if (percent < 3) return { number: '1', unit: '×', rest: `about the bytes of ${other}.` };
  if (ratio > 1) return { number: String(percent), unit: '%', rest: `more bytes than ${other}.` };
  return { number: String(percent), unit: '%', rest: `fewer bytes than ${other}: answers are compressed.` };
}

/** Draws what the clients cost; `isCut` is whether WebSocket is blocked. The first is compared with the one by WebSocket, or the last. */
export function drawHero(panes, isCut) {
  const longest = Math.max(...panes.map(({ recent }) => recent.average?.bytes ?? 0));
  $('bars').classList.toggle('many', panes.length > 2);
  panes.forEach((pane) => bar(pane, longest, isCut));
  const second = panes.find(({ row }) => row.word === 'websocket') ?? panes.at(-1);
  const first = panes.find((pane) => pane !== second) ?? second;
  write($('ratio-lead'), `To say the same thing, ${first.row.short} sends`);
  const [one, other] = [first.recent.average, second.recent.average];
  const isReady = one && other && first !== second;
  const told = isReady ? verdict(one.bytes / other.bytes, second.row.short) : { number: '…', unit: '', rest: 'Connecting the clients.' };
  write($('ratio'), told.number);
  write($('ratio-unit'), told.unit);
  write($('ratio-rest'), told.rest);
  const isFresh = first.recent.isFresh && second.recent.isFresh;
  write($('ratio-span'), !isReady ? '' : isFresh ? 'Last 10 s.' : before(isCut));
  if (other) write($('payload-size'), size(other.payload));
}

/** The sentence of the hero in one line, to be copied. */
export function sentence() {
  const text = (id) => $(id).textContent;
  return `${text('ratio-lead')} ${text('ratio')}${text('ratio-unit')} ${text('ratio-rest')}`;
}

const before = (isCut) => (isCut ? 'Before the block.' : 'Before it fell silent.');

function bar({ row, recent }, longest, isCut) {
  const element = $(`bar-${row.word}`) ?? make(row);
  if (!recent.average) return;
  const { requests, payload, bytes } = recent.average;
  write(element.querySelector('.value'), size(bytes));
  const isBefore = isCut && row.wanted === 'websocket' ? 'before the block' : 'before it fell silent';
  write(element.querySelector('.way'), recent.isFresh ? asked(requests) : isBefore);
  const [whole, core] = element.querySelectorAll('rect');
  whole.setAttribute('width', `${(bytes / longest) * 100}%`);
  // What is compressed may be less than its payload.
  core.setAttribute('width', `${(Math.min(payload, bytes) / longest) * 100}%`);
}

function make({ word, chip }) {
  const element = $('bar').content.cloneNode(true).firstElementChild;
  element.id = `bar-${word}`;
  element.dataset.hue = word;
  element.querySelector('b').textContent = chip.split(',')[0];
  $('bars').insertBefore(element, $('bars').querySelector('.legend'));
  return element;
}

const asked = (requests) => {
  if (requests < 0.005) return 'a message, in no request at all';
  return `a message, in ${requests.toFixed(requests < 0.095 ? 2 : 1)} requests`;
};
