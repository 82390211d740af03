// The shared socket is cut repeatedly, under traffic.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { relay } from '../lib/relay.mjs';
import { until } from '../lib/until.mjs';

const CONNECTIONS = 6;
const CLIENTS_OF_EACH_KIND = 20;
const CUTS = 36;
// The most messages that each client has under way.
const WAITING_MAX = 4;

/** Sends messages until `enough`, and asserts that exactly the expected echoes come back. */
async function talk(client, name, random, enough) {
  const due = [];
  let sent = 0;
  const speak = async () => {
    while (!enough()) {
      // The pace of the messages.
      await sleep(random.below(30));
      if (due.length < WAITING_MAX) say();
    }
    // This message is answered even after the last cut.
    say();
  };
  const say = () => {
    const size = random.below(random.pick([20, 2000, 30_000]));
    if (random.below(10) === 0) {
      for (let i = 1; i <= 5; i++) due.push(`${i}`.padEnd(size, '.'));
      return client.send(`flood:5:${size}`);
    }
    const text = `${name}: ${(sent += 1)} ${'é'.repeat(size / 2)}`;
    due.push(random.below(2) ? text : Buffer.from(text));
    client.send(due.at(-1));
  };
  const speaking = speak();
  while (!enough() || due.length) {
    if (due.length) assert.deepEqual(await client.next(), due.shift(), `${name} after ${sent} messages`);
    // The interval between two checks.
    else await sleep(5);
    if (enough()) await speaking;
  }
}

export default [
  {
    name: `nothing is lost, duplicated or reordered, and no session ends, over ${CUTS} cuts under traffic`,
    backends: ['long.mjs', 'long.py'],
    async run(scene) {
      const { random } = scene;
      const backend = await scene.backend();
      const plans = [];
      let armed = false;
      const arm = (plan) => {
        const pass = random.below(random.pick([500, 5000, 50_000]));
        Object.assign(plan, { pass, lose: random.pick([0, 0, 500, 20_000]), reset: random.below(3) === 0 });
      };
      const line = await relay(backend.port, () => {
        const plan = { pass: Infinity };
        if (armed && !enough()) arm(plan);
        plans.push(plan);
        return plan;
      });
      scene.keep(line);
      const enough = () => line.cuts() >= CUTS;
      const polliwog = await scene.polliwog(line.port, { mux: { connections: CONNECTIONS } });
      await until(() => plans.length === CONNECTIONS, () => `${plans.length} connections, not ${CONNECTIONS}`);
      const clients = await scene.some(polliwog, CLIENTS_OF_EACH_KIND);
      armed = true;
      plans.forEach(arm);
      const over = Promise.race(clients.map((client) => client.ended)).then((how) => {
        if (!left) throw new Error(`a session ended: ${JSON.stringify(how)}`);
      });
      let left = false;
      const done = () => enough() && plans.forEach((plan) => (plan.pass = Infinity)) === undefined;
      await Promise.race([over, Promise.all(clients.map((client, i) => talk(client, i, random, done)))]);
      const { sockets, sessions, sessions_ever } = await scene.stats(backend);
      assert.deepEqual([sockets, sessions, sessions_ever], [CONNECTIONS, clients.length, clients.length]);
      assert.equal(await polliwog.metric('polliwog_sessions'), clients.length);
      left = true;
      await Promise.all(clients.map((client) => client.close()));
      await scene.sessions(backend, 0);
      await polliwog.sessions(0);
    },
  },
];
