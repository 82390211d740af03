// Waits for what no event shows.

import { setTimeout as sleep } from 'node:timers/promises';

/** Checks `isSo` repeatedly. Throws if it does not get true in time; `what` says what was waited for. */
export async function until(isSo, what, { within = 20_000 } = {}) {
  const late = performance.now() + within;
  while (!(await isSo())) {
    if (performance.now() > late) throw new Error(`not within ${within} ms: ${what()}`);
    // The interval between two checks.
    await sleep(10);
  }
}

/** Waits although nothing shows meanwhile. `why` says what must stay silent, or whose clock must run. */
export function quiet(ms, why) {
  if (!why) throw new Error('expected the reason of a wait');
  // The only wait for nothing: its callers give the reason.
  return sleep(ms);
}

/** Runs `work` on each item of a long list, some at a time. */
export async function inTurn(list, work, { atOnce = 100 } = {}) {
  const turn = list.values();
  const worker = async () => {
    for (const each of turn) await work(each);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
