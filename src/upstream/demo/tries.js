// What a visitor may put the clients through, a button each.

/** Nothing that compresses well: what a burst takes should not be luck. */
const NOISE = Array.from(crypto.getRandomValues(new Uint8Array(1 << 16)), (byte) => (byte % 36).toString(36)).join('');

/** Sends `count` echoes of `length` bytes, one each `pace` ms or all at once; tells how many have come back, and at the end in which order. */
export async function burst(pane, { count, length, pace }, progress) {
  const tally = { back: 0, wrong: 0, last: -1 };
  const began = performance.now();
  const one = async (number) => {
    const at = Math.floor(Math.random() * (NOISE.length - length));
    const filler = NOISE.slice(at, at + length);
    const answer = await pane.echo(number, filler);
    if (!answer) return;
    const [came, text] = answer;
    tally.back += 1;
    progress();
    // An answer in the place of another one is out of order, whatever comes after it.
    if (came !== number || text !== filler || came <= tally.last) tally.wrong += 1;
    tally.last = Math.max(tally.last, came);
  };
  const all = [];
  for (let number = 0; number < count; number++) {
    const due = began + number * pace - performance.now();
    if (due > 0) await new Promise((resolve) => setTimeout(resolve, due));
    all.push(one(number));
  }
  await Promise.all(all);
  return { ...tally, took: performance.now() - began };
}

/** What the address asks for, as in "?burst=1000x256@0": how many, of how many bytes, how many milliseconds apart. */
export function plan(search) {
  const [, count, length, pace] = /^(\d{1,4})x(\d{1,5})@(\d{1,4})$/.exec(new URLSearchParams(search).get('burst') ?? '') ?? [];
  return count ? { count: Number(count), length: Number(length), pace: Number(pace) } : { count: 100, length: 16, pace: 10 };
}
