// The operator's page on the admin listener in a real browser: what it shows of sessions, and what an operator does there.

import { io } from 'socket.io-client';
import { isAccessible } from '../lib/axe.mjs';
import { configured, started, suite } from '../lib/own.mjs';
import { freePort } from '../lib/ports.mjs';

/** The page, once it shows its first snapshot, in a window of this width. */
async function open(t, proxy, width = 1280) {
  const { page } = await t.page(`http://127.0.0.1:${await proxy.admin()}`);
  await page.setViewportSize({ width, height: 800 });
  await page.locator('#state', { hasText: /^ready$/ }).waitFor();
  return page;
}

/** A client on one transport, once it is connected. */
async function connect(t, proxy, transport) {
  const socket = io(`http://127.0.0.1:${proxy.port}`, { transports: [transport], forceNew: true, reconnection: false });
  t.defer(() => socket.close());
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject));
  return socket;
}

const cases = [
  {
    name: 'sessions are shown as they begin, found, closed, and told of',
    async client(t) {
      const proxy = await started(t, {});
      const page = await open(t, proxy);
      const polling = await connect(t, proxy, 'polling');
      await connect(t, proxy, 'websocket');
      const rows = page.locator('#sessions tbody tr');
      await t.eventually(async () => (await rows.count()) === 2, 'two sessions in the table');
      await page.locator('#figures', { hasText: '2 of 10,000' }).waitFor();
      await page.locator('#figures', { hasText: '1 poll, 1 WebSocket' }).waitFor();
      await page.locator('#routes', { hasText: '/socket.io/' }).waitFor();
      const tail = page.getByRole('log', { name: 'Live tail' });
      await tail.getByText('WebSocket', { exact: true }).waitFor();

      await page.getByLabel('Filter sessions').fill('poll');
      await t.eventually(async () => (await rows.count()) === 1, 'one session that polls');
      const ended = new Promise((resolve) => polling.once('disconnect', resolve));
      await rows.first().hover();
      await page.getByRole('button', { name: /^Close session/ }).click();
      t.log('page', 'the client was told', await ended);
      await page.getByRole('status').filter({ hasText: /^Session [0-9a-f]{12} was closed\.$/ }).waitFor();
      await page.mouse.move(0, 0);
      await tail.getByText('by an operator').waitFor();
      await page.locator('#ended', { hasText: 'by an operator' }).waitFor();
    },
  },
  {
    name: 'the configuration is reloaded, and a drain asks first',
    async client(t) {
      const proxy = await started(t, { POLLIWOG_SERVER__DRAIN_DELAY: '3s' });
      const page = await open(t, proxy);
      await connect(t, proxy, 'websocket');
      await page.getByRole('button', { name: 'Reload configuration' }).click();
      await page.getByRole('status').filter({ hasText: 'The configuration was reloaded.' }).waitFor();
      await page.getByRole('button', { name: 'Drain…' }).click();
      await page.getByRole('button', { name: 'Keep running' }).click();
      t.assert.equal((await proxy.readyz()).status, 200);
      await page.getByRole('button', { name: 'Drain…' }).click();
      await page.getByRole('button', { name: 'Drain', exact: true }).click();
      await page.locator('#state', { hasText: /^draining$/ }).waitFor();
      await page.getByRole('region', { name: 'Drain' }).getByText('1 left').waitFor();
      t.assert.equal((await proxy.readyz()).status, 503);
      t.assert.equal(await proxy.ended, 0);
      await page.locator('#state', { hasText: 'unreachable, retrying in 2 s' }).waitFor();
    },
  },
  {
    name: 'an operator who comes late sees what is down, for how long, and why',
    async client(t) {
      const dead = await freePort();
      const proxy = await configured(t, (port) => `[server]
listen = "127.0.0.1:${port}"
[admin]
listen = "127.0.0.1:0"
[[routes]]
path = "/socket.io/"
dialect = "engine.io"
upstream = "chat"
[upstreams.chat]
kind = "engine.io"
url = "ws://127.0.0.1:${dead}/socket.io/"
`);
      const answer = await fetch(`http://127.0.0.1:${proxy.port}/socket.io/?EIO=4&transport=polling`);
      t.assert.equal(answer.status, 502);
      const page = await open(t, proxy);
      await page.locator('#upstreams', { hasText: /down \d+(\.\d)? s, cannot be reached/ }).waitFor();
    },
  },
  {
    name: 'nothing is wider than its window, and axe finds nothing wrong, in either light',
    async client(t) {
      const proxy = await started(t, {});
      await connect(t, proxy, 'polling');
      const page = await open(t, proxy);
      await t.eventually(async () => (await page.locator('#sessions tbody tr').count()) === 1, 'a session in the table');
      for (const width of [1280, 390]) {
        await page.setViewportSize({ width, height: 800 });
        t.assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width);
        await isAccessible(t, page, `${width} px`);
      }
    },
  },
];

export default suite('dashboard', cases, { browsers: ['chromium'], ways: ['proxy'] });
