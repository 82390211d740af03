// The page that `polliwog load --html` writes, in a real browser.

import path from 'node:path';
import { execFile } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { isAccessible } from '../lib/axe.mjs';
import { started, suite } from '../lib/own.mjs';
import { newDirectory } from '../lib/processes.mjs';

const cases = [
  {
    name: 'nothing is wider than its window, and axe finds nothing wrong, with an earlier run beside it, too',
    async client(t) {
      const proxy = await started(t, {});
      const folder = await newDirectory();
      const [before, file] = ['before.json', 'report.html'].map((name) => path.join(folder, name));
      const load = (...more) =>
        promisify(execFile)(path.resolve(process.env.POLLIWOG_BIN), ['load', `http://127.0.0.1:${proxy.port}`, '-n', '10', '-d', '2s', ...more]);
      await load('--json', before);
      const { page } = await t.page(`http://127.0.0.1:${proxy.port}`);
      for (const more of [[], ['--compare', before]]) {
        await load('--html', file, ...more);
        await page.goto(pathToFileURL(file).href);
        for (const width of [1280, 390]) {
          await page.setViewportSize({ width, height: 800 });
          t.assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width);
          await isAccessible(t, page, `${width} px, ${more}`);
        }
      }
    },
  },
];

export default suite('report', cases, { browsers: ['chromium'], ways: ['proxy'] });
