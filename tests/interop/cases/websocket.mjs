// A plain `ws` server behind Engine.IO clients. There is no direct run: the oracle is a bridge made of stock parts
// (lib/stand-in.mjs), and each case also states the expected outcome.

const each = (wss, t, work) =>
  wss.on('connection', (socket, request) => {
    socket.on('close', (code, reason) => {
      t.gone = performance.now();
      t.log('server', 'close');
      t.closing = { code, reason: reason.toString() };
    });
    work(socket, request);
  });

const watch = (socket, t) => {
  socket.on('message', (data) => t.log('client', 'message', data));
  socket.on('close', (reason) => t.log('client', 'close', reason));
  return socket;
};

const QUERY = [
  ['token', 'a b&c'],
  ['empty', ''],
];

const cases = [
  {
    name: 'text stays text and binary stays binary',
    quick: ['polling', 'upgrade'],
    server(wss, t) {
      each(wss, t, (socket) =>
        socket.on('message', (data, binary) => {
          t.log('server', 'message', binary ? data : data.toString());
          socket.send(data, { binary });
        }),
      );
    },
    async client(t) {
      const socket = await t.opened(watch(t.engine(), t));
      const sent = [
        'a',
        '4',
        'b4AA=',
        '2probe',
        '🐸 \u2028',
        'x'.repeat(100_000),
        Buffer.alloc(0),
        Buffer.from('4text?'),
        Buffer.alloc(100_000, 3),
        '{"json":true}',
      ];
      for (const data of sent) socket.send(data);
      await t.until('client', 'message', sent.length);
      const back = t.transcript.of('client', 'message').map(([, data]) => data);
      t.assert.deepEqual(back.slice(0, 5), sent.slice(0, 5));
      t.assert.deepEqual(
        back,
        t.transcript.of('server', 'message').map(([, data]) => data),
      );
    },
  },
  {
    name: 'the open packet carries the usual heartbeat',
    quick: ['websocket'],
    server: (wss, t) => each(wss, t, () => t.log('server', 'connection')),
    async client(t) {
      const socket = t.engine();
      socket.on('handshake', ({ sid, ...rest }) => t.log('client', 'handshake', typeof sid, rest));
      await t.opened(socket);
      t.assert.deepEqual(t.transcript.of('client', 'handshake')[0][2], {
        upgrades: t.transport === 'websocket' ? [] : ['websocket'],
        pingInterval: 25_000,
        pingTimeout: 20_000,
        maxPayload: 1_000_000,
      });
    },
  },
  {
    name: 'a hundred messages pushed at once arrive in order',
    quick: ['polling', 'websocket'],
    server(wss, t) {
      each(wss, t, (socket) => {
        for (let i = 0; i < 100; i++) socket.send(i % 4 ? `push ${i}` : Buffer.from(`push ${i}`));
      });
    },
    async client(t) {
      const socket = t.engine();
      socket.on('message', (data) => t.log('client', 'message', data.toString()));
      await t.until('client', 'message', 100);
      const expected = Array.from({ length: 100 }, (_, i) => `push ${i}`);
      t.assert.deepEqual(
        t.transcript.of('client', 'message').map(([, text]) => text),
        expected,
      );
    },
  },
  {
    name: 'two hundred messages each way, through an upgrade where there is one',
    server(wss, t) {
      each(wss, t, (socket) =>
        socket.on('message', (data, binary) => {
          t.log('server', 'message', data.toString());
          socket.send(data, { binary });
        }),
      );
    },
    async client(t) {
      const socket = watch(t.engine(), t);
      socket.on('open', () => {
        for (let i = 0; i < 200; i++) socket.send(`${i}`);
      });
      await t.until('client', 'message', 200);
      const expected = Array.from({ length: 200 }, (_, i) => `${i}`);
      t.assert.deepEqual(
        t.transcript.of('server', 'message').map(([, text]) => text),
        expected,
      );
      t.assert.deepEqual(
        t.transcript.of('client', 'message').map(([, text]) => text),
        expected,
      );
    },
  },
  {
    name: 'the backend closes with a code, and the client is closed',
    quick: ['polling', 'upgrade'],
    server(wss, t) {
      each(wss, t, (socket) =>
        socket.on('message', () => {
          socket.send('one more');
          socket.close(4001, 'enough');
        }),
      );
    },
    async client(t) {
      const socket = await t.opened(watch(t.engine(), t));
      await t.parked();
      socket.send('close, please');
      await Promise.all([t.until('client', 'close'), t.until('server', 'close')]);
      t.assert.deepEqual(t.transcript.toJSON().client, [
        ['message', 'one more'],
        ['close', 'transport close'],
      ]);
    },
  },
  {
    name: 'the backend drops the connection, and the client is closed',
    server(wss, t) {
      each(wss, t, (socket) => socket.on('message', () => socket.terminate()));
    },
    async client(t) {
      const socket = await t.opened(watch(t.engine(), t));
      await t.parked();
      socket.send('drop, please');
      await Promise.all([t.until('client', 'close'), t.until('server', 'close')]);
      t.assert.deepEqual(t.transcript.of('client', 'close'), [['close', 'transport close']]);
    },
  },
  {
    name: 'the client closes, and the backend sees it at once',
    alone: true,
    quick: ['polling', 'websocket'],
    server: (wss, t) => each(wss, t, (socket) => socket.on('message', (data) => socket.send(data.toString()))),
    async client(t) {
      const socket = await t.opened(watch(t.engine(), t));
      socket.send('hello');
      await t.until('client', 'message');
      await t.parked();
      const began = performance.now();
      socket.close();
      await t.until('server', 'close');
      const took = t.gone - began;
      t.assert.ok(took < 100, `${took} ms`);
      // A Close frame: its code, or 1005 without one, and not the 1006 of a lost connection.
      t.assert.notEqual(t.closing.code, 1006);
    },
  },
  {
    name: 'the client dies, and the backend sees it at once',
    alone: true,
    server: (wss, t) => each(wss, t, (socket) => socket.on('message', (data) => socket.send(data.toString()))),
    async client(t) {
      const client = await t.raw();
      await client.send('4hello');
      t.log('client', 'message', await client.next((packet) => String(packet).startsWith('4')));
      await client.park();
      await t.parked();
      const began = performance.now();
      client.die();
      await t.until('server', 'close');
      const took = t.gone - began;
      t.assert.ok(took < 100, `${took} ms`);
    },
  },
  {
    name: 'path, query and headers as the backend sees them',
    quick: ['polling', 'websocket'],
    differs: [
      {
        through: 'demux',
        track: 'server',
        label: 'url',
        direct: ['/', QUERY],
        proxied: ['/engine.io/', QUERY],
        why: 'a shared connection brings the whole of the path, and the URL of the backend is only the base',
      },
    ],
    server(wss, t) {
      each(wss, t, (socket, request) => {
        const { pathname, searchParams } = new URL(request.url, 'http://x');
        t.log('server', 'url', pathname, [...searchParams]);
        for (const name of ['cookie', 'authorization', 'origin', 'user-agent', 'x-one', 'host', 'x-forwarded-for']) {
          t.log('server', 'header', name, request.headers[name]);
        }
        socket.send('seen');
      });
    },
    async client(t) {
      const socket = t.engine({
        query: { token: 'a b&c', empty: '' },
        extraHeaders: {
          Cookie: 'a=1',
          Authorization: 'Basic eDp5',
          Origin: 'https://app.example',
          'User-Agent': 'i/1',
          'X-One': '1',
        },
      });
      watch(socket, t);
      await t.until('client', 'message');
      t.assert.deepEqual(t.transcript.of('server', 'url')[0], [
        'url',
        t.through === 'demux' ? '/engine.io/' : '/',
        QUERY,
      ]);
      const headers = Object.fromEntries(t.transcript.of('server', 'header').map(([, ...pair]) => pair));
      t.assert.deepEqual(headers, {
        cookie: 'a=1',
        authorization: 'Basic eDp5',
        origin: 'https://app.example',
        'user-agent': 'i/1',
        'x-one': '1',
        host: 'HOST',
        'x-forwarded-for': '127.0.0.1',
      });
    },
  },
  {
    name: 'the subprotocol offer reaches the backend',
    transports: ['websocket'],
    quick: ['websocket'],
    differs: [
      {
        through: 'demux',
        track: 'server',
        label: 'offer',
        direct: ['chat.v1,chat.v2', 'chat.v2'],
        proxied: ['chat.v1, chat.v2', 'chat.v2'],
        why: 'a shared connection brings the names; how they are put together is left to the demultiplexer',
      },
    ],
    options: { handleProtocols: (offered) => [...offered].at(-1) },
    server: (wss, t) =>
      each(wss, t, (socket, request) => {
        t.log('server', 'offer', request.headers['sec-websocket-protocol'], socket.protocol);
        socket.send('seen');
      }),
    async client(t) {
      watch(t.engine({ protocols: ['chat.v1', 'chat.v2'] }), t);
      await t.until('client', 'message');
      t.assert.equal(t.transcript.of('server', 'offer')[0][2], 'chat.v2');
    },
  },
  {
    name: 'twenty clients get a broadcast, and each its own echo',
    server(wss, t) {
      let count = 0;
      wss.on('connection', (socket) => {
        socket.on('message', (data) => socket.send(`echo ${data}`));
        if (++count === 20) for (const client of wss.clients) client.send('everyone is here');
      });
    },
    async client(t) {
      await Promise.all(
        Array.from({ length: 20 }, async (_, n) => {
          const socket = t.engine();
          socket.on('message', (data) => t.log(`client ${n}`, 'message', data));
          await t.until(`client ${n}`, 'message');
          socket.send(`${n}`);
          await t.until(`client ${n}`, 'message', 2);
        }),
      );
      t.assert.deepEqual(
        t.transcript.of('client 7', 'message').map(([, text]) => text),
        ['everyone is here', 'echo 7'],
      );
    },
  },
  {
    name: 'short heartbeats of the route keep an idle client',
    alone: true,
    transports: ['polling', 'websocket'],
    quick: ['polling'],
    config: { route: { ping_interval: '300ms', ping_timeout: '200ms' } },
    proxiedOnly: true,
    server: (wss, t) => each(wss, t, (socket) => socket.on('message', (data) => socket.send(data.toString()))),
    async client(t) {
      const socket = watch(t.engine(), t);
      let pings = 0;
      socket.on('ping', () => (pings += 1));
      socket.on('handshake', ({ pingInterval, pingTimeout }) =>
        t.log('client', 'handshake', pingInterval, pingTimeout),
      );
      await t.opened(socket);
      await t.eventually(() => pings >= 4, '4 pings');
      socket.send('still here');
      await t.until('client', 'message');
      t.assert.deepEqual(t.transcript.of('client', 'handshake'), [['handshake', 300, 200]]);
    },
  },
];

export default { name: 'plain WebSocket', backend: 'ws', cases };
