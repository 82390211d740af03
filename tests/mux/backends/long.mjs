// A backend in the long form, with credit and resume: what to do for each frame. The frames are in wire.mjs, the
// application is in echo.mjs.

import { start } from './echo.mjs';
import { Fault, goodbye, message } from './wire.mjs';

const CREDIT = 262_144;
const NEWS_MS = 10;
const SYNC_PART = 1000;

class Session {
  // Messages to P: those that wait for credit, and those after `acked`, which P may request again.
  waiting = [];
  kept = [];
  acked = 0;
  bytes = 0;
  // Messages from P.
  got = 0;
  taken = 0;
  granted = CREDIT;
  // Set by `close`, and when its `x` was sent on the current WebSocket.
  ending = undefined;
  left = false;

  constructor(epoch, id) {
    Object.assign(this, { epoch, id, limit: epoch.hello.credit || Infinity });
  }

  get sent() {
    return this.acked + this.kept.length;
  }

  get unsent() {
    return this.waiting.length ? this.bytes - this.waiting[0].at : 0;
  }

  send(data) {
    if (this.ending) return;
    const seq = this.sent + this.waiting.length + 1;
    this.waiting.push({ frame: message(this.id, seq, data), at: this.bytes });
    this.bytes += Buffer.byteLength(data);
    this.pump();
  }

  /** Closes after everything that was sent. */
  close(...ending) {
    this.ending ??= ending;
    this.pump();
  }

  /** Closes at once: P broke the session's rules. */
  abort(code, reason) {
    this.waiting = [];
    this.close(code, reason);
  }

  /** Sends what may be sent. */
  pump() {
    if (!this.epoch.live || !this.answer) return;
    const stop = this.waiting.findIndex(({ at }) => at >= this.limit);
    for (const next of this.waiting.splice(0, stop < 0 ? Infinity : stop)) {
      this.epoch.write(...next.frame);
      // Without credit nothing is ever acknowledged.
      if (this.limit === Infinity) this.acked += 1;
      else this.kept.push(next);
    }
    if (this.ending && !this.left && !this.waiting.length) {
      this.left = true;
      this.epoch.write('x', this.id, this.sent, ...goodbye(this.epoch.hello, ...this.ending));
    }
    if (this.granted < this.taken + CREDIT) this.epoch.note(this);
  }

  receive(seq, data) {
    if (!this.answer || seq !== this.got + 1) throw new Fault('a seq out of order');
    this.got = seq;
    if (this.ending) return;
    const { credit, max_message } = this.epoch.hello;
    const size = Buffer.byteLength(data);
    if (size > max_message) return this.abort(1009, 'too large');
    if (credit && this.taken >= this.granted) return this.abort(1008, 'over its credit');
    this.taken += size;
    this.epoch.app.message(this, data);
    this.epoch.note(this);
  }

  /** The entry in `a` and `sync`. Messages from the application that wait for P are kept. */
  news() {
    this.granted = Math.max(this.granted, this.taken + CREDIT - this.unsent);
    return [this.id, this.got, this.granted];
  }

  acknowledge(seq, limit) {
    if (seq < this.acked || seq > this.sent) throw new Fault('an acknowledgement of what was never sent');
    this.kept.splice(0, seq - this.acked);
    this.acked = seq;
    this.limit = Math.max(this.limit, limit);
  }

  /** Continues after `seq` on a new WebSocket; `seq` is -1 if P has no `ok`. */
  resume(seq, limit) {
    if (seq < 0 && this.answer) this.epoch.write('ok', this.id, this.answer);
    this.acknowledge(Math.max(seq, 0), limit);
    this.waiting = [...this.kept.splice(0), ...this.waiting];
    this.left = false;
    this.pump();
  }
}

const epochs = new Map();

/** The sessions of one P, over all its WebSockets. */
class Epoch {
  sessions = new Map();
  noted = new Set();
  /** P's WebSocket, and the same once frames of sessions may be written to it. */
  ws = undefined;
  live = undefined;

  constructor(app, hello) {
    Object.assign(this, { app, hello });
  }

  attach(ws, hello) {
    clearTimeout(this.timer);
    this.ws?.close(1001, 'replaced');
    Object.assign(this, { ws, hello, live: undefined });
  }

  write(...frame) {
    this.live?.send(JSON.stringify(frame));
  }

  /** Acknowledges a session's messages to P, after a short delay; many sessions share one frame. */
  note(session) {
    if (!this.hello.credit) return;
    this.noted.add(session);
    // A short delay gathers them.
    this.noting ??= setTimeout(() => {
      this.noting = undefined;
      const heard = [...this.noted].filter(({ id, left }) => this.sessions.has(id) && !left);
      this.noted.clear();
      if (heard.length) this.write('a', heard.map((each) => each.news()));
    }, NEWS_MS).unref();
  }

  find(id) {
    if (!this.sessions.has(id)) this.write('x', id, 0, 1001, 'unknown session');
    return this.sessions.get(id);
  }

  forget(session, byPacket = false) {
    this.sessions.delete(session.id);
    if (session.answer) this.app.closed(session, byPacket);
  }

  /** Sessions that P's list lacks have ended. The others go on when P has our list. */
  resume(entries) {
    const theirs = new Map(entries.map(([id, ...rest]) => [id, rest]));
    for (const session of this.sessions.values()) if (!theirs.has(session.id)) this.forget(session);
    this.live = this.ws;
    const ours = [...this.sessions.values()];
    const list = ours.map((session) => session.news());
    do {
      const part = list.splice(0, SYNC_PART);
      this.write('sync', part, ...(list.length ? [true] : []));
    } while (list.length);
    for (const session of ours) session.resume(...theirs.get(session.id));
  }

  broke(code) {
    this.ws = this.live = undefined;
    const { credit, resume_ms } = this.hello;
    if (code === 1002 || !credit || !resume_ms) this.end();
    // docs/mux.md: sessions wait so long for their proxy to come back.
    else this.timer = setTimeout(() => this.end(), resume_ms).unref();
  }

  end() {
    this.ws = this.live = undefined;
    epochs.delete(this.hello.epoch);
    for (const session of this.sessions.values()) this.forget(session);
  }
}

/** One WebSocket, beginning with its hello. */
function connection(ws, app) {
  let epoch;
  // What P's sync has listed so far; nothing when no sync may come any more.
  let entries = [];

  const verbs = {
    hello(hello) {
      const { epoch: name, credit } = hello;
      const known = epochs.get(name);
      epoch = known ?? new Epoch(app, hello);
      epochs.set(name, epoch);
      epoch.attach(ws, hello);
      ws.send(JSON.stringify(['hello', { v: 1, credit: CREDIT, resume: credit > 0, close_packets: true }]));
      if (!known) epoch.live = ws;
    },
    sync(name, list, more) {
      if (!entries || name !== epoch.hello.epoch) throw new Fault('a sync out of place');
      entries.push(...list);
      if (more === true) return;
      epoch.resume(entries);
      entries = undefined;
    },
    async open(id, request) {
      const known = epoch.sessions.get(id);
      if (known) return known.answer && !known.left && epoch.write('ok', id, known.answer);
      const session = new Session(epoch, id);
      epoch.sessions.set(id, session);
      const { deny, ...answer } = await app.open(request);
      if (epoch.sessions.get(id) !== session) return; // P gave up.
      if (deny) return epoch.sessions.delete(id) && epoch.write('deny', id, ...deny);
      session.answer = answer;
      epoch.write('ok', id, answer);
      app.opened(session, request);
    },
    t: (id, seq, text) => epoch.find(id)?.receive(seq, text),
    b: (id, seq, bytes) => epoch.find(id)?.receive(seq, bytes),
    a(list) {
      if (!epoch.hello.credit) return;
      for (const [id, seq, limit] of list) {
        epoch.sessions.get(id)?.acknowledge(seq, limit);
        epoch.sessions.get(id)?.pump();
      }
    },
    x(id, seq, code, reason, byPacket) {
      const session = epoch.sessions.get(id);
      if (!session) return;
      if (seq > session.got) throw new Fault('an x for messages that never came');
      if (!session.left) epoch.write('x', id, session.sent, code, '');
      epoch.forget(session, byPacket === true);
    },
    transport: (id) => epoch.find(id),
    drain() {},
  };

  const take = (verb, fields) => {
    if (verb !== 'hello' && verb !== 'sync') {
      if (!epoch.live) throw new Fault('a known epoch without its sync');
      entries = undefined;
    }
    verbs[verb](...fields);
  };
  const end = (code) => epoch?.ws === ws && epoch.broke(code);
  const stop = (seconds) => {
    epoch?.write('drain', seconds);
    for (const session of epoch?.sessions.values() ?? []) if (session.answer) session.close(1001, 'going away');
  };
  return { take, end, stop };
}

start(connection);
