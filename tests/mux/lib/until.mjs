// Waits for what nobody tells.

import { setTimeout as sleep } from 'node:timers/promises';

/** Asks `isSo` again and again. Throws when it has not become true in time; `what` says what was waited for. */
export async function until(isSo, what, { within = 20_000 } = {}) {
  const late = performance.now() + within;
  while (!(await isSo())) {
    if (performance.now() > late) throw new Error(`in vain: ${what()}`);
    await sleep(10);
  }
}

/** Does something with all of a long list, some at a time. */
export async function inTurn(list, work, { atOnce = 100 } = {}) {
  const turn = list.values();
  const worker = async () => {
    for (const each of turn) await work(each);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
