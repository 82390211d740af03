// An application that people run on SockJS: webpack-dev-server, whose pages learn of changes through sockjs-client. Behind the
// proxy it speaks plain WebSocket, and everything else of it is forwarded; the oracle is its own SockJS server.

import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { middlebox } from '../lib/middlebox.mjs';
import { fork, here } from '../lib/processes.mjs';

/** What the network of an office blocks, so that the client falls back to the transport of the case. */
const BLOCKED = {
  websocket: undefined,
  'xhr-streaming': /^upgrade: websocket/im,
  'xhr-polling': /^upgrade: websocket|^\w+ \S*\/(?:xhr_streaming|eventsource|htmlfile|iframe\S*)[? ]/im,
};
/** The transport's requests, by the last word of their paths. */
const REQUEST = { websocket: 'websocket', 'xhr-streaming': 'xhr_streaming', 'xhr-polling': 'xhr' };

const page = (title) => `<!doctype html><link rel="icon" href="data:,"><title>${title}</title><main></main>
<script src="/main.js"></script>`;
const ENTRY = `
import text from './text.js';
const show = () => (document.querySelector('main').textContent = text);
show();
module.hot.accept('./text.js', show);
`;
const text = (value) => `export default '${value}';\n`;

/** A development server with a page of its own in a browser behind a network that blocks WebSocket, or doesn't. */
async function develop(t) {
  const folder = await mkdtemp(path.join(tmpdir(), 'polliwog-interop-'));
  t.defer(() => rm(folder, { recursive: true, force: true }));
  await mkdir(path.join(folder, 'public'));
  // At once: a page that is loaded again while its file is empty learns of no other change.
  const write = async (name, content) => {
    const file = path.join(folder, name);
    await writeFile(`${folder}.new`, content);
    await rename(`${folder}.new`, file);
  };
  await write('index.js', ENTRY);
  await write('text.js', text('first'));
  await write('public/index.html', page('old'));
  const speaks = t.proxied ? 'ws' : 'sockjs';
  const server = await fork(here('../webpack/server.mjs'), [String(t.backendPort), speaks, folder]);
  t.defer(() => server.kill('SIGKILL'));
  const browser = (await t.page(await middlebox(t, BLOCKED[t.transport]))).page;
  // A busy machine compiles for longer than Playwright waits for by itself.
  browser.setDefaultTimeout(60_000);
  // Only a client that is connected learns that a page changed.
  await t.until('network', REQUEST[t.transport]);
  const shown = (what) => browser.locator('main', { hasText: new RegExp(`^${what}$`) }).waitFor();
  await shown('first');
  // It stays for as long as the page is not loaded again.
  await browser.evaluate(() => (globalThis.stayed = true));
  return { browser, write, shown, stayed: () => browser.evaluate(() => globalThis.stayed === true) };
}

const cases = [
  {
    name: 'a source that changes reaches the page in the browser, which is not loaded again',
    async client(t) {
      const { write, shown, stayed } = await develop(t);
      for (const value of ['second', 'third']) {
        await write('text.js', text(value));
        await shown(value);
        t.log('page', 'shown', value, await stayed());
      }
      t.assert.deepEqual(t.transcript.toJSON().page, [
        ['shown', 'second', true],
        ['shown', 'third', true],
      ]);
      const used = Object.values(REQUEST).filter((word) => t.transcript.of('network', word).length > 0);
      t.assert.deepEqual(used, [REQUEST[t.transport]]);
    },
  },
  {
    name: 'a mistake in a source is shown in the browser until it is mended',
    transports: ['xhr-streaming'],
    async client(t) {
      const { browser, write, shown, stayed } = await develop(t);
      const overlay = browser.locator('#webpack-dev-server-client-overlay');
      await write('text.js', 'export default (;\n');
      await overlay.waitFor();
      await write('text.js', text('mended'));
      await overlay.waitFor({ state: 'detached' });
      await shown('mended');
      t.log('page', 'mended', await stayed());
    },
  },
  {
    name: 'a page that changes is loaded again in the browser',
    transports: ['xhr-polling'],
    async client(t) {
      const { browser, write, stayed } = await develop(t);
      await write('public/index.html', page('new'));
      await browser.waitForFunction(() => document.title === 'new');
      t.log('page', 'loaded again', !(await stayed()));
      t.assert.deepEqual(t.transcript.of('page', 'loaded again'), [['loaded again', true]]);
    },
  },
];

export default {
  name: 'webpack-dev-server',
  ways: ['proxy'],
  backend: 'none',
  config: {
    kind: 'websocket',
    path: '/ws/',
    backendPath: '/ws',
    route: { dialect: 'sockjs' },
    forwarded: ['/'],
  },
  cases: cases.map((test) => ({
    transports: Object.keys(BLOCKED),
    timeout: 90_000,
    // The browser reports there what the network refused, and how often a client polls depends on time.
    ignore: ['console', 'network'],
    ...test,
  })),
};
