// Runs the cases one after the other and closes with the count. `--only WORD` chooses some.

import { parseArgs } from 'node:util';
import { CASES } from './cases.mjs';
import { Site } from './site.mjs';
import { leave } from '../leave.mjs';

const { values: args } = parseArgs({ options: { only: { type: 'string', default: '' } } });
let failed = 0;
let passed = 0;
for (const [name, { options, act }] of Object.entries(CASES)) {
  if (!name.includes(args.only)) continue;
  const since = Date.now();
  const site = await Site.start(process.env.POLLIWOG_BIN, options);
  let [fault, said] = [];
  try {
    said = await act(site);
    for (const node of site.nodes) {
      if (node.log.includes('panicked at')) throw new Error(`node ${node.name} panicked`);
    }
  } catch (error) {
    fault = error;
  }
  await site.stop();
  const took = `${((Date.now() - since) / 1000).toFixed(1)} s`;
  if (fault) {
    failed += 1;
    console.log(`FAILED ${name} (${took})\n         ${fault.stack}`);
    for (const { name, log } of site.nodes) console.log(`--- node ${name}\n${log.split('\n').slice(-15).join('\n')}`);
  } else {
    passed += 1;
    console.log(`ok     ${name} (${took})${typeof said === 'string' ? `\n         ${said}` : ''}`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
await leave(failed > 0 ? 1 : 0);
