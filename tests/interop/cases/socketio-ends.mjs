// Socket.IO 4: how sessions end. Either side leaves, dies, is killed, or comes back.

import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { fork } from '../lib/processes.mjs';

const CHILD = fileURLToPath(new URL('../lib/child-backend.mjs', import.meta.url));
const ALL = ['polling', 'websocket', 'upgrade'];
const HEARTBEAT = { pingInterval: 300, pingTimeout: 200 };

/** The backend of a bridge sees a WebSocket that closes, however the client ended. */
const serverSeesClose = (...direct) =>
  direct.map((reason) => ({
    track: 'server',
    label: 'disconnect',
    direct: [reason],
    proxied: ['transport close'],
    why: 'behind the proxy every end of a client is the end of its WebSocket',
  }));

const watchServer = (io, t, more = () => {}) =>
  io.on('connection', (socket) => {
    t.log('server', 'connection');
    socket.on('disconnect', (reason) => {
      t.gone = performance.now();
      t.log('server', 'disconnect', reason);
    });
    more(socket);
  });

const watchClient = (socket, t) => {
  socket.on('disconnect', (reason, details) => {
    t.log('client', 'disconnect', reason);
    t.details = details;
  });
  return socket;
};

async function rawSocket(t) {
  const client = await t.raw();
  await client.send('40');
  await client.next((packet) => String(packet).startsWith('40'));
  return client;
}

const cases = [
  {
    name: 'the server disconnects the namespace, the connection stays',
    only: ['4.8', 'msgpack'],
    quick: ['websocket'],
    server(io, t) {
      watchServer(io, t, (socket) => socket.on('out', () => socket.disconnect()));
    },
    async client(t) {
      const socket = watchClient(await t.connect(), t);
      await t.parked();
      socket.emit('out');
      await t.until('client', 'disconnect');
      await t.until('server', 'disconnect');
      t.log('client', 'engine', socket.io.engine.readyState);
      t.assert.deepEqual(t.transcript.of('client', 'disconnect'), [['disconnect', 'io server disconnect']]);
      await t.open(socket, { upgraded: false });
      t.log('client', 'connected again', socket.connected);
    },
  },
  {
    name: 'the server disconnects and closes the connection',
    quick: ['polling'],
    server(io, t) {
      watchServer(io, t, (socket) => socket.on('out', () => socket.disconnect(true)));
    },
    async client(t) {
      const socket = watchClient(await t.connect(), t);
      const closed = new Promise((resolve) => socket.io.engine.once('close', resolve));
      await t.parked();
      socket.emit('out');
      await t.until('client', 'disconnect');
      await t.until('server', 'disconnect');
      // After the packet, client and server race to close; the client reports either.
      await closed;
      t.log('client', 'engine closed');
    },
  },
  {
    name: 'the server says goodbye before it closes, and the goodbye arrives',
    quick: ['polling', 'upgrade'],
    server(io, t) {
      watchServer(io, t, (socket) =>
        socket.on('out', () => {
          for (let n = 0; n < 20; n++) socket.emit('goodbye', n, Buffer.alloc(100, n));
          socket.disconnect(true);
        }),
      );
    },
    async client(t) {
      const socket = watchClient(await t.connect(), t);
      socket.on('goodbye', (...args) => t.log('client', 'goodbye', ...args));
      await t.parked();
      socket.emit('out');
      await t.until('client', 'disconnect');
      t.assert.equal(t.transcript.of('client', 'goodbye').length, 20);
    },
  },
  {
    name: 'the client disconnects',
    quick: ['upgrade'],
    server: watchServer,
    async client(t) {
      const socket = watchClient(await t.connect(), t);
      await t.parked();
      socket.disconnect();
      await t.until('server', 'disconnect');
      t.assert.deepEqual(t.transcript.of('client', 'disconnect'), [['disconnect', 'io client disconnect']]);
    },
  },
  {
    name: 'the client closes its engine without a word',
    alone: true,
    server: watchServer,
    async client(t) {
      const socket = watchClient(await t.connect(), t);
      await t.parked();
      const began = performance.now();
      socket.io.engine.close();
      await t.until('server', 'disconnect');
      t.measure('from the close to the server seeing it', t.gone - began, 100);
    },
  },
  {
    name: 'a client that dies is seen as soon as directly',
    alone: true,
    quick: ALL,
    differs: serverSeesClose('transport error'),
    server: watchServer,
    async client(t) {
      const client = await rawSocket(t);
      await client.park();
      await t.parked();
      const began = performance.now();
      client.die();
      await t.until('server', 'disconnect');
      t.measure('from the death to the server seeing it', t.gone - began, 100);
    },
  },
  {
    name: 'a client that falls silent is given up after the same time',
    alone: true,
    quick: ['polling'],
    options: HEARTBEAT,
    differs: serverSeesClose('ping timeout'),
    server: watchServer,
    async client(t) {
      const client = await rawSocket(t);
      const began = performance.now();
      await t.until('server', 'disconnect');
      const silent = t.gone - began;
      t.assert.ok(silent > 400, `given up after ${silent} ms, before 500`);
      t.measure('silence', silent, 150);
      t.assert.equal(client.closed, false);
    },
  },
  {
    name: 'a client comes back after the backend was started anew',
    quick: ['polling', 'websocket'],
    server(io, t) {
      watchServer(io, t, (socket) => socket.on('echo', (n, answer) => answer(n)));
    },
    async client(t) {
      const socket = t.io({ reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 100 });
      watchClient(await t.open(socket), t);
      const { id } = socket;
      await t.parked();
      await t.backend.stop();
      await t.until('client', 'disconnect');
      socket.once('connect', () => t.log('client', 'connect', socket.id === id));
      await t.backend.start();
      await t.until('client', 'connect');
      t.log('client', 'answer', await socket.timeout(2000).emitWithAck('echo', 7));
      t.assert.deepEqual(t.transcript.of('client', 'connect')[0], ['connect', false]);
    },
  },
  {
    name: 'the backend is killed in mid-session',
    alone: true,
    quick: ALL,
    ownBackend: true,
    differs: [
      {
        track: 'client',
        label: 'disconnect',
        direct: ['transport error'],
        proxied: ['transport close'],
        why: 'a direct poller loses its connection; the proxy lives on and ends the session in due form',
      },
    ],
    async client(t) {
      const child = await fork(CHILD, [String(t.backendPort)]);
      const ended = once(child, 'exit');
      t.defer(() => child.kill('SIGKILL') && ended);
      const socket = watchClient(await t.connect(), t);
      t.log('client', 'echo', await socket.timeout(2000).emitWithAck('echo', 'alive'));
      await t.parked();
      const began = performance.now();
      child.kill('SIGKILL');
      await t.until('client', 'disconnect');
      t.measure('from the kill to the client seeing it', performance.now() - began, 200);
      await ended;
      t.assert.equal(t.transcript.of('client', 'disconnect').length, 1);
    },
  },
  {
    name: 'many come and go at once, and each is seen',
    server(io, t) {
      t.open_ = 0;
      io.on('connection', (socket) => {
        t.open_ += 1;
        socket.on('disconnect', () => (t.open_ -= 1) === 0 && t.log('server', 'empty'));
      });
    },
    async client(t) {
      const sockets = await Promise.all(Array.from({ length: 15 }, () => t.connect()));
      t.log('client', 'connected', sockets.filter((socket) => socket.connected).length, t.open_);
      sockets.forEach((socket) => socket.disconnect());
      await t.until('server', 'empty');
      t.assert.deepEqual(t.transcript.of('client', 'connected')[0], ['connected', 15, 15]);
    },
  },
];

export default { name: 'socket.io ends', backend: 'socket.io', cases };
