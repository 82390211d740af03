// A page of another origin in a real browser, which sends preflights, keeps cookies, and hides what a page may not read.

import { ORIGINS } from '../lib/browser.mjs';

const CORS = { origin: [ORIGINS.known, 'http://elsewhere.example'], credentials: true };

/** Runs in the page: connects one client, and follows it to its end. */
async function life({ url, options, words }) {
  const socket = globalThis.io(url, { reconnection: false, forceNew: true, ...options });
  const { log } = globalThis;
  const outcome = await new Promise((resolve) => {
    socket.on('connect', () => resolve('connect'));
    socket.on('connect_error', (error) => resolve(`connect_error ${error.message}`));
  });
  await log('outcome', outcome);
  if (outcome !== 'connect') return;
  const { engine } = socket.io;
  const last = options.upgrades ? 'websocket' : engine.transport.name;
  if (engine.transport.name !== last) await new Promise((resolve) => engine.once('upgrade', resolve));
  await log('transport', engine.transport.name);
  for (const word of words) await log('answer', await socket.timeout(5000).emitWithAck('echo', word));
  const bytes = await socket.timeout(5000).emitWithAck('echo', new Uint8Array([0, 0x1e, 0xff]));
  await log('bytes', [...new Uint8Array(bytes)]);
  socket.disconnect();
}

/** Runs one client in `page`, and waits for its outcome on both sides. */
async function live(t, page, options) {
  const before = t.transcript.of('page', 'bytes').length;
  const upgrades = t.transport === 'upgrade';
  const words = ['ünïcode 🐸', 'x'.repeat(20_000)];
  await page.run(life, { url: t.url, words, options: { transports: t.transports, upgrades, ...options } });
  if (t.transcript.of('page', 'bytes').length > before) await t.until('server', 'disconnect', before + 1);
}

const server = (io, t) => {
  io.engine.on('initial_headers', (headers) => (headers['set-cookie'] = 'route=abc; Path=/; HttpOnly'));
  io.on('connection', (socket) => {
    const { cookie, origin, 'x-token': token } = socket.handshake.headers;
    t.log('server', 'connection', cookie ?? '-', origin.replace(/:\d+$/, ''), token ?? '-');
    socket.on('echo', (value, answer) => answer(value));
    socket.on('disconnect', (reason) => t.log('server', 'disconnect', reason));
  });
};

/** Each with the backend's own CORS headers, mirrored, and with the route's, if the backend sends none. */
const ways = [
  { way: "the backend's CORS", options: { cors: CORS }, config: { route: { cors: 'mirror' } } },
  {
    way: "the route's CORS",
    // Without a proxy the backend itself must send the same headers.
    options: (t) => (t.proxied ? {} : { cors: CORS }),
    config: { route: { cors: { origins: CORS.origin, credentials: true } } },
  },
];

const cases = ways.flatMap(({ way, ...how }) =>
  [
    {
      name: `${way} lets a page in, and its cookie comes back`,
      quick: ['polling', 'upgrade'],
      async client(t) {
        const page = await t.page(ORIGINS.known);
        for (let visit = 0; visit < 2; visit++) await live(t, page, { withCredentials: true });
        t.log('page', 'answers', page.answers());
        const cookies = t.transcript.of('server', 'connection').map((event) => event[1]);
        t.assert.deepEqual(cookies, ['-', 'route=abc']);
      },
    },
    {
      name: `${way} without credentials keeps no cookie`,
      transports: ['polling'],
      async client(t) {
        const page = await t.page(ORIGINS.known);
        for (let visit = 0; visit < 2; visit++) await live(t, page, {});
        t.log('page', 'answers', page.answers());
        t.assert.equal(t.transcript.of('page', 'bytes').length, 2);
      },
    },
    {
      name: `${way} answers the preflight of a header`,
      transports: ['polling', 'upgrade'],
      quick: ['polling'],
      async client(t) {
        const page = await t.page(ORIGINS.known);
        await live(t, page, { withCredentials: true, extraHeaders: { 'X-Token': 'secret' } });
        t.log('page', 'answers', page.answers());
        const [, , , token] = t.transcript.of('server', 'connection')[0];
        t.assert.equal(token, 'secret');
      },
    },
    {
      name: `${way} keeps another origin out`,
      quick: ['polling'],
      async client(t) {
        const page = await t.page(ORIGINS.unknown);
        await live(t, page, { withCredentials: true });
        t.log('page', 'answers', page.answers());
        // Browsers send no preflight for a WebSocket.
        const outcome = t.transport === 'websocket' ? 'connect' : 'connect_error xhr poll error';
        t.assert.equal(t.transcript.of('page', 'outcome')[0][1], outcome);
      },
    },
  ].map((test) => ({ ...how, ...test })),
);

cases.push({
  name: 'a page that begins with WebSocket and may not falls back to polling',
  // In Firefox the constructor of the WebSocket throws, after which the client waits without end.
  browsers: ['chromium'],
  transports: ['none'],
  quick: ['none'],
  options: { cors: CORS },
  async client(t) {
    const page = await t.page(ORIGINS.known, { policy: 'connect-src http:' });
    await live(t, page, { transports: ['websocket', 'polling'], tryAllTransports: true, withCredentials: true });
    t.assert.deepEqual(t.transcript.of('page', 'transport'), [['transport', 'polling']]);
  },
});

export default {
  name: 'browser',
  // The backend must answer its preflights, which can't go over a shared WebSocket.
  ways: ['proxy', 'http2'],
  backend: 'socket.io',
  cases: cases.map((test) => ({ server, timeout: 60_000, ...test })),
};
