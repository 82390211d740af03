// A P with credit and resume, and with an oracle in it: it throws when a message is lost, duplicated, reordered or sent
// without credit. What clients do is up to the case.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { HELLO, OPEN, PROFILE } from './peer.mjs';

/** A client's session. `expected` are the messages that it must get, in order; `got` is how many came. */
class Session {
  opened = false;
  ok = undefined;
  expected = [];
  got = 0;
  taken = 0;
  out = [];
  bytes = 0;
  sent = 0;
  sentEver = 0;
  acked = 0;
  closing = undefined;
  left = false;
  over = undefined;

  constructor(proxy, id, path) {
    Object.assign(this, { proxy, id, path, granted: proxy.credit, limit: proxy.theirs?.credit ?? 0 });
  }

  send(data) {
    const payload = typeof data === 'string' ? data : data.toString('base64');
    const frame = [typeof data === 'string' ? 't' : 'b', this.id, this.out.length + 1, payload];
    this.out.push({ frame, at: this.bytes });
    this.bytes += Buffer.byteLength(data);
    this.pump();
  }

  /** The client leaves: waiting messages are no longer sent. */
  close(code, reason) {
    this.closing = [code, reason];
    this.out.length = this.sent;
    this.pump();
  }

  pump() {
    if (!this.proxy.live || this.over) return;
    if (!this.opened) this.proxy.write('open', this.id, { ...OPEN, path: this.path });
    this.opened = true;
    while (this.ok && this.sent < this.out.length && this.out[this.sent].at < this.limit) {
      this.proxy.write(...this.out[this.sent].frame);
      this.sent += 1;
    }
    this.sentEver = Math.max(this.sentEver, this.sent);
    if (this.closing && !this.left) {
      this.left = true;
      this.proxy.write('x', this.id, this.sent, ...this.closing);
    }
  }

  receive(verb, seq, payload) {
    assert.ok(this.ok, `${this.id}: a message before its ok`);
    assert.equal(seq, this.got + 1, `${this.id}: a message was lost, duplicated or reordered`);
    assert.ok(this.taken < this.granted, `${this.id}: message ${seq} was started beyond its credit`);
    const data = verb === 't' ? payload : Buffer.from(payload, 'base64');
    this.got = seq;
    this.taken += Buffer.byteLength(data);
    if (!this.closing) assert.deepEqual(data, this.expected[seq - 1], `${this.id}: message ${seq} is another`);
  }

  acknowledge(seq, limit) {
    assert.ok(seq >= this.acked && seq <= this.sentEver, `${this.id}: ${seq} is acknowledged after ${this.acked}`);
    assert.ok(limit >= this.limit, `${this.id}: its LIMIT goes down from ${this.limit} to ${limit}`);
    Object.assign(this, { acked: seq, limit });
  }
}

export class Proxy {
  sessions = new Map();
  live = false;
  connections = 0;
  resumed = 0;
  theirs = undefined;
  failure = undefined;
  #known = false;
  #entries = [];
  #stopped = false;

  constructor({ port, epoch, credit }) {
    Object.assign(this, { port, epoch, credit });
  }

  /** Dials repeatedly until `stop`. */
  async run() {
    while (!this.#stopped) {
      await this.#connection();
      // A pause between two dials.
      await sleep(1);
    }
  }

  stop() {
    this.#stopped = true;
    this.ws.close(1001);
  }

  open(id, path) {
    const session = new Session(this, id, path);
    this.sessions.set(id, session);
    session.pump();
    return session;
  }

  /** Passes on what `sessions` have received, and acknowledges it to B. */
  grant(sessions) {
    const heard = sessions.filter(({ ok, left }) => ok && !left);
    if (!this.live || !heard.length) return;
    for (const session of heard) session.granted = session.taken + this.credit;
    this.write('a', heard.map(({ id, got, granted }) => [id, got, granted]));
  }

  write(...frame) {
    this.ws.send(JSON.stringify(frame));
  }

  #connection() {
    this.ws = new WebSocket(`ws://127.0.0.1:${this.port}/`, PROFILE, { perMessageDeflate: false });
    this.connections += 1;
    this.ws.on('error', () => {});
    this.ws.on('open', () => {
      this.#entries = [];
      // Without B's hello it is unknown whether B can resume.
      if (!this.#known) this.epoch += '+';
      this.write('hello', { ...HELLO, epoch: this.epoch, credit: this.credit, resume_ms: 5000 });
      if (this.#known) this.#sync();
    });
    this.ws.on('message', (data) => {
      if (this.ws.readyState !== WebSocket.OPEN) return;
      try {
        this.#take(...JSON.parse(data));
      } catch (error) {
        this.failure ??= error;
        this.stop();
      }
    });
    return new Promise((resolve) => {
      this.ws.on('close', (code, reason) => {
        this.live = false;
        if (code === 1002) this.failure ??= new Error(`closed with 1002 ${reason}`);
        if (this.failure) this.#stopped = true;
        resolve();
      });
    });
  }

  /** In parts of two sessions, so that there are several parts. */
  #sync() {
    const list = [...this.sessions.values()]
      .filter(({ opened }) => opened)
      .map(({ id, ok, got, granted }) => [id, ok ? got : -1, granted]);
    do {
      const part = list.splice(0, 2);
      this.write('sync', this.epoch, part, ...(list.length ? [true] : []));
    } while (list.length);
  }

  #take(verb, ...fields) {
    if (verb === 'hello') {
      [this.theirs] = fields;
      if (!this.#known) this.#goOn();
      this.#known = true;
    } else if (verb === 'sync') {
      this.#entries.push(...fields[0]);
      if (fields[1] !== true) this.#resume();
    } else if (verb === 'a') {
      for (const [id, seq, limit] of fields[0]) {
        this.sessions.get(id)?.acknowledge(seq, limit);
        this.sessions.get(id)?.pump();
      }
    } else {
      this.#takeOf(verb, this.sessions.get(fields[0]), fields);
    }
  }

  #takeOf(verb, session, [id, ...fields]) {
    assert.ok(session, `${verb} for ${id}, which is over`);
    if (verb === 't' || verb === 'b') return session.receive(verb, ...fields);
    if (verb === 'x') {
      assert.equal(fields[0], session.got, `${id}: x tells of messages that never came`);
      if (!session.left) this.write('x', id, session.sent, fields[1], '');
      return this.#over(session, fields.slice(1));
    }
    assert.ok(!session.ok, `${id}: ${verb} after its ok`);
    if (verb === 'deny') return this.#over(session, fields);
    assert.equal(verb, 'ok');
    [session.ok] = fields;
    session.limit = Math.max(session.limit, this.theirs.credit);
    session.pump();
  }

  #over(session, how) {
    session.over = how;
    this.sessions.delete(session.id);
  }

  #resume() {
    this.resumed += 1;
    const theirs = new Map(this.#entries.map(([id, ...rest]) => [id, rest]));
    for (const session of [...this.sessions.values()]) {
      const entry = theirs.get(session.id);
      if (!entry && session.left) this.#over(session, ['forgotten']);
      else if (!entry && session.ok) throw new Error(`${session.id}: B has lost it`);
      else if (!entry) session.opened = false;
      else session.acknowledge(...entry);
      session.sent = session.acked;
      session.left = false;
    }
    for (const [id] of this.#entries) if (!this.sessions.has(id)) this.write('x', id, 0, 1001, 'unknown session');
    this.#goOn();
  }

  #goOn() {
    this.live = true;
    for (const session of this.sessions.values()) session.pump();
  }
}
