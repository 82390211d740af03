// What a cluster promises behind a balancer that knows no session.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { CLIENTS } from '../interop/lib/clients.mjs';
import { sleep } from '../interop/lib/ports.mjs';

const MIXED = 'polling=70,websocket=10,upgrade=20';
const loaded = (sessions, transport, seconds) => [
  ...['-n', `${sessions}`, '--rate', '2', '--connect-rate', '100'],
  ...['--transport', transport, '-d', `${seconds}s`, '--drain', '10s'],
];

/** Nothing was lost, and nobody was disconnected. */
function assertWhole({ connected, sessions, ...figures }) {
  assert.equal(connected, sessions, 'everybody connects');
  assertOrdered(figures);
  assert.equal(figures.disconnected, 0, `disconnected: ${JSON.stringify(figures.errors)}`);
  assert.equal(figures.lost, 0, 'lost');
}

function assertOrdered({ duplicated, reordered, strange }) {
  assert.deepEqual({ duplicated, reordered, strange }, { duplicated: 0, reordered: 0, strange: 0 });
}

/** Loads the site, does something to the second node once all are connected, and returns what came of it. */
async function under(site, transport, harm, { sessions = 90, seconds = 8 } = {}) {
  const { figures } = site.load(...loaded(sessions, transport, seconds));
  // Until all are connected, and some of the load has passed.
  await sleep(3000);
  const [, node] = site.nodes;
  const lived = await site.metric(node, 'polliwog_sessions');
  assert.ok(lived > sessions / 6, `sessions live everywhere: ${lived} of ${sessions}`);
  harm(node.child);
  return { lived, figures: await figures };
}

/** Each session has two messages a second, so few are under way at a moment, unless the machine is very busy. */
const UNDER_WAY = 0.25;

export const CASES = {
  'stock clients of Socket.IO 3 and 4 lose nothing': {
    act: (site) =>
      Promise.all(
        ['4.8', '3.1'].flatMap((version) =>
          [['polling'], ['polling', 'websocket']].map((transports) => talk(site, version, transports)),
        ),
      ),
  },
  'no client of any transport loses anything': {
    act: async (site) => assertWhole(await site.load(...loaded(150, MIXED, 8)).figures),
  },
  'a node that is killed disconnects its own sessions and those with something under way through it': {
    act: async (site) => {
      const { lived, figures } = await under(site, 'polling', (child) => child.kill('SIGKILL'));
      assertOrdered(figures);
      assert.ok(figures.disconnected >= lived, `${figures.disconnected} of ${lived}`);
      const others = figures.disconnected - lived;
      assert.ok(others <= UNDER_WAY * (figures.sessions - lived), `${others} others, ${lived} lived there`);
      assertUnharmed(figures);
    },
  },
  'a node that is killed disconnects the WebSockets through it, and no other of any transport': {
    act: async (site) => {
      const { lived, figures } = await under(site, MIXED, (child) => child.kill('SIGKILL'));
      assertOrdered(figures);
      const sockets = figures.transports.websocket.sessions + figures.transports.upgrade.sessions;
      const others = figures.disconnected - lived;
      // A third of the upgraded ones lead through it, and live elsewhere.
      assert.ok(others <= sockets / 2 + UNDER_WAY * figures.sessions, `${others} others, ${sockets} sockets`);
      assertUnharmed(figures);
    },
  },
  'a node that stops by a signal and is dropped at once breaks nobody': {
    options: { drain: 8 },
    act: async (site) => {
      const { lived, figures } = await under(site, MIXED, (child) => child.kill('SIGTERM'));
      assertOrdered(figures);
      // A message on a WebSocket may cross with its Close, at home as well.
      assert.ok(figures.lost <= figures.disconnected / 10, `${figures.lost} lost`);
      const reasons = Object.keys(figures.errors);
      const isClosed = (reason) => reason === 'closed by the server';
      assert.ok(reasons.every(isClosed), `each is told in order: ${JSON.stringify(figures.errors)}`);
      const upgraded = figures.transports.upgrade.sessions;
      assert.ok(figures.disconnected <= lived + upgraded, `${figures.disconnected}, ${lived} lived there`);
      await gone(site.nodes[1].child);
    },
  },
  'a node that hangs makes nobody elsewhere wait for more than its silence': {
    act: async (site) => {
      const sids = await Promise.all(Array.from({ length: 30 }, () => handshake(site)));
      const [, node] = site.nodes;
      const own = sids.filter((sid) => sid.startsWith('2b-'));
      assert.ok(own.length > 3, `${own.length} sessions live there`);
      node.child.kill('SIGSTOP');
      // Until the balancer sends nothing there any more.
      await sleep(2500);
      for (const [most, what] of [
        [4500, 'first'],
        [1000, 'then'],
      ]) {
        const since = Date.now();
        const statuses = await Promise.all(own.map((sid) => poll(site, sid)));
        const took = Date.now() - since;
        assert.ok(statuses.every((status) => status === 502), `${what}: ${statuses}`);
        assert.ok(took < most, `${what}: ${took} ms`);
      }
      const others = sids.filter((sid) => !sid.startsWith('2b-'));
      const statuses = await Promise.all(others.map((sid) => post(site, sid)));
      assert.deepEqual([...new Set(statuses)], [200], 'nobody else is harmed');
      node.child.kill('SIGCONT');
    },
  },
};

/** What still lives has lost nothing: at most the message that was under way is lost with a session. */
function assertUnharmed({ lost, disconnected, latency_us: { p50 } }) {
  assert.ok(lost <= disconnected, `${lost} lost of ${disconnected} disconnected sessions`);
  assert.ok(p50 < 1_000_000, `half of the messages took longer than ${p50} us`);
}

async function gone(child) {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  // 1 if a message crossed with the end of its session.
  assert.ok(child.exitCode === 0 || child.exitCode === 1, `it ends by itself, not by ${child.signalCode}`);
}

/** A stock client, 60 messages each way that carry their number, and an acknowledgement for each. */
async function talk(site, version, transports) {
  const { io } = CLIENTS[version];
  const socket = io(site.url, { transports, forceNew: true, reconnection: false });
  const lost = new Promise((_, reject) => {
    socket.on('connect_error', reject);
    socket.on('disconnect', (reason) => reject(new Error(`${version} ${transports}: ${reason}`)));
  });
  await Promise.race([new Promise((resolve) => socket.on('connect', resolve)), lost]);
  for (let number = 0; number < 60; number += 1) {
    const answers = [0, 1, 2].map(
      (part) => new Promise((resolve) => socket.emit('echo', `${number}.${part} ${'x'.repeat(number * 50)}`, resolve)),
    );
    const echoed = await Promise.race([Promise.all(answers), lost]);
    echoed.forEach((text, part) => assert.ok(String(text).startsWith(`${number}.${part} `), String(text).slice(0, 40)));
  }
  socket.off('disconnect');
  socket.close();
}

async function handshake(site) {
  const body = await (await fetch(`${site.url}/socket.io/?EIO=4&transport=polling`)).text();
  return JSON.parse(body.slice(1)).sid;
}

const target = (site, sid) => `${site.url}/socket.io/?EIO=4&transport=polling&sid=${sid}`;

async function poll(site, sid) {
  return (await fetch(target(site, sid))).status;
}

async function post(site, sid) {
  return (await fetch(target(site, sid), { method: 'POST', body: '40' })).status;
}
