// Holds the reference backends to docs/mux.md: a small P that knows what must come back, and what must not.
// --only REGEX picks by "backend: case"; SEED=… repeats the random part of a run.

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { BACKENDS, start, stop } from './lib/backend.mjs';
import { Context } from './lib/context.mjs';
import { Random } from './lib/random.mjs';

const { values: args } = parseArgs({ options: { only: { type: 'string', default: '' } } });
const wanted = new RegExp(args.only, 'i');
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));
const TIMEOUT_MS = 8000;

const load = async (names) => {
  const files = await Promise.all(names.map((name) => import(`./cases/${name}.mjs`)));
  return files.flatMap((file) => file.default);
};
const CASES = {
  short: await load(['frames', 'sessions', 'short']),
  long: await load(['frames', 'sessions', 'credit', 'resume']),
};

let passed = 0;
let failed = 0;

/** Runs one case; a line tells how it went. */
async function run(test, t) {
  const began = performance.now();
  const late = sleep(test.timeout ?? TIMEOUT_MS, undefined, { ref: false }).then(() => {
    throw new Error('it does not end');
  });
  let fault;
  try {
    await Promise.race([(async () => test.run(t))(), late]);
  } catch (error) {
    fault = error;
  }
  await Promise.race([t.end(), late]).catch((error) => (fault ??= error));
  if (!fault && t.backend.child.exitCode === null) passed += 1;
  else failed += 1;
  const took = Math.round(performance.now() - began);
  console.log(`${fault ? 'FAILED' : 'ok    '} ${t.file}: ${test.name} (${took} ms)`);
  if (fault) console.log(`${fault.stack}\n${t.backend.errors}`.replace(/^/gm, '         '));
}

async function runAll({ file, form }) {
  const tests = CASES[form].filter(({ name }) => wanted.test(`${file}: ${name}`));
  if (!tests.length) return;
  const backend = await start(file);
  for (const test of tests) await run(test, new Context({ backend, file, form, random: new Random(seed) }));
  const code = await stop(backend, 'SIGTERM');
  if (code === 0 && !backend.errors && backend.lines.length === 1) return;
  failed += 1;
  console.log(`FAILED ${file}: ended with ${code}, ${backend.lines.length} lines of output\n${backend.errors}`);
}

console.log(`SEED=${seed}`);
const began = performance.now();
await Promise.all(BACKENDS.map(runAll));
console.log(`${((performance.now() - began) / 1000).toFixed(1)} s`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
