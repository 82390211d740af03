// Processes that are measured: started with a configuration of their own, counted by callgrind, and killed at the end.

import { once } from 'node:events';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { accepts, sleep } from '../tests/interop/lib/ports.mjs';

export const binary = process.env.POLLIWOG_BIN;

const folder = mkdtempSync(path.join(tmpdir(), 'polliwog-bench-'));
const children = new Set();
process.on('exit', () => {
  children.forEach((child) => child.kill('SIGKILL'));
  rmSync(folder, { recursive: true, force: true });
});

/** Starts a program, whose output is not looked at unless `stdout` says so. */
export function start([program, ...args], stdout = 'ignore') {
  const child = spawn(program, args, { stdio: ['ignore', stdout, 'ignore'] });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

export async function stop(child) {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Starts a program whose last argument is a file with this text, and waits until it accepts connections. */
export async function run(command, name, text, port) {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  const child = start([...command, file]);
  // The interval between two looks.
  while (!(await accepts(port))) await sleep(20);
  return child;
}

/** Starts a proxy, under another program if there is one. */
export const proxy = (name, text, port, under = []) => run([...under, binary, 'run', '--config'], name, text, port);

export const hasCallgrind = spawnSync('callgrind_control', ['--version']).status === 0;

const counts = (name) => path.join(folder, `${name}.callgrind`);

/** What has callgrind count a process's instructions outside the kernel; the C library is kept from `rep stosb`, as in measure.rs. */
export const callgrind = (name) => [
  'env',
  'GLIBC_TUNABLES=glibc.cpu.hwcaps=-ERMS',
  'valgrind',
  '-q',
  '--tool=callgrind',
  '--instr-atstart=no',
  `--callgrind-out-file=${counts(name)}`,
];

const control = (child, ...what) => execFileSync('callgrind_control', [...what, `${child.pid}`], { stdio: 'pipe' });

/** Returns the instructions of processes, by their names, while `act` runs: counted from one moment of rest to another. */
export async function instructions(processes, act) {
  const all = Object.entries(processes);
  // Nothing is on its way.
  await sleep(500);
  all.forEach(([, child]) => control(child, '--zero') && control(child, '--instr=on'));
  await act();
  await sleep(500);
  const totals = [];
  for (const [name, child] of all) {
    control(child, '--dump');
    control(child, '--instr=off');
    dumps.set(child, (dumps.get(child) ?? 0) + 1);
    const total = () => /^totals: (\d+)/m.exec(readFileSync(`${counts(name)}.${dumps.get(child)}`, 'utf8'));
    // The file is complete a moment later.
    while (!total()) await sleep(50);
    totals.push(Number(total()[1]));
  }
  return totals;
}

/** How often each process was dumped: callgrind numbers its files. */
const dumps = new WeakMap();

export const server = ({ port, admin }) => `[server]\nlisten = "127.0.0.1:${port}"\n[admin]\nlisten = "127.0.0.1:${admin}"\n`;
export const route = (at, dialect) => `[[routes]]\npath = "${at}"\ndialect = "${dialect}"\nupstream = "u"\n`;

/** Starts what stands behind a proxy: the demo backend, for upstreams of sessions' own and for shared ones. It pings nobody meanwhile. */
export async function backend(at, under = []) {
  await proxy(
    'back.toml',
    `${server(at)}${route('/socket.io/', 'engine.io')}ping_interval = "1h"\n${route('/mux/', 'mux')}[upstreams.u]\nkind = "demo"\n`,
    at.port,
    under,
  );
  return {
    'own upstream': `kind = "engine.io"\nurl = "ws://127.0.0.1:${at.port}/socket.io/"`,
    mux: `kind = "mux"\nurl = "ws://127.0.0.1:${at.port}/mux/"`,
  };
}
