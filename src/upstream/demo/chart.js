// A minute of one figure of every client, on a scale of square roots that lets neither a burst nor the quiet vanish.

import { write } from './numbers.js';

/** How many slots a chart shows. */
export const SLOTS = 120;
const SPAN_MS = 60_000;
const [LEFT, RIGHT, TOP, BOTTOM] = [58, 352, 22, 164];

/** A chart in `figure` of what `value(slot)` is, with figures written by `unit`; the axis ends no lower than `least`. */
export class Chart {
  #figure;
  #value;
  #unit;
  #least;

  constructor(figure, { value, unit, least }) {
    this.#figure = figure;
    this.#value = value;
    this.#unit = unit;
    this.#least = least;
  }

  /** `marks` are what the visitor did: `{ at, label, until }`, where `until` makes a state of an act and Infinity one that lasts. */
  draw(panes, marks) {
    const svg = this.#figure.querySelector('svg');
    const all = panes.flatMap(({ slots }) => slots.map(this.#value)).filter((value) => value !== undefined);
    const max = niceMax(Math.max(0, ...all), this.#least);
    const y = (value) => BOTTOM - (BOTTOM - TOP) * Math.sqrt(Math.min(value / max, 1));
    const drawn = [];
    for (const part of [1, 1 / 4, 1 / 16, 0]) {
      drawn.push(shape('line', { class: 'hair', x1: LEFT, x2: RIGHT, y1: y(max * part), y2: y(max * part) }));
      drawn.push(label(part ? this.#unit(max * part) : '0', { x: LEFT - 8, y: y(max * part) + 4, 'text-anchor': 'end' }));
    }
    for (const [text, x, anchor] of [['60 s ago', LEFT, 'start'], ['30', (LEFT + RIGHT) / 2, 'middle'], ['now', RIGHT, 'end']]) {
      drawn.push(label(text, { x, y: BOTTOM + 18, 'text-anchor': anchor }));
    }
    drawn.push(...marked(marks));
    for (const pane of panes) drawn.push(...this.#series(pane, y));
    svg.replaceChildren(...drawn);
    this.#keys(panes);
  }

  /** A line in the colour of the client, dashed amber while it is on polling instead. */
  #series({ slots, row }, y) {
    const paths = [];
    let path;
    let end;
    slots.forEach((slot, index) => {
      const value = this.#value(slot);
      if (value === undefined) return;
      const x = RIGHT - ((slots.length - 1 - index) * (RIGHT - LEFT)) / (SLOTS - 1);
      const at = `${x.toFixed(1)} ${y(value).toFixed(1)}`;
      const hue = slot.isFallback ? 'polling' : row.word;
      if (path?.hue !== hue || path.isFallback !== slot.isFallback) {
        path = { hue, isFallback: slot.isFallback, d: `M${end ?? at}` };
        paths.push(path);
      }
      path.d += `L${at}`;
      end = at;
    });
    const lines = paths.map(({ hue, isFallback, d }) => shape('path', { class: isFallback ? 'series instead' : 'series', 'data-hue': hue, d }));
    if (!end) return lines;
    const [cx, cy] = end.split(' ');
    return [...lines, shape('circle', { class: 'end', 'data-hue': path.hue, cx, cy, r: 3.5 })];
  }

  /** The present value of each by name, and the same as a table for those who cannot see the lines. */
  #keys(panes) {
    const keys = this.#figure.querySelector('.keys');
    const rows = this.#figure.querySelector('tbody');
    panes.forEach((pane, index) => {
      const values = pane.slots.map(this.#value).filter((value) => value !== undefined);
      const sorted = [...values].sort((a, b) => a - b);
      const told = (value) => (value === undefined ? '–' : this.#unit(value));
      const key = keys.children[index] ?? keys.appendChild(document.createElement('span'));
      key.dataset.hue = pane.hue;
      write(key, `${pane.row.letter} ${told(this.#now(pane))}`);
      const row = rows.rows[index] ?? addRow(rows);
      [pane.name, told(values.at(-1)), told(sorted[sorted.length >> 1]), told(sorted.at(-1))].forEach((text, cell) => write(row.cells[cell], text));
    });
    while (keys.children.length > panes.length) keys.lastChild.remove();
    while (rows.rows.length > panes.length) rows.deleteRow(-1);
  }

  /** The mean of the last two seconds, which is calm enough to be read. */
  #now({ slots }) {
    const values = slots.slice(-4).map(this.#value).filter((value) => value !== undefined);
    return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : undefined;
  }
}

/** The smallest of 1, 2, 4, 10, 20, 40 ... that is no less than `value`, so that a chart's scale seldom moves. */
export function niceMax(value, least) {
  const wanted = Math.max(value, least);
  const power = 10 ** Math.floor(Math.log10(wanted));
  return [1, 2, 4, 10].map((step) => step * power).find((bound) => bound >= wanted);
}

function marked(marks) {
  const now = performance.now();
  const x = (at) => Math.max(LEFT, RIGHT - ((now - at) * (RIGHT - LEFT)) / SPAN_MS);
  const drawn = [];
  for (const { at, until, label: text } of marks) {
    if ((until ?? at) < now - SPAN_MS) continue;
    const [from, to] = [x(at), until === undefined ? x(at) : x(Math.min(until, now))];
    if (until === undefined) drawn.push(shape('line', { class: 'act', x1: from, x2: from, y1: TOP - 4, y2: BOTTOM }));
    else drawn.push(shape('rect', { class: 'band', x: from, y: TOP, width: Math.max(to - from, 1), height: BOTTOM - TOP }));
    const middle = Math.min(Math.max((from + to) / 2, LEFT + 34), RIGHT - 34);
    drawn.push(label(text, { class: until === undefined ? 'note' : 'wrong', x: middle, y: TOP - 8, 'text-anchor': 'middle' }));
  }
  return drawn;
}

function addRow(rows) {
  const row = rows.insertRow();
  const head = document.createElement('th');
  head.scope = 'row';
  row.append(head);
  for (let cell = 0; cell < 3; cell++) row.insertCell();
  return row;
}

/** An element of SVG. */
export function shape(tag, attributes) {
  const element = document.createElementNS(document.querySelector('svg').namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function label(text, attributes) {
  const element = shape('text', attributes);
  element.textContent = text;
  return element;
}
