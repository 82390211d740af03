// Peers of other languages: their clients against the stock server, and python-socketio's server against all clients.

import { bothSaw, connected, connecting, eitherReason, tell } from '../lib/conversation.mjs';
import { application } from '../peers/application.mjs';

const SERVERS = { 'socket.io': 'socket.io server', asgi: 'python-socketio server' };
const HEARTBEAT = {
  'socket.io': { pingInterval: 400, pingTimeout: 1000 },
  // Told to clients in whole seconds.
  asgi: { ping_interval: 1, ping_timeout: 1 },
};

const cases = [
  {
    name: 'comes, says a word and goes',
    quick: ['polling', 'websocket', 'upgrade'],
    differs: eitherReason,
    async client(t) {
      const client = await connected(t);
      tell(client, 'emit', 'hello', 'ünïcode 🐸');
      await bothSaw(t, 1);
      await t.parked();
      if (!t.proxied && t.suite.backend === 'socket.io') t.assert.equal(t.transportSeen, t.transports.at(-1));
      client.tell({ do: 'disconnect' });
      await t.until('server /', 'disconnect');
      // The Rust client reports only ends that the server caused.
      if (t.suite.peer !== 'rust_socketio') await t.until('client /', 'disconnect');
      t.assert.deepEqual(t.transcript.of('client /', 'event')[0], ['event', 'hello', 'ünïcode 🐸']);
    },
  },
  {
    name: 'events come back as they were sent',
    async client(t) {
      const sent = [
        ['numbers', 0, -1, 1.5, 9007199254740991],
        ['text', '', 'a', 'many words '.repeat(30), 'nul \u0000, record \u001e separator, line\u2028separator'],
        ['other', null, true, false, [], {}, [[[]]]],
        ['nested', { a: [1, { b: 'c', d: [null, { e: false }] }] }],
        ['like packets', '4hello', 'b4', '2probe', '451-["x",{"_placeholder":true,"num":0}]'],
        ['bytes', Buffer.from([0, 1, 2, 0xff])],
      ];
      const client = await connected(t);
      for (const event of sent) tell(client, 'emit', ...event);
      await bothSaw(t, sent.length);
      const back = t.transcript.of('client /', 'event').map(([, ...event]) => event);
      t.assert.deepEqual(back.slice(0, 5), [...sent.slice(0, 1), back[1], ...sent.slice(2, 5)]);
      t.assert.match(back[5][1], /^bytes:4:/);
    },
  },
  {
    // The client of Rust takes a record separator in bytes, and a long poll's every chunk, for the end of a packet.
    name: 'events without arguments, with bytes among others, and long ones',
    without: ['rust_socketio'],
    async client(t) {
      const several = Array.from({ length: 9 }, (_, i) => Buffer.alloc(i * 100, i));
      const sent = [
        ['none'],
        ['nested', { list: [{ a: Buffer.from('a') }, null, { b: { c: Buffer.from('c') } }], text: 'beside' }],
        ['several', ...several],
        ['empty', Buffer.alloc(0), 'beside'],
        ['separator', Buffer.from([0x1e, 0x1e])],
        ['long text', 'ä'.repeat(30_000)],
        ['many bytes', Buffer.alloc(100_000, 0x5a)],
      ];
      const client = await connected(t);
      for (const event of sent) tell(client, 'emit', ...event);
      await bothSaw(t, sent.length);
      t.assert.equal(t.transcript.of('server /', 'event').length, sent.length);
    },
  },
  {
    name: 'questions of the client are answered',
    quick: ['polling'],
    async client(t) {
      const client = await connected(t);
      for (let i = 1; i <= 10; i++) {
        tell(client, 'ask', 'ask', i, { text: 'x'.repeat(i * 100) });
        await t.until('client /', 'answer', i);
      }
      t.assert.match(JSON.stringify(t.transcript.of('client /', 'answer')[9]), /10,\{"text":"text:1000:/);
    },
  },
  {
    // The Rust client numbers its acknowledgements at random, so two may get the same number.
    name: 'questions at once are answered, and hold bytes',
    without: ['rust_socketio'],
    async client(t) {
      const client = await connected(t);
      tell(client, 'ask', 'ask', Buffer.from([0, 0xff]), 'beside', [Buffer.alloc(10_000, 7)]);
      for (let i = 0; i < 10; i++) tell(client, 'ask', 'ask', i);
      await t.until('client /', 'answer', 11);
      t.assert.match(t.transcript.of('client /', 'answer')[0][1], /^bytes:2:/);
    },
  },
  {
    name: 'questions of the server are answered',
    quick: ['upgrade'],
    without: ['rust_socketio'],
    async client(t) {
      const client = await connected(t);
      tell(client, 'emit', 'question me', 5);
      await t.until('client /', 'event', 6);
      await t.until('server /', 'answer', 5);
      t.assert.equal(t.transcript.of('server /', 'answer').length, 5);
    },
  },
  {
    name: '200 rapid messages in order, both ways',
    quick: ['polling'],
    async client(t) {
      const client = await connected(t);
      tell(client, 'emit', 'many', 200);
      await t.until('client /', 'event', 200);
      for (let i = 0; i < 200; i++) tell(client, 'emit', 'up', i);
      await t.until('client /', 'event', 400);
      await t.until('server /', 'event', 200);
      const order = (label) => t.transcript.of('client /', 'event').filter((event) => event[1] === label);
      const expected = Array.from({ length: 200 }, (_, i) => i);
      for (const label of ['one of many', 'up'])
        t.assert.deepEqual(
          order(label).map((event) => event[2]),
          expected,
        );
    },
  },
  {
    name: 'the auth payload and a namespace arrive',
    async client(t) {
      const client = await connected(t, { namespaces: ['/room'], auth: { token: 'ünïcode 🐸', n: [1] } });
      client.tell({ do: 'emit', namespace: '/room', name: 'hello', args: [1] });
      await bothSaw(t, 1, '/room');
      const [, auth] = t.transcript.of('server /room', 'connection')[0];
      t.assert.deepEqual(auth, { token: 'ünïcode 🐸', n: [1] });
    },
  },
  {
    name: 'a namespace refuses with data, then lets in',
    quick: ['websocket'],
    async client(t) {
      const client = connecting(t, { namespaces: ['/private'], auth: { token: 'bad' } });
      await t.until('client /private', 'refused');
      t.assert.match(JSON.stringify(t.transcript.of('client /private', 'refused')), /not authorized.*code.*7/);
      await connected(t, { namespaces: ['/private'], auth: { token: 'good' } });
      t.assert.equal(t.transcript.of('server /private', 'connection').length, 1);
    },
  },
  {
    name: 'a namespace that does not exist',
    async client(t) {
      connecting(t, { namespaces: ['/nowhere'] });
      await t.until('client /nowhere', 'refused');
      t.assert.equal(t.transcript.of('client /nowhere', 'connect').length, 0);
    },
  },
  {
    name: 'namespaces share one connection, also with one that refuses',
    without: ['rust_socketio'],
    differs: eitherReason,
    async client(t) {
      const client = connecting(t, { namespaces: ['/', '/room', '/private'] });
      await Promise.all(['/', '/room'].map((namespace) => t.until(`client ${namespace}`, 'connect')));
      await t.until('client /private', 'refused');
      for (const namespace of ['/', '/room']) {
        for (let n = 0; n < 10; n++) client.tell({ do: 'emit', namespace, name: 'hello', args: [n] });
        await bothSaw(t, 10, namespace);
      }
      client.tell({ do: 'disconnect' });
      const tracks = ['server', 'client'].flatMap((side) => [`${side} /`, `${side} /room`]);
      await Promise.all(tracks.map((track) => t.until(track, 'disconnect')));
      t.assert.equal(t.transcript.of('client /private', 'connect').length, 0);
    },
  },
  {
    name: 'the server lets go of the client',
    quick: ['polling'],
    async client(t) {
      const client = await connected(t);
      await t.parked();
      tell(client, 'emit', 'leave');
      await Promise.all([t.until('client /', 'disconnect'), t.until('server /', 'disconnect')]);
      t.assert.equal(t.transcript.of('client /', 'disconnect').length, 1);
    },
  },
  {
    // What python-socketio's threads report of it is random; its server leaves a stock client's WebSocket open.
    name: 'the server closes the connection',
    without: ['rust_socketio', 'python-socketio', 'socket.io-client'],
    async client(t) {
      const client = await connected(t);
      await t.parked();
      tell(client, 'emit', 'leave', 'whole');
      await Promise.all([t.until('client /', 'disconnect'), t.until('server /', 'disconnect')]);
      t.assert.equal(t.transcript.of('client /', 'disconnect').length, 1);
    },
  },
  {
    name: 'an idle client stays connected through short heartbeats',
    quick: ['polling'],
    transports: ['polling', 'websocket'],
    options: (t) => HEARTBEAT[t.suite.backend],
    async client(t) {
      const client = await connected(t);
      await t.quiet(1500, 'the client must stay connected for several heartbeats');
      tell(client, 'ask', 'ask', 'there?');
      await t.until('client /', 'answer');
      t.assert.equal(t.transcript.of('client /', 'disconnect').length, 0);
      t.assert.equal(t.transcript.of('server /', 'disconnect').length, 0);
    },
  },
];

const suite = (backend, peer) => ({
  name: `${SERVERS[backend]}, ${peer}`,
  backend,
  peer,
  cases: cases
    .filter(({ without = [] }) => !without.includes(peer))
    .map((test) => ({ server: application, ignore: ['client engine'], ...test })),
});

export default [
  suite('socket.io', 'python-socketio'),
  suite('socket.io', 'python-socketio asyncio'),
  suite('socket.io', 'rust_socketio'),
  suite('asgi', 'socket.io-client'),
  suite('asgi', 'python-socketio'),
  suite('asgi', 'rust_socketio'),
];
