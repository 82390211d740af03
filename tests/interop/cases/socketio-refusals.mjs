// Socket.IO 4: clients that the application or the server refuses, and what they learn.

/** Everything of a connect_error that the application can see. */
function told(t, error) {
  const { context, description } = error;
  t.log(
    'client',
    'connect_error',
    error.message,
    error.type,
    error.data,
    typeof description === 'object' ? description?.message : description,
    context?.status,
    context?.responseText,
  );
}

/** Connects until refused. */
async function refused(t, socket) {
  socket.on('connect', () => t.log('client', 'connect'));
  socket.on('connect_error', (error) => told(t, error));
  socket.connect();
  await t.until('client', 'connect_error');
  return t.transcript.of('client', 'connect_error')[0];
}

const refusals = [
  ['without a message', (answer) => answer(null, false), { code: 4, message: 'Forbidden' }],
  ['with a message', (answer) => answer('too many, "sorry"', false), { code: 4, message: 'too many, "sorry"' }],
].map(([how, decide, body]) => ({
  name: `allowRequest refuses ${how}`,
  quick: ['polling', 'websocket'],
  options: { allowRequest: (request, answer) => decide(answer) },
  async client(t) {
    const event = await refused(t, t.io());
    const first = t.transport === 'websocket' ? 'websocket error' : 'xhr poll error';
    t.assert.equal(event[1], first);
    if (t.transport === 'websocket') return;
    t.assert.equal(event[4], 403);
    // Clients report the response's details since 4.5.
    if (t.suite.client !== '3.1') t.assert.deepEqual(JSON.parse(event[6]), body);
  },
}));

const cases = [
  {
    name: 'a namespace that does not exist',
    quick: ['polling'],
    async client(t) {
      const event = await refused(t, t.io({}, '/nowhere'));
      t.assert.equal(event[1], 'Invalid namespace');
      const root = await t.connect();
      t.log('client', 'root', root.connected);
    },
  },
  {
    name: 'a middleware refuses with data, then lets in',
    quick: ['websocket', 'upgrade'],
    server(io, t) {
      io.use((socket, next) => {
        if (socket.handshake.auth.token === 'good') return next();
        next(Object.assign(new Error('not authorized'), { data: { code: 'E1', retry: [1, 2] } }));
      });
      io.on('connection', () => t.log('server', 'connection'));
    },
    async client(t) {
      const socket = t.io({ auth: { token: 'bad' } });
      const event = await refused(t, socket);
      t.assert.deepEqual([event[1], event[3]], ['not authorized', { code: 'E1', retry: [1, 2] }]);
      socket.auth = { token: 'good' };
      socket.connect();
      await t.until('client', 'connect');
    },
  },
  ...refusals,
  {
    name: 'allowRequest lets in by cookie and query, asynchronously',
    options: {
      allowRequest: (request, answer) =>
        // The decision takes a moment, as one that asks a database does.
        setTimeout(() => answer(null, request.headers.cookie === 'ok=1' && request.url.includes('key=k')), 20),
    },
    async client(t) {
      const good = await t.connect({ query: { key: 'k' }, extraHeaders: { Cookie: 'ok=1' } });
      t.log('client', 'good', good.connected);
      await refused(t, t.io({ query: { key: 'k' }, extraHeaders: { Cookie: 'ok=0' } }));
    },
  },
  {
    name: 'an engine middleware that answers by itself',
    transports: ['polling'],
    server(io) {
      io.engine.use((request, response, next) => next(new Error('no')));
    },
    async client(t) {
      const event = await refused(t, t.io());
      t.assert.equal(event[4], 400);
    },
  },
  {
    name: 'a client without CONNECT is closed after connectTimeout',
    alone: true,
    transports: ['polling', 'websocket'],
    options: { connectTimeout: 200 },
    async client(t) {
      const socket = t.engine();
      const began = performance.now();
      socket.on('close', (reason) => t.log('client', 'close', reason));
      await t.until('client', 'close');
      t.measure('until it was closed', performance.now() - began, 150);
    },
  },
];

export default { name: 'socket.io refusals', backend: 'socket.io', cases };
