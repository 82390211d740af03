// Holds the reference backends to docs/mux.md, with a small P that checks what comes back; then
// the binary, between them and clients. --only REGEX picks by "backend: case"; SEED=… repeats the random part of a run.

import { access, constants } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import assert from 'node:assert/strict';
import { BACKENDS, start, stop } from './lib/backend.mjs';
import { Context } from './lib/context.mjs';
import { Random } from './lib/random.mjs';
import { Report } from './lib/report.mjs';
import { Scene } from './lib/scene.mjs';
import { leave } from '../leave.mjs';

const { values: args } = parseArgs({ options: { only: { type: 'string', default: '' } } });
const wanted = new RegExp(args.only, 'i');
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));
const report = new Report();

const load = async (folder, names) => {
  const files = await Promise.all(names.map((name) => import(`./${folder}/${name}.mjs`)));
  return files.flatMap((file) => file.default);
};
const CASES = {
  short: await load('cases', ['frames', 'sessions', 'short']),
  long: await load('cases', ['frames', 'sessions', 'credit', 'resume']),
};
const THROUGH = await load('through', ['plain', 'open', 'hostile', 'ends', 'drain', 'cuts', 'crowd', 'stalled']);

/** One backend's own cases. */
async function runAll({ file, form }) {
  const tests = CASES[form].filter(({ name }) => wanted.test(`${file}: ${name}`));
  if (!tests.length) return;
  const backend = await start(file);
  for (const test of tests) {
    const t = new Context({ backend, file, form, random: new Random(seed) });
    const end = async () => {
      await t.end();
      assert.equal(backend.child.exitCode, null, 'the backend has ended');
    };
    await report.run(`${file}: ${test.name}`, { ...test, work: () => test.run(t), end, errors: () => backend.errors });
  }
  const code = await stop(backend, 'SIGTERM');
  if (code === 0 && !backend.errors && backend.lines.length === 1) return;
  report.fail(file, `ended with ${code}, ${backend.lines.length} lines of output\n${backend.errors}`);
}

/** The cases through the binary, one after another: some of them measure. */
async function runThrough() {
  for (const { backends = ['a stand-in'], ...test } of THROUGH) {
    for (const file of backends.filter((name) => wanted.test(`${name}: ${test.name}`))) {
      const scene = new Scene({ file, random: new Random(seed) });
      const [work, end] = [() => test.run(scene), () => scene.end()];
      await report.run(`${file}: ${test.name}`, { ...test, work, end, errors: () => scene.log() });
    }
  }
}

const binary = process.env.POLLIWOG_BIN;
const executable = binary && (await access(binary, constants.X_OK).then(() => true, () => false));
if (!executable) {
  console.error(`POLLIWOG_BIN must name the built binary${binary ? `, and ${binary} is none` : ''}`);
  await leave(2);
}
console.log(`SEED=${seed}`);
const began = performance.now();
await Promise.all(BACKENDS.map(runAll));
await runThrough();
console.log(`${((performance.now() - began) / 1000).toFixed(1)} s`);
console.log(`${report.passed} passed, ${report.failed} failed`);
await leave(report.failed > 0 || report.passed === 0 ? 1 : 0);
