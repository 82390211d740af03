// The wire, readable: the last exchanges of each client on one scale, with the payload marked and the headers a click away.

import { shape } from './chart.js';
import { size, write } from './numbers.js';

const SHOWN = 10;
const HEAD_SHOWN = 60;

const make = (tag, className, text) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};

/** One client's card. */
export class Exchanges {
  element = document.getElementById('exchanges').content.cloneNode(true).firstElementChild;
  #pane;
  #rows = new Map();
  #openId;

  constructor(pane) {
    this.#pane = pane;
    const { name, row } = pane;
    this.element.dataset.pane = row.word;
    this.element.setAttribute('aria-label', `The wire of ${name}`);
    this.element.querySelector('h3').textContent = name;
    this.element.querySelector('.log').setAttribute('aria-label', `Exchanges of ${name}`);
  }

  /** The largest of its exchanges, for the scale. */
  get peak() {
    return Math.max(0, ...this.#pane.wire.exchanges.map(({ bytes }) => bytes));
  }

  /** Draws what is new; `longest` is the whole width of a bar, in bytes. */
  draw(longest) {
    const pane = this.#pane;
    const log = this.element.querySelector('.log');
    const shown = pane.wire.exchanges.slice(-SHOWN);
    const ids = new Set(shown.map(({ id }) => id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id) || id === this.#openId) continue;
      row.remove();
      this.#rows.delete(id);
    }
    for (const exchange of shown) {
      if (this.#rows.has(exchange.id)) continue;
      const row = this.#row(exchange);
      this.#rows.set(exchange.id, row);
      log.append(row);
    }
    // The open line takes the place of the oldest.
    for (const [id, row] of this.#rows) row.hidden = this.#rows.size > SHOWN && id === [...this.#rows.keys()].find((one) => one !== this.#openId);
    for (const rect of log.querySelectorAll('rect')) rect.setAttribute('width', `${(rect.dataset.bytes / longest) * 100}%`);
  }

  /** Writes what is true of the client now. */
  head() {
    const pane = this.#pane;
    Object.assign(this.element.dataset, { hue: pane.hue, bytes: pane.wire.bytes, requests: pane.wire.requests, node: pane.node ?? '' });
    const pill = this.element.querySelector('.state');
    write(pill, pane.isFallback ? 'polling instead' : pane.state);
    const { average, isFresh } = pane.recent;
    write(this.element.querySelector('.told'), average && isFresh && !pane.isFallback ? asked(average.requests) : '');
  }

  #row(exchange) {
    const { id, at, way, what, bytes, payload, parts, head, rest } = exchange;
    const row = make('div', 'exchange');
    const line = make('button');
    line.type = 'button';
    line.setAttribute('aria-expanded', 'false');
    const arrow = make('span', 'arrow', way === 'sent' ? '→' : '←');
    arrow.setAttribute('aria-label', way === 'sent' ? 'to Polliwog' : 'from Polliwog');
    arrow.setAttribute('role', 'img');
    const name = make('span', 'name');
    name.append(arrow, ` ${what}`);
    line.append(make('span', 'at', `${(at / 1000).toFixed(1)} s`), name, bar(bytes, payload), make('span', 'bytes', size(bytes)));
    line.append(text(parts, rest));
    line.addEventListener('click', () => this.#toggle(id, row, line, head));
    row.append(line);
    return row;
  }

  #toggle(id, row, line, head) {
    const isOpen = line.getAttribute('aria-expanded') === 'true';
    const open = this.#rows.get(this.#openId);
    open?.querySelector('pre')?.remove();
    open?.querySelector('button').setAttribute('aria-expanded', 'false');
    this.#openId = isOpen ? undefined : id;
    if (isOpen) return;
    line.setAttribute('aria-expanded', 'true');
    const told = head.length ? head.slice(0, HEAD_SHOWN).join('\n') : 'A frame of the open connection: no headers.';
    const pre = make('pre', '', told);
    // It may be long, and then it scrolls.
    pre.tabIndex = 0;
    row.append(pre);
  }
}

const asked = (requests) => {
  if (requests < 0.005) return 'no requests';
  return `${requests.toFixed(requests < 0.095 ? 2 : 1)} requests a message`;
};

function bar(bytes, payload) {
  const svg = shape('svg', { 'aria-hidden': true });
  svg.append(shape('rect', { class: 'whole', 'data-bytes': bytes }));
  svg.append(shape('rect', { class: 'core', 'data-bytes': Math.min(payload, bytes) }));
  return svg;
}

function text(parts, rest) {
  const element = make('span', 'text');
  const [first] = parts;
  if (!first) {
    element.classList.add('soft');
    element.append(rest ?? '');
    return element;
  }
  // A handshake is long, and its first words say what it is.
  element.append(first.lead.slice(0, 80));
  if (first.payload !== undefined) element.append(make('mark', '', first.payload.slice(0, 120)));
  if (parts.length > 1) element.append(make('span', 'soft', ` and ${parts.length - 1} more`));
  return element;
}
