// Stock SockJS clients of a plain `ws` server behind the proxy; the oracle is the same application on sockjs-node.

import { application, SOCKJS_TRANSPORTS as transports } from '../lib/sockjs.mjs';

const TEXTS = [
  'a',
  '',
  '[]',
  '["x"]',
  '"quoted" \\ back',
  'é ü 漢字 🐸',
  '\u0000\u0001\u001f\u007f\u00ad\u200b\u200c\u200f\u2028\u2029\u202f\u2060\u206f\ufeff\ufff0\uffff',
  '100 % of %25 </script>',
  'line\nline\r\n\ttab',
  'x'.repeat(100_000),
  '🐸'.repeat(30_000),
];

const watch = (socket, t, track = 'client') => {
  socket.onopen = () => t.log(track, 'open', socket.protocol ?? null);
  socket.onmessage = ({ data }) => t.log(track, 'message', data);
  socket.onheartbeat = () => (t.heartbeats = (t.heartbeats ?? 0) + 1);
  socket.onclose = ({ code, reason, wasClean }) => t.log(track, 'close', code, reason, wasClean);
  return socket;
};

const opened = async (t, options, track = 'client') => {
  const socket = watch(t.sockjs(options), t, track);
  await t.until(track, 'open');
  return socket;
};

const texts = (t, track = 'client') => t.transcript.of(track, 'message').map(([, text]) => text);

const echo = (handle, t) =>
  application(handle, t, (client) =>
    client.onMessage((text) => {
      t.log('server', 'message', text);
      client.send(text);
    }),
  );

const numbers = (count) => Array.from({ length: count }, (_, n) => `${n}`);

const cases = [
  {
    name: 'every text comes back as it was',
    quick: ['xhr-polling', 'eventsource'],
    server: echo,
    async client(t) {
      const socket = await opened(t);
      for (const text of TEXTS) socket.send(text);
      await t.until('client', 'message', TEXTS.length);
      t.assert.deepEqual(texts(t), texts(t, 'server'));
      t.assert.equal(texts(t).length, TEXTS.length);
    },
  },
  {
    name: 'a thousand messages each way stay in order',
    quick: ['xhr-polling', 'xhr-streaming', 'websocket'],
    timeout: 30_000,
    server: echo,
    async client(t) {
      const socket = await opened(t);
      for (const number of numbers(1000)) socket.send(number);
      await t.until('client', 'message', 1000);
      t.assert.deepEqual(texts(t), numbers(1000));
      t.assert.deepEqual(texts(t, 'server'), numbers(1000));
    },
  },
  {
    name: 'what the server says at once arrives in order',
    quick: ['xhr-streaming', 'xhr-polling'],
    server: (handle, t) =>
      application(handle, t, (client) => numbers(300).forEach((number) => client.send(`${number} ${'y'.repeat(1000)}`))),
    async client(t) {
      await opened(t);
      await t.until('client', 'message', 300);
      t.assert.equal(texts(t).length, 300);
    },
  },
  {
    name: 'the server closes, and the client hears code and reason',
    quick: ['xhr-polling', 'eventsource', 'websocket'],
    server: (handle, t) =>
      application(handle, t, (client) =>
        client.onMessage(() => {
          client.send('one more');
          client.close(4001, 'enough – "really"');
        }),
      ),
    async client(t) {
      const socket = await opened(t);
      socket.send('close, please');
      await t.until('client', 'close');
      t.assert.deepEqual(t.transcript.toJSON().client, [
        ['open', socket.protocol ?? null],
        ['message', 'one more'],
        ['close', 4001, 'enough – "really"', true],
      ]);
    },
  },
  {
    name: 'a server that closes at once is heard',
    quick: ['xhr-streaming', 'xhr-polling'],
    server: (handle, t) => application(handle, t, (client) => client.close(3000, 'Go away!')),
    async client(t) {
      watch(t.sockjs(), t);
      await t.until('client', 'close');
      const [, code, reason] = t.transcript.of('client', 'close')[0];
      t.assert.deepEqual([code, reason], [3000, 'Go away!']);
    },
  },
  {
    name: 'the client closes, and the server sees it at once',
    alone: true,
    quick: ['xhr-polling', 'xhr-streaming', 'websocket'],
    server: echo,
    async client(t) {
      const socket = await opened(t);
      socket.send('hello');
      await t.until('client', 'message');
      await t.quiet(50, 'the next receiver connects, which the reference does not show');
      const began = performance.now();
      socket.close(1000, 'bye');
      await Promise.all([t.until('server', 'close'), t.until('client', 'close')]);
      t.measure('from close to close', performance.now() - began, 100);
    },
  },
  {
    name: 'heartbeats keep an idle client, and it still hears',
    quick: ['xhr-polling', 'xhr-streaming'],
    options: { heartbeat_delay: 200 },
    config: { route: { heartbeat: '200ms' } },
    server: echo,
    async client(t) {
      const socket = await opened(t);
      // A WebSocket is pinged, which its application does not see.
      if (t.transport === 'websocket') await t.quiet(1000, 'the client must stay connected for several heartbeats');
      else await t.eventually(() => t.heartbeats >= 3, '3 heartbeats');
      socket.send('still here');
      await t.until('client', 'message');
    },
  },
  {
    name: 'a stream that has carried its limit is asked for again',
    transports: ['xhr-streaming', 'eventsource'],
    quick: ['xhr-streaming'],
    options: { response_limit: 4096 },
    config: { route: { response_limit: 4096 } },
    server: echo,
    async client(t) {
      const socket = await opened(t);
      for (const number of numbers(100)) socket.send(`${number} ${'z'.repeat(190 - number.length)}`);
      await t.until('client', 'message', 100);
      t.assert.deepEqual(texts(t), texts(t, 'server'));
    },
  },
  {
    name: 'twenty clients side by side, each its own echo',
    quick: ['xhr-polling'],
    timeout: 20_000,
    server: (handle, t) => application(handle, t, (client) => client.onMessage((text) => client.send(`echo ${text}`))),
    async client(t) {
      await Promise.all(
        numbers(20).map(async (number) => {
          const socket = await opened(t, {}, `client ${number}`);
          socket.send(number);
          await t.until(`client ${number}`, 'message');
          t.assert.deepEqual(texts(t, `client ${number}`), [`echo ${number}`]);
        }),
      );
    },
  },
  {
    name: 'the query of the application reaches the server, and none of the client',
    proxiedOnly: true,
    quick: ['xhr-polling'],
    server: (handle, t) =>
      application(handle, t, (client) => {
        t.log('server', 'url', client.request.url);
        client.send('seen');
      }),
    async client(t) {
      watch(t.sockjs({ query: '?token=a%20b' }), t);
      await t.until('client', 'message');
      t.assert.deepEqual(t.transcript.of('server', 'url'), [['url', '/?token=a%20b']]);
    },
  },
  {
    name: 'a client without a choice finds a transport',
    transports: ['none'],
    quick: ['none'],
    server: echo,
    async client(t) {
      const socket = watch(t.sockjs({ transports: undefined }), t);
      await t.until('client', 'open');
      socket.send('hello');
      await t.until('client', 'message');
      t.log('client', 'transport', socket.transport);
    },
  },
];

const suite = (version) => ({
  name: `SockJS client ${version}`,
  sockjs: version,
  oracle: 'sockjs',
  backend: 'ws',
  config: { path: '/sockjs/' },
  ways: ['proxy'],
  cases: cases.map((test) => ({
    transports,
    ...test,
    config: { ...test.config, route: { dialect: 'sockjs', ...test.config?.route } },
    quick: version === '1.6' ? test.quick : [],
  })),
});

export default ['1.6', '1.1', '1.0'].map(suite);
