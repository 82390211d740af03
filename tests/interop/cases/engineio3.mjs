// Engine.IO 3: its stock client; its frames, heartbeat and upgrade by hand.

import { COMMON, event } from '../lib/context.mjs';
import { handshake, socket, text } from '../lib/raw3.mjs';

const ALL = [...COMMON, 'jsonp'];
const NONE = ['none'];
const HEARTBEAT = { pingInterval: 300, pingTimeout: 200 };

const echo = (engine, t) =>
  engine.on('connection', (socket) => {
    socket.on('message', (data) => {
      t.log('server', 'message', data);
      if (data === 'leave') socket.close();
      else socket.send(data);
    });
    socket.on('close', (reason) => {
      t.gone = performance.now();
      t.log('server', 'close', reason);
    });
  });

const hear = (engine, t) =>
  engine.on('connection', (socket) => socket.on('message', (data) => t.log('server', 'message', data)));

async function opened(t) {
  const client = t.engine();
  client.on('message', (data) => t.log('client', 'message', data));
  client.on('close', (reason) => t.log('client', 'close', reason));
  return t.opened(client);
}

/** The backend of a bridge sees a WebSocket that closes, however the client ended. */
const serverSeesClose = (direct) => ({
  track: 'server',
  label: 'close',
  direct: [direct],
  proxied: ['transport close'],
  why: 'behind the proxy every end of a client is the end of its WebSocket',
});

const MESSAGES = [
  'hello',
  '',
  'b',
  'b4AAEC',
  '4',
  '1:6',
  '🐸 and 👩‍👩‍👧',
  Buffer.from([0, 4, 0x1e, 0xff]),
  'line\u2028and\u2029',
  Buffer.from('b4'),
  // No carriage return: JSONP's form changes it.
  'a\nb, a\\nb, "\\"',
  'ä'.repeat(30_000),
  Buffer.alloc(100_000, 0x80),
];

const cases = [
  {
    name: 'messages of every kind come back, in order',
    quick: ALL,
    server: echo,
    async client(t) {
      const client = await opened(t);
      for (const message of MESSAGES) client.send(message);
      await t.until('client', 'message', MESSAGES.length);
      const back = t.transcript.of('client', 'message').map(([, message]) => message);
      t.assert.deepEqual(back.slice(2, 7), MESSAGES.slice(2, 7));
    },
  },
  {
    name: '200 rapid messages, text and bytes by turns, in order both ways',
    quick: ['upgrade'],
    server: echo,
    async client(t) {
      const client = t.engine();
      client.on('message', (data) => t.log('client', 'message', data));
      await event(client, 'open', 'error');
      for (let i = 0; i < 200; i++) client.send(i % 3 ? `${i}` : Buffer.from(`${i}`));
      await t.until('client', 'message', 200);
      t.assert.equal(t.transcript.of('client', 'message')[199][1], '199');
    },
  },
  {
    name: 'the client closes',
    server: echo,
    async client(t) {
      const client = await opened(t);
      await t.parked();
      client.close();
      await Promise.all([t.until('server', 'close'), t.until('client', 'close')]);
      t.assert.deepEqual(t.transcript.of('server', 'close'), [['close', 'transport close']]);
    },
  },
  {
    name: 'the server closes',
    quick: ['polling'],
    server: echo,
    async client(t) {
      const client = await opened(t);
      await t.parked();
      client.send('leave');
      await Promise.all([t.until('server', 'close'), t.until('client', 'close')]);
      t.assert.deepEqual(t.transcript.of('client', 'close'), [['close', 'transport close']]);
    },
  },
  {
    name: 'an idle client stays open through short heartbeats',
    alone: true,
    transports: ['polling', 'upgrade'],
    options: HEARTBEAT,
    server: echo,
    async client(t) {
      const client = await opened(t);
      let pongs = 0;
      client.on('packet', ({ type }) => (pongs += type === 'pong'));
      await t.eventually(() => pongs >= 3, '3 pongs');
      client.send('there?');
      await t.until('client', 'message');
      t.assert.equal(t.transcript.of('client', 'close').length, 0);
    },
  },
  {
    name: 'a ping of the client is answered, over either transport',
    transports: NONE,
    quick: NONE,
    server: echo,
    async client(t) {
      const { ask, path, sid } = await handshake(t);
      for (const ping of ['2', '2words']) {
        await ask('POST', { path, method: 'POST', body: text(ping) });
        await ask('GET', { path });
      }
      const upgraded = await socket(t, { sid });
      for (const packet of ['2probe', '5', '2', '2words']) {
        upgraded.ws.send(packet);
        if (packet !== '5') t.log('client', packet, await upgraded.next());
      }
      t.assert.deepEqual(t.transcript.of('client', '2'), [['2', '3']]);
    },
  },
  {
    name: 'frames of text and of bytes, and base64 for who asked for it',
    transports: NONE,
    quick: NONE,
    server: echo,
    async client(t) {
      for (const query of ['', '&b64=1']) {
        const { ws, next } = await socket(t, { query });
        const open = await next();
        t.log('client', 'open', open.replace(/"sid":"[\w-]{20,}"/, '"sid":"SID"'));
        for (const frame of ['4text', '4b4AAEC', '4', Buffer.from([4, 0, 0xff]), Buffer.from([4]), 'b4AAEC']) {
          ws.send(frame);
          t.log('client', 'frame', await next());
        }
      }
      t.assert.match(t.transcript.of('client', 'frame')[3][1], /^bytes:3:/);
      t.assert.equal(t.transcript.of('client', 'frame')[9][1], 'b4AP8=');
    },
  },
  {
    name: 'frames that no client sends',
    transports: NONE,
    options: { maxHttpBufferSize: 1000 },
    server: hear,
    async client(t) {
      const bytes = [[], [9, 1], [0x34, 0x78]].map((one) => Buffer.from(one));
      const frames = ['', 'x', '9', ...bytes, 'b', 'bx', `4${'x'.repeat(1000)}`];
      // Version 3 accepts pongs from a client, although the server sends no pings.
      if (t.suite.backend === 'engine.io') frames.push('3');
      for (const frame of frames) {
        const { ws, next, closed } = await socket(t);
        await next();
        ws.send(frame);
        // A pong shows which frames were accepted.
        ws.send('2');
        t.log('client', 'then', frame, await Promise.race([closed, next()]));
      }
      t.assert.equal(t.transcript.of('client', 'then').length, frames.length);
    },
  },
  {
    name: 'a GET that waits is freed while the client upgrades, and polling ends there',
    alone: true,
    transports: NONE,
    quick: NONE,
    server: echo,
    async client(t) {
      const { ask, path, sid } = await handshake(t);
      const parked = ask('freed', { path });
      await t.parked();
      const { ws, next } = await socket(t, { sid });
      ws.send('2probe');
      t.log('client', 'probe', await next());
      const began = performance.now();
      await parked;
      t.measure('until it was freed', performance.now() - began, 60);
      ws.send('5');
      ws.send('4now here');
      t.log('client', 'message', await next());
      await ask('polling', { path });
      t.assert.equal(t.transcript.of('client', 'freed')[0].at(-1), '1:6');
    },
  },
  {
    name: 'two GETs at once, and a pong from the client, end the session',
    transports: NONE,
    server: echo,
    differs: [serverSeesClose('transport error'), serverSeesClose('parse error')],
    // One that has lost its session answers 500 in one version and 400 in the other.
    without: ['engine.io 3'],
    async client(t) {
      const { ask, path } = await handshake(t);
      const parked = t.request({ path });
      await t.parked();
      await ask('second', { path });
      t.log('client', 'first', (await parked).body);
      await t.until('server', 'close');
      const another = await handshake(t);
      await another.ask('pong', { path: another.path, method: 'POST', body: text('3') });
      await t.until('server', 'close', 2);
      await another.ask('afterwards', { path: another.path });
      t.assert.equal(t.transcript.of('client', 'first')[0].at(-1), '1:1');
    },
  },
  ...['polling', 'websocket', 'upgrade'].map((transport) => ({
    name: `a client that falls silent on ${transport} is given up`,
    alone: true,
    transports: NONE,
    quick: transport === 'upgrade' ? NONE : [],
    options: HEARTBEAT,
    server: echo,
    differs: [serverSeesClose('ping timeout')],
    // The stock servers forget their timers in an upgrade, and keep such a session forever.
    proxiedOnly: transport === 'upgrade',
    async client(t) {
      const began = performance.now();
      const { sid } = transport === 'websocket' ? (await socket(t)) && {} : await handshake(t);
      if (transport === 'upgrade') {
        const { ws, next } = await socket(t, { sid });
        ws.send('2probe');
        await next();
        ws.send('5');
      }
      await t.until('server', 'close');
      const silent = t.gone - began;
      t.assert.ok(silent > 400, `given up after ${silent} ms, before 500`);
      t.assert.ok(silent < 2000, `given up only after ${silent} ms`);
      t.measure('silence', silent, 150);
    },
  })),
];

const suite = (name, backend, versions, options) => ({
  name: `engine.io 3, ${name}`,
  backend,
  engine: 3,
  ways: ['proxy'],
  cases: cases
    .filter(({ without = [] }) => !without.includes(backend))
    .map((test) => ({
      transports: ALL,
      config: { upstream: { versions } },
      ...test,
      options: { ...test.options, ...options },
    })),
});

export default [
  suite('engine.io 6', 'engine.io', [3, 4], { allowEIO3: true }),
  suite('engine.io 3', 'engine.io 3', [3], {}),
];
