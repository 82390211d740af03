// What the versions of a client and its backend decide at the handshake: which clients are refused, with which response, and how
// many responses a client of Socket.IO 2 needs until it is connected.

import { asking, handshake, socket } from '../lib/raw3.mjs';

const NONE = { transports: ['none'], quick: ['none'] };
const CODE_5 = '{"code":5,"message":"Unsupported protocol version"}';
const V2 = { versions: [3], protocol: 'socket.io' };
const V4 = { versions: [4], protocol: 'socket.io' };
const BOTH = { versions: [3, 4] };

/** A client of either version asks with each transport, and is refused. */
const refused = (name, EIO, { upstream, route }, more = {}) => ({
  name: `${name}: code 5`,
  ...NONE,
  config: { ...(upstream && { upstream }), ...(route && { route }) },
  async client(t) {
    const ask = asking(t);
    const { body } = await ask('polling', { path: `${t.path}?EIO=${EIO}&transport=polling` });
    t.assert.equal(body, CODE_5);
    if (!t.proxied) return;
    // The stock servers write their refusal into a WebSocket that they have opened already.
    const { status, body: said } = await t.upgradeRequest({ path: `${t.path}?EIO=${EIO}&transport=websocket` });
    t.assert.deepEqual([status, said], [400, 'Unsupported protocol version']);
  },
  ...more,
});

const rootConnect = (name, backend, upstream, more) => ({
  name: `socket.io 3 wire, ${name}`,
  backend,
  ways: ['proxy'],
  ...more,
  cases: [
    {
      name: 'the root is connected within the answer to the handshake',
      ...NONE,
      // Version 4 sends it later, with allowEIO3 too.
      without: BOTH,
      async client(t) {
        const { body } = await t.request({ path: `${t.path}?EIO=3&transport=polling` });
        const [, length, rest] = /^(\d+):(.*)$/s.exec(body);
        t.log('client', 'open', JSON.parse(rest.slice(1, length)).upgrades);
        t.log('client', 'and more', rest.slice(length));
        t.assert.equal(rest.slice(length), '2:40');
      },
    },
    {
      name: 'the root is connected by the second frame',
      ...NONE,
      async client(t) {
        const { next } = await socket(t);
        const [open, connect] = [await next(), await next()];
        t.log('client', 'frames', open[0], connect);
        t.assert.equal(connect, '40');
      },
    },
    {
      name: 'what the root asks of its clients is asked before it is connected',
      ...NONE,
      // The middleware takes a moment, as one that asks a database does.
      server: (io) => io.use((socket, next) => setTimeout(next, 50)),
      async client(t) {
        const { body } = await t.request({ path: `${t.path}?EIO=3&transport=polling` });
        const [, length, rest] = /^(\d+):(.*)$/s.exec(body);
        const { sid } = JSON.parse(rest.slice(1, length));
        let later = rest.slice(length);
        if (!later) later = (await t.request({ path: `${t.path}?EIO=3&transport=polling&sid=${sid}` })).body;
        t.log('client', 'connect', later);
        t.assert.equal(later, '2:40');
      },
    },
  ]
    .filter(({ without }) => without !== upstream)
    .map((test) => ({ config: { upstream }, options: { allowEIO3: upstream === BOTH }, ...test })),
});

const suite = (name, backend, cases) => ({ name: `versions, ${name}`, backend, ways: ['proxy'], cases });

export default [
  rootConnect('socket.io 4 with allowEIO3', 'socket.io', BOTH),
  rootConnect('socket.io 2', 'socket.io 2', V2),
  rootConnect('socket.io 4, translated', 'socket.io', V4, { oracle: 'socket.io 2' }),
  suite('socket.io 4', 'socket.io', [
    refused('a client of version 2 without translation', 3, {}),
    refused('a client of version 2 whose translation is forbidden', 3, { upstream: { ...V4, translate: false } }),
    // Directly the backend refuses; behind the route it would not.
    refused(
      'a client of version 2 on a route for version 4',
      3,
      { upstream: BOTH, route: { versions: [4] } },
      {
        options: (t) => ({ allowEIO3: t.proxied }),
      },
    ),
    refused('a client of version 2 on a route for version 4, translation or not', 3, {
      upstream: V4,
      route: { versions: [4] },
    }),
    refused(
      'a client of version 4 on a route for version 3',
      4,
      { upstream: BOTH, route: { versions: [3] } },
      {
        proxiedOnly: true,
      },
    ),
  ]),
  suite('socket.io 2', 'socket.io 2', [
    // Directly it is accepted, and can't read anything.
    ...[
      ['a client of version 4 without translation', { versions: [3] }],
      ['a client of version 4 whose translation is forbidden', { ...V2, translate: false }],
    ].map(([name, upstream]) => refused(name, 4, { upstream }, { proxiedOnly: true })),
  ]),
  suite('headers', 'engine.io', [
    {
      name: 'a cookie of the backend comes with the handshake of version 3, and an origin is echoed',
      ...NONE,
      config: { upstream: BOTH, route: { cors: 'mirror' } },
      options: { allowEIO3: true, cors: { origin: 'http://a.example', credentials: true } },
      server: (engine) => engine.on('initial_headers', (headers) => (headers['set-cookie'] = 'route=abc; Path=/')),
      async client(t) {
        const headers = { origin: 'http://a.example' };
        const tell = (what, answer) => {
          const of = (name) => answer.headers[`access-control-allow-${name}`];
          t.log('client', what, answer.status, answer.headers['set-cookie'], of('origin'), of('credentials'));
        };
        const { path } = await handshake(t);
        tell('handshake', await t.request({ path: `${t.path}?EIO=3&transport=polling`, headers }));
        tell('POST', await t.request({ path, method: 'POST', body: '1:2', headers }));
        tell('GET', await t.request({ path, headers }));
        tell('error', await t.request({ path: `${t.path}?EIO=3&transport=polling&sid=nobody`, headers }));
        t.assert.deepEqual(t.transcript.of('client', 'handshake')[0].slice(2), [
          ['route=abc; Path=/'],
          headers.origin,
          'true',
        ]);
      },
    },
  ]),
];
