// What a case gets: where to connect, stock clients that are ended with it, and its transcript.

import assert from 'node:assert/strict';
import { Socket as EngineSocket } from 'engine.io-client';
import connectEngine3 from 'engine.io-client-3';
import { openPage } from './browser.mjs';
import { SCHEME } from './choice.mjs';
import { CLIENTS } from './clients.mjs';
import { quiet, until } from '../../mux/lib/until.mjs';
import './jsonp.mjs';
import { peer } from './peer.mjs';
import { SOCKJS_CLIENTS } from './sockjs.mjs';
import { RawClient, request, upgrade } from './raw.mjs';
import { running } from './processes.mjs';
import { Transcript } from './transcript.mjs';

export const TRANSPORTS = {
  polling: ['polling'],
  websocket: ['websocket'],
  upgrade: ['polling', 'websocket'],
  jsonp: ['polling'],
};

/** The transports that every client has. */
export const COMMON = ['polling', 'websocket', 'upgrade'];

/** Less than a case's own deadline. */
const WITHIN_MS = 8000;

let count = 0;

export class Context {
  id = String((count += 1));
  passed = false;
  transcript = new Transcript();
  assert = assert;
  quiet = quiet;
  measures = new Map();
  #ends = [];

  constructor({ port, proxied, through, way, transport, path, suite, backendPort }) {
    Object.assign(this, { port, proxied, through, way, transport, path, suite, backendPort });
    running.set(this.id, this);
    this.transports = TRANSPORTS[transport] ?? [];
    this.client = CLIENTS[suite.client ?? '4.8'];
    this.url = `${SCHEME}://127.0.0.1:${port}`;
  }

  log(...event) {
    this.transcript.log(...event);
  }

  until(track, label, count) {
    return this.transcript.until(track, label, count);
  }

  /** Waits until `isSo`, which is checked repeatedly; `what` is expected. */
  eventually(isSo, what) {
    return until(isSo, () => what, { within: WITHIN_MS });
  }

  /**
   * Waits until the GETs of `count` polling clients are parked at the side under test: whether they are decides what the
   * clients learn of an end. Clients on a WebSocket have none.
   */
  async parked(count = 1) {
    if (this.transports.length && this.transports.at(-1) !== 'polling') return;
    if ((await this.#parked()) === undefined) {
      await quiet(50, 'the next GET gets parked, which this side does not show');
      return;
    }
    await this.eventually(async () => (await this.#parked()) >= count, `${count} parked GETs`);
  }

  /** How many GETs are parked, or undefined where that does not show. */
  async #parked() {
    if (this.way) return this.way.parked();
    const clients = this.backend?.engine?.clients;
    const isParked = ({ transport }) => transport.name === 'polling' && transport.writable;
    return clients && Object.values(clients).filter(isParked).length;
  }

  /** Runs `end` when the case is over, however it ends. */
  defer(end) {
    this.#ends.push(end);
  }

  async end() {
    running.delete(this.id);
    for (const end of this.#ends.reverse()) await end();
  }

  /** A Socket.IO client, not yet connected: `open` connects it and waits. */
  io(options = {}, namespace = '/') {
    const socket = this.client.io(this.url + namespace, {
      ...this.client.options,
      path: this.path,
      transports: this.transports,
      forceJSONP: this.transport === 'jsonp',
      reconnection: false,
      forceNew: true,
      autoConnect: false,
      ...options,
    });
    this.defer(() => socket.disconnect());
    return socket;
  }

  /** Connects `socket` and waits for its CONNECT and, where the transports say so, for the upgrade. */
  async open(socket, { upgraded = true } = {}) {
    const done = [event(socket, 'connect', 'connect_error')];
    if (upgraded && this.transport === 'upgrade') {
      done.push(
        new Promise((resolve) => {
          const watch = () => socket.io.engine.once('upgrade', resolve);
          if (socket.io.engine) watch();
          else socket.io.once('open', watch);
        }),
      );
    }
    socket.connect();
    await Promise.all(done);
    return socket;
  }

  /** `io` and `open` in one. */
  async connect(options, namespace) {
    return this.open(this.io(options, namespace));
  }

  /** The client of another language that the suite names. */
  peer() {
    return peer(this.suite.peer, this);
  }

  /** A page of `origin` in a browser of its own, whose events go to the track "page". */
  page(origin, options) {
    return openPage(this, origin, options);
  }

  /** An Engine.IO client that is already connecting; add the listeners before the next await. */
  engine(options = {}) {
    const how = { path: this.path, transports: this.transports, forceJSONP: this.transport === 'jsonp', ...options };
    const socket = this.suite.engine === 3 ? connectEngine3(this.url, how) : new EngineSocket(this.url, how);
    socket.binaryType = 'nodebuffer';
    this.defer(() => socket.close());
    return socket;
  }

  /** A SockJS client that is already connecting, of the suite's version and on the case's transport. */
  sockjs({ query = '', ...options } = {}) {
    const Client = SOCKJS_CLIENTS[this.suite.sockjs];
    // Version 1.6 takes this for a busy machine, which needs longer than the client infers from its first request.
    const given = { transports: [this.transport], timeout: WITHIN_MS, ...options };
    const socket = new Client(`${this.url}/sockjs${query}`, null, given);
    this.defer(() => socket.close());
    return socket;
  }

  /** Waits until an Engine.IO client is open and, where the transports say so, upgraded. */
  async opened(socket) {
    const done = [event(socket, 'open', 'error')];
    if (this.transport === 'upgrade') done.push(event(socket, 'upgrade', 'close'));
    await Promise.all(done);
    return socket;
  }

  /** A client of bare HTTP and `ws` whose connections can be cut. */
  async raw(transport = this.transport, options = {}) {
    const client = new RawClient(this.port, this.path, transport, options);
    this.defer(() => client.close());
    await client.open();
    return client;
  }

  /** One HTTP request to the side under test: `{ status, headers, body, bytes }`. */
  request(options) {
    return request({ port: this.port, ...options });
  }

  /** One WebSocket handshake by hand: `{ status, head, body }` once the other side has closed. */
  upgradeRequest(options) {
    return upgrade({ port: this.port, ...options });
  }

  /** Notes a duration; the proxied run may take `slack` ms longer than the direct one. */
  measure(name, ms, slack) {
    this.measures.set(name, { ms, slack });
  }
}

/** Resolves with the arguments of `name`; rejects when `failure` is emitted first. */
export function event(emitter, name, failure) {
  return new Promise((resolve, reject) => {
    const done = (...args) => {
      if (failure) emitter.off(failure, failed);
      resolve(args);
    };
    const failed = (error) => {
      emitter.off(name, done);
      reject(error instanceof Error ? error : new Error(`${failure} instead of ${name}: ${error}`));
    };
    emitter.once(name, done);
    if (failure) emitter.once(failure, failed);
  });
}
