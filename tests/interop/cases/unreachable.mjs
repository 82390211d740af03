// Backends that are down, do not answer or have no room. There is no direct run, since only a proxy responds for them.

import http from 'node:http';
import net from 'node:net';

const ALL = ['polling', 'websocket', 'upgrade'];

/** The error that a stock Socket.IO client gets, and after how many milliseconds. */
export async function refused(t, count = 1) {
  const socket = t.io();
  const began = performance.now();
  socket.on('connect', () => t.log('client', 'connect'));
  socket.on('connect_error', ({ message, description, context }) => {
    const status = context?.status ?? Number(/(\d+)$/.exec(description?.message)?.[1]);
    t.log('client', 'connect_error', message, status, context?.responseText);
  });
  socket.connect();
  const [, message, status, body] = await t.until('client', 'connect_error', count);
  t.assert.equal(message, t.transport === 'websocket' ? 'websocket error' : 'xhr poll error');
  return { status, body, took: performance.now() - began };
}

async function listen(t, server) {
  const sockets = new Set();
  server.on('connection', (socket) => sockets.add(socket));
  t.defer(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  await new Promise((resolve) => server.listen(t.backendPort, '127.0.0.1', resolve));
}

const refusals = [
  ['has no room', 503, 'Service Unavailable', 'busy'],
  ['knows nobody', 401, 'Unauthorized', 'say who you are'],
].map(([how, code, reason, text]) => ({
  name: `${how}: its own ${code} passes, with its body`,
  quick: ['polling', 'websocket'],
  async client(t) {
    const head = `HTTP/1.1 ${code} ${reason}\r\nContent-Type: text/plain\r\nContent-Length: ${text.length}`;
    const server = http.createServer();
    server.on('upgrade', (request, socket) => socket.end(`${head}\r\nConnection: close\r\n\r\n${text}`));
    await listen(t, server);
    const { status, body } = await refused(t);
    t.assert.equal(status, code);
    if (t.transport !== 'websocket') t.assert.equal(body, text);
  },
}));

const cases = [
  {
    name: 'nothing listens: 502',
    quick: ALL,
    async client(t) {
      const { status, took } = await refused(t);
      t.assert.equal(status, 502);
      t.assert.ok(took < 1000, `${took} ms`);
    },
  },
  {
    name: 'accepts and never answers: 504 after handshake_timeout',
    quick: ALL,
    config: { upstream: { handshake_timeout: '300ms' } },
    async client(t) {
      await listen(
        t,
        net.createServer(() => {}),
      );
      const { status, took } = await refused(t);
      t.assert.equal(status, 504);
      t.assert.ok(took > 250 && took < 1500, `${took} ms`);
    },
  },
  {
    name: 'hangs up on the handshake: 502',
    async client(t) {
      await listen(
        t,
        net.createServer((socket) => socket.once('data', () => socket.end())),
      );
      t.assert.equal((await refused(t)).status, 502);
    },
  },
  ...refusals,
  {
    name: 'was down, is there: the next client gets in',
    quick: ['polling'],
    async client(t) {
      t.assert.equal((await refused(t)).status, 502);
      const { Backend } = await import('../lib/backend.mjs');
      const backend = new Backend('socket.io', t.backendPort, {});
      await backend.start();
      t.defer(() => backend.stop());
      const socket = await t.connect();
      t.log('client', 'connected', socket.connected);
    },
  },
];

export default {
  name: 'unreachable backends',
  backend: 'none',
  cases: cases.map((test) => ({ ...test, proxiedOnly: true })),
};
