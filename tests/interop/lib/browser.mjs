// A headless Chromium, and the server of the pages that it opens: they come from other origins than what they talk to.

import http from 'node:http';
import { readFile } from 'node:fs/promises';
import { chromium } from 'playwright-core';
import { freePort } from './ports.mjs';

/** The clients that a page may have, by their scripts' names. */
const LIBRARIES = {
  '/socket.io.js': 'socket.io-client/dist/socket.io.min.js',
  '/socket.io-2.js': 'socket.io-client-2/dist/socket.io.js',
  '/sockjs.js': 'sockjs-client/dist/sockjs.min.js',
};
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
// Without an icon of the page's own the browser would request one now and then.
const pageWith = (script) => `<!doctype html><link rel="icon" href="data:,"><script src="${script}"></script>`;

const port = await freePort();

/** Two names of one machine, and so two origins; servers under test are the first's neighbours on other ports. */
export const ORIGINS = { known: `http://127.0.0.1:${port}`, unknown: `http://localhost:${port}` };

let running;

async function begin() {
  const server = http.createServer(async ({ url }, response) => {
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
  return chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, args: FLAGS });
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
  const context = await browser.newContext();
  t.defer(() => context.close());
  const page = await context.newPage();
  const answers = new Set();
  page.on('console', (message) => t.log('console', message.type(), steady(message.text(), t)));
  page.on('pageerror', (error) => t.log('console', 'error', String(error.stack)));
  page.on('response', (response) => {
    if (!response.url().startsWith(t.url)) return;
    const headers = response.headers();
    const named = ['origin', 'credentials'].map((name) => headers[`access-control-allow-${name}`] ?? '-');
    answers.add(`${response.request().method()} ${response.status()} ${named.join(' ')} ${headers.vary ?? '-'}`);
  });
  await page.exposeFunction('log', (...event) => t.log('page', ...event));
  await page.goto(`${origin}/?${new URLSearchParams({ policy, script })}`);
  return { page, run: (script, argument) => page.evaluate(script, argument), answers: () => [...answers].sort() };
}

/** A message of the browser without what differs from run to run. */
function steady(text, t) {
  return text.replaceAll(t.url.slice(7), 'HOST').replace(/([?&](t|sid)=)[^&'" ]*/g, '$1*');
}
