// One pane: a client, its chat, and what it costs.

import { drawBars, drawMarks, niceMax, SLOTS } from './chart.js';
import { Client } from './client.js';
import { Recent } from './recent.js';
import { Wire } from './wire.js';

/** How often the numbers move. */
export const SLOT_MS = 500;
const LINES_MAX = 60;
const LEAST = { requests: 2, bytes: 1000, echo: 5 };

const whole = new Intl.NumberFormat('en');
const STATES = { connecting: 'connecting', waiting: 'disconnected, reconnecting', polling: 'polling', websocket: 'WebSocket' };

export class Pane {
  wire = new Wire();
  /** What a message cost in the last ten seconds. */
  recent = new Recent();
  client;
  #root;
  #options;
  #slots = { requests: [], bytes: [], echo: [] };
  /** The counts at the last slot's end. */
  #last = { requests: 0, payload: 0, bytes: 0 };
  #echoes = new Times();
  #chats = new Times();

  /** `options` has name, word, what and transports; `dial` makes WebSockets, and `say(text)` is called with what is typed. */
  constructor(template, { dial, say, ...options }) {
    this.#options = options;
    this.#root = template.content.cloneNode(true).querySelector('section');
    const { name, word, what, transports } = options;
    this.#root.dataset.pane = word;
    this.#root.dataset.transport = word;
    this.#root.setAttribute('aria-label', `The ${name} client`);
    this.#root.querySelector('h2').textContent = name;
    this.#root.querySelector('.what').textContent = what;
    this.#root.querySelector('.log').setAttribute('aria-label', `Chat of the ${name} client`);
    const form = this.#root.querySelector('form');
    form.elements.text.setAttribute('aria-label', `A message from the ${name} client`);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const text = form.elements.text.value.trim();
      if (text) say(this, text);
      form.reset();
    });
    this.client = new Client({ base: new URL('socket.io/', document.baseURI).href, transports, wire: this.wire, dial });
    this.client.addEventListener('state', ({ detail }) => this.#show(detail));
    this.client.addEventListener('refused', ({ detail }) => this.note(refusal(detail)));
  }

  get root() {
    return this.#root;
  }

  get name() {
    return this.#options.name;
  }

  /** A line of the chat; `mine` is its author's pane in this tab. */
  line(author, text, { mine, took } = {}) {
    if (took !== undefined) this.#chats.add(took);
    const item = document.createElement('p');
    const who = document.createElement('b');
    who.textContent = author;
    const when = document.createElement('small');
    when.textContent = took === undefined ? '' : milliseconds(took);
    item.append(who, ` ${text} `, when);
    item.dataset.author = mine ?? 'other';
    this.#append(item);
  }

  /** What happened to the client, among the lines of the chat. */
  note(text) {
    const item = document.createElement('p');
    item.className = 'note';
    item.textContent = text;
    this.#append(item);
  }

  /** Says what became of a burst. */
  outcome(text) {
    this.#root.querySelector('.outcome').textContent = text;
  }

  /** Sends one echo and times it; the error of a session that ended is the caller's. */
  async echo(...args) {
    const began = performance.now();
    const answer = await this.client.ask('echo', ...args);
    this.#echoes.add(performance.now() - began);
    return answer;
  }

  /** Begins to count at zero. */
  reset() {
    const fresh = new Wire();
    Object.assign(this.wire, { requests: 0, heads: 0, sent: fresh.sent, received: fresh.received });
    this.#last = { requests: 0, payload: 0, bytes: 0 };
    this.#slots = { requests: [], bytes: [], echo: [] };
    this.#echoes = new Times();
    this.#chats = new Times();
    this.recent = new Recent();
    this.outcome('');
  }

  /** Ends a slot of the charts. */
  tick() {
    this.recent.tick(this.wire, this.client.state, this.#options.word, SLOT_MS);
    const { requests, payload, bytes } = this.wire;
    const [more, paid] = [bytes - this.#last.bytes, payload - this.#last.payload];
    const aSecond = 1000 / SLOT_MS;
    this.#push('requests', [(requests - this.#last.requests) * aSecond, 0]);
    // What is compressed may be less than its payload.
    this.#push('bytes', [Math.min(paid, more) * aSecond, Math.max(more - paid, 0) * aSecond]);
    this.#push('echo', this.#echoes.takeLatest());
    this.#last = { requests, payload, bytes };
  }

  /** The largest value of each chart. */
  peaks() {
    const sums = (slots) => Math.max(0, ...slots.map(([lower, upper]) => lower + upper));
    const { requests, bytes, echo } = this.#slots;
    return { requests: sums(requests), bytes: sums(bytes), echo: Math.max(0, ...echo.filter((took) => took !== undefined)) };
  }

  /** Draws the charts, on a scale that holds `peaks`, and writes the numbers. */
  draw(peaks) {
    const units = { requests: (max) => whole.format(max), bytes: size, echo: milliseconds };
    for (const [kind, slots] of Object.entries(this.#slots)) {
      const figure = this.#root.querySelector(`[data-chart="${kind}"]`);
      const max = niceMax(peaks[kind], LEAST[kind]);
      (kind === 'echo' ? drawMarks : drawBars)(figure, slots, max);
      figure.querySelector('output').textContent = `up to ${units[kind](max)}`;
    }
    const { requests, messages, sent, received, bytes, payload, heads } = this.wire;
    this.#write('requests', whole.format(requests));
    this.#write('messages', whole.format(messages));
    this.#write('ways', `${whole.format(sent.messages)} up, ${whole.format(received.messages)} down`);
    this.#write('bytes', size(bytes));
    this.#write('payload', `${size(payload)} payload`);
    this.#write('heads', `≈ ${size(heads)} headers`);
    this.#write('each', messages ? `${whole.format(Math.round(bytes / messages))} B` : '–');
    this.#write('asked', messages ? `${(requests / messages).toFixed(2)} requests` : '');
    this.#write('echo', median(this.#echoes));
    this.#write('echoes', count(this.#echoes, 'echo', 'echoes'));
    this.#write('chat', median(this.#chats));
    this.#write('chats', count(this.#chats, 'message', 'messages'));
  }

  #append(item) {
    const log = this.#root.querySelector('.log');
    log.append(item);
    while (log.children.length > LINES_MAX) log.firstChild.remove();
    log.scrollTop = log.scrollHeight;
  }

  #push(kind, value) {
    this.#slots[kind].push(value);
    if (this.#slots[kind].length > SLOTS) this.#slots[kind].shift();
  }

  #write(name, text) {
    const figure = this.#root.querySelector(`[data-figure="${name}"]`);
    if (figure.textContent !== text) figure.textContent = text;
  }

  #show(state) {
    const fallback = state === 'polling' && this.#options.transports[0] !== 'polling';
    const badge = this.#root.querySelector('.state');
    badge.textContent = fallback ? 'polling instead' : STATES[state];
    if (state === 'polling' || state === 'websocket') this.#root.dataset.transport = state;
    badge.dataset.state = fallback ? 'fallback' : state;
    if (state === 'waiting') this.note('The session ended.');
    if (state === 'polling' || state === 'websocket') this.note(`Connected by ${STATES[state]}.`);
  }
}

/** Durations of the last minute. */
class Times {
  #times = [];
  #latest;

  add(took) {
    this.#times.push([performance.now(), took]);
    this.#latest = Math.max(this.#latest ?? 0, took);
  }

  /** The longest since it was last asked. */
  takeLatest() {
    const latest = this.#latest;
    this.#latest = undefined;
    return latest;
  }

  get recent() {
    const since = performance.now() - SLOTS * SLOT_MS;
    this.#times.splice(0, this.#times.findIndex(([at]) => at >= since) >>> 0);
    return this.#times.map(([, took]) => took);
  }
}

function refusal({ transport, probed }) {
  const name = STATES[transport];
  return probed ? `An upgrade to ${name} was refused.` : `${name} was refused; polling instead.`;
}

const median = (times) => {
  const sorted = times.recent.sort((a, b) => a - b);
  return sorted.length ? milliseconds(sorted[sorted.length >> 1]) : '–';
};

const count = (times, one, many) => {
  const { length } = times.recent;
  return length ? `${whole.format(length)} ${length === 1 ? one : many}` : '';
};

const milliseconds = (took) => `${took < 9.95 ? Number(took.toFixed(1)) : whole.format(Math.round(took))} ms`;

/** Bytes in the unit that suits them. */
export function size(bytes) {
  if (bytes < 10_000) return `${whole.format(Math.round(bytes))} B`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(2)} MB`;
}
