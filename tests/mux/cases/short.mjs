// What only the short form does.

import assert from 'node:assert/strict';

export default [
  {
    name: 'credit is neither heeded nor granted',
    async run(t) {
      const peer = await t.peer({ credit: 10 });
      await peer.open('s1');
      peer.send('t', 's1', 1, 'flood:100:100');
      for (let i = 1; i <= 100; i++) await peer.next('t');
      peer.send('a', [['s1', 100, 5]]);
      // More than any LIMIT that a long form would have granted by then.
      for (let seq = 2; seq < 20; seq++) peer.send('t', 's1', seq, 'x'.repeat(100_000));
      for (let seq = 2; seq < 20; seq++) await peer.next('t');
      assert.deepEqual([await peer.rest(), [...peer.news]], [[], []]);
    },
  },
  {
    name: 'a sync closes the WebSocket with 1002',
    async run(t) {
      const epoch = t.epoch();
      const peer = await t.peer({ epoch });
      await peer.refused(JSON.stringify(['sync', epoch, []]));
    },
  },
  {
    name: 'sessions end with their WebSocket, though P would come back',
    async run(t) {
      const peer = await t.peer({ resume_ms: 60_000 });
      await peer.open('s1');
      peer.ws.terminate();
      await t.sessions(0);
    },
  },
];
