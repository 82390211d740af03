// One pointer that every client shares: each moves its own copy when its own backend says so, sixty times a second.

import { shape } from './chart.js';
import { TAB } from './clients.js';
import { write } from './numbers.js';

/** How often a moving pointer is told: sixty times a second. */
const EVERY_MS = 1000 / 60;

/** A board on which the visitor moves, and every client's cursor follows. */
export class Cursor {
  #board = document.getElementById('board');
  #panes;
  #dots = new Map();
  #last = 0;

  /** `panes()` are those that are shown; each tells where the pointer is, and hears only of itself. */
  constructor(panes) {
    this.#panes = panes;
    this.#board.addEventListener('pointermove', (event) => {
      const { left, top, width, height } = this.#board.getBoundingClientRect();
      this.#move((event.clientX - left) / width, (event.clientY - top) / height, event.timeStamp);
    });
  }

  /** Follows what `pane` hears. */
  join(pane) {
    const { letter, word } = pane.row;
    const dot = shape('g', { 'data-hue': word, 'data-cursor': letter, hidden: '' });
    dot.append(shape('circle', { r: 7 }), shape('text', { y: 4, 'text-anchor': 'middle' }));
    write(dot.lastChild, letter);
    this.#dots.set(pane, dot);
    this.#board.append(dot);
    pane.addEventListener('event', ({ detail: { name, args } }) => {
      const [x, y, of] = args;
      if (name !== 'cursor' || !Number.isFinite(x) || !Number.isFinite(y)) return;
      // Every client hears of all cursors: its own it follows, and those of other tabs are one guest.
      if (of === `${TAB}${letter}`) this.#place(dot, x, y);
      else if (!String(of).startsWith(TAB)) this.#place(this.#board.querySelector('#guest'), x, y);
    });
  }

  leave(pane) {
    this.#dots.get(pane)?.remove();
    this.#dots.delete(pane);
  }

  #place(dot, x, y) {
    const { width, height } = this.#board.getBoundingClientRect();
    dot.removeAttribute('hidden');
    dot.setAttribute('transform', `translate(${(x * width).toFixed(1)} ${(y * height).toFixed(1)})`);
  }

  #move(x, y, at) {
    if (at - this.#last < EVERY_MS - 1) return;
    this.#last = at;
    for (const pane of this.#panes()) {
      if (pane.client.isConnected) pane.client.emit('cursor', Number(x.toFixed(4)), Number(y.toFixed(4)), `${TAB}${pane.row.letter}`);
    }
  }
}
