// The chat: one room for every client of this tab and of others.

import { TAB } from './clients.js';
import { milliseconds } from './numbers.js';

const LINES_MAX = 60;

export class Room {
  #root = document.getElementById('chat');
  #panes = () => [];
  #heard = new Set();
  #count = 0;

  /** `panes()` are those that are shown; the first says what is typed. */
  constructor(panes) {
    this.#panes = panes;
    const form = this.#root.querySelector('form');
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const text = form.elements.text.value.trim();
      const pane = panes().find(({ row }) => row.letter === form.elements.as.value);
      if (text && pane) this.#say(pane, text);
      form.elements.text.value = '';
    });
  }

  /** Hears what `pane` hears, and what becomes of it. */
  join(pane) {
    pane.addEventListener('event', ({ detail: { name, args } }) => name === 'chat' && this.#hear(pane, args));
    // Once until it is connected again, however often it tries.
    let isRefused = false;
    pane.addEventListener('refused', ({ detail }) => {
      if (!isRefused || detail.probed) this.note(pane, refusal(pane, detail));
      isRefused = true;
    });
    pane.addEventListener('ended', () => this.note(pane, `${pane.name}: the session ended.`));
    pane.addEventListener('state', () => {
      if (!pane.client.isConnected) return;
      isRefused = false;
      this.note(pane, `${pane.name} joined by ${pane.state}${pane.node ? `, at node ${pane.node}` : ''}.`);
    });
    this.list();
  }

  /** Offers the shown clients as speakers. */
  list() {
    const select = this.#root.querySelector('select');
    const { value } = select;
    select.replaceChildren(...this.#panes().map(({ row: { letter } }) => new Option(letter)));
    if (this.#panes().some(({ row }) => row.letter === value)) select.value = value;
  }

  /** What happened to the clients, among the lines of the chat. */
  note(pane, text) {
    const item = document.createElement('p');
    item.className = 'note';
    if (pane) item.dataset.client = pane.row.letter;
    item.textContent = text;
    this.#append(item);
  }

  #say(pane, text) {
    pane.client.emit('chat', { from: pane.row.letter, text, tab: TAB, number: (this.#count += 1), at: performance.now() });
  }

  /** Others may send anything: what is not of this page is shown as it is. */
  #hear(pane, args) {
    const [said] = args;
    if (said?.tab === TAB) {
      // Everyone hears it; the line says how long it took to the first who did not say it.
      if (said.from === pane.row.letter && this.#panes().length > 1) return;
      if (this.#isNew(`${said.number}`)) this.#line(said.from, said.from, said.text, milliseconds(performance.now() - said.at));
    } else if (this.#isNew(JSON.stringify(args))) {
      const known = typeof said?.text === 'string';
      this.#line(undefined, known ? `${said.from} elsewhere` : 'Somebody', known ? said.text : args.map(plain).join(' '));
    }
  }

  /** The same line comes to each client; once more after a second is once more said. */
  #isNew(key) {
    if (this.#heard.has(key)) return false;
    this.#heard.add(key);
    setTimeout(() => this.#heard.delete(key), 3000);
    return true;
  }

  #line(letter, author, text, took = '') {
    const item = document.createElement('p');
    const who = document.createElement('b');
    who.textContent = author;
    const when = document.createElement('small');
    when.textContent = took;
    item.append(who, ` ${text} `, when);
    const pane = this.#panes().find(({ row }) => row.letter === letter);
    if (pane) item.dataset.hue = pane.hue;
    this.#append(item);
  }

  #append(item) {
    const log = this.#root.querySelector('.log');
    log.append(item);
    while (log.children.length > LINES_MAX) log.firstChild.remove();
    log.scrollTop = log.scrollHeight;
  }
}

const plain = (value) => (typeof value === 'string' ? value : JSON.stringify(value));

function refusal({ name }, { probed }) {
  return probed ? `${name}: an upgrade to WebSocket was refused.` : `${name}: WebSocket was refused, it falls back to polling.`;
}
