// Thousands of polling clients, one WebSocket.

import assert from 'node:assert/strict';
import { Polling } from '../lib/client.mjs';
import { inTurn } from '../lib/until.mjs';

const CLIENTS = 2000;
const ROUNDS = 3;
const BATCH = 3;

/** Each message names its client, so that another client's is noticed. */
async function talk(client, name) {
  for (let round = 0; round < ROUNDS; round++) {
    const batch = Array.from({ length: BATCH }, (_, i) => `${name}: ${round * BATCH + i}`);
    for (const message of batch) client.send(message);
    for (const message of batch) assert.equal(await client.next(), message);
  }
}

export default [
  {
    name: `${CLIENTS} polling clients are on one WebSocket, and each has its own messages in order`,
    backends: ['short.mjs', 'long.py'],
    async run(scene) {
      const { backend, polliwog } = await scene.pair();
      const clients = Array.from({ length: CLIENTS }, () => scene.client(Polling, polliwog));
      await inTurn(clients, (client) => client.open());
      await Promise.all(clients.map(talk));
      const { sockets, sockets_ever, sessions, sessions_ever } = await scene.stats(backend);
      assert.deepEqual([sockets, sockets_ever, sessions, sessions_ever], [1, 1, CLIENTS, CLIENTS]);
      assert.equal(await polliwog.metric('polliwog_sessions'), CLIENTS);
      await inTurn(clients, (client) => client.close());
      await scene.sessions(backend, 0);
      await polliwog.sessions(0);
    },
  },
];
