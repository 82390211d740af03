// One WebSocket in the role of P, frame by frame: it sends what a case wants, right or wrong.

import assert from 'node:assert/strict';
import WebSocket from 'ws';

export const PROFILE = 'polliwog.mux.v1.json';
export const HELLO = { v: 1, credit: 1_000_000_000, max_message: 1_000_000, resume_ms: 0 };
const NOBODY = 's4503599627370496';
export const OPEN = {
  path: '/',
  dialect: 'websocket',
  transport: 'websocket',
  client: '203.0.113.9:51234',
  headers: [['cookie', 'a=b']],
  protocols: [],
};

export class Peer {
  #waiting = [];
  #frames = [];
  /** The last seq and LIMIT that B sent for each session. */
  news = new Map();

  constructor(port, { headers, protocols = [PROFILE] } = {}) {
    this.ws = new WebSocket(`ws://127.0.0.1:${port}/`, protocols, { headers, perMessageDeflate: false });
    this.closed = new Promise((resolve) => {
      this.ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    this.opened = new Promise((resolve, reject) => this.ws.on('open', resolve).on('error', reject));
    this.opened.catch(() => {});
    this.ws.on('message', (data, isBinary) => this.#take(isBinary ? data : JSON.parse(data)));
    this.ws.on('close', () => this.#wake());
  }

  /** Sends a frame. */
  send(...frame) {
    this.ws.send(JSON.stringify(frame));
  }

  /** Sends hello, and reads the response. */
  async hello(epoch, fields = {}) {
    await this.opened;
    this.send('hello', { ...HELLO, epoch, ...fields });
    const [, theirs] = await this.next('hello');
    return theirs;
  }

  /** Opens a session, and reads the response: `ok` or `deny`. */
  async open(id, fields = {}) {
    this.send('open', id, { ...OPEN, ...fields });
    return this.next();
  }

  /** The next frame, other than `a`. */
  async next(verb) {
    while (!this.#frames.length) {
      assert.ok(this.ws.readyState <= WebSocket.OPEN, `the WebSocket is closed, and no ${verb ?? 'frame'} came`);
      await new Promise((resolve) => this.#waiting.push(resolve));
    }
    const frame = this.#frames.shift();
    if (verb) assert.equal(frame[0], verb, JSON.stringify(frame).slice(0, 200));
    return frame;
  }

  /** Waits until `a` brings an entry for a session that `wanted` accepts. */
  async told(id, wanted) {
    while (!wanted(...(this.news.get(id) ?? []))) await new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** All frames that B sent before it answered this: a message on a session that it doesn't know. */
  async rest() {
    this.send('t', NOBODY, 1, '');
    const frames = [];
    for (;;) {
      const frame = await this.next();
      if (frame[1] === NOBODY) return frames;
      frames.push(frame);
    }
  }

  /** Sends an invalid frame, and asserts that the WebSocket is closed for it. */
  async refused(data) {
    this.ws.send(data);
    const { code, reason } = await this.closed;
    assert.equal(code, 1002, `after ${data}`);
    assert.ok(reason.length > 0, 'no reason');
  }

  /** Leaves, as P does when it stops. */
  async close() {
    this.ws.close(1001);
    await this.closed;
  }

  #take(frame) {
    if (frame[0] === 'a') {
      for (const [id, ...told] of frame[1]) this.news.set(id, told);
    } else {
      this.#frames.push(frame);
    }
    this.#wake();
  }

  #wake() {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
