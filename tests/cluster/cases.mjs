// What a cluster promises behind a balancer that knows no session. A case returns what it has measured.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { CLIENTS } from '../interop/lib/clients.mjs';
import { sleep } from '../interop/lib/ports.mjs';
import { killFromPage } from './page.mjs';
import { handshake, patience, poll, post } from './requests.mjs';

const RATE = 2;
/** A balancer waits for a second before it tries a dead node's request again at another one; the rest is a busy machine's. */
const [LATE_US, LATEST_US] = [2_000_000, 5_000_000];
const loaded = (sessions, transport, seconds, ...more) => [
  ...['-n', `${sessions}`, '--rate', `${RATE}`, '--connect-rate', '100'],
  ...['--transport', transport, '-d', `${seconds}s`, '--drain', '10s', ...more],
];

/** Nothing was lost, and nobody was disconnected. */
function assertWhole({ connected, sessions, failed, disconnected, lost, answered, errors, ...figures }) {
  assert.deepEqual({ connected, failed, disconnected, errors }, { connected: sessions, failed: 0, disconnected: 0, errors: {} });
  assertOrdered(figures);
  assert.ok(lost === 0 && answered > sessions, `${lost} of ${answered} lost`);
}

function assertOrdered({ duplicated, reordered, strange }) {
  assert.deepEqual({ duplicated, reordered, strange }, { duplicated: 0, reordered: 0, strange: 0 });
}

/** Loads the site, ends the second node once all are connected, and returns what it had and what came of it. */
async function under(site, transport, signal, { sessions = 90, seconds = 7, sockets } = {}) {
  const figures = site.load(...loaded(sessions, transport, seconds));
  await site.reaches(sessions, 'polliwog_sessions');
  if (sockets) await site.reaches(sockets, 'polliwog_sessions', 'transport="websocket"');
  // Until some of the load has passed.
  await sleep(1000);
  const [, node] = site.nodes;
  const lived = await site.metric(node, 'polliwog_sessions');
  const polled = await site.metric(node, 'polliwog_sessions', 'transport="polling"');
  const through = await site.metric(node, 'polliwog_cluster_tunnels');
  // A balancer that goes round gives some node few, as handshakes and polls happen to alternate.
  assert.ok(lived > sessions / 15, `sessions live everywhere: ${lived} of ${sessions}`);
  node.child.kill(signal);
  return { lived, polled, through, ...(await figures) };
}

/**
 * How many messages of so many sessions may be under way at one moment: their number in a second, times how long a slow one
 * takes, there and back, and a handful.
 */
const underWay = (sessions, { latency_us: { p90 } }) => 4 + Math.ceil(2 * sessions * RATE * (p90 / 1e6));

/** Sessions that were not disconnected have lost nothing; the others, what was under way at that moment. */
function assertUnharmed(figures) {
  assertOrdered(figures);
  const { lost, lost_by_disconnect: cut, disconnected, latency_us } = figures;
  assert.equal(lost - cut, 0, 'lost by sessions that live');
  assert.ok(cut <= underWay(disconnected, figures), `${cut} lost by ${disconnected} disconnected sessions`);
  const { p99, max } = latency_us;
  assert.ok(p99 < LATE_US && max < LATEST_US, `of a hundred messages one took ${p99} us, and one ${max} us`);
}

/** How late messages were, to be read. */
const late = ({ latency_us: { p99, max } }) => `p99 ${Math.round(p99 / 1000)} ms, max ${Math.round(max / 1000)} ms`;

const LOADS = [
  ['polling=70,websocket=10,upgrade=20', 60],
  ['polling', 20, '--eio', '3'],
  ['polling=50,streaming=30,websocket=20', 40, '--dialect', 'sockjs'],
  ['polling=60,streaming=40', 40, '--dialect', 'longpoll'],
];

/** Loads the site with clients of each dialect at once. */
async function allDialects(site, loads = LOADS) {
  const runs = loads.map(([transport, sessions, ...more]) => site.load(...loaded(sessions, transport, 5, ...more)));
  const all = await Promise.all(runs);
  all.forEach(assertWhole);
  return `answered ${all.map(({ dialect, eio, answered }) => `${dialect}${eio ?? ''} ${answered}`).join(', ')}`;
}

/** With the balancer's hints, no request needs another node, and a node that is dead is passed over. */
async function home(site) {
  // Engine.IO 3 has ids that are the backend's, of which a balancer knows nothing.
  const said = await allDialects(site, LOADS.filter(([, , option]) => option !== '--eio'));
  assert.equal(await site.total('polliwog_cluster_asks_total', 'role="asker"'), 0, 'no request has needed another node');
  const sids = await Promise.all(Array.from({ length: 12 }, () => handshake(site.url)));
  const [own, others] = divide(sids);
  site.nodes[1].child.kill('SIGKILL');
  await once(site.nodes[1].child, 'exit');
  const took = await patience(() => Promise.all(own.map((sid) => poll(site.url, sid, 400))));
  assert.ok(took < 5000, `a dead home was passed over after ${took} ms`);
  await Promise.all(others.map((sid) => post(site.url, sid, 200)));
  return `${said}; a dead home was passed over in ${took} ms`;
}

/** Those that live at the second node, and the others. */
function divide(sids) {
  const isOwn = (sid) => sid.startsWith('2b-');
  const [own, others] = [sids.filter(isOwn), sids.filter((sid) => !isOwn(sid))];
  assert.ok(own.length > 1 && others.length > 3, `${own.length} and ${others.length} sessions`);
  return [own, others];
}

export const CASES = {
  'stock clients of Socket.IO 2, 3 and 4 lose nothing': {
    act: (site) =>
      Promise.all(
        ['4.8', '3.1', '2.5'].flatMap((version) =>
          [['polling'], ['polling', 'websocket']].map((transports) => talk(site, version, transports)),
        ),
      ),
  },
  'no client of any dialect loses anything': { act: allDialects },
  'no client of any dialect loses anything with Redis as the directory': { options: { redis: true }, act: allDialects },
  'all nodes are succeeded under load, one after the other, and nobody notices': {
    options: { successions: true },
    act: async (site) => {
      const sessions = 60;
      const figures = site.load(...loaded(sessions, 'polling=70,websocket=10,upgrade=20', 12));
      await site.reaches(sessions, 'polliwog_sessions');
      for (const node of [...site.nodes, ...site.nodes]) await site.succeed(node);
      const { answered, ...rest } = await figures;
      assertWhole({ answered, ...rest });
      return `6 successions, ${answered} answered, ${late(rest)}`;
    },
  },
  'nginx sends every request home by what check prints': { options: { balancer: 'nginx with hints' }, act: home },
  'HAProxy sends every request home by what check prints': { options: { balancer: 'haproxy with hints' }, act: home },
  'a node that is killed disconnects its own sessions and those with something under way through it': {
    act: async (site) => {
      const { lived, ...figures } = await under(site, 'polling', 'SIGKILL');
      assertUnharmed(figures);
      const others = figures.disconnected - lived;
      const most = underWay(figures.sessions - lived, figures);
      assert.ok(others >= 0 && others <= most, `${others} others, at most ${most}; ${lived} lived there`);
      return `${lived} lived there, ${others} others (at most ${most}), ${figures.lost} messages with them, ${late(figures)}`;
    },
  },
  'a node that is killed disconnects its own WebSockets and those through it, and no other': {
    act: async (site) => {
      const { lived, through, ...figures } = await under(site, 'websocket=30,upgrade=70', 'SIGKILL', { sockets: 90 });
      assertUnharmed(figures);
      assert.equal(figures.disconnected, lived + through, `${lived} lived there, ${through} led through it`);
      return `${lived} lived there, ${through} led through it, ${figures.lost} messages with them, ${late(figures)}`;
    },
  },
  'a killed node is known as dead at once, and one that hangs after its silence': {
    options: { lines: '' },
    act: async (site) => {
      const sids = await Promise.all(Array.from({ length: 30 }, () => handshake(site.url)));
      const [own, others] = divide(sids);
      const [a, b, c] = site.nodes;
      const at = ({ host, port }) => `http://${host}:${port}`;
      const all = (status) => Promise.all(own.map((sid, index) => poll(at([a, c][index % 2]), sid, status)));
      const unharmed = () => Promise.all(others.map((sid, index) => post(at([a, c][index % 2]), sid, 200)));
      b.child.kill('SIGSTOP');
      const first = await patience(() => all(502));
      // The silence, and what a busy machine takes. They do not wait for a dial.
      assert.ok(first < 4500, `the first wait for ${first} ms`);
      let then = 0;
      // Longer than the pauses after the first two dials that fail.
      for (const until = Date.now() + 4000; Date.now() < until; await sleep(100)) {
        then = Math.max(then, await patience(() => all(502)));
      }
      assert.ok(then < 500, `later ones wait for ${then} ms`);
      await unharmed();
      b.child.kill('SIGCONT');
      // Until it is connected again, and its sessions are found.
      for (const until = Date.now() + 10_000; Date.now() < until; await sleep(50)) {
        if (await post(at(a), own[0]) === 200 && (await post(at(c), own[0])) === 200) break;
      }
      const waiting = own.slice(1).map((sid, index) => poll(at([a, c][index % 2]), sid, 400));
      await site.reaches(waiting.length, 'polliwog_polls_parked');
      b.child.kill('SIGKILL');
      const parked = await patience(() => Promise.all(waiting));
      const next = await patience(() => all(400));
      assert.ok(parked < 1000 && next < 1000, `unknown after ${parked} and ${next} ms`);
      await unharmed();
      return `hanging: 502 after ${first} ms, then in ${then} ms; killed: waiting ones 400 in ${parked} ms, next ones in ${next} ms`;
    },
  },
  'nodes that are killed from the page in a browser lose nothing of what its clients say': {
    options: { page: true },
    act: killFromPage,
  },
  'a node that hangs and is dropped costs its own sessions, and no client whose poll waits there': {
    options: { balancer: 'roundrobin that ends what hangs' },
    act: async (site) => {
      const sids = await Promise.all(Array.from({ length: 60 }, () => handshake(site.url)));
      const [own, others] = divide(sids);
      const { node, waits } = { node: site.nodes[1], waits: others.map((sid) => poll(site.url, sid).catch(() => 0)) };
      own.forEach((sid) => poll(site.url, sid).catch(() => {}));
      await site.reaches(sids.length, 'polliwog_polls_parked');
      const through = await site.metric(node, 'polliwog_cluster_asks_open', 'role="asker"');
      assert.ok(through > others.length / 6, `${through} polls wait by way of the node that hangs`);
      node.child.kill('SIGSTOP');
      // The balancer has dropped the node, and asked again what waited there; the owners have taken it for silent.
      await sleep(6000);
      // The backend responds to it, so that there is something for the poll that waits.
      const posted = await Promise.all(others.map((sid) => post(site.url, sid, undefined, '40')));
      const polled = await Promise.all(waits);
      const failed = (statuses) => statuses.filter((status) => status !== 200).length;
      assert.deepEqual([failed(posted), failed(polled)], [0, 0], `of ${others.length} sessions that live elsewhere`);
      return `${own.length} lived there; ${through} of ${others.length} other polls waited there, and none was lost`;
    },
  },
  'a node that stops by a signal and is dropped at once breaks nobody': {
    act: async (site) => {
      const { lived, polled, through, ...figures } = await under(site, 'polling=70,websocket=10,upgrade=20', 'SIGTERM', {
        seconds: 8,
        sockets: 27,
      });
      assertUnharmed(figures);
      assert.deepEqual(Object.keys(figures.errors), ['closed by the server'], 'each is told in order');
      const { polling } = figures.transports;
      assert.deepEqual([polling.disconnected, polling.lost], [polled, 0], 'clients that poll');
      const { disconnected } = figures;
      assert.ok(disconnected >= lived && disconnected <= lived + through, `${lived} lived there, ${through} led through it`);
      const crossed = reported(site);
      assert.equal(figures.lost, crossed, 'the node has told of everything that was lost');
      const { child } = site.nodes[1];
      if (child.exitCode === null) await once(child, 'exit');
      assert.equal(child.signalCode, null, 'it ends by itself');
      return `${lived} lived there, ${through} led through it, ${disconnected} closed in order, ${figures.lost} messages crossed a Close, ${late(figures)}`;
    },
  },
};

/** How many messages nodes have reported as lost. */
function reported(site) {
  const losses = site.nodes.flatMap(({ log }) => [...log.matchAll(/were lost when .* messages=(\d+)/g)]);
  return losses.reduce((sum, [, messages]) => sum + Number(messages), 0);
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
