// The application of both Node backends: echo, broadcast, and what tests ask for. It knows sessions, not frames.

import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from './wire.mjs';

const STOP_S = 5;

const everyone = new Set();
const counts = { sockets: 0, sockets_ever: 0, sessions: 0, sessions_ever: 0, close_packets: 0 };
const count = (what, change) => {
  counts[what] += change;
  if (change > 0) counts[`${what}_ever`] += change;
};

const app = {
  /** Decides whether a client is accepted: returns the fields of `ok`, or `deny` with a status and a text. */
  async open({ path, headers, protocols }) {
    const [, what, number] = /^\/(deny|wait)\/(\d+)/.exec(path) ?? [];
    if (what === 'deny') return { deny: [Number(number), 'denied'] };
    // The path asks for this delay.
    if (what === 'wait') await sleep(Number(number));
    const met = headers.some(([name]) => name === 'cookie');
    return { headers: met ? [] : [['set-cookie', 'met=1']], protocol: protocols[0] };
  },

  opened(session, { path }) {
    everyone.add(session);
    count('sessions', 1);
    if (path === '/stats') session.send(JSON.stringify(counts));
  },

  /** `data` is a string or a Buffer. */
  message(session, data) {
    if (typeof data !== 'string') return session.send(data);
    const [, code, reason] = /^close:(\d{4}):(.*)$/s.exec(data) ?? [];
    if (code) return session.close(Number(code), reason);
    if (data === 'close packet') return session.close(1005, '', true);
    const [, times, size] = /^flood:(\d+):(\d+)$/.exec(data) ?? [];
    if (!times) for (const each of data.startsWith('all:') ? everyone : [session]) each.send(data);
    for (let i = 1; i <= times; i++) session.send(`${i}`.padEnd(size, '.'));
  },

  /** `byPacket` if the client closed with a packet of its protocol. */
  closed(session, byPacket) {
    everyone.delete(session);
    count('sessions', -1);
    if (byPacket) counts.close_packets += 1;
  },
};

/** `node long.mjs PORT` prints where it listens; SIGTERM makes it end its sessions, and then itself. */
export function start(connection) {
  const port = Number(process.argv[2] ?? 0);
  const { server, stop } = serve({ connection, app, port, token: process.env.TOKEN });
  server.on('listening', () => console.log(`listening ${server.address().port}`));
  server.on('connection', (ws) => {
    count('sockets', 1);
    ws.on('close', () => count('sockets', -1));
  });
  process.once('SIGTERM', () => {
    stop(STOP_S);
    // The end for sessions that do not close in time.
    setTimeout(() => process.exit(), STOP_S * 1000).unref();
  });
}
