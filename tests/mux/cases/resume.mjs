// Resume, which only the long form has.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { quiet } from '../lib/until.mjs';
import { stop } from '../lib/backend.mjs';
import { OPEN } from '../lib/peer.mjs';
import { Proxy } from '../lib/proxy.mjs';
import { relay } from '../lib/relay.mjs';

const RESUME = { resume_ms: 4000, credit: 100_000 };
const CUTS = 40;
const MESSAGES = 500;

/** A P that resumes, with sessions opened. */
async function begin(t, ...ids) {
  const epoch = t.epoch();
  const peer = await t.peer({ ...RESUME, epoch });
  for (const id of ids) await peer.open(id);
  return { epoch, peer };
}

export default [
  {
    name: 'a session goes on behind a break: what P has not got comes again, and nothing else',
    async run(t) {
      const { epoch, peer } = await begin(t, 's1', 's2');
      peer.send('t', 's1', 1, 'flood:5:10');
      for (let i = 0; i < 5; i++) await peer.next('t');
      peer.ws.terminate();
      const again = await t.resume(epoch, [['s1', 3, 100_000], ['s2', 0, 100_000]], RESUME);
      assert.deepEqual(again.list.map(([id, seq]) => [id, seq]), [['s1', 1], ['s2', 0]]);
      assert.deepEqual((await again.rest()).map(([, id, seq]) => [id, seq]), [['s1', 4], ['s1', 5]]);
      again.send('t', 's1', 2, 'on');
      assert.deepEqual(await again.next(), ['t', 's1', 6, 'on']);
    },
  },
  {
    name: 'what was said in the break comes behind it, and a LIMIT with it',
    async run(t) {
      const { epoch, peer } = await begin(t, 's1');
      peer.ws.terminate();
      const other = await t.peer();
      await other.open('s1');
      other.send('t', 's1', 1, 'all:hear');
      other.send('t', 's1', 2, `all:${'x'.repeat(99_999)}`);
      other.send('t', 's1', 3, 'all:beyond');
      for (let i = 0; i < 3; i++) await other.next('t');
      const again = await t.resume(epoch, [['s1', 0, 100_000]], RESUME);
      assert.deepEqual((await again.rest()).map(([verb, , seq]) => [verb, seq]), [['t', 1], ['t', 2]]);
      again.send('a', [['s1', 2, 200_000]]);
      assert.deepEqual(await again.next(), ['t', 's1', 3, 'all:beyond']);
    },
  },
  {
    name: 'an ok that was lost comes again, and what follows it',
    async run(t) {
      const { epoch, peer } = await begin(t, 's1');
      const other = await t.peer();
      await other.open('s1');
      other.send('t', 's1', 1, 'all:hear');
      await peer.next('t');
      peer.ws.terminate();
      const again = await t.resume(epoch, [['s1', -1, 100_000]], RESUME);
      assert.deepEqual((await again.next('ok')).slice(0, 2), ['ok', 's1']);
      assert.deepEqual(await again.next(), ['t', 's1', 1, 'all:hear']);
    },
  },
  {
    name: 'an open that was lost is sent again, and one that still waits is answered once',
    async run(t) {
      const { epoch, peer } = await begin(t);
      // Longer than a busy machine takes to resume.
      peer.send('open', 's1', { ...OPEN, path: '/wait/1000' });
      await peer.rest();
      peer.ws.terminate();
      const again = await t.resume(epoch, [['s1', -1, 100_000], ['s2', -1, 100_000]], RESUME);
      assert.deepEqual(again.list.map(([id, seq]) => [id, seq]), [['s1', 0]]);
      await again.open('s2');
      assert.equal((await again.next('ok'))[1], 's1');
      await again.open('s3', { path: '/wait/30' });
      assert.deepEqual(await again.rest(), []);
    },
  },
  {
    name: 'an x that was lost comes again; where P has none of the session, it is over',
    async run(t) {
      const { epoch, peer } = await begin(t, 's1', 's2', 's3');
      for (const id of ['s1', 's2']) peer.send('t', id, 1, 'close:4002:over');
      for (let i = 0; i < 2; i++) await peer.next('x');
      peer.ws.terminate();
      // P got the x of s2 and answered it, and lost s3.
      const again = await t.resume(epoch, [['s1', 0, 100_000]], RESUME);
      assert.deepEqual(again.list.map(([id]) => id), ['s1']);
      assert.deepEqual(await again.next(), ['x', 's1', 0, 4002, 'over']);
      again.send('x', 's1', 1, 4002, '');
      await t.sessions(0);
    },
  },
  {
    name: 'a list may come in parts',
    async run(t) {
      const { epoch, peer } = await begin(t, 's1', 's2', 's3');
      peer.ws.terminate();
      const again = t.dial();
      await again.opened;
      again.send('hello', { v: 1, epoch, max_message: 1000, ...RESUME });
      again.send('sync', epoch, [['s1', 0, 100_000]], true);
      again.send('sync', epoch, [['s2', 0, 100_000]], true);
      again.send('sync', epoch, [['s3', 0, 100_000]]);
      await again.next('hello');
      const [, list] = await again.next('sync');
      assert.deepEqual(list.map(([id]) => id).sort(), ['s1', 's2', 's3']);
    },
  },
  {
    name: "B's own list comes in parts when it is long",
    async run(t) {
      const { epoch, peer } = await begin(t);
      const ids = Array.from({ length: 2500 }, (_, i) => `s${i + 1}`);
      for (const id of ids) peer.send('open', id, OPEN);
      for (const _ of ids) await peer.next('ok');
      peer.ws.terminate();
      const again = await t.resume(epoch, ids.map((id) => [id, 0, 100_000]), RESUME);
      const list = again.list;
      for (let more = true; more === true; ) {
        const [, part, next] = await again.next('sync');
        list.push(...part);
        more = next;
      }
      assert.deepEqual(list.map(([id]) => id), ids);
    },
  },
  {
    name: 'a hello with the epoch of a living WebSocket takes its place',
    async run(t) {
      const { epoch, peer } = await begin(t, 's1');
      const again = await t.resume(epoch, [['s1', 0, 100_000]], RESUME);
      const { code } = await peer.closed;
      assert.notEqual(code, 1002);
      again.send('t', 's1', 1, 'on');
      assert.deepEqual(await again.next(), ['t', 's1', 1, 'on']);
      await quiet(50, 'the end of the older connection must not end the epoch either');
      assert.equal((await t.stats()).sessions, 1);
    },
  },
  {
    name: 'sessions end when P does not come back in time, and its epoch is unknown then',
    async run(t) {
      const epoch = t.epoch();
      const peer = await t.peer({ epoch, resume_ms: 100 });
      await peer.open('s1');
      peer.ws.terminate();
      await t.sessions(0);
      const again = await t.resume(epoch, [['s1', 0, 100_000]]);
      assert.deepEqual(again.list, []);
      assert.equal((await again.open('s1'))[0], 'ok');
    },
  },
  {
    name: 'a B that was killed and restarted knows no epoch: its list is empty, and new sessions are welcome',
    async run(t) {
      const backend = await t.own();
      const epoch = t.epoch();
      const peer = await t.peer({ ...RESUME, epoch }, backend);
      await peer.open('s1');
      await stop(backend, 'SIGKILL');
      await peer.closed;
      const restarted = await t.own({ port: backend.port });
      const again = await t.resume(epoch, [['s1', 0, 100_000], ['s2', -1, 100_000]], RESUME, restarted);
      assert.deepEqual(again.list, []);
      again.send('t', 's1', 1, 'still?');
      assert.deepEqual(await again.next(), ['x', 's1', 0, 1001, 'unknown session']);
      assert.equal((await again.open('s2'))[0], 'ok');
    },
  },
  {
    name: 'no session outlives a 1002, from either side',
    async run(t) {
      for (const end of [(peer) => peer.ws.close(1002, 'no'), (peer) => peer.refused('nonsense')]) {
        const epoch = t.epoch();
        const peer = await t.peer({ epoch, resume_ms: 60_000 });
        await peer.open('s1');
        await end(peer);
        await t.sessions(0);
        assert.deepEqual((await t.resume(epoch, [['s1', 0, 1]])).list, []);
      }
    },
  },
  {
    name: 'a sync that is wrong closes the WebSocket with 1002',
    async run(t) {
      const wrong = [
        (epoch) => ['sync', `${epoch}?`, []],
        (epoch) => ['sync', epoch, [['s1', 1, 1]]],
        () => ['t', 's1', 1, 'without a sync'],
        () => ['open', 's2', OPEN],
      ];
      for (const second of wrong) {
        const { epoch, peer } = await begin(t, 's1');
        peer.ws.terminate();
        const again = t.dial();
        await again.hello(epoch, RESUME);
        await again.refused(JSON.stringify(second(epoch)));
      }
      const { epoch, peer } = await begin(t, 's1');
      await peer.refused(JSON.stringify(['sync', epoch, [['s1', 0, 1]]]));
    },
  },
  {
    name: `nothing is lost, duplicated or reordered under traffic, over ${CUTS} resumes at random bytes`,
    run: (t) => traffic(t),
  },
];

/** Clients connect, send, and leave in many ways, until `enough` and until all of them are gone. */
async function traffic(t) {
  const { random } = t;
  const clients = [];
  const got = () => clients.reduce((sum, { session }) => sum + session.got, 0);
  const enough = () => proxy.resumed >= CUTS && got() >= MESSAGES;
  const pass = () => (enough() ? Infinity : 600 + random.below(random.pick([1000, 10_000, 60_000])));
  const line = await relay(t.backend.port, () => ({ pass: pass() }));
  const proxy = new Proxy({ port: line.port, epoch: t.epoch(), credit: 1000 });
  const running = proxy.run();
  try {
    for (let turn = 0; !enough() || clients.some(({ session }) => !session.over); turn++) {
      if (proxy.failure) throw proxy.failure;
      if (!enough() && proxy.sessions.size < 20) clients.push(client(t, proxy, clients.length + 1));
      for (const each of clients) for (let i = 0; i < 3; i++) if (!each.session.over) each.turn();
      proxy.grant([...proxy.sessions.values()].filter(() => random.below(3) === 0));
      // The pace of the turns.
      await sleep(turn % 4 ? 0 : 1);
    }
    for (const each of clients) each.check();
  } finally {
    proxy.stop();
    await running;
    line.close();
  }
  if (proxy.failure) throw proxy.failure;
}

/** One client: it sends some messages at its own pace, and leaves in its own way. */
function client({ random }, proxy, number) {
  const way = random.pick(['leaves', 'leaves', 'asks', 'asks', 'runs', 'denied']);
  const path = way === 'denied' ? '/deny/403' : random.pick(['/', '/', '/wait/3']);
  const session = proxy.open(`s${number}`, path);
  let left = 1 + random.below(40);
  const say = () => {
    if (random.below(8) === 0) {
      const [count, size] = [1 + random.below(10), 1 + random.below(500)];
      for (let i = 1; i <= count; i++) session.expected.push(`${i}`.padEnd(size, '.'));
      return session.send(`flood:${count}:${size}`);
    }
    const text = `${number}.${left} 🐸 `.padEnd(random.pick([1, 10, 10, 100, 100, 700, 700, 5000]), 'x');
    const data = random.below(2) ? text : Buffer.from(text);
    session.expected.push(data);
    session.send(data);
  };
  const turn = () => {
    if (random.below(2) || left < 0 || session.closing) return;
    left -= 1;
    if (left > 0) return say();
    if (way === 'asks') return session.send('close:4003:as asked') ?? (left = -1);
    const done = session.ok && session.got === session.expected.length;
    if (way === 'runs' || done) session.close(1001, '');
    else left = 1;
  };
  const check = () => {
    const [how] = session.over;
    if (way === 'denied') assert.ok(how === 403 || how === 'forgotten' || session.closing, `${session.id}: ${how}`);
    if (way === 'asks') assert.deepEqual(session.over, [4003, 'as asked']);
    if (way === 'asks' || way === 'leaves') assert.equal(session.got, session.expected.length, session.id);
  };
  return { session, turn, check };
}
