// A headless browser, and the server of the pages that it opens: they come from other origins than what they talk to.

import http from 'node:http';
import https from 'node:https';
import { readFile } from 'node:fs/promises';
import { chromium } from 'playwright-core';
import firefox from 'playwright-core-firefox';
import { SCHEME, args, isSecure } from './choice.mjs';
import { freePort } from './ports.mjs';
import { credentials } from './secure.mjs';

/** The clients that a page may have, by their scripts' names. */
const LIBRARIES = {
  '/socket.io.js': 'socket.io-client/dist/socket.io.min.js',
  '/socket.io-2.js': 'socket.io-client-2/dist/socket.io.js',
  '/sockjs.js': 'sockjs-client/dist/sockjs.min.js',
};
const CHROMIUM_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** By the words of `--browser`: each starts it. Debian's Firefox is driven by WebDriver BiDi, an extension of it. */
export const BROWSERS = {
  chromium: () => chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, args: CHROMIUM_FLAGS }),
  firefox: () => firefox._bidiFirefox.launch({ executablePath: '/usr/bin/firefox-esr', headless: true }),
};

// Without an icon of the page's own the browser would request one now and then.
const pageWith = (script) => `<!doctype html><link rel="icon" href="data:,"><script src="${script}"></script>`;

const port = await freePort();

/** Two names of one machine, and so two origins; servers under test are the first's neighbours on other ports. */
export const ORIGINS = { known: `${SCHEME}://127.0.0.1:${port}`, unknown: `${SCHEME}://localhost:${port}` };

let running;

async function begin() {
  const server = isSecure ? https.createServer(await credentials()) : http.createServer();
  server.on('request', async ({ url }, response) => {
    const { pathname, searchParams } = new URL(url, ORIGINS.known);
    const policy = searchParams.get('policy');
    if (policy) response.setHeader('content-security-policy', policy);
    const library = LIBRARIES[pathname];
    if (library) {
      const script = await readFile(new URL(`../node_modules/${library}`, import.meta.url));
      return response.setHeader('content-type', 'text/javascript').end(script);
    }
    if (pathname !== '/') return response.writeHead(404).end();
    response.setHeader('content-type', 'text/html').end(pageWith(searchParams.get('script')));
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return { server, browser: await launchBrowser() };
}

/** A browser of the caller's own, who closes it. */
export function launchBrowser() {
  return BROWSERS[args.browser]();
}

/** Ends the browser, if there is one. */
export async function closeBrowser() {
  const { server, browser } = (await running) ?? {};
  await browser?.close();
  server?.close();
}

/**
 * Opens a page with cookies of its own. The track "page" holds what its script says with `log`, "console" what the
 * browser says, and `answers()` returns each kind of response from the side under test, with its CORS headers.
 */
export async function openPage(t, origin, { policy = '', script = '/socket.io.js' } = {}) {
  const { browser } = await (running ??= begin());
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  t.defer(() => context.close());
  await context.exposeFunction('note', (...event) => t.log('page', ...event));
  await context.addInitScript(inOrder);
  const page = await context.newPage();
  if (isSecure) await meet(page, origin, t.url);
  const answers = new Set();
  page.on('console', (message) => t.log('console', message.type(), steady(message.text(), t)));
  page.on('pageerror', (error) => t.log('console', 'error', String(error.stack)));
  page.on('response', (response) => {
    // Handshakes of WebSocket are reported by some browsers only.
    if (!response.url().startsWith(t.url) || /[=/]websocket\b/.test(response.url())) return;
    const headers = response.headers();
    const named = ['origin', 'credentials'].map((name) => headers[`access-control-allow-${name}`] ?? '-');
    answers.add(`${response.request().method()} ${response.status()} ${named.join(' ')} ${headers.vary ?? '-'}`);
  });
  await page.goto(`${origin}/?${new URLSearchParams({ policy, script })}`);
  return { page, run: (script, argument) => page.evaluate(script, argument), answers: () => [...answers].sort() };
}

/** Runs in the page: `log` notes one event after the other. */
function inOrder() {
  let last;
  globalThis.log = (...event) => (last = Promise.resolve(last).then(() => globalThis.note(...event)));
}

/**
 * Has the browser connect to `url`, whatever it answers. A browser opens a WebSocket over HTTP/2 on a connection that it has
 * already; for one that it opens first it offers HTTP/1.1 only.
 */
async function meet(page, origin, url) {
  await page.goto(`${origin}/?${new URLSearchParams({ script: '/socket.io.js' })}`);
  await page.evaluate((url) => fetch(url, { mode: 'no-cors', credentials: 'include' }), `${url}/`);
}

/** A message of the browser without what differs from run to run. */
function steady(text, t) {
  return text.replaceAll(new URL(t.url).host, 'HOST').replace(/([?&](t|sid)=)[^&'" ]*/g, '$1*');
}
