// The binary in its own process, in front of one upstream of kind "mux": Engine.IO for every host but that of plain
// WebSockets.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Plain } from './client.mjs';
import { Connection } from './http.mjs';
import { until } from './until.mjs';

const running = new Set();
// All of them end with the check, however it ends.
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

export class Polliwog {
  /** What it logged, and what else it wrote. */
  log = [];
  noise = [];

  /** Starts one in front of `port`. `mux` and `upstream` are tables of the configuration. */
  static async start(port, { mux = {}, upstream = {}, server = {} } = {}) {
    const folder = mkdtempSync(path.join(tmpdir(), 'polliwog-mux-'));
    const polliwog = new Polliwog();
    try {
      const file = path.join(folder, 'config.toml');
      writeFileSync(file, config({ port, mux, upstream, server }));
      polliwog.#spawn(file);
      await until(() => polliwog.port && polliwog.admin, () => `it says where it listens\n${polliwog.noise.join('\n')}`);
    } finally {
      rmSync(folder, { recursive: true });
    }
    return polliwog;
  }

  #spawn(file) {
    this.child = spawn(process.env.POLLIWOG_BIN, ['run', '--config', file], { stdio: ['ignore', 'ignore', 'pipe'] });
    running.add(this.child);
    this.ended = once(this.child, 'exit').then(([code, signal]) => code ?? signal);
    this.ended.finally(() => running.delete(this.child)).catch((error) => this.noise.push(String(error)));
    createInterface({ input: this.child.stderr }).on('line', (line) => {
      if (!line.startsWith('{')) return this.noise.push(line);
      const { level, fields } = JSON.parse(line);
      this.log.push({ level, ...fields });
      const port = Number(fields.address?.split(':')[1]);
      if (fields.message === 'listening') this.port = port;
      if (fields.message === 'admin listening') this.admin = port;
    });
  }

  get lives() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Memory in bytes. */
  get memory() {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.child.pid}/status`, 'utf8'))[1]) * 1024;
  }

  /** A page of the admin listener. */
  async ask(page) {
    const connection = new Connection(this.admin);
    try {
      return await connection.request('GET', page);
    } finally {
      connection.close();
    }
  }

  /** The sum of all series of a metric that have these labels. */
  async metric(name, ...labels) {
    const { body } = await this.ask('/metrics');
    const lines = body.split('\n').filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)));
    if (!lines.length) throw new Error(`there is no ${name} ${labels}`);
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  /** Waits until it has so many sessions. */
  async sessions(count) {
    let now;
    const isSo = async () => (now = await this.metric('polliwog_sessions')) === count;
    await until(isSo, () => `${now} sessions, not ${count}`);
  }

  /** Ends it. Returns its exit code, or the signal's name. */
  stop(signal = 'SIGTERM') {
    this.stopped = true;
    if (this.lives) this.child.kill(signal);
    return this.ended;
  }
}

function config({ port, mux, upstream, server }) {
  const table = (name, entries) => [name, ...Object.entries(entries).map(([key, value]) => `${key} = ${JSON.stringify(value)}`)];
  return [
    ...table('[server]', { listen: ['127.0.0.1:0'], drain_timeout: '6s', max_sessions: 3000, ...server }),
    ...table('[admin]', { listen: '127.0.0.1:0' }),
    ...table('[log]', { format: 'json' }),
    ...table('[[routes]]', { path: '/', dialect: 'engine.io', upstream: 'b' }),
    ...table('[[routes]]', { path: '/', host: Plain.host, dialect: 'websocket', upstream: 'b' }),
    ...table('[upstreams.b]', { kind: 'mux', url: `ws://127.0.0.1:${port}/`, ...upstream }),
    ...table('[upstreams.b.mux]', mux),
  ].join('\n');
}
