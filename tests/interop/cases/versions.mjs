// Every client against every backend, whichever version of the protocols each speaks. Where both speak the same, the
// direct run is the oracle; where they don't, it is the same client in front of a server of its own version.

import { bothSaw, connected, connecting, eitherReason, tell } from '../lib/conversation.mjs';
import { COMMON } from '../lib/context.mjs';
import { application } from '../peers/application.mjs';

const WITH_JSONP = [...COMMON, 'jsonp'];

const CLIENTS = [
  { name: 'socket.io-client 4.8', speaks: 4, client: '4.8' },
  { name: 'socket.io-client 3.1', speaks: 4, client: '3.1' },
  { name: 'socket.io-client 2.5', speaks: 3, client: '2.5', transports: WITH_JSONP },
  // It encodes its text twice while it polls, as nobody after it does.
  { name: 'socket.io-client 1.7', speaks: 3, client: '1.7', transports: WITH_JSONP, route: { utf8: '1.x' } },
  { name: 'python-socketio 5.18', speaks: 4, peer: 'python-socketio' },
  { name: 'python-socketio 4.6', speaks: 3, peer: 'python-socketio 4' },
];

const BACKENDS = [
  { name: 'socket.io 4.8 with `allowEIO3`', kind: 'socket.io', versions: [3, 4], options: { allowEIO3: true } },
  { name: 'socket.io 4.8', kind: 'socket.io', versions: [4] },
  { name: 'socket.io 2.5', kind: 'socket.io 2', versions: [3] },
];

const ORACLES = { 3: 'socket.io 2', 4: 'socket.io' };

const WORDS = ['ünïcode', '🐸 and 👩‍👩‍👧', 'line\u2028separator\u2029'];
const words = (t) => (t.suite.client === '1.7' ? ['plain words'] : WORDS);

/** Text that was encoded once more than it was decoded. */
const twice = (text) => Buffer.from(text).toString('latin1');

const cases = [
  {
    name: 'comes, says a word and goes',
    differs: eitherReason,
    quick: COMMON,
    async client(t) {
      const client = await connected(t);
      tell(client, 'emit', 'hello', ...words(t));
      await bothSaw(t, 1);
      await t.parked();
      client.tell({ do: 'disconnect' });
      await t.until('server /', 'disconnect');
      // This client reports only ends that the server caused.
      if (t.suite.peer !== 'python-socketio 4') await t.until('client /', 'disconnect');
      t.assert.deepEqual(t.transcript.of('client /', 'event')[0], ['event', 'hello', ...words(t)]);
    },
  },
  {
    name: 'text and bytes by turns come back as they were sent',
    quick: ['polling', 'jsonp'],
    async client(t) {
      const sent = [
        ['numbers', 0, -1, 1.5, 9007199254740991],
        ['text', '', 'b', '4', 'b4AAEC', '4hello', '2probe', '1:6', 'nul \u0000, record \u001e, \\n, \n, \r\n, "\\"'],
        ['bytes', Buffer.from([0, 1, 2, 4, 0x1e, 0xff])],
        ['words', ...words(t)],
        ['other', null, true, false, [], {}, [[[]]]],
        ['among others', { list: [{ a: Buffer.from('b4') }, null, Buffer.alloc(300, 0x80)], text: words(t)[0] }],
        ['long', words(t)[0].repeat(10_000)],
        ['many bytes', Buffer.alloc(100_000, 0x5a), 'beside', Buffer.alloc(1)],
        ['end'],
      ];
      const client = await connected(t);
      for (const event of sent) tell(client, 'emit', ...event);
      await bothSaw(t, sent.length);
      const back = t.transcript.of('client /', 'event');
      t.assert.deepEqual(back[1], ['event', ...sent[1]]);
      t.assert.match(back[2][2], /^bytes:6:/);
    },
  },
  {
    name: 'text that is encoded twice arrives as it was meant',
    only: ['1.7'],
    transports: ['polling', 'jsonp'],
    quick: ['polling'],
    differs: [
      {
        track: 'server /',
        label: 'event',
        direct: ['hello', ...WORDS.map(twice)],
        proxied: ['hello', ...WORDS],
        why: 'directly nobody tells the server that such a client is there',
      },
    ],
    async client(t) {
      const client = await connected(t);
      tell(client, 'emit', 'hello', ...WORDS);
      await bothSaw(t, 1);
      t.assert.deepEqual(t.transcript.of('client /', 'event')[0], ['event', 'hello', ...WORDS]);
      if (t.proxied) t.assert.deepEqual(t.transcript.of('server /', 'event')[0], ['event', 'hello', ...WORDS]);
    },
  },
  {
    name: 'questions of either side are answered',
    quick: ['websocket'],
    async client(t) {
      const client = await connected(t);
      tell(client, 'ask', 'ask', Buffer.from([0, 0xff]), 'beside', [Buffer.alloc(10_000, 7)]);
      for (let i = 0; i < 20; i++) tell(client, 'ask', 'ask', i);
      await t.until('client /', 'answer', 21);
      tell(client, 'emit', 'question me', 5);
      await Promise.all([t.until('client /', 'event', 6), t.until('server /', 'answer', 5)]);
      t.assert.match(t.transcript.of('client /', 'answer')[0][1], /^bytes:2:/);
    },
  },
  {
    name: 'namespaces share one connection, and hear what the client says of itself',
    differs: eitherReason,
    quick: ['upgrade'],
    async client(t) {
      const namespaces = ['/', '/room', '/locked'];
      const client = await connected(t, { namespaces, auth: { token: 'good' } });
      for (const namespace of namespaces) {
        for (let n = 0; n < 5; n++) client.tell({ do: 'emit', namespace, name: 'hello', args: [n, Buffer.from([n])] });
        await bothSaw(t, 5, namespace);
      }
      await t.parked();
      client.tell({ do: 'emit', namespace: '/room', name: 'leave', args: [] });
      await Promise.all(['client /room', 'server /room'].map((track) => t.until(track, 'disconnect')));
      tell(client, 'emit', 'still here');
      await bothSaw(t, 6);
      t.assert.deepEqual(t.transcript.of('server /locked', 'connection'), [['connection', { token: 'good' }]]);
    },
  },
  {
    name: 'namespaces that refuse, or do not exist, leave the others alone',
    quick: ['polling'],
    async client(t) {
      const client = connecting(t, { namespaces: ['/', '/locked', '/nowhere', '/room'], auth: { token: 'bad' } });
      await Promise.all(['/', '/room'].map((namespace) => t.until(`client ${namespace}`, 'connect')));
      await Promise.all(['/locked', '/nowhere'].map((namespace) => t.until(`client ${namespace}`, 'refused')));
      for (const namespace of ['/', '/room']) {
        client.tell({ do: 'emit', namespace, name: 'hello', args: [] });
        await bothSaw(t, 1, namespace);
      }
      t.assert.match(JSON.stringify(t.transcript.of('client /locked', 'refused')), /not authorized/);
      t.assert.equal(t.transcript.of('client /nowhere', 'connect').length, 0);
    },
  },
  {
    name: 'the root refuses, then lets in',
    quick: ['polling'],
    server(io, t) {
      io.use((socket, next) => next(socket.handshake.query.key === 'good' ? undefined : new Error('not authorized')));
      application(io, t);
    },
    async client(t) {
      connecting(t, { query: { key: 'bad' } });
      await t.until('client /', 'refused');
      t.assert.match(JSON.stringify(t.transcript.of('client /', 'refused')), /not authorized/);
      tell(await connected(t, { query: { key: 'good' } }), 'emit', 'hello');
      await bothSaw(t, 1);
    },
  },
  {
    name: 'both sides know a client by one id',
    quick: ['polling'],
    async client(t) {
      const client = await connected(t, { namespaces: ['/', '/room'] });
      for (const namespace of ['/', '/room']) {
        client.tell({ do: 'identify', namespace });
        await t.until(`server ${namespace}`, 'id');
      }
      t.assert.deepEqual(t.transcript.of('server /', 'id'), [['id', true]]);
    },
  },
  {
    name: 'the server lets go of the client',
    quick: ['websocket'],
    async client(t) {
      const client = await connected(t);
      await t.parked();
      tell(client, 'emit', 'leave');
      await Promise.all([t.until('client /', 'disconnect'), t.until('server /', 'disconnect')]);
      t.assert.equal(t.transcript.of('client /', 'disconnect').length, 1);
    },
  },
  {
    // What the threads report of it is random.
    name: 'the server closes the connection',
    without: ['python-socketio', 'python-socketio 4'],
    quick: ['polling'],
    async client(t) {
      const client = await connected(t);
      await t.parked();
      tell(client, 'emit', 'leave', 'whole');
      await Promise.all([t.until('client /', 'disconnect'), t.until('server /', 'disconnect')]);
      t.assert.equal(t.transcript.of('client /', 'disconnect').length, 1);
    },
  },
  {
    name: 'a client comes back after the backend was started anew',
    without: ['python-socketio', 'python-socketio 4'],
    quick: ['polling', 'websocket'],
    async client(t) {
      const client = await connected(t, { reconnects: true, namespaces: ['/', '/room'] });
      await t.parked();
      await t.backend.stop();
      await Promise.all(['/', '/room'].map((namespace) => t.until(`client ${namespace}`, 'disconnect')));
      await t.backend.start();
      await Promise.all(['/', '/room'].map((namespace) => t.until(`client ${namespace}`, 'connect', 2)));
      client.tell({ do: 'ask', namespace: '/', name: 'ask', args: ['there?'] });
      await t.until('client /', 'answer');
      t.assert.equal(t.transcript.of('server /', 'connection').length, 2);
    },
  },
  {
    name: 'an idle client stays connected through short heartbeats',
    quick: ['polling', 'websocket'],
    // A client of Python gives up when its ping was not answered by its next, so that is not too soon for a busy machine.
    options: { pingInterval: 1000, pingTimeout: 800 },
    async client(t) {
      const client = await connected(t);
      await t.quiet(2300, 'the client must stay connected for several heartbeats');
      t.assert.equal(t.transcript.of('client /', 'disconnect').length, 0);
      t.assert.equal(t.transcript.of('server /', 'disconnect').length, 0);
      tell(client, 'ask', 'ask', 'there?');
      await t.until('client /', 'answer');
    },
  },
];

/** What a translation can't provide. */
const LOST = [
  ...['good', 'bad'].map((token) => ({
    track: 'server /',
    label: 'connection',
    direct: [{ token }],
    proxied: [{}],
    why: 'a backend of Socket.IO 2 lets a client in to the root before its CONNECT can say anything',
  })),
  ...[
    ['/', undefined],
    ['/room', 'forced close'],
  ].flatMap(([namespace, old]) =>
    [
      [old, 'server shutting down'],
      ['server shutting down', old],
    ].map(([direct, proxied]) => ({
      track: `server ${namespace}`,
      label: 'disconnect',
      direct: [direct],
      proxied: [proxied],
      why: 'either version of a server has its own words for its own end',
    })),
  ),
  {
    track: 'server /room',
    label: 'id',
    direct: [true],
    proxied: [false],
    why: 'a backend of Socket.IO 4 has an id for each namespace, which its clients of version 2 do not read',
  },
];

const suite = ({ transports = COMMON, speaks, route, ...who }, { kind, versions, options, name: backend }) => {
  const native = versions.includes(speaks);
  const upstream = versions.length > 1 ? { versions } : { versions, protocol: 'socket.io' };
  return {
    name: `${who.name} to ${backend}`,
    cell: { client: who.name, backend, way: native ? 'as it is' : 'translated' },
    backend: kind,
    oracle: native ? undefined : ORACLES[speaks],
    client: who.client,
    peer: who.peer ?? 'socket.io-client',
    // A session on a shared WebSocket does not use the backend's own protocol.
    ways: ['proxy'],
    parallel: 8,
    cases: cases
      .filter(({ without = [], only }) => !without.includes(who.peer) && (!only || only.includes(who.client)))
      .map((test) => ({
        server: application,
        ignore: ['client engine'],
        transports,
        config: { upstream, ...(route && { route }) },
        ...test,
        options: { ...test.options, ...options },
        differs: [...(test.differs ?? []), ...(native ? [] : LOST)],
        quick: (test.quick ?? []).filter((transport) => transports.includes(transport)),
      })),
  };
};

export default CLIENTS.flatMap((client) => BACKENDS.map((backend) => suite(client, backend)));
