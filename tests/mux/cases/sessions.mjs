// Sessions: how they open, send and close, in every form.

import assert from 'node:assert/strict';
import { stop } from '../lib/backend.mjs';
import { OPEN } from '../lib/peer.mjs';

export default [
  {
    name: 'ok greets a client without a cookie, and takes the first protocol',
    async run(t) {
      const peer = await t.peer();
      const [verb, id, { headers, protocol }] = await peer.open('s5', { headers: [], protocols: ['chat', 'other'] });
      assert.deepEqual([verb, id, headers.map(([name]) => name), protocol], ['ok', 's5', ['set-cookie'], 'chat']);
      const [, , known] = await peer.open('s6', { protocols: [] });
      assert.deepEqual([known.headers ?? [], known.protocol], [[], undefined]);
    },
  },
  {
    name: 'deny ends a session with its status, and the id is unknown then',
    async run(t) {
      const peer = await t.peer();
      for (const status of [400, 401, 599]) {
        const [verb, id, told, text] = await peer.open('s1', { path: `/deny/${status}?x=1` });
        assert.deepEqual([verb, id, told, typeof text], ['deny', 's1', status, 'string']);
        peer.send('t', 's1', 1, 'x');
        assert.deepEqual(await peer.next(), ['x', 's1', 0, 1001, 'unknown session']);
      }
      assert.equal((await t.stats()).sessions, 0);
    },
  },
  {
    name: 'a second open of a session is answered as the first, and opens nothing',
    async run(t) {
      const peer = await t.peer();
      const first = await peer.open('s1', { headers: [], protocols: ['chat'] });
      peer.send('t', 's1', 1, 'one');
      await peer.next('t');
      assert.deepEqual(await peer.open('s1', { headers: [], protocols: ['chat'] }), first);
      peer.send('t', 's1', 2, 'two');
      assert.deepEqual(await peer.next(), ['t', 's1', 2, 'two']);
      assert.equal((await t.stats()).sessions, 1);
    },
  },
  {
    name: 'a second open before the answer gets one answer',
    async run(t) {
      const peer = await t.peer();
      peer.send('open', 's1', { ...OPEN, path: '/wait/50' });
      assert.equal((await peer.open('s1', { path: '/wait/50' }))[0], 'ok');
      peer.send('t', 's1', 1, 'only');
      assert.deepEqual(await peer.next(), ['t', 's1', 1, 'only']);
    },
  },
  {
    name: 'other sessions go on while one waits for its answer',
    async run(t) {
      const peer = await t.peer();
      peer.send('open', 's1', { ...OPEN, path: '/wait/60' });
      await peer.open('s2');
      peer.send('t', 's2', 1, 'meanwhile');
      assert.deepEqual(await peer.next(), ['t', 's2', 1, 'meanwhile']);
      assert.equal((await peer.next('ok'))[1], 's1');
    },
  },
  {
    name: 'a session that P gives up before its answer gets x, and never ok',
    async run(t) {
      const peer = await t.peer();
      peer.send('open', 's1', { ...OPEN, path: '/wait/30' });
      peer.send('x', 's1', 0, 1006, '');
      assert.deepEqual((await peer.next('x')).slice(0, 3), ['x', 's1', 0]);
      await peer.open('s2', { path: '/wait/60' });
      assert.deepEqual(await peer.rest(), []);
    },
  },
  {
    name: 'a close packet crosses to a P that knows it, and to no other',
    async run(t) {
      for (const knows of [true, false]) {
        const peer = await t.peer(knows ? { close_packets: true } : {});
        await peer.open('s1');
        peer.send('t', 's1', 1, 'close packet');
        assert.deepEqual(await peer.next('x'), ['x', 's1', 0, 1005, '', ...(knows ? [true] : [])]);
        peer.send('x', 's1', 1, 1000, '');
        await peer.open('s2');
        peer.send('x', 's2', 0, 1000, '', true);
        await peer.next('x');
      }
      assert.equal((await t.stats()).close_packets, 2);
    },
  },
  {
    name: 'texts and binaries come back in order, on each of many sessions',
    async run(t) {
      const peer = await t.peer();
      const ids = ['s1', 's2', 's127', 's128', 's9007199254740990'];
      for (const id of ids) await peer.open(id);
      const contents = ['', 'a', '🐸 \u2028 é', '"\\\n\0', '["t","s1",1,"x"]', 'all', 'close:', 'flood:x'];
      const sent = new Map(ids.map((id) => [id, []]));
      for (let i = 0; i < 400; i++) {
        const id = t.random.pick(ids);
        const seq = sent.get(id).length + 1;
        const bytes = Buffer.from(`${i}`.repeat(t.random.below(50)));
        const text = t.random.pick(contents) + (i % 7 ? '' : 'x'.repeat(t.random.below(20_000)));
        const frame = t.random.below(2) ? ['t', id, seq, text] : ['b', id, seq, bytes.toString('base64')];
        sent.get(id).push(frame);
        peer.send(...frame);
      }
      const back = new Map(ids.map((id) => [id, []]));
      for (let i = 0; i < 400; i++) {
        const frame = await peer.next();
        back.get(frame[1]).push(frame);
      }
      assert.deepEqual(back, sent);
      assert.deepEqual(await peer.rest(), []);
    },
  },
  {
    name: 'a broadcast reaches every session, over every WebSocket, once',
    async run(t) {
      const [one, two] = [await t.peer(), await t.peer()];
      for (const id of ['s1', 's2']) await one.open(id);
      await two.open('s1');
      one.send('t', 's1', 1, 'all:hear');
      const heard = [await one.next(), await one.next()].map(([, id]) => id).sort();
      assert.deepEqual(heard, ['s1', 's2']);
      assert.deepEqual(await two.next(), ['t', 's1', 1, 'all:hear']);
      assert.deepEqual([...(await one.rest()), ...(await two.rest())], []);
    },
  },
  {
    name: 'a flood is numbered and of the size that was asked for',
    async run(t) {
      const peer = await t.peer();
      await peer.open('s1');
      peer.send('t', 's1', 1, 'flood:200:1000');
      for (let i = 1; i <= 200; i++) assert.deepEqual(await peer.next(), ['t', 's1', i, `${i}`.padEnd(1000, '.')]);
      assert.deepEqual(await peer.rest(), []);
    },
  },
  {
    name: 'B closes: messages that cross with its x are ignored, and the session ends with ours',
    async run(t) {
      const peer = await t.peer();
      for (const id of ['s1', 's2']) await peer.open(id);
      peer.send('t', 's1', 1, 'hi');
      peer.send('t', 's1', 2, 'close:4001:bye: 🐸');
      peer.send('t', 's1', 3, 'all:crossing');
      peer.send('b', 's1', 4, 'AAEC');
      assert.deepEqual(await peer.next(), ['t', 's1', 1, 'hi']);
      assert.deepEqual(await peer.next(), ['x', 's1', 1, 4001, 'bye: 🐸']);
      peer.send('x', 's1', 4, 4001, '');
      assert.deepEqual(await peer.rest(), []);
      peer.send('t', 's1', 5, 'late');
      assert.deepEqual(await peer.next(), ['x', 's1', 0, 1001, 'unknown session']);
      assert.equal((await t.stats()).sessions, 1);
    },
  },
  {
    name: 'P closes: B answers with one x, and forgets',
    async run(t) {
      const peer = await t.peer();
      await peer.open('s1');
      peer.send('t', 's1', 1, 'hi');
      await peer.next('t');
      for (const [code, reason] of [[1005, ''], [1006, ''], [4999, 'why']]) {
        const id = `s${code}`;
        await peer.open(id);
        peer.send('x', id, 0, code, reason);
        assert.deepEqual((await peer.next('x')).slice(0, 3), ['x', id, 0]);
      }
      peer.send('x', 's1', 1, 1000, 'bye');
      assert.deepEqual((await peer.next('x')).slice(0, 3), ['x', 's1', 1]);
      peer.send('x', 's1', 1, 1000, 'again');
      assert.deepEqual(await peer.rest(), []);
      assert.equal((await t.stats()).sessions, 0);
    },
  },
  {
    name: 'a frame for an unknown session gets x, and an x for one gets nothing',
    async run(t) {
      const peer = await t.peer();
      for (const frame of [['t', 's1', 3, 'x'], ['b', 's2', 1, ''], ['transport', 's3', 'websocket']]) {
        peer.send(...frame);
        assert.deepEqual(await peer.next(), ['x', frame[1], 0, 1001, 'unknown session']);
      }
      peer.send('x', 's4', 9, 1000, '');
      peer.send('a', [['s5', 0, 5]]);
      assert.deepEqual(await peer.rest(), []);
    },
  },
  {
    name: 'an upgrade changes nothing',
    async run(t) {
      const peer = await t.peer();
      await peer.open('s1');
      peer.send('transport', 's1', 'websocket');
      assert.deepEqual(await peer.rest(), []);
      peer.send('t', 's1', 1, 'x');
      await peer.next('t');
    },
  },
  {
    name: 'a message that is too large closes its session with 1009, and no other',
    async run(t) {
      const peer = await t.peer({ max_message: 1000 });
      for (const id of ['s1', 's2', 's3']) await peer.open(id);
      // The limit counts bytes: this text has 1000.
      peer.send('t', 's1', 1, 'é'.repeat(500));
      await peer.next('t');
      peer.send('t', 's1', 2, `${'é'.repeat(500)}.`);
      assert.deepEqual((await peer.next('x')).slice(0, 4), ['x', 's1', 1, 1009]);
      peer.send('x', 's1', 2, 1009, '');
      peer.send('b', 's2', 1, Buffer.alloc(1001).toString('base64'));
      assert.deepEqual((await peer.next('x')).slice(0, 4), ['x', 's2', 0, 1009]);
      peer.send('t', 's3', 1, 'still here');
      await peer.next('t');
    },
  },
  {
    name: 'a seq out of order closes the WebSocket with 1002, and all its sessions are over',
    async run(t) {
      for (const seq of [0, 1, 3]) {
        const peer = await t.peer({ resume_ms: 60_000 });
        await peer.open('s1');
        await peer.open('s2');
        peer.send('t', 's1', 1, 'x');
        await peer.next('t');
        await peer.refused(JSON.stringify(['t', 's1', seq, 'x']));
        await t.sessions(0);
      }
    },
  },
  {
    name: 'an x for messages that never came, or a message before ok, closes the WebSocket with 1002',
    async run(t) {
      const one = await t.peer();
      await one.open('s1');
      await one.refused(JSON.stringify(['x', 's1', 1, 1000, '']));
      const two = await t.peer();
      two.send('open', 's1', { ...OPEN, path: '/wait/30' });
      await two.refused(JSON.stringify(['t', 's1', 1, 'early']));
    },
  },
  {
    name: 'many sessions are on one WebSocket, and end with it',
    async run(t) {
      const before = await t.stats();
      const peer = await t.peer();
      for (let i = 1; i <= 200; i++) peer.send('open', `s${i}`, OPEN);
      for (let i = 1; i <= 200; i++) await peer.next('ok');
      const { sockets, sessions, sessions_ever: ever } = await t.stats();
      assert.deepEqual([sockets, sessions, ever], [1, 200, before.sessions_ever + 201]);
      peer.ws.terminate();
      await t.sessions(0);
    },
  },
  {
    name: 'P drains: its sessions go on until it closes them',
    async run(t) {
      const peer = await t.peer();
      await peer.open('s1');
      peer.send('drain', 30);
      peer.send('t', 's1', 1, 'still');
      assert.deepEqual(await peer.next(), ['t', 's1', 1, 'still']);
      peer.send('x', 's1', 1, 1001, '');
      await peer.next('x');
      await peer.close();
    },
  },
  {
    name: 'B drains: it says so, closes its sessions, and ends when the WebSocket is closed',
    async run(t) {
      const backend = await t.own();
      const peer = await t.peer({}, backend);
      for (const id of ['s1', 's2']) await peer.open(id);
      peer.send('t', 's1', 1, 'x');
      await peer.next('t');
      const ended = stop(backend, 'SIGTERM');
      assert.ok((await peer.next('drain'))[1] > 0);
      for (const [id, seq, got] of [['s1', 1, 1], ['s2', 0, 0]]) {
        assert.deepEqual((await peer.next('x')).slice(0, 4), ['x', id, seq, 1001]);
        peer.send('x', id, got, 1001, '');
      }
      await peer.close();
      assert.equal(await ended, 0, backend.errors);
      assert.deepEqual([backend.lines.length, backend.errors], [1, '']);
    },
  },
];
