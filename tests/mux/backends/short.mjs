// A backend in the short form, without credit and resume: what to do for each frame. The frames are in wire.mjs, the
// application is in echo.mjs.

import { start } from './echo.mjs';
import { Fault, goodbye, message } from './wire.mjs';

class Session {
  sent = 0;
  got = 0;
  closed = false;

  constructor(id, write, hello) {
    Object.assign(this, { id, write, hello });
  }

  send(data) {
    if (this.closed) return;
    this.sent += 1;
    this.write(...message(this.id, this.sent, data));
  }

  close(...ending) {
    if (this.closed) return;
    this.closed = true;
    this.write('x', this.id, this.sent, ...goodbye(this.hello, ...ending));
  }
}

/** One shared WebSocket. */
function connection(ws, app) {
  const sessions = new Map();
  const write = (...frame) => ws.send(JSON.stringify(frame));
  let ours;

  const find = (id) => {
    if (!sessions.has(id)) write('x', id, 0, 1001, 'unknown session');
    return sessions.get(id);
  };
  const forget = (session, byPacket = false) => {
    sessions.delete(session.id);
    if (session.answer) app.closed(session, byPacket);
  };
  const verbs = {
    hello(hello) {
      ours = hello;
      write('hello', { v: 1, close_packets: true });
    },
    sync() {
      throw new Fault('a sync, but no resume here');
    },
    async open(id, request) {
      const known = sessions.get(id);
      if (known) return known.answer && !known.closed && write('ok', id, known.answer);
      const session = new Session(id, write, ours);
      sessions.set(id, session);
      const { deny, ...answer } = await app.open(request);
      if (sessions.get(id) !== session) return; // P gave up.
      if (deny) return sessions.delete(id) && write('deny', id, ...deny);
      session.answer = answer;
      write('ok', id, answer);
      app.opened(session, request);
    },
    t(id, seq, data) {
      const session = find(id);
      if (!session) return;
      if (!session.answer || seq !== session.got + 1) throw new Fault('a seq out of order');
      session.got = seq;
      if (session.closed) return; // It crossed with our x.
      if (Buffer.byteLength(data) > ours.max_message) session.close(1009, 'too large');
      else app.message(session, data);
    },
    b: (...fields) => verbs.t(...fields),
    x(id, seq, code, reason, byPacket) {
      const session = sessions.get(id);
      if (!session) return;
      if (seq > session.got) throw new Fault('an x for messages that never came');
      session.close(code, '');
      forget(session, byPacket === true);
    },
    transport: find,
    a() {},
    drain() {},
  };

  const take = (verb, fields) => verbs[verb](...fields);
  const end = () => [...sessions.values()].forEach((session) => forget(session));
  const stop = (seconds) => {
    write('drain', seconds);
    for (const session of sessions.values()) if (session.answer) session.close(1001, 'going away');
  };
  return { take, end, stop };
}

start(connection);
