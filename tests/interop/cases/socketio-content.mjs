// Socket.IO 4: everything passes unchanged: bytes, characters, sizes, headers, and the messages for a recovered session.

const MAX = 100_000;
const ALL = ['polling', 'websocket', 'upgrade'];

/** An event whose Engine.IO packet, type digit included, has exactly `size` bytes. */
const sized = (size) => ['m', 'x'.repeat(size - '42["m",""]'.length)];

const binaries = () => [
  ['small', Buffer.from([0, 1, 0x1e, 0xff])],
  ['zero', Buffer.alloc(0)],
  ['large', Buffer.alloc(100_000, 0x5a)],
  ['nested', { list: [{ a: Buffer.from('a') }, null, { b: { c: Buffer.from('c') } }], text: 'beside' }],
  ['several', ...Array.from({ length: 9 }, (_, i) => Buffer.alloc(i * 100, i))],
  ['like packets', Buffer.from('4hello'), Buffer.from('b4'), Buffer.from('2probe'), Buffer.from('1')],
  ['typed', new Uint8Array([1, 2, 3]).buffer],
];

const texts = [
  'emoji 🐸 and 👩‍👩‍👧, astral 𝒳',
  'line\u2028separator\u2029here',
  'nul \u0000 and controls \u0001\u001f\u007f\u0085',
  'record \u001e separator \u001e\u001e',
  'b4nana',
  '4hello',
  '2probe',
  'b',
  '4',
  '1',
  '6',
  '0{"sid":"x"}',
  '451-["x",{"_placeholder":true,"num":0}]',
  'ünïcödé ÿ é é',
  'עברית العربية 中文 日本語 한국어',
  'back\\slash "quotes" \\u001e \\n \n \r\n \t',
  '\ufeffbyte order mark',
  '\ufffd',
  'percent %20 + &amp;',
];

const cases = [
  {
    name: 'binary both ways, with and without acknowledgement',
    quick: ['polling', 'websocket'],
    server(io, t) {
      io.on('connection', (socket) => {
        socket.on('ack', (event, answer) => answer(...event.slice(1)));
        socket.onAny((name, ...args) => {
          if (name === 'ack') return;
          t.log('server', name, ...args);
          socket.emit(name, ...args);
        });
      });
    },
    async client(t) {
      const socket = await t.connect();
      socket.onAny((...event) => t.log('client', ...event));
      for (const event of binaries()) socket.emit(...event);
      await t.until('client', 'typed');
      for (const event of binaries())
        t.log('client', `ack ${event[0]}`, await socket.timeout(2000).emitWithAck('ack', event));
      t.assert.equal(t.transcript.of('client', 'large')[0][1].slice(0, 13), 'bytes:100000:');
      t.assert.equal(t.transcript.toJSON().client.length, 2 * binaries().length);
    },
  },
  {
    name: 'every kind of character',
    quick: ['polling', 'upgrade'],
    server(io, t) {
      io.on('connection', (socket) => socket.onAny((...event) => (t.log('server', ...event), socket.emit(...event))));
    },
    async client(t) {
      const socket = await t.connect();
      socket.onAny((...event) => t.log('client', ...event));
      for (const text of texts) socket.emit(text, text, { [text]: text });
      socket.emit('end');
      await t.until('client', 'end');
      const back = t.transcript.toJSON().client.slice(0, -1);
      t.assert.deepEqual(
        back,
        texts.map((text) => [text, text, { [text]: text }]),
      );
    },
  },
  {
    name: 'messages of exactly maxHttpBufferSize, both ways',
    only: ['4.8'],
    quick: ALL,
    options: { maxHttpBufferSize: MAX },
    server(io, t) {
      io.on('connection', (socket) => socket.on('m', (text) => (t.log('server', 'm', text), socket.emit('m', text))));
    },
    async client(t) {
      const socket = await t.connect();
      socket.on('disconnect', (reason) => t.log('client', 'disconnect', reason));
      socket.on('m', (text) => t.log('client', 'm', text));
      t.assert.equal(socket.io.engine._maxPayload, MAX);
      for (const size of [MAX, MAX - 1, 1000, MAX]) socket.emit(...sized(size));
      await t.until('client', 'm', 4);
      t.assert.equal(t.transcript.of('server', 'm').length, 4);
    },
  },
  {
    name: 'one byte over maxHttpBufferSize ends the client as the reference does',
    quick: ['polling', 'websocket'],
    options: { maxHttpBufferSize: MAX },
    server(io, t) {
      io.on('connection', (socket) => {
        socket.on('m', () => t.log('server', 'too large, and yet here'));
        socket.on('disconnect', (reason) => t.log('server', 'disconnect', reason));
      });
    },
    differs: [
      {
        track: 'server',
        label: 'disconnect',
        direct: ['transport error'],
        proxied: ['transport close'],
        why: 'the proxy refuses the message; the backend only sees its WebSocket closed',
      },
    ],
    async client(t) {
      const socket = await t.connect();
      socket.on('disconnect', (reason, details) =>
        t.log(
          'client',
          'disconnect',
          reason,
          details?.message,
          details?.description?.code ?? details?.description,
          details?.context?.code ?? details?.context?.status,
        ),
      );
      socket.emit(...sized(MAX + 1));
      await t.until('client', 'disconnect');
      await t.until('server', 'disconnect');
      t.assert.equal(t.transcript.toJSON().server.length, 1);
    },
  },
  {
    name: 'a server with permessage-deflate loses nothing',
    options: { perMessageDeflate: { threshold: 0 }, maxHttpBufferSize: 1e6 },
    server(io) {
      io.on('connection', (socket) => socket.on('m', (...args) => socket.emit('m', ...args)));
    },
    async client(t) {
      const socket = await t.connect({ perMessageDeflate: { threshold: 0 } });
      socket.on('m', (...args) => t.log('client', 'm', ...args));
      for (let i = 0; i < 20; i++) socket.emit('m', i, 'deflate me '.repeat(i * 100), Buffer.alloc(i * 50, i));
      await t.until('client', 'm', 20);
      if (t.through === 'compressed') {
        t.assert.ok((await t.way.proxy.sum('polliwog_compression_saved_bytes_total')) > 20_000);
      }
    },
  },
  {
    name: 'query and headers as the backend sees them',
    quick: ALL,
    server(io, t) {
      const kept = [
        'cookie',
        'authorization',
        'origin',
        'user-agent',
        'accept-language',
        'host',
        'x-one',
        'x-two',
        'referer',
      ];
      io.on('connection', (socket) => {
        const { headers, query, url } = socket.handshake;
        for (const name of kept) t.log('server', 'header', name, headers[name]);
        for (const name of Object.keys(headers)) if (name.startsWith('x-forwarded')) t.seen[name] = headers[name];
        const { EIO, transport, t: buster, sid, b64, ...own } = query;
        t.log('server', 'query', EIO, Object.entries(own).sort());
        t.log('server', 'path', new URL(url, 'http://x').pathname);
        socket.emit('seen');
      });
    },
    async client(t) {
      t.seen = {};
      const socket = t.io({
        query: { token: 'a&b=c d+é🐸', empty: '', list: '1,2' },
        extraHeaders: {
          'X-One': '1',
          'X-Two': 'two; with, marks="x"',
          Cookie: 'a=1; b="two"; session=s%3Axyz',
          Authorization: 'Bearer abc.def',
          Origin: 'https://app.example',
          'User-Agent': 'interop/1.0',
          'Accept-Language': 'de, en;q=0.5',
          Referer: 'https://app.example/page',
        },
      });
      socket.on('seen', () => t.log('client', 'seen'));
      await t.open(socket);
      await t.until('client', 'seen');
      const headers = Object.fromEntries(t.transcript.of('server', 'header').map(([, ...pair]) => pair));
      t.assert.equal(headers.cookie, 'a=1; b="two"; session=s%3Axyz');
      t.assert.equal(headers.authorization, 'Bearer abc.def');
      if (t.proxied) t.assert.equal(t.seen['x-forwarded-for'], '127.0.0.1');
    },
  },
  {
    name: 'a cookie that the backend sets on its handshake reaches the client',
    transports: ['polling'],
    quick: ['polling'],
    server(io) {
      io.engine.on('initial_headers', (headers) => {
        headers['set-cookie'] = 'route=abc; Path=/; HttpOnly';
        headers['x-backend'] = 'seven';
      });
    },
    async client(t) {
      const { status, headers } = await t.request({ path: `${t.path}?EIO=4&transport=polling` });
      t.log('client', 'handshake', status, headers['set-cookie'], headers['x-backend']);
      t.assert.deepEqual(headers['set-cookie'], ['route=abc; Path=/; HttpOnly']);
    },
  },
  {
    name: 'the `cookie` option, which the reference never serves on a WebSocket handshake',
    transports: ['polling'],
    options: { cookie: { name: 'io' } },
    differs: [
      {
        track: 'client',
        label: 'cookies',
        direct: [1],
        proxied: [0],
        why: 'the backend is always dialled with a WebSocket, and engine.io puts this cookie on no 101',
      },
    ],
    async client(t) {
      const { status, headers } = await t.request({ path: `${t.path}?EIO=4&transport=polling` });
      t.log('client', 'handshake', status);
      t.log('client', 'cookies', headers['set-cookie']?.length ?? 0);
    },
  },
  {
    name: 'CORS headers of the handshake',
    transports: ['polling'],
    options: { cors: { origin: 'https://app.example', credentials: true } },
    async client(t) {
      const headers = { Origin: 'https://app.example' };
      const answer = await t.request({ path: `${t.path}?EIO=4&transport=polling`, headers });
      t.log(
        'client',
        'handshake',
        answer.status,
        answer.headers['access-control-allow-origin'],
        answer.headers['access-control-allow-credentials'],
      );
      t.assert.equal(answer.headers['access-control-allow-origin'], 'https://app.example');
    },
  },
  {
    name: 'a cut connection is recovered with what was missed',
    only: ['4.8', 'msgpack'],
    quick: ['polling', 'websocket'],
    options: { connectionStateRecovery: {} },
    server(io, t) {
      io.on('connection', (socket) => {
        t.log('server', 'connection', socket.recovered, socket.data, [...socket.rooms].length);
        socket.data.mark = 7;
        socket.join('room');
        if (!socket.recovered) socket.emit('first', 0);
        socket.on('disconnect', (reason) => {
          t.log('server', 'disconnect', reason);
          for (let n = 1; n <= 5; n++) io.to('room').emit('missed', n, 'text');
        });
      });
    },
    async client(t) {
      const socket = t.io({ reconnection: true, reconnectionDelay: 200, randomizationFactor: 0 });
      socket.on('first', (n) => t.log('client', 'first', n));
      // The event's last argument is its offset, another one in each run.
      socket.on('missed', (n, text, offset) => t.log('client', 'missed', n, text, typeof offset));
      await t.open(socket);
      await t.until('client', 'first');
      const { id } = socket;
      socket.on('disconnect', (reason) => t.log('client', 'disconnect', reason));
      socket.on('connect', () => t.log('client', 'connect', socket.recovered, socket.id === id));
      socket.io.engine.close();
      await t.until('client', 'connect');
      await t.until('client', 'missed', 5);
      t.assert.deepEqual(t.transcript.of('client', 'connect')[0], ['connect', true, true]);
    },
  },
  {
    name: 'an old session is not recovered once the server has forgotten it',
    only: ['4.8', 'msgpack'],
    transports: ['polling', 'websocket'],
    options: { connectionStateRecovery: { maxDisconnectionDuration: 1 } },
    server(io, t) {
      io.on('connection', (socket) => {
        t.log('server', 'connection', socket.recovered);
        socket.emit('first');
      });
    },
    async client(t) {
      const socket = t.io({ reconnection: true, reconnectionDelay: 100, randomizationFactor: 0 });
      socket.on('first', () => t.log('client', 'first'));
      await t.open(socket);
      await t.until('client', 'first');
      const { id } = socket;
      socket.on('connect', () => t.log('client', 'connect', socket.recovered, socket.id === id));
      socket.io.engine.close();
      await t.until('client', 'first', 2);
      t.assert.deepEqual(t.transcript.of('client', 'connect')[0], ['connect', false, false]);
    },
  },
];

export default { name: 'socket.io content', backend: 'socket.io', cases };
