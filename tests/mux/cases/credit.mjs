// Credit, which only the long form has.

import assert from 'node:assert/strict';
import { quiet } from '../lib/until.mjs';

const CREDIT = 262_144;

export default [
  {
    name: 'B stops at LIMIT, at most one message over it, and goes on when it is raised',
    async run(t) {
      const peer = await t.peer({ credit: 1000 });
      await peer.open('s1');
      peer.send('t', 's1', 1, 'flood:50:300');
      let [got, bytes] = [0, 0];
      for (let limit = 1000; got < 50; limit += 1 + t.random.below(2000)) {
        peer.send('a', [['s1', got, limit]]);
        for (const [verb, , seq, text] of await peer.rest()) {
          assert.ok(bytes < limit, `message ${seq} was started at ${bytes} of ${limit}`);
          assert.deepEqual([verb, seq, text], ['t', got + 1, `${got + 1}`.padEnd(300, '.')]);
          [got, bytes] = [seq, bytes + text.length];
        }
        assert.ok(bytes >= limit || got === 50, `B stopped at ${bytes} of ${limit}`);
      }
      assert.equal(got, 50);
    },
  },
  {
    name: 'credit counts the bytes of UTF-8, and those before base64',
    async run(t) {
      const peer = await t.peer({ credit: 100 });
      await peer.open('s1');
      peer.send('t', 's1', 1, '🐸'.repeat(20));
      peer.send('b', 's1', 2, Buffer.alloc(19).toString('base64'));
      peer.send('t', 's1', 3, 'x');
      peer.send('t', 's1', 4, 'beyond');
      assert.deepEqual((await peer.rest()).map(([verb, , seq]) => [verb, seq]), [['t', 1], ['b', 2], ['t', 3]]);
    },
  },
  {
    name: 'one session without credit holds up no other, and neither a broadcast to it nor its close is lost',
    async run(t) {
      const peer = await t.peer({ credit: 1000 });
      for (const id of ['s1', 's2']) await peer.open(id);
      peer.send('t', 's1', 1, 'flood:10:1000');
      assert.equal((await peer.rest()).length, 1);
      peer.send('t', 's2', 1, 'all:hear');
      peer.send('t', 's1', 2, 'close:4000:done');
      assert.deepEqual(await peer.rest(), [['t', 's2', 1, 'all:hear']]);
      peer.send('a', [['s1', 1, 1_000_000]]);
      const rest = await peer.rest();
      assert.deepEqual(rest.slice(-2), [['t', 's1', 11, 'all:hear'], ['x', 's1', 11, 4000, 'done']]);
      assert.equal(rest.length, 11);
    },
  },
  {
    name: 'P closes a session whose messages wait: its x tells of those that were sent',
    async run(t) {
      const peer = await t.peer({ credit: 1000 });
      await peer.open('s1');
      peer.send('t', 's1', 1, 'flood:10:600');
      assert.equal((await peer.rest()).length, 2);
      peer.send('x', 's1', 1, 1001, '');
      assert.deepEqual((await peer.next('x')).slice(0, 3), ['x', 's1', 2]);
      assert.deepEqual(await peer.rest(), []);
    },
  },
  {
    name: 'B acknowledges what it got, and raises LIMIT by what it got rid of',
    async run(t) {
      const peer = await t.peer();
      for (const id of ['s1', 's2']) await peer.open(id);
      peer.send('t', 's1', 1, 'é'.repeat(5000));
      peer.send('b', 's1', 2, Buffer.alloc(5000).toString('base64'));
      await peer.told('s1', (seq, limit) => seq === 2 && limit === CREDIT + 15_000);
      // An empty message needs no credit, but it is acknowledged.
      peer.send('t', 's2', 1, '');
      await peer.told('s2', (seq, limit) => seq === 1 && limit === CREDIT);
    },
  },
  {
    name: 'what waits at B for P is granted when P took it, and what goes beyond closes the session with 1008',
    async run(t) {
      const peer = await t.peer({ credit: 1000 });
      for (const id of ['s1', 's2']) await peer.open(id);
      const size = 50_000;
      let seq = 0;
      const send = () => peer.send('t', 's1', (seq += 1), 'x'.repeat(size));
      send();
      await peer.told('s1', (_, limit) => limit === CREDIT + size);
      // The first came back at once. The others wait, since they have no credit.
      for (let sent = size; sent < CREDIT + size; sent += size) send();
      await peer.told('s1', (got) => got === seq);
      assert.deepEqual(peer.news.get('s1'), [seq, CREDIT + size]);
      peer.send('a', [['s1', 1, size + 1]]);
      await peer.told('s1', (_, limit) => limit === CREDIT + 2 * size);
      assert.equal((await peer.rest()).length, 2);
      for (let n = 0; n < 2; n++) send();
      assert.deepEqual((await peer.next('x')).slice(0, 4), ['x', 's1', 2, 1008]);
      peer.send('t', 's2', 1, 'still here');
      assert.deepEqual(await peer.next(), ['t', 's2', 1, 'still here']);
    },
  },
  {
    name: 'an acknowledgement of what was never sent, or one that goes down, closes the WebSocket with 1002',
    async run(t) {
      for (const seq of [0, 3]) {
        const peer = await t.peer();
        await peer.open('s1');
        peer.send('t', 's1', 1, 'flood:2:10');
        for (let i = 0; i < 2; i++) await peer.next('t');
        peer.send('a', [['s1', 1, 1000]]);
        await peer.refused(JSON.stringify(['a', [['s1', seq, 1000]]]));
      }
    },
  },
  {
    name: 'with a P that takes no part in credit, B neither heeds nor grants',
    async run(t) {
      const peer = await t.peer({ credit: 0 });
      assert.equal(peer.theirs.resume, false);
      await peer.open('s1');
      peer.send('t', 's1', 1, 'flood:10:100000');
      for (let i = 1; i <= 10; i++) await peer.next('t');
      for (let seq = 2; seq < 12; seq++) peer.send('t', 's1', seq, 'x'.repeat(100_000));
      for (let seq = 2; seq < 12; seq++) await peer.next('t');
      await quiet(30, 'no further news may come');
      assert.deepEqual([...peer.news], []);
    },
  },
];
