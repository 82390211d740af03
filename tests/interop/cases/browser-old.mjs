// A page of another origin whose client is of Socket.IO 2: it always sends credentials, and can avoid CORS by JSONP.

import { ORIGINS } from '../lib/browser.mjs';
import { COMMON } from '../lib/context.mjs';

const CORS = { origin: [ORIGINS.known], credentials: true };
const ROUTE = { cors: { origins: CORS.origin, credentials: true } };

/** Runs in the page: connects one client, and follows it to its end. */
async function life({ url, options, last, words }) {
  const socket = globalThis.io(url, { reconnection: false, forceNew: true, ...options });
  const { log } = globalThis;
  const ask = (...event) => new Promise((resolve) => socket.emit(...event, resolve));
  const outcome = await new Promise((resolve) => {
    socket.on('connect', () => resolve('connect'));
    socket.on('connect_error', (error) => resolve(`connect_error ${error.message}`));
  });
  await log('outcome', outcome);
  if (outcome !== 'connect') return;
  const { engine } = socket.io;
  if (engine.transport.name !== last) await new Promise((resolve) => engine.once('upgrade', resolve));
  await log('transport', engine.transport.name);
  for (const word of words) await log('answer', await ask('echo', word));
  const bytes = await ask('echo', new Uint8Array([0, 0x1e, 0xff]).buffer);
  await log('bytes', [...new Uint8Array(bytes)]);
  await log('id', await ask('my id', socket.id));
  socket.disconnect();
}

async function live(t, page) {
  const before = t.transcript.of('page', 'id').length;
  const options = { transports: t.transports, forceJSONP: t.transport === 'jsonp' };
  const words = ['ünïcode 🐸', 'line\u2028and\u2029, "\\" \n \r\n', 'x'.repeat(20_000)];
  await page.run(life, { url: t.url, words, options, last: t.transports.at(-1) });
  if (t.transcript.of('page', 'id').length > before) await t.until('server', 'disconnect', before + 1);
}

const server = (io, t) => {
  // Version 2 has no such event, and is the oracle of a translation.
  if (!t.suite.oracle) io.engine.on('initial_headers', (headers) => (headers['set-cookie'] = 'route=abc; Path=/'));
  io.on('connection', (socket) => {
    t.log('server', 'connection', socket.handshake.headers.cookie?.replace(/\bio=[\w-]+/, 'io=SID') ?? '-');
    socket.on('echo', (value, answer) => answer(value));
    socket.on('my id', (id, answer) => answer(id === socket.id));
    socket.on('disconnect', (reason) => t.log('server', 'disconnect', reason));
  });
};

const letIn = {
  name: 'lets a page in',
  transports: [...COMMON, 'jsonp'],
  quick: ['polling', 'jsonp'],
  async client(t) {
    const page = await t.page(ORIGINS.known, { script: '/socket.io-2.js' });
    for (let visit = 0; visit < 2; visit++) await live(t, page);
    // No browser asks for permission to load a script or post a form.
    if (t.suite.answers && t.transport !== 'jsonp') t.log('page', 'answers', page.answers());
    t.assert.deepEqual(t.transcript.of('page', 'bytes'), Array(2).fill(['bytes', [0, 0x1e, 0xff]]));
  },
};

const keepOut = {
  name: 'keeps another origin out',
  transports: ['polling'],
  // Version 2 refuses such a request, version 4 leaves it to the browser.
  ignore: ['server'],
  async client(t) {
    const page = await t.page(ORIGINS.unknown, { script: '/socket.io-2.js' });
    await live(t, page);
    if (t.suite.answers) t.log('page', 'answers', page.answers());
    t.assert.deepEqual(t.transcript.of('page', 'outcome'), [['outcome', 'connect_error xhr poll error']]);
  },
};

const suite = (name, backend, { upstream, route }, options, more) => ({
  name: `browser of version 2, ${name}`,
  backend,
  ways: ['proxy', 'http2'],
  ...more,
  cases: [letIn, keepOut].map((test) => ({ server, timeout: 60_000, options, config: { upstream, route }, ...test })),
});

const BOTH = { versions: [3, 4] };
const V2 = { versions: [3], protocol: 'socket.io' };
const V4 = { versions: [4], protocol: 'socket.io' };

export default [
  suite(
    "the backend's CORS",
    'socket.io',
    { upstream: BOTH, route: { cors: 'mirror' } },
    { allowEIO3: true, cors: CORS },
    { answers: true },
  ),
  suite(
    "the route's CORS",
    'socket.io',
    { upstream: BOTH, route: ROUTE },
    (t) => ({ allowEIO3: true, ...(!t.proxied && { cors: CORS }) }),
    { answers: true },
  ),
  suite('socket.io 2', 'socket.io 2', { upstream: V2, route: { cookie: 'off' } }, { origins: CORS.origin, cookie: false }),
  suite(
    'translated',
    'socket.io',
    { upstream: V4, route: ROUTE },
    { origins: CORS.origin, cookie: false },
    { oracle: 'socket.io 2' },
  ),
];
