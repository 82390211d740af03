// What a request costs that takes a hop: two nodes on one core, with the clients, HAProxy and the backend on the other. HAProxy
// leads each request with a session id to the session's own node ("local") or to the other ("foreign"). Prints CPU of both
// nodes together for each message there and back, its instructions, and the memory of a parked poll at each; then CPU of three
// nodes that share that core, each request led to any of them, beside a node without others ("alone"). See README.md.

import { once } from 'node:events';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { accepts, freePort, sleep } from '../tests/interop/lib/ports.mjs';
import { open } from './rounds.mjs';

const binary = process.env.POLLIWOG_BIN;
const seconds = Number(process.env.SECONDS_EACH ?? 5);
const folder = mkdtempSync(path.join(tmpdir(), 'polliwog-bench-'));
const children = new Set();
process.on('exit', () => {
  children.forEach((child) => child.kill('SIGKILL'));
  rmSync(folder, { recursive: true, force: true });
});

function start(core, file, args, stdout = 'ignore') {
  const child = spawn('taskset', ['-c', core, file, ...args], { stdio: ['ignore', stdout, 'ignore'] });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

async function stop(child) {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

async function run(core, name, text, port, ...command) {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  const child = start(core, ...command.map((word) => (Array.isArray(word) ? [...word, file] : word)));
  // The interval between two looks.
  while (!(await accepts(port))) await sleep(20);
  return child;
}

function proxy(core, name, text, port, under = []) {
  const [program, ...words] = [...under, binary, 'run', '--config'];
  return run(core, name, text, port, program, words);
}

const counts = (name) => path.join(folder, `${name}.callgrind`);

/** What has callgrind count a node's instructions outside the kernel; the C library is kept from `rep stosb`, as in measure.rs. */
const callgrind = (name) => [
  'env',
  'GLIBC_TUNABLES=glibc.cpu.hwcaps=-ERMS',
  'valgrind',
  '-q',
  '--tool=callgrind',
  '--instr-atstart=no',
  `--callgrind-out-file=${counts(name)}`,
];

/** Microseconds of the scheduler's time. */
const cpu = ({ pid }) =>
  readdirSync(`/proc/${pid}/task`)
    .map((task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e3)
    .reduce((sum, time) => sum + time);

const resident = ({ pid }) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);

const back = { port: await freePort(), admin: await freePort() };
const server = ({ port, admin }) =>
  `[server]\nlisten = "127.0.0.1:${port}"\n[admin]\nlisten = "127.0.0.1:${admin}"\n`;
const route = (at, dialect) => `[[routes]]\npath = "${at}"\ndialect = "${dialect}"\nupstream = "u"\n`;
await proxy(
  '1',
  'back.toml',
  `${server(back)}${route('/socket.io/', 'engine.io')}${route('/mux/', 'mux')}[upstreams.u]\nkind = "demo"\n`,
  back.port,
);
const UPSTREAMS = {
  'own upstream': `kind = "engine.io"\nurl = "ws://127.0.0.1:${back.port}/socket.io/"`,
  mux: `kind = "mux"\nurl = "ws://127.0.0.1:${back.port}/mux/"`,
};

// A node that callgrind runs on a busy machine takes its time.
const PATIENT = 'connect_timeout = "10s"\nsilence_timeout = "30s"\n';

/** Which nodes there are, and which of them serves a request with a session id; unset: any. */
const SITES = {
  local: { names: ['a', 'b'], home: 'a' },
  foreign: { names: ['a', 'b'], home: 'b' },
  alone: { names: ['a'], home: 'a' },
  three: { names: ['a', 'b', 'c'] },
};

/** Nodes and the balancer; `act(nodes, load)` measures. */
async function site(upstream, where, act, under = () => []) {
  const nodes = [];
  const { names, home } = SITES[where];
  for (const name of names) {
    nodes.push({ name, port: await freePort(), admin: await freePort(), peer: await freePort() });
  }
  const peers = nodes.map(({ name, peer }) => `${name} = "127.0.0.1:${peer}"`).join(', ');
  for (const node of nodes) {
    const cluster = names.length === 1 ? '' : `[cluster]\nlisten = "127.0.0.1:${node.peer}"\npeers = { ${peers} }\ntoken = "a-long-secret-of-all-nodes"\n${PATIENT}`;
    const text = `${server(node)}${cluster}${route('/socket.io/', 'engine.io')}relay = false\n[upstreams.u]\n${upstream}\n`;
    node.child = await proxy('0', `${node.name}.toml`, text, node.port, under(node.name));
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
  balance random(1)
${home ? `  use-server a if !{ urlp(sid) -m found }\n  use-server ${home} if { urlp(sid) -m found }\n` : ''}${nodes.map(({ name, port }) => `  server ${name} 127.0.0.1:${port}\n`).join('')}`;
  const balancer = await run('1', 'haproxy.cfg', text, port, 'haproxy', ['-db', '-q', '-f']);
  const load = (...args) => start('1', binary, ['load', `http://127.0.0.1:${port}`, '--json', '-', ...args], 'pipe');
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

/** Instructions of each node for a message and its echo: counted from one moment of rest to another. */
async function instructions(nodes, _load, port) {
  const [sessions, rounds] = [16, 50];
  const go = await open(port, sessions);
  await go(10);
  // Nothing is on its way.
  await sleep(500);
  const control = ({ pid }, what) => execFileSync('callgrind_control', [what, `${pid}`], { stdio: 'pipe' });
  nodes.forEach((node) => control(node, '--instr=on'));
  await go(rounds);
  await sleep(500);
  nodes.forEach((node) => control(node, '--dump'));
  const totals = ['a', 'b'].map((name) => /^totals: (\d+)/m.exec(readFileSync(`${counts(name)}.1`, 'utf8'))[1]);
  return totals.map((total) => Number(total) / sessions / rounds);
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
const hasCallgrind = spawnSync('callgrind_control', ['--version']).status === 0;
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
  const capacities = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const alone = sum(await site(upstream, 'alone', pace('polling')));
    const three = sum(await site(upstream, 'three', pace('polling')));
    capacities.push({ alone, three, carries: (3 * alone) / three });
  }
  if (ROUNDS > 0) {
    const carries = capacities.map((round) => round.carries);
    const [middle, least, most] = [median(carries), Math.min(...carries), Math.max(...carries)];
    const { alone, three } = capacities.find((round) => round.carries === middle);
    const range = `${least.toFixed(2)} .. ${most.toFixed(2)}`;
    console.log(
      `| POST, echo, GET; ${name}, us: alone, and three nodes together | ${alone.toFixed(1)} | ${three.toFixed(1)} | three carry ${middle.toFixed(2)} (${range}) |`,
    );
  }
  if (hasCallgrind) {
    const [local, foreign] = [await site(upstream, 'local', instructions, callgrind), await site(upstream, 'foreign', instructions, callgrind)];
    const parts = foreign.map((count) => Math.round(count)).join(' + ');
    console.log(`| POST, echo, GET; ${name}, instructions | ${Math.round(sum(local))} | ${parts} | ${(sum(foreign) / sum(local)).toFixed(2)} |`);
  }
  const [local, foreign] = [await site(upstream, 'local', memory), await site(upstream, 'foreign', memory)];
  const [one, two] = [local[0].toFixed(2), foreign.map((size) => size.toFixed(2)).join(' + ')];
  console.log(`| parked poll; ${name}, kB | ${one} | ${two} | |`);
}
process.exit(0);
