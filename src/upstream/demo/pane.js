// One client of the page with what it costs: what all the views of it draw.

import { makeClient } from './clients.js';
import { SLOTS } from './chart.js';
import { Recent } from './recent.js';
import { Times } from './times.js';
import { Wire } from './wire.js';

/** How often the numbers move. */
export const SLOT_MS = 500;

const STATES = { polling: 'polling', websocket: 'WebSocket', streaming: 'streaming', longpoll: 'EventSource' };

/** Tells "state" after its client's state has changed, "ended" when its session has, and "refused" and "event" as the client does. */
export class Pane extends EventTarget {
  wire = new Wire();
  /** What a message cost in the last ten seconds. */
  recent = new Recent();
  trips = new Times();
  client;
  /** Slots of the last minute, oldest first: `{ bytes, trip, hue, isFallback }`, bytes a second and milliseconds. */
  slots = [];
  /** When its session ended, and how long it then took to be back on polling instead of WebSocket. */
  endedAt;
  /** Since when Polliwog keeps a request that waits for messages. */
  waitsSince;
  fellBack;
  #row;
  #tally;
  #bytes = 0;
  #wasOn = false;

  /** `row` is one of `CLIENTS`; `tally` is told what is asked and answered. */
  constructor(row, line, tally) {
    super();
    this.#row = row;
    this.#tally = tally;
    this.client = makeClient(row, this.wire, line);
    this.client.addEventListener('state', ({ detail }) => this.#follow(detail));
    this.wire.addEventListener('exchange', ({ detail }) => this.#wait(detail));
    this.client.addEventListener('again', ({ detail }) => tally.again(detail));
    for (const type of ['event', 'refused']) {
      this.client.addEventListener(type, ({ detail }) => this.dispatchEvent(new CustomEvent(type, { detail })));
    }
  }

  get row() {
    return this.#row;
  }

  /** Its name among the clients of this tab. */
  get name() {
    return `Client ${this.#row.letter}`;
  }

  /** The node of a cluster where its session is, if that is known. */
  get node() {
    return this.client.node;
  }

  get isFallback() {
    return this.client.state === 'polling' && this.#row.wanted !== 'polling';
  }

  /** The colour of the transport in use. */
  get hue() {
    return this.isFallback ? 'polling' : this.#row.word;
  }

  /** The transport in use, or what is in its place. */
  get state() {
    const { state } = this.client;
    return STATES[state] ?? (state === 'waiting' ? 'reconnecting' : state);
  }

  /** Sends one echo and times it; `undefined` if the client is turned off before the answer. */
  async echo(...args) {
    const began = performance.now();
    const answer = await this.#tally.count(this.client.ask('echo', ...args));
    if (answer) this.trips.add(performance.now() - began);
    return answer;
  }

  /** Ends a slot of the charts. */
  tick() {
    this.recent.tick(this.wire, this.client.state, this.#row.wanted, SLOT_MS);
    const { bytes } = this.wire;
    const aSecond = (bytes - this.#bytes) * (1000 / SLOT_MS);
    this.#bytes = bytes;
    this.slots.push({ bytes: aSecond, trip: this.trips.takeLatest(), isFallback: this.isFallback });
    if (this.slots.length > SLOTS) this.slots.shift();
  }

  /** A poll waits until it is answered, a stream's answer for as long as it is open. */
  #wait({ what }) {
    if (what === 'GET' || what === 'stream') this.waitsSince = performance.now();
    if (what === 'poll') this.waitsSince = undefined;
  }

  #follow(state) {
    if (state === 'waiting') {
      // An attempt that fails ends nothing, unless it is the first.
      if (this.#wasOn || this.endedAt === undefined) {
        this.endedAt = performance.now();
        this.dispatchEvent(new Event('ended'));
      }
      [this.#wasOn, this.waitsSince] = [false, undefined];
    }
    if (state !== 'connecting' && state !== 'waiting') {
      this.fellBack = this.isFallback && this.endedAt ? performance.now() - this.endedAt : undefined;
      this.#wasOn = true;
    }
    this.dispatchEvent(new Event('state'));
  }
}
