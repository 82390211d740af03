// Makes docs/live.png, the README's picture of the live page: POLLIWOG_BIN=target/release/polliwog node docs/picture.mjs
// It needs Debian's chromium, and what tests/interop/install installs.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../tests/interop/lib/ports.mjs';

const { chromium } = createRequire(new URL('../tests/interop/package.json', import.meta.url))('playwright-core');

const port = await freePort();
const env = {
  ...process.env,
  POLLIWOG_SERVER__LISTEN: `127.0.0.1:${port}`,
  POLLIWOG_ADMIN__LISTEN: `127.0.0.1:${await freePort()}`,
};
const proxy = spawn(process.env.POLLIWOG_BIN ?? 'target/release/polliwog', ['run'], { env, stdio: ['ignore', 'ignore', 'pipe'] });
await once(proxy.stderr, 'data');
proxy.stderr.resume();
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, deviceScaleFactor: 1.5 });
  await page.goto(`http://127.0.0.1:${port}/`);
  // The page's figures are those of the last ten seconds.
  await sleep(14_000);
  await page.screenshot({ path: new URL('live.png', import.meta.url).pathname });
} finally {
  await browser.close();
  proxy.kill('SIGTERM');
  await once(proxy, 'exit');
}
