// The first thing on the page: how many times the bytes, above two bars on one scale.

import { size } from './pane.js';

const $ = (id) => document.getElementById(id);

/** The sentence that is cut around the number, for a `ratio` of bytes a message. */
export function verdict(ratio) {
  const percent = Math.round(Math.abs(ratio - 1) * 100);
  if (ratio >= 1.3) return { number: ratio < 9.95 ? ratio.toFixed(1) : ratio.toFixed(0), unit: '×', rest: 'the bytes of a WebSocket.' };
  if (percent < 3) return { number: '1', unit: '×', rest: 'about the bytes of a WebSocket.' };
  if (ratio > 1) return { number: String(percent), unit: '%', rest: 'more bytes than a WebSocket.' };
  return { number: String(percent), unit: '%', rest: 'fewer bytes than a WebSocket: answers are compressed.' };
}

/** Draws what both clients cost; `isCut` is whether WebSocket is blocked. */
export function drawHero(polling, socket, isCut) {
  const [first, second] = [polling.average, socket.average];
  const longest = Math.max(first?.bytes ?? 0, second?.bytes ?? 0);
  bar('polling', first, longest, polling.isFresh, 'before it fell silent');
  bar('websocket', second, longest, socket.isFresh, isCut ? 'before the block' : 'before it fell silent');
  if (!first || !second) return;
  const { number, unit, rest } = verdict(first.bytes / second.bytes);
  write($('ratio'), number);
  write($('ratio-unit'), unit);
  write($('ratio-rest'), rest);
  const since = isCut ? 'Before the block.' : 'Before it fell silent.';
  write($('ratio-span'), polling.isFresh && socket.isFresh ? 'Last 10 s.' : since);
  write($('payload-size'), size(second.payload));
}

function bar(word, average, longest, isFresh, before) {
  const row = $(`bar-${word}`);
  if (!average) return;
  const { requests, payload, bytes } = average;
  write(row.querySelector('.value'), size(bytes));
  write(row.querySelector('.way'), isFresh ? asked(requests) : before);
  const [whole, core] = row.querySelectorAll('rect');
  whole.setAttribute('width', `${(bytes / longest) * 100}%`);
  // What is compressed may be less than its payload.
  core.setAttribute('width', `${(Math.min(payload, bytes) / longest) * 100}%`);
}

const asked = (requests) => {
  if (requests < 0.005) return 'no requests';
  return `${requests.toFixed(requests < 0.095 ? 2 : 1)} requests a message`;
};

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
