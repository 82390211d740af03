// One client that does not poll, while its backend sends much; no other client may notice.

import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Polling } from '../lib/client.mjs';
import { StandIn } from '../lib/stand-in.mjs';
import { inTurn, until } from '../lib/until.mjs';

const OTHERS = 1999;
const SIZE = 10_000;
// Far more than credit and outbox_max together; without credit all of it comes over the shared WebSocket.
const TIMES = 2000;
// So many echoes make a quantile: a flood would delay many of them, a busy machine delays a few.
const ECHOES = 500;
const TRIES = 4;
const PACE_MS = 4000;
const ROOM_MS = { p50: 50, p99: 250 };
// Its outbox and its credit, with room for the allocator; half of the flood.
const GROWTH_MAX = 10 << 20;
const CALM = 1 << 20;

/** The others: each echoes at its own pace, until `stop`. */
class Others {
  #taken = [];
  #stopping = new AbortController();

  constructor(clients, random) {
    setMaxListeners(0, this.#stopping.signal);
    this.talking = Promise.all(clients.map((client) => this.#talk(client, random)));
    this.talking.catch(() => {});
  }

  /** Quantiles of the latencies of a while. */
  async measure() {
    this.#taken = [];
    const enough = until(() => this.#taken.length >= ECHOES, () => `only ${this.#taken.length} echoes`);
    await Promise.race([enough, this.talking]);
    const taken = this.#taken.toSorted((a, b) => a - b);
    const quantile = (share) => taken[Math.floor(share * taken.length)];
    return { p50: quantile(0.5), p99: quantile(0.99) };
  }

  /** Throws the first failure. */
  async stop() {
    this.#stopping.abort();
    await this.talking;
  }

  async #talk(client, random) {
    const { signal } = this.#stopping;
    // At first they are spread as later on.
    const pause = (i) => sleep(random.below(i ? PACE_MS : PACE_MS / 2), undefined, { signal }).catch(() => {});
    for (let i = 0; await pause(i), !signal.aborted; i++) {
      const began = performance.now();
      assert.equal(await client.echo(`${i}`), `${i}`);
      this.#taken.push(performance.now() - began);
    }
  }
}

/** A flood for a client that parks no poll; gives it and the others, whose latency must have stayed. */
async function flood(scene, polliwog) {
  const clients = Array.from({ length: OTHERS }, () => scene.client(Polling, polliwog));
  await inTurn(clients, (client) => client.open());
  const stalled = await scene.client(Polling, polliwog).open({ stalled: true });
  const others = new Others(clients, scene.random);
  // The flood begins while the others talk.
  await sleep(PACE_MS / 4);
  /** Waits until its memory no longer changes. */
  const calm = async () => {
    for (;;) {
      const memory = polliwog.memory;
      const latency = await others.measure();
      if (polliwog.memory < memory + CALM) return latency;
    }
  };
  const before = await calm();
  const { memory } = polliwog;
  stalled.send(`flood:${TIMES}:${SIZE}`);
  const taken = [];
  const late = () => ['p50', 'p99'].filter((name) => taken.at(-1)[name] > 3 * before[name] + ROOM_MS[name]);
  do taken.push(await others.measure());
  while (late().length && taken.length < TRIES);
  assert.deepEqual(late(), [], `the latency was ${JSON.stringify(before)} ms and is ${JSON.stringify(taken)} ms`);
  await calm();
  const growth = polliwog.memory - memory;
  assert.ok(growth < GROWTH_MAX, `memory grew by ${growth} bytes`);
  return { stalled, others };
}

export default [
  {
    name: 'a stalled client delays nobody, takes no more memory than its share, and gets everything at last',
    backends: ['long.mjs'],
    async run(scene) {
      const { polliwog } = await scene.pair();
      const { stalled, others } = await flood(scene, polliwog);
      await others.stop();
      stalled.poll();
      for (let i = 1; i <= TIMES; i++) assert.equal(await stalled.next(), `${i}`.padEnd(SIZE, '.'));
      assert.equal(await stalled.echo('and on'), 'and on');
      assert.equal(await polliwog.metric('polliwog_sessions'), OTHERS + 1);
    },
  },
  {
    name: 'a backend without credit that floods a stalled client loses that session with 1008, and no other',
    backends: ['short.py'],
    async run(scene) {
      const backend = await scene.backend();
      const tap = scene.keep(await StandIn.tap(backend.port));
      const polliwog = await scene.polliwog(tap.port);
      const { stalled, others } = await flood(scene, polliwog);
      await until(() => tap.heard('x').length, () => 'the session is closed');
      assert.deepEqual(tap.heard('x').map((frame) => frame.slice(2)), [[1, 1008, 'over its credit']]);
      stalled.poll();
      const got = [];
      stalled.got = (data) => got.push(data);
      assert.deepEqual(await stalled.ended, { packet: '1' });
      assert.ok(got.length < TIMES / 2, `it got ${got.length}`);
      got.forEach((data, i) => assert.equal(data, `${i + 1}`.padEnd(SIZE, '.')));
      await others.stop();
      assert.equal(await polliwog.metric('polliwog_sessions'), OTHERS);
    },
  },
];
