// The three kinds of client, with one interface: `next` returns its messages, and `ended` its end.

import WebSocket from 'ws';
import { Connection } from './http.mjs';

const SEPARATOR = '\x1e';
// Together they stay below max_payload.
const PACKETS_MAX = 8;

/** The response that refused a handshake. */
export class Refused extends Error {
  constructor({ status, headers, body }) {
    super(`refused with ${status} ${body}`);
    Object.assign(this, { status, headers, body });
  }
}

class Client {
  #messages = [];
  #waiting = [];
  #ending;
  over = false;
  ended = new Promise((resolve) => (this.#ending = resolve));

  constructor(port, { path = '/', headers = {} } = {}) {
    Object.assign(this, { port, path, headers });
  }

  /** The next message, a string or a Buffer. */
  next() {
    if (this.#messages.length) return Promise.resolve(this.#messages.shift());
    if (this.over) return Promise.reject(new Error(`no message comes: ${JSON.stringify(this.over)}`));
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  async echo(data) {
    this.send(data);
    return this.next();
  }

  got(data) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting.resolve(data);
    else this.#messages.push(data);
  }

  end(how) {
    if (this.over) return;
    this.over = how;
    this.#ending(how);
    for (const { reject } of this.#waiting) reject(new Error(`it ended: ${JSON.stringify(how)}`));
  }
}

/** Engine.IO by polling: one GET parked, and POSTs. Ends with `{ packet: '1' }`, or `{ status }` of a refused request. */
export class Polling extends Client {
  #gets = new Connection(this.port, this.headers);
  #posts = new Connection(this.port, this.headers);
  #packets = [];
  #posting = false;

  async open({ stalled = false } = {}) {
    const query = `${this.path}${this.path.includes('?') ? '&' : '?'}EIO=4&transport=polling`;
    const answer = await this.#gets.request('GET', query);
    if (answer.status !== 200) {
      this.drop();
      throw new Refused(answer);
    }
    this.answer = answer;
    const [first, ...rest] = answer.body.split(SEPARATOR);
    this.query = `${query}&sid=${JSON.parse(first.slice(1)).sid}`;
    for (const packet of rest) this.#take(packet);
    if (!stalled) this.poll();
    return this;
  }

  /** Polls until the session ends. */
  async poll() {
    while (!this.over) {
      const { status, body } = await this.#gets.request('GET', this.query).catch((error) => ({ status: error.message }));
      if (status === 200) for (const packet of body.split(SEPARATOR)) this.#take(packet);
      else this.end({ status });
    }
    this.drop();
  }

  send(data) {
    this.#post(typeof data === 'string' ? `4${data}` : `b${data.toString('base64')}`);
  }

  /** Leaves as a client should. */
  async close() {
    if (!this.over) await this.#post('1');
    this.end('left');
    this.drop();
  }

  drop() {
    this.#gets.close();
    this.#posts.close();
  }

  async #post(packet) {
    this.#packets.push(packet);
    if (this.#posting) return;
    this.#posting = true;
    while (this.#packets.length && !this.over) {
      const body = this.#packets.splice(0, PACKETS_MAX).join(SEPARATOR);
      const { status } = await this.#posts.request('POST', this.query, body).catch((error) => ({ status: error.message }));
      if (status !== 200) this.end({ status });
    }
    this.#posting = false;
  }

  #take(packet) {
    if (packet[0] === '4') this.got(packet.slice(1));
    else if (packet[0] === 'b') this.got(Buffer.from(packet.slice(1), 'base64'));
    else if (packet === '2') this.#post('3');
    else if (packet === '1') this.end({ packet });
    else if (packet !== '6') throw new Error(`an unexpected packet: ${packet}`);
  }
}

/** A plain WebSocket. Ends with the `{ code, reason }` of its Close frame. */
export class Plain extends Client {
  static host = 'plain.test';
  protocols = [];

  open() {
    const headers = { host: this.constructor.host, ...this.headers };
    this.ws = new WebSocket(`ws://127.0.0.1:${this.port}${this.path}`, this.protocols, { headers, perMessageDeflate: false });
    this.ws.on('message', (data, isBinary) => this.take(isBinary ? data : data.toString()));
    this.ws.on('close', (code, reason) => this.end({ code, reason: reason.toString() }));
    return new Promise((resolve, reject) => {
      this.ws.on('upgrade', ({ headers: answered }) => (this.answer = { headers: answered }));
      this.ws.on('open', () => resolve(this)).on('error', reject);
      this.ws.on('unexpected-response', async (request, response) => {
        const body = Buffer.concat(await response.toArray()).toString();
        reject(new Refused({ status: response.statusCode, headers: response.headers, body }));
      });
    });
  }

  take(data) {
    this.got(data);
  }

  send(data) {
    this.ws.send(data);
  }

  async close(code = 1000, reason = '') {
    this.ws?.close(code, reason);
    await this.ended;
  }

  drop() {
    this.ws?.terminate();
  }
}

/** Engine.IO by WebSocket. */
export class Socket extends Plain {
  static host = 'engine.test';

  constructor(port, { path = '/', ...rest } = {}) {
    super(port, { path: `${path}${path.includes('?') ? '&' : '?'}EIO=4&transport=websocket`, ...rest });
  }

  take(data) {
    if (typeof data !== 'string') this.got(data);
    else if (data[0] === '4') this.got(data.slice(1));
    else if (data === '2') this.ws.send('3');
    else if (data[0] !== '0') throw new Error(`an unexpected packet: ${data}`);
  }

  send(data) {
    this.ws.send(typeof data === 'string' ? `4${data}` : data);
  }
}

export const KINDS = [Polling, Socket, Plain];
