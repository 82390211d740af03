// Runs the cases, a few at a time since most of each is silence, and closes with the count. `--only WORD` chooses some.

import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { start } from '../interop/lib/processes.mjs';
import { CASES } from './cases.mjs';
import { checkRemedies } from './remedies.mjs';
import { Site } from './site.mjs';
import { leave } from '../leave.mjs';

const AT_ONCE = 4;
/** A busy machine may take long for an answer. */
const PATIENCE = '10s';

const { values: args } = parseArgs({ options: { only: { type: 'string', default: '' } } });
const waiting = Object.entries(CASES).filter(([name]) => name.includes(args.only));
let [passed, failed] = [0, 0];
const remedies = new Map();
await Promise.all(Array.from({ length: AT_ONCE }, work));
for (const [trouble, fault] of checkRemedies(remedies)) {
  console.log(`FAILED the remedy of ${trouble}\n         ${fault}`);
  failed += 1;
}
console.log(`${remedies.size} remedies are taken by nginx and HAProxy`);
console.log(`${passed} passed, ${failed} failed`);
await leave(failed > 0 ? 1 : 0);

async function work() {
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const [name, one] = next;
    const since = Date.now();
    const site = new Site(process.env.POLLIWOG_BIN);
    let fault;
    try {
      judge(one, await examine(await one.url(site), one, site));
      await one.after?.(site);
    } catch (error) {
      fault = error;
    }
    await site.stop();
    const took = `${((Date.now() - since) / 1000).toFixed(1)} s`;
    console.log(fault ? `FAILED ${name} (${took})\n         ${fault.stack}` : `ok     ${name} (${took})`);
    if (fault) failed += 1;
    else passed += 1;
  }
}

/** Runs the doctor, and returns its exit code and what it prints. */
async function examine(url, { timeout = PATIENCE, args = [] }, site) {
  if (typeof args === 'function') args = args(site);
  const options = { stdio: ['ignore', 'pipe', 'pipe'] };
  const child = start(process.env.POLLIWOG_BIN, ['doctor', url, '--json', '--timeout', timeout, ...args], options);
  let [out, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (errors += text));
  const [code] = await once(child, 'close');
  return { code, out, errors };
}

/** Holds what was found to the troubles of a case, each by its check, and to what the checks say. */
function judge({ troubles = {}, says = {}, errors = /^/, code = Object.keys(troubles).length > 0 ? 1 : 0 }, found) {
  const told = `${found.out}${found.errors}`;
  if (found.code !== code) throw new Error(`exit code ${found.code}, not ${code}: ${told}`);
  if (!errors.test(found.errors)) throw new Error(`not ${errors}: ${told}`);
  if (code === 2) return;
  const { checks, healthy } = JSON.parse(found.out);
  const named = Object.fromEntries(checks.filter(({ trouble }) => trouble).map(({ check, trouble }) => [check, trouble]));
  const sorted = (pairs) => JSON.stringify(Object.entries(pairs).sort());
  if (sorted(named) !== sorted(troubles)) throw new Error(`found ${sorted(named)}, not ${sorted(troubles)}: ${told}`);
  if (healthy !== (code === 0)) throw new Error(`healthy is ${healthy}: ${told}`);
  for (const { trouble, remedy } of checks) if (trouble) remedies.set(trouble, remedy);
  for (const [check, words] of Object.entries(says)) {
    const one = checks.find((one) => one.check === check);
    if (!words.test(one?.says)) throw new Error(`${check} says ${one?.says}, not ${words}: ${told}`);
  }
}
