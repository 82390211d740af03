// The stock SockJS client on a page of another origin in a real browser, on every transport that it has there; the oracle is
// the same application on sockjs-node.

import { ORIGINS } from '../lib/browser.mjs';
import { application } from '../lib/sockjs.mjs';

/** The URL from which the iframe on the server's origin loads the client. */
const LIBRARY = `${ORIGINS.known}/sockjs.js`;
const TEXTS = ['a', '', 'ünïcode 🐸 \u2028 \u0000', '100 %', 'x'.repeat(20_000)];
/** Ends the script that contains it, unless it is escaped. */
const SCRIPT = '</script><script>p("c[4002,\\"injected\\"]");</script>';

/** Runs in the page: connects one client, and follows it to its end. */
async function life({ url, transport, texts }) {
  const { log } = globalThis;
  // A busy machine needs longer than the client infers from its first request.
  const socket = new globalThis.SockJS(`${url}/sockjs`, null, { transports: [transport], timeout: 10_000 });
  const ended = new Promise((resolve) => {
    socket.onclose = ({ code, reason, wasClean }) => resolve([code, reason, wasClean]);
  });
  let come = 0;
  socket.onopen = async () => {
    await log('transport', socket.transport);
    for (const text of texts) socket.send(text);
  };
  socket.onmessage = async ({ data }) => {
    come += 1;
    const isLast = come === texts.length;
    await log('message', data);
    if (isLast) socket.send('close, please');
  };
  await log('close', ...(await ended));
}

const server = (handle, t) =>
  application(handle, t, (client) =>
    client.onMessage((text) => {
      t.log('server', 'message', text);
      if (text === 'close, please') client.close(4001, 'enough');
      else client.send(text);
    }),
  );

const transports = [
  'websocket',
  'xhr-streaming',
  'eventsource',
  'xhr-polling',
  'iframe-eventsource',
  'iframe-htmlfile',
  'iframe-xhr-polling',
  'jsonp-polling',
];

const cases = [
  {
    name: 'a page of another origin echoes and hears the end',
    transports,
    quick: ['xhr-streaming', 'iframe-htmlfile', 'jsonp-polling'],
    async client(t) {
      const page = await t.page(ORIGINS.known, { script: '/sockjs.js' });
      await page.run(life, { url: t.url, transport: t.transport, texts: TEXTS });
      const seen = t.transcript.of('page', 'message').map(([, text]) => text);
      t.assert.equal(seen.length, TEXTS.length);
      t.assert.deepEqual(t.transcript.of('page', 'close'), [['close', 4001, 'enough', true]]);
      // Which of them a browser reports depends on the framing of responses that no script reads.
      if (t.transport.startsWith('xhr')) t.log('page', 'answers', page.answers());
    },
  },
  {
    // sockjs-node's own htmlfile does not escape it.
    name: "the end of a script is a message's text",
    transports: ['iframe-htmlfile', 'jsonp-polling', 'xhr-streaming'],
    quick: ['iframe-htmlfile'],
    proxiedOnly: true,
    async client(t) {
      const page = await t.page(ORIGINS.known, { script: '/sockjs.js' });
      await page.run(life, { url: t.url, transport: t.transport, texts: [SCRIPT] });
      t.assert.deepEqual(t.transcript.of('page', 'message'), [['message', SCRIPT]]);
      t.assert.deepEqual(t.transcript.of('page', 'close'), [['close', 4001, 'enough', true]]);
    },
  },
];

export default {
  name: 'browser SockJS',
  oracle: 'sockjs',
  backend: 'ws',
  config: { path: '/sockjs/' },
  ways: ['proxy', 'http2'],
  cases: cases.map((test) => ({
    server,
    timeout: 60_000,
    options: { sockjs_url: LIBRARY },
    config: { route: { dialect: 'sockjs', client_url: LIBRARY } },
    ...test,
  })),
};
