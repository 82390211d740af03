// A Socket.IO client of one namespace: events, acknowledgements, and a way back when a session ends.

import { Engine } from './engine.js';

const BACKOFF_MS = { first: 250, longest: 5000 };

/**
 * Tells "state" when it is on another transport or on none, "event" with `{ name, args }`, and "refused" when a transport
 * could not be had and the next is tried. `transports` are tried in their order, from the first with each session.
 */
export class Client extends EventTarget {
  /** "polling" or "websocket" once it is connected, before that "connecting", and "waiting" between two attempts. */
  state = 'connecting';
  #options;
  #engine;
  #connected = false;
  #ended = false;
  #attempts = 0;
  #retry;
  #upgrades = [];
  /** What waits for the next session. */
  #unsent = [];
  #asked = new Map();
  #lastId = 0;

  constructor(options) {
    super();
    this.#options = options;
  }

  open() {
    this.#ended = false;
    this.#begin(0);
  }

  /** Ends it for good. */
  close() {
    this.#ended = true;
    clearTimeout(this.#retry);
    this.#engine?.close('left');
  }

  emit(name, ...args) {
    this.#say(`2${JSON.stringify([name, ...args])}`);
  }

  /** Emits, and resolves with the arguments of the acknowledgement; rejects when the session ends before it. */
  ask(name, ...args) {
    const id = (this.#lastId += 1);
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#say(`2${id}${JSON.stringify([name, ...args])}`);
    });
  }

  /** Moves to WebSocket, where that is wanted and the client is on polling. */
  async upgrade() {
    const wanted = this.#options.transports.includes('websocket') && this.#upgrades.includes('websocket');
    if (!wanted || this.state !== 'polling') return;
    const engine = this.#engine;
    const moved = await engine.upgrade();
    if (!moved && engine === this.#engine) this.#tell('refused', { transport: 'websocket', probed: true });
  }

  #begin(choice) {
    const { base, wire, dial, transports } = this.#options;
    const transport = transports[choice];
    let opened = false;
    const hear = {
      open: (upgrades) => {
        opened = true;
        this.#upgrades = upgrades;
        engine.send('0');
      },
      message: (text) => this.#receive(text),
      moved: () => this.#become('websocket'),
      close: () => {
        if (opened || this.#ended || choice + 1 === transports.length) return this.#lose();
        this.#tell('refused', { transport, probed: false });
        this.#begin(choice + 1);
      },
    };
    const engine = new Engine({ base, wire, dial, hear });
    this.#engine = engine;
    this.#become('connecting');
    engine.open(transport);
  }

  #lose() {
    if (this.#connected) {
      // Nobody knows whether the server heard them.
      for (const { reject } of this.#asked.values()) reject(new Error('the session ended'));
      this.#asked.clear();
      this.#attempts = 0;
    }
    this.#connected = false;
    this.#become('waiting');
    if (this.#ended) return;
    const pause = Math.min(BACKOFF_MS.first * 2 ** this.#attempts, BACKOFF_MS.longest);
    this.#attempts += 1;
    this.#retry = setTimeout(() => this.#begin(0), pause * (0.75 + Math.random() / 2));
  }

  #say(text) {
    if (!this.#connected) return void this.#unsent.push(text);
    this.#engine.send(text);
  }

  #receive(text) {
    const [, type, id, json] = /^(\d)(\d*)(.*)$/s.exec(text) ?? [];
    if (type === '0') {
      this.#connected = true;
      this.#become(this.#engine.transport);
      for (const unsent of this.#unsent.splice(0)) this.#say(unsent);
      this.upgrade();
    } else if (type === '2' || type === '3') {
      const args = JSON.parse(json);
      if (type === '2') return this.#tell('event', { name: args[0], args: args.slice(1) });
      this.#asked.get(Number(id))?.resolve(args);
      this.#asked.delete(Number(id));
    } else if (type === '1' || type === '4') {
      this.#engine.close('the server disconnected');
    }
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.#tell('state', state);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
