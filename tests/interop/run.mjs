// Collects the cases, picks by the arguments, runs them and closes with the count.

import path from 'node:path';
import { Runner } from './lib/runner.mjs';
import { BROWSERS, closeBrowser } from './lib/browser.mjs';
import { args } from './lib/choice.mjs';
import { COMMON } from './lib/context.mjs';
import { Matrix } from './lib/versions.mjs';
import { WAYS } from './lib/ways.mjs';
import { leave } from '../leave.mjs';

if (!WAYS[args.through]) {
  console.error(`--through ${args.through}: there are ${Object.keys(WAYS).join(', ')}`);
  await leave(2);
}

if (!BROWSERS[args.browser]) {
  console.error(`--browser ${args.browser}: there are ${Object.keys(BROWSERS).join(' and ')}`);
  await leave(2);
}

const FILES = [
  'socketio',
  'socketio-content',
  'socketio-ends',
  'socketio-refusals',
  'socketio-files',
  'socketio-clients',
  'engineio',
  'engineio-wire',
  'engineio3',
  'engineio3-wire',
  'websocket',
  'sockjs',
  'longpoll',
  'clients',
  'unreachable',
  'peers',
  'browser',
  'browser-old',
  'browser-sockjs',
  'dev-server',
  'demo',
  'dashboard',
  'report',
  'http2',
  'http2-browsers',
  'demux',
  'versions',
  'versions-wire',
];
const suites = (await Promise.all(FILES.map(async (file) => (await import(`./cases/${file}.mjs`)).default))).flat();
// Where one proxy can be, there may be two nodes, and messages that need no relay may be compressed.
const ways = (some = ['proxy', 'demux']) => {
  if (!some.includes('proxy')) return some;
  return [...some, 'foreign', ...(some.includes('demux') ? ['compressed'] : [])];
};
const wanted = args.only && new RegExp(args.only, 'i');
const jobs = [];
for (const suite of suites) {
  for (const test of suite.cases) {
    if (!ways(test.ways ?? suite.ways).includes(args.through)) continue;
    if (!(test.browsers ?? Object.keys(BROWSERS)).includes(args.browser)) continue;
    for (const transport of test.transports ?? COMMON) {
      if (args.through === 'compressed' && transport === 'polling') continue;
      if (args.quick && !(test.quick ?? []).includes(transport)) continue;
      if (wanted && !wanted.test(`${suite.name}: ${test.name} [${transport}]`)) continue;
      jobs.push({ suite, test, transport });
    }
  }
}

if (args.list) {
  for (const { suite, test, transport } of jobs) console.log(`${suite.name}: ${test.name} [${transport}]`);
  await leave(0);
}

const binary = args.direct || !process.env.POLLIWOG_BIN ? undefined : path.resolve(process.env.POLLIWOG_BIN);
const marks = { passed: 'ok    ', failed: 'FAILED', skipped: 'skip  ' };
const matrix = new Matrix(suites.filter(({ cell }) => cell));
const report = (verdict, name, times, faults, job) => {
  if (job) matrix.add(job, verdict);
  console.log(`${marks[verdict]} ${name}${times && ` (${times})`}`);
  for (const fault of faults) console.log(fault.replace(/^/gm, '         '));
};

let stray = 0;
process.on('unhandledRejection', (error) => {
  stray += 1;
  report('failed', 'an error that no case awaited', '', [String(error?.stack ?? error)]);
});

console.log(
  binary
    ? `Each case directly, then through ${args.through}: ${binary}`
    : 'Directly only: POLLIWOG_BIN names no proxy',
);
const began = performance.now();
const { passed, failed, skipped } = await new Runner({ binary, through: args.through, parallel: 3, report }).run(jobs);
console.log(`${((performance.now() - began) / 1000).toFixed(1)} s`);
let untrue = [];
if (binary && matrix.complete) {
  if (args.write) await matrix.write();
  else untrue = await matrix.faults();
  report(untrue.length ? 'failed' : 'passed', 'docs/versions.md says what was seen', '', untrue);
} else if (args.write) {
  report('failed', 'docs/versions.md', '', (untrue = ['--write wants a proxy and every case of every version']));
}
const tail = skipped ? `, ${skipped} skipped` : '';
console.log(`${passed} passed, ${failed + stray + (untrue.length > 0)} failed${tail}`);
await closeBrowser();
await leave(failed + stray + untrue.length > 0 || passed === 0 ? 1 : 0);
