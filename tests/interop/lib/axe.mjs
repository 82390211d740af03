// What axe-core finds wrong with a page.

import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';

/** Has axe find nothing wrong with a page, in either light. */
export async function isAccessible(t, page, when) {
  if (!(await page.evaluate('"axe" in window'))) {
    await page.evaluate(await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'));
  }
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    t.assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), [], `${when}, ${colorScheme}`);
  }
}
