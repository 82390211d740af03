// What the controls put a client through: a burst of numbered echoes, and a WebSocket that is refused.

import { size } from './pane.js';

/** Nothing that compresses well: what a burst takes should not be luck. */
const NOISE = Array.from(crypto.getRandomValues(new Uint8Array(1 << 16)), (byte) => (byte % 36).toString(36)).join('');

/** Sends `count` echoes of `length` bytes, one each `pace` ms or all at once, and tells what came back, and in which order. */
export async function burst(pane, count, length, pace) {
  const { requests, bytes } = pane.wire;
  const tally = { back: 0, lost: 0, wrong: 0, last: -1 };
  const began = performance.now();
  pane.outcome(`${count} echoes sent.`);
  const one = async (number) => {
    const at = Math.floor(Math.random() * (NOISE.length - length));
    const filler = NOISE.slice(at, at + length);
    try {
      const [came, text] = await pane.echo(number, filler);
      tally.back += 1;
      // An answer in the place of another one is out of order, whatever comes after it.
      if (came !== number || text !== filler || came <= tally.last) tally.wrong += 1;
      tally.last = Math.max(tally.last, came);
    } catch {
      tally.lost += 1;
    }
  };
  const all = [];
  for (let number = 0; number < count; number++) {
    const due = began + number * pace - performance.now();
    if (due > 0) await new Promise((resolve) => setTimeout(resolve, due));
    all.push(one(number));
  }
  await Promise.all(all);
  const took = Math.round(performance.now() - began);
  const orders = tally.wrong ? `${tally.wrong} out of order` : 'in order';
  pane.outcome(
    `${tally.back} of ${count} echoes came back, ${orders}, in ${took} ms: ` +
      `${pane.wire.requests - requests} requests, ${size(pane.wire.bytes - bytes)}.`,
  );
}

/** A WebSocket as it looks behind a proxy that breaks upgrades: it fails, and carries nothing. */
export class Refused extends EventTarget {
  readyState = WebSocket.CONNECTING;

  constructor() {
    super();
    setTimeout(() => {
      this.readyState = WebSocket.CLOSED;
      this.dispatchEvent(new Event('error'));
    }, 30);
  }

  close() {
    this.readyState = WebSocket.CLOSED;
  }
}
