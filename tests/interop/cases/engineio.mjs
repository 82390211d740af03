// Engine.IO 6 without Socket.IO: stock client, stock server, every transport.

const HEARTBEAT = { pingInterval: 300, pingTimeout: 200 };

const watch = (socket, t, track = 'client') => {
  socket.on('close', (reason) => t.log(track, 'close', reason));
  return socket;
};

const onConnection = (engine, t, work) =>
  engine.on('connection', (socket) => {
    socket.on('close', (reason) => t.log('server', 'close', reason));
    work(socket);
  });

const numbers = (label, count = 100) => Array.from({ length: count }, (_, i) => `${label} ${i}`);

const cases = [
  {
    name: 'text and binary come back as they were sent',
    quick: ['polling', 'websocket', 'upgrade'],
    server(engine, t) {
      onConnection(engine, t, (socket) =>
        socket.on('message', (data) => (t.log('server', 'message', data), socket.send(data))),
      );
    },
    async client(t) {
      const socket = watch(t.engine(), t);
      socket.on('message', (data) => t.log('client', 'message', data));
      await t.opened(socket);
      const sent = [
        '',
        'a',
        'b',
        '4',
        'b4AA=',
        '\u2028 🐸',
        '0'.repeat(100_000),
        Buffer.alloc(0),
        Buffer.from([0x1e]),
        Buffer.alloc(100_000, 0xfe),
        Buffer.from('text?'),
        'last',
      ];
      for (const data of sent) socket.send(data);
      await t.until('client', 'message', sent.length);
      t.assert.equal(t.transcript.of('client', 'message')[4][1], 'b4AA=');
      t.assert.equal(t.transcript.of('server', 'message').length, sent.length);
    },
  },
  {
    name: 'the open packet mirrors the backend',
    quick: ['polling', 'websocket'],
    options: { pingInterval: 12_345, pingTimeout: 6_789, maxHttpBufferSize: 54_321 },
    async client(t) {
      const socket = watch(t.engine(), t);
      socket.on('handshake', ({ sid, ...rest }) => t.log('client', 'handshake', typeof sid, rest));
      socket.on('open', () => t.log('client', 'open', socket.transport.name));
      await t.opened(socket);
      t.assert.deepEqual(t.transcript.of('client', 'handshake')[0][2], {
        upgrades: t.transport === 'websocket' ? [] : ['websocket'],
        pingInterval: 12_345,
        pingTimeout: 6_789,
        maxPayload: 54_321,
      });
    },
  },
  {
    name: 'the events of an upgrade',
    transports: ['upgrade'],
    quick: ['upgrade'],
    server: (engine, t) => onConnection(engine, t, () => {}),
    async client(t) {
      const socket = watch(t.engine(), t);
      for (const name of ['open', 'upgrading', 'upgrade', 'upgradeError']) {
        socket.on(name, () => t.log('client', name, socket.transport.name));
      }
      await t.opened(socket);
      t.assert.deepEqual(t.transcript.toJSON().client, [
        ['open', 'polling'],
        ['upgrading', 'polling'],
        ['upgrade', 'websocket'],
      ]);
    },
  },
  {
    name: 'a backend without upgrades keeps its clients on polling',
    transports: ['upgrade'],
    config: { route: { allow_upgrades: false } },
    options: { allowUpgrades: false },
    server(engine, t) {
      onConnection(engine, t, (socket) => socket.on('message', (data) => socket.send(data)));
    },
    async client(t) {
      const socket = watch(t.engine(), t);
      socket.on('handshake', ({ upgrades }) => t.log('client', 'upgrades', upgrades));
      socket.on('upgrading', () => t.log('client', 'upgrading'));
      socket.on('message', (data) => t.log('client', 'message', data, socket.transport.name));
      socket.on('open', () => socket.send('hello'));
      await t.until('client', 'message');
      t.assert.deepEqual(t.transcript.of('client', 'message')[0], ['message', 'hello', 'polling']);
    },
  },
  {
    name: 'messages before, during and after an upgrade keep their order, both ways',
    transports: ['upgrade'],
    quick: ['upgrade'],
    server(engine, t) {
      onConnection(engine, t, (socket) => {
        const burst = (label) => numbers(label).forEach((text) => socket.send(text));
        burst('before');
        socket.on('message', (data) => {
          t.log('server', 'message', data);
          if (data === 'during 0' || data === 'after 0') burst(data.split(' ')[0]);
        });
      });
    },
    async client(t) {
      const socket = watch(t.engine(), t);
      const burst = (label) => numbers(label).forEach((text) => socket.send(text));
      socket.on('message', (data) => t.log('client', 'message', data));
      socket.on('open', () => burst('before'));
      socket.on('upgrading', () => burst('during'));
      socket.on('upgrade', () => burst('after'));
      await Promise.all([t.until('client', 'message', 300), t.until('server', 'message', 300)]);
      const expected = ['before', 'during', 'after'].flatMap((label) => numbers(label));
      for (const track of ['client', 'server']) {
        t.assert.deepEqual(
          t.transcript.of(track, 'message').map(([, text]) => text),
          expected,
        );
      }
    },
  },
  {
    name: 'a stream that never pauses crosses an upgrade without loss, both ways',
    transports: ['upgrade'],
    server(engine, t) {
      onConnection(engine, t, (socket) => {
        let sent = 0;
        const timer = setInterval(() => {
          for (let i = 0; i < 5; i++) (socket.send(sent % 7 ? `down ${sent}` : Buffer.from(`down ${sent}`)), sent++);
          if (sent === 500) clearInterval(timer);
        }, 2);
        t.defer(() => clearInterval(timer));
        socket.on('message', (data) => t.log('server', 'message', data.toString()));
      });
    },
    async client(t) {
      const socket = watch(t.engine(), t);
      let sent = 0;
      let timer;
      t.defer(() => clearInterval(timer));
      socket.on('message', (data) => t.log('client', 'message', data.toString()));
      socket.on('open', () => {
        timer = setInterval(() => {
          for (let i = 0; i < 5; i++) (socket.send(sent % 5 ? `up ${sent}` : Buffer.from(`up ${sent}`)), sent++);
          if (sent === 500) clearInterval(timer);
        }, 2);
      });
      await Promise.all([t.until('client', 'message', 500), t.until('server', 'message', 500), t.opened(socket)]);
      t.assert.deepEqual(
        t.transcript.of('client', 'message').map(([, text]) => text),
        numbers('down', 500),
      );
      t.assert.deepEqual(
        t.transcript.of('server', 'message').map(([, text]) => text),
        numbers('up', 500),
      );
    },
  },
  {
    name: 'the initial packet comes first',
    quick: ['polling'],
    options: { initialPacket: 'first of all' },
    server(engine, t) {
      onConnection(engine, t, (socket) => socket.send('second'));
    },
    async client(t) {
      const socket = watch(t.engine(), t);
      socket.on('message', (data) => t.log('client', 'message', data));
      await t.until('client', 'message', 2);
      t.assert.deepEqual(t.transcript.of('client', 'message'), [
        ['message', 'first of all'],
        ['message', 'second'],
      ]);
    },
  },
  {
    name: 'the server closes',
    quick: ['websocket'],
    server(engine, t) {
      onConnection(engine, t, (socket) => socket.on('message', () => socket.close()));
    },
    async client(t) {
      const socket = watch(t.engine(), t);
      await t.opened(socket);
      await t.parked();
      socket.send('close, please');
      await Promise.all([t.until('client', 'close'), t.until('server', 'close')]);
      t.assert.deepEqual(t.transcript.of('client', 'close'), [['close', 'transport close']]);
    },
  },
  {
    name: 'the server closes with messages still buffered, and all arrive',
    quick: ['polling', 'upgrade'],
    server(engine, t) {
      onConnection(engine, t, (socket) =>
        socket.on('message', () => {
          for (let i = 0; i < 50; i++) socket.send(i % 2 ? `${i} ${'x'.repeat(1000)}` : Buffer.alloc(1000, i));
          socket.close();
        }),
      );
    },
    async client(t) {
      const socket = watch(t.engine(), t);
      socket.on('message', (data) => t.log('client', 'message', data));
      await t.opened(socket);
      await t.parked();
      socket.send('close, please');
      await Promise.all([t.until('client', 'close'), t.until('server', 'close')]);
      t.assert.equal(t.transcript.of('client', 'message').length, 50);
    },
  },
  {
    name: 'the server closes in the moment of connection',
    server(engine, t) {
      onConnection(engine, t, (socket) => {
        socket.send('bye');
        socket.close();
      });
    },
    async client(t) {
      const socket = t.engine();
      socket.on('message', (data) => t.log('client', 'message', data));
      await new Promise((resolve) => socket.on('close', resolve));
      t.assert.deepEqual(t.transcript.of('client', 'message'), [['message', 'bye']]);
    },
  },
  {
    name: 'the client closes after it has sent, and all arrives',
    quick: ['polling', 'websocket'],
    server(engine, t) {
      onConnection(engine, t, (socket) => socket.on('message', (data) => t.log('server', 'message', data)));
    },
    async client(t) {
      const socket = watch(t.engine(), t);
      await t.opened(socket);
      numbers('last', 50).forEach((text) => socket.send(text));
      socket.close();
      await Promise.all([t.until('client', 'close'), t.until('server', 'close')]);
      t.assert.equal(t.transcript.of('server', 'message').length, 50);
      t.assert.deepEqual(t.transcript.of('client', 'close'), [['close', 'forced close']]);
    },
  },
  {
    name: 'thirty clients in parallel, each with its own messages',
    quick: ['polling', 'upgrade'],
    timeout: 20_000,
    server(engine, t) {
      engine.on('connection', (socket) => socket.on('message', (data) => socket.send(`echo ${data}`)));
    },
    async client(t) {
      const ids = new Set();
      await Promise.all(
        Array.from({ length: 30 }, async (_, n) => {
          const socket = t.engine();
          socket.on('message', (data) => t.log(`client ${n}`, 'message', data));
          await t.opened(socket);
          ids.add(socket.id);
          for (let i = 0; i < 10; i++) {
            socket.send(`${n}/${i}`);
            await t.until(`client ${n}`, 'message', i + 1);
          }
        }),
      );
      t.assert.equal(ids.size, 30);
      t.assert.deepEqual(t.transcript.of('client 29', 'message')[9], ['message', 'echo 29/9']);
    },
  },
  {
    name: 'one kept-alive connection serves a whole polling session',
    transports: ['polling'],
    server(engine, t) {
      onConnection(engine, t, (socket) => socket.on('message', (data) => socket.send(data)));
    },
    async client(t) {
      const { Agent } = await import('node:http');
      const agent = new Agent({ keepAlive: true, maxSockets: 2 });
      t.defer(() => agent.destroy());
      const socket = watch(t.engine({ agent }), t);
      socket.on('message', (data) => t.log('client', 'message', data));
      await t.opened(socket);
      for (let i = 0; i < 30; i++) {
        socket.send(`${i}`);
        await t.until('client', 'message', i + 1);
      }
    },
  },
  {
    name: 'a client busy with messages still answers its heartbeats',
    alone: true,
    options: HEARTBEAT,
    server(engine, t) {
      onConnection(engine, t, (socket) => socket.on('message', (data) => socket.send(data)));
    },
    async client(t) {
      const socket = watch(t.engine(), t);
      await t.opened(socket);
      let round = 0;
      const end = performance.now() + 1200;
      await new Promise((resolve) => {
        socket.on('message', () =>
          // The pace of the messages.
          performance.now() < end ? setTimeout(() => socket.send(`${++round}`), 5) : resolve(),
        );
        socket.send('0');
      });
      t.log('client', 'still', socket.readyState);
      t.assert.ok(round > 3, `${round} rounds`);
      t.assert.equal(t.transcript.of('client', 'close').length, 0);
    },
  },
];

export default { name: 'engine.io', backend: 'engine.io', cases };
