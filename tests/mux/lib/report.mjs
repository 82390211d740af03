// Runs cases one by one: a line for each, and the counts.

import { setTimeout as sleep } from 'node:timers/promises';

// A case that takes so long hangs: a busy machine may be ten times slower than usual.
const TIMEOUT_MS = 180_000;

export class Report {
  passed = 0;
  failed = 0;

  /** Runs `work`, and then `end`, even if `work` fails. `errors` returns details of a failure. */
  async run(title, { work, end, errors }) {
    const began = performance.now();
    const late = (what) =>
      // The deadline itself.
      sleep(TIMEOUT_MS, undefined, { ref: false }).then(() => {
        throw new Error(`${what} does not end`);
      });
    let fault;
    const note = (error) => (fault ??= error);
    await Promise.race([(async () => work())(), late('it')]).catch(note);
    await Promise.race([end(), late('clearing away')]).catch(note);
    const took = Math.round(performance.now() - began);
    if (fault) this.fail(`${title} (${took} ms)`, `${fault.stack}\n${errors()}`);
    else this.passed += 1;
    if (!fault) console.log(`ok     ${title} (${took} ms)`);
  }

  fail(title, detail) {
    this.failed += 1;
    console.log(`FAILED ${title}\n${detail.replace(/^/gm, '         ')}`);
  }
}
