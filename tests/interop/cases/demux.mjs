// The way through a demultiplexer: what happens to clients when one of the two proxies, or the line between them, fails.

import net from 'node:net';
import { refused } from './unreachable.mjs';

const RESUME_MS = 1000;
const MESSAGES = 200;
const RESUME = { edge: { mux: { resume_timeout: `${RESUME_MS}ms` } } };
const IMPATIENT = { edge: { handshake_timeout: '600ms' } };

const echo = (io, t) =>
  io.on('connection', (socket) => {
    socket.on('echo', (value, answer) => answer(value));
    socket.on('disconnect', (reason) => t.log('server', 'disconnect', reason));
  });

/** Some connected clients, which log how they end. */
async function several(t) {
  const sockets = await Promise.all(Array.from({ length: 5 }, () => t.connect()));
  for (const socket of sockets) {
    socket.on('disconnect', (reason) => t.log('client', 'disconnect', reason));
    t.assert.equal(await ask(socket, 'there'), 'there');
  }
  await t.parked(sockets.length);
  return sockets;
}

const ask = (socket, value) => socket.timeout(2000).emitWithAck('echo', value);

/** All of `several` have ended on both sides, each once and with the same reason. */
async function ended(t, sockets) {
  for (const track of ['client', 'server']) {
    await t.until(track, 'disconnect', sockets.length);
    const reasons = t.transcript.of(track, 'disconnect').map(([, reason]) => reason);
    t.assert.deepEqual(reasons, Array(sockets.length).fill('transport close'));
  }
}

/** A new client is connected at once, as if nothing had happened. */
async function welcome(t) {
  const began = performance.now();
  const socket = await t.connect();
  t.assert.equal(await ask(socket, 'again'), 'again');
  const took = performance.now() - began;
  t.assert.ok(took < 500, `it took ${took} ms to come in`);
  const { status } = await t.way.edge.readyz();
  t.assert.equal(status, 200);
}

/** Waits until the edge reports that it can't reach the demultiplexer. */
async function unready(t) {
  const { status, body } = await t.way.edge.readyz();
  t.assert.deepEqual([status, body], [503, 'upstream b is down\n']);
}

const drains = ['demux', 'edge'].map((name) => ({
  name: `the ${name} is drained: every session ends with a reason, and the exit code is 0`,
  alone: true,
  quick: ['polling', 'websocket'],
  server: echo,
  async client(t) {
    const sockets = await several(t);
    t.assert.equal(await t.way[name].stop(), 0);
    await ended(t, sockets);
    await t.way[name].start();
    await welcome(t);
  },
}));

const cases = [
  ...drains,
  {
    name: 'the demux is down: 502; it is back: the next client gets in',
    alone: true,
    quick: ['upgrade'],
    server: echo,
    async client(t) {
      t.assert.equal(await t.way.demux.stop(), 0);
      for (let attempt = 1; attempt <= 2; attempt++) {
        const { status, took } = await refused(t, attempt);
        t.assert.equal(status, 502);
        t.assert.ok(took < 1000, `${took} ms`);
      }
      await unready(t);
      await t.quiet(2000, "the pauses between the edge's own attempts get long");
      await t.way.demux.start();
      await welcome(t);
    },
  },
  {
    name: 'the demux stands still: 504 after handshake_timeout',
    alone: true,
    quick: ['polling'],
    config: IMPATIENT,
    server: echo,
    async client(t) {
      await welcome(t);
      t.way.demux.kill('SIGSTOP');
      t.defer(() => t.way.demux.kill('SIGCONT'));
      const { status, took } = await refused(t);
      t.way.demux.kill('SIGCONT');
      t.assert.equal(status, 504);
      t.assert.ok(took > 550 && took < 1500, `${took} ms`);
      await welcome(t);
    },
  },
  {
    name: 'in the place of the demux somebody accepts and never answers: 504',
    alone: true,
    quick: ['polling'],
    config: IMPATIENT,
    server: echo,
    async client(t) {
      t.assert.equal(await t.way.demux.stop(), 0);
      const sockets = new Set();
      const silent = net.createServer((socket) => sockets.add(socket.on('error', () => {})));
      await new Promise((resolve) => silent.listen(t.way.demux.port, '127.0.0.1', resolve));
      const statuses = [];
      for (let attempt = 1; attempt <= 4; attempt++) statuses.push((await refused(t, attempt)).status);
      const closed = new Promise((resolve) => silent.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
      await t.way.demux.start();
      // The first may have come before the edge had connected.
      t.assert.deepEqual(statuses.slice(1), [504, 504, 504]);
      await welcome(t);
    },
  },
  {
    name: 'the token is wrong: 502, and both logs say why',
    quick: ['polling'],
    config: { edge: { mux: { token: 'another-secret' } } },
    async client(t) {
      const { status } = await refused(t);
      t.assert.equal(status, 502);
      await unready(t);
      t.assert.match(t.way.edge.since(0), /WARN .*no shared connection .*status 401/);
      t.assert.match(t.way.demux.since(0), /WARN .*wrong or missing token.*peer=127\.0\.0\.1/);
      t.assert.doesNotMatch(t.way.since(), /secret/);
    },
  },
  {
    name: 'the demux is killed and stays away: every session ends within resume_timeout',
    alone: true,
    quick: ['upgrade'],
    config: RESUME,
    server: echo,
    async client(t) {
      const sockets = await several(t);
      const began = performance.now();
      t.way.demux.kill('SIGKILL');
      t.assert.equal(await t.way.demux.ended, 'SIGKILL');
      t.assert.equal((await refused(t)).status, 502);
      await t.until('client', 'disconnect', sockets.length);
      const took = performance.now() - began;
      t.assert.ok(took > RESUME_MS - 100 && took < RESUME_MS + 300, `they ended after ${took} ms`);
      await ended(t, sockets);
      await t.way.demux.start();
      await welcome(t);
    },
  },
  {
    name: 'the demux is killed and comes back: every session ends, and new ones begin at once',
    alone: true,
    quick: ['polling'],
    server: echo,
    async client(t) {
      const sockets = await several(t);
      t.way.demux.kill('SIGKILL');
      t.assert.equal(await t.way.demux.ended, 'SIGKILL');
      await t.way.demux.start();
      await welcome(t);
      await ended(t, sockets);
    },
  },
  {
    name: 'the edge is killed: the backend sees every session end within resume_timeout',
    alone: true,
    quick: ['websocket'],
    config: RESUME,
    server: echo,
    async client(t) {
      const sockets = await several(t);
      const began = performance.now();
      t.way.edge.kill('SIGKILL');
      t.assert.equal(await t.way.edge.ended, 'SIGKILL');
      await t.way.edge.start();
      await welcome(t);
      await t.until('server', 'disconnect', sockets.length);
      const took = performance.now() - began;
      t.assert.ok(took > RESUME_MS - 100 && took < RESUME_MS + 300, `they ended after ${took} ms`);
    },
  },
  {
    name: 'the line between them is cut again and again: nothing is lost, duplicated or out of order',
    quick: ['polling', 'websocket'],
    config: { cutAfter: 20_000 },
    server(io, t) {
      io.on('connection', (socket) => {
        let got = 0;
        socket.on('message', (n, text) => (n === got++ ? socket.emit('message', n, text) : t.log('server', 'got', n)));
      });
    },
    async client(t) {
      const text = 'é'.repeat(50);
      await Promise.all(
        Array.from({ length: 5 }, async () => {
          const socket = await t.connect();
          let got = 0;
          const all = new Promise((resolve) =>
            socket.on('message', (n, back) => {
              if (n !== got++ || back !== text) t.log('client', 'got', n, back);
              if (got === MESSAGES) resolve();
            }),
          );
          for (let n = 0; n < MESSAGES; n++) {
            socket.emit('message', n, text);
            if (n % 10 === 0) await t.quiet(1, 'the pace of the messages');
          }
          await all;
          t.log('client', 'done', socket.connected);
        }),
      );
      t.assert.deepEqual(t.transcript.toJSON(), { client: Array(5).fill(['done', true]) });
      t.assert.ok(t.way.line.count > 5, `${t.way.line.count} connections`);
    },
  },
  {
    name: 'a preflight is answered from the list of the edge',
    transports: ['none'],
    quick: ['none'],
    config: { route: { cors: { origins: ['https://app.example'], headers: ['x-token'] } } },
    server: echo,
    async client(t) {
      const { status, headers } = await t.request({
        path: `${t.path}?EIO=4&transport=polling`,
        method: 'OPTIONS',
        headers: {
          origin: 'https://app.example',
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'x-token',
        },
      });
      t.log('client', 'preflight', status, headers['access-control-allow-origin']);
      t.assert.equal(headers['access-control-allow-headers'], 'x-token');
      t.assert.deepEqual(t.transcript.of('client', 'preflight'), [['preflight', 204, 'https://app.example']]);
    },
  },
];

export default {
  name: 'demultiplexer',
  backend: 'socket.io',
  ways: ['demux'],
  cases: cases.map((test) => ({ ...test, proxiedOnly: true })),
};
