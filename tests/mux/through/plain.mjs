// A plain WebSocket client on the same shared WebSocket.

import assert from 'node:assert/strict';
import { BACKENDS } from '../lib/backend.mjs';
import { Plain } from '../lib/client.mjs';
import { StandIn } from '../lib/stand-in.mjs';
import { until } from '../lib/until.mjs';

const MESSAGES = ['a text', '', '4 is no packet here', '\u{1f438} é \u2028 "\\', 'x'.repeat(100_000)];
MESSAGES.push(...MESSAGES.map((text) => Buffer.from(text)), Buffer.from([0, 1, 254, 255]));

export default [
  {
    name: 'texts and binaries come back as they were, and close codes cross both ways',
    backends: BACKENDS.map(({ file }) => file),
    async run(scene) {
      const backend = await scene.backend();
      const tap = scene.keep(await StandIn.tap(backend.port));
      const polliwog = await scene.polliwog(tap.port);
      const [closed, closing, broken] = await Promise.all([0, 1, 2].map(() => scene.client(Plain, polliwog).open()));
      for (const message of MESSAGES) closed.send(message);
      for (const message of MESSAGES) assert.deepEqual(await closed.next(), message);
      closed.send('close:4001:why');
      assert.deepEqual(await closed.ended, { code: 4001, reason: 'why' });
      const told = (wanted) => until(() => tap.heard('x').some(([, , , ...how]) => wanted(...how)), () => JSON.stringify(tap.heard('x')));
      await closing.close(4002, 'enough');
      await told((code, reason) => code === 4002 && reason === 'enough');
      broken.drop();
      await told((code) => code === 1001);
      await scene.sessions(backend, 0);
    },
  },
];
