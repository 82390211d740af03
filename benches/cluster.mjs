// What a request costs that takes a hop: two nodes on one core, with the clients, HAProxy and the backend on the other. HAProxy
// leads each request with a session id to the session's own node ("local") or to the other ("foreign"). Prints CPU of both
// nodes together for each message there and back, its instructions, and the memory of a parked poll at each. See README.md.

import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { freePort, sleep } from '../tests/interop/lib/ports.mjs';
import { backend, binary, callgrind, hasCallgrind, instructions, proxy, route, run, server, start, stop } from './subjects.mjs';
import { open } from './rounds.mjs';
import { leave } from '../tests/leave.mjs';

const seconds = Number(process.env.SECONDS_EACH ?? 5);

/** What runs a program on a core. */
const on = (core) => ['taskset', '-c', core];

/** Microseconds of the scheduler's time. */
const cpu = ({ pid }) =>
  readdirSync(`/proc/${pid}/task`)
    .map((task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e3)
    .reduce((sum, time) => sum + time);

const resident = ({ pid }) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);

const UPSTREAMS = await backend({ port: await freePort(), admin: await freePort() }, on('1'));

// A node that callgrind runs on a busy machine takes its time.
const PATIENT = 'connect_timeout = "10s"\nsilence_timeout = "30s"\n';

/** Which of two nodes serves a request with a session id. */
const HOMES = { local: 'a', foreign: 'b' };

/** Nodes and the balancer; `act(nodes, load)` measures. */
async function site(upstream, where, act, under = () => []) {
  const nodes = [];
  for (const name of ['a', 'b']) {
    nodes.push({ name, port: await freePort(), admin: await freePort(), peer: await freePort() });
  }
  const peers = nodes.map(({ name, peer }) => `${name} = "127.0.0.1:${peer}"`).join(', ');
  for (const node of nodes) {
    const cluster = `[cluster]\nlisten = "127.0.0.1:${node.peer}"\npeers = { ${peers} }\ntoken = "a-long-secret-of-all-nodes"\n${PATIENT}`;
    const text = `${server(node)}${cluster}${route('/socket.io/', 'engine.io')}relay = false\n[upstreams.u]\n${upstream}\n`;
    node.child = await proxy(`${node.name}.toml`, text, node.port, [...on('0'), ...under(node.name)]);
  }
  const port = await freePort();
  const text = `global
  maxconn 9000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
frontend all
  bind 127.0.0.1:${port}
  default_backend nodes
backend nodes
  http-reuse always
  use-server a if !{ urlp(sid) -m found }
  use-server ${HOMES[where]} if { urlp(sid) -m found }
${nodes.map(({ name, port }) => `  server ${name} 127.0.0.1:${port}\n`).join('')}`;
  const balancer = await run([...on('1'), 'haproxy', '-db', '-q', '-f'], 'haproxy.cfg', text, port);
  const load = (...args) => start([...on('1'), binary, 'load', `http://127.0.0.1:${port}`, '--json', '-', ...args], 'pipe');
  const measured = await act(nodes.map(({ child }) => child), load, port);
  for (const child of [balancer, ...nodes.map(({ child }) => child)]) await stop(child);
  return measured;
}

/** CPU of each node for a message and its echo, after a second in which all connect. */
const pace = (transport) => async (nodes, load) => {
  const child = load('-n', '64', '--transport', transport, '-d', `${seconds}s`);
  let out = '';
  child.stdout.on('data', (text) => (out += text));
  // The first second is not counted, and all are connected by then.
  await sleep(1500);
  const before = nodes.map(cpu);
  let last = before;
  while (child.exitCode === null) {
    last = nodes.map(cpu);
    // The interval between two looks.
    await sleep(50);
  }
  const { answered_by_second: answered, lost } = JSON.parse(out);
  if (lost > 0) throw new Error(`${lost} lost`);
  const count = answered.slice(1).reduce((sum, each) => sum + each, 0);
  return last.map((time, node) => (time - before[node]) / count);
};

/** Instructions of each node for a message and its echo. */
async function instructionsOfRounds([a, b], _load, port) {
  const [sessions, rounds] = [16, 50];
  const go = await open(port, sessions);
  await go(10);
  const totals = await instructions({ a, b }, () => go(rounds));
  return totals.map((total) => total / sessions / rounds);
}

/** Kilobytes of each node for a session with a parked poll. */
async function memory(nodes, load) {
  const rest = async (sessions) => {
    const child = load('-n', `${sessions}`, '--rate', '0', '-d', '16s');
    // All have parked, their buffers are released, and the allocator has returned what it kept.
    await sleep(15_000);
    const sizes = nodes.map(resident);
    await once(child, 'exit');
    return sizes;
  };
  const few = await rest(200);
  const many = await rest(1200);
  return many.map((size, node) => (size - few[node]) / 1000);
}

const median = (values) => values.sort((one, other) => one - other)[Math.floor(values.length / 2)];
const sum = (values) => values.reduce((one, other) => one + other, 0);
const ROUNDS = Number(process.env.ROUNDS ?? 3);
const TRANSPORTS = { 'POST, echo, GET': 'polling', 'WebSocket after an upgrade': 'upgrade' };
console.log('| what | local | foreign: owner + asker | foreign beside local |\n|---|---|---|---|');
for (const [name, upstream] of Object.entries(UPSTREAMS)) {
  // Without any rounds, instructions and memory alone.
  for (const [what, transport] of ROUNDS > 0 ? Object.entries(TRANSPORTS) : []) {
    const rounds = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const local = await site(upstream, 'local', pace(transport));
      const foreign = await site(upstream, 'foreign', pace(transport));
      rounds.push({ local, foreign, ratio: sum(foreign) / sum(local) });
    }
    const ratios = rounds.map(({ ratio }) => ratio);
    const [ratio, least, most] = [median(ratios), Math.min(...ratios), Math.max(...ratios)].map((one) => one.toFixed(2));
    const { local, foreign } = rounds.find((round) => round.ratio.toFixed(2) === ratio);
    const parts = foreign.map((time) => time.toFixed(1)).join(' + ');
    console.log(`| ${what}; ${name}, us | ${sum(local).toFixed(1)} | ${parts} | ${ratio} (${least} .. ${most}) |`);
  }
  if (hasCallgrind) {
    const [local, foreign] = [await site(upstream, 'local', instructionsOfRounds, callgrind), await site(upstream, 'foreign', instructionsOfRounds, callgrind)];
    const parts = foreign.map((count) => Math.round(count)).join(' + ');
    console.log(`| POST, echo, GET; ${name}, instructions | ${Math.round(sum(local))} | ${parts} | ${(sum(foreign) / sum(local)).toFixed(2)} |`);
  }
  const [local, foreign] = [await site(upstream, 'local', memory), await site(upstream, 'foreign', memory)];
  const [one, two] = [local[0].toFixed(2), foreign.map((size) => size.toFixed(2)).join(' + ')];
  console.log(`| parked poll; ${name}, kB | ${one} | ${two} | |`);
}
await leave(0);
