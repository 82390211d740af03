// One proxy process: its configuration, its start, its end by SIGTERM, and what it said on the standard error.

import { rmSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { accepts, freePort, sleep } from './ports.mjs';
import { start } from './processes.mjs';

const READY_MS = 10_000;
const END_MS = 10_000;

// Whatever ends the suite removes what it wrote.
const directories = new Set();
process.on('exit', () => directories.forEach((directory) => rmSync(directory, { recursive: true, force: true })));

export class Proxy {
  #child;
  #directory;
  #stderr = '';
  #exit;

  /** Starts `binary` in front of the backend on `backendPort` and waits until its port accepts. */
  static async start(binary, profile, backendPort) {
    const proxy = new Proxy();
    proxy.port = await freePort();
    proxy.#directory = await mkdtemp(path.join(tmpdir(), 'polliwog-interop-'));
    directories.add(proxy.#directory);
    const file = path.join(proxy.#directory, 'config.toml');
    await writeFile(file, config(profile, proxy.port, backendPort));
    const child = start(binary, ['run', '--config', file], { stdio: ['ignore', 'ignore', 'pipe'] });
    proxy.#child = child;
    proxy.#exit = new Promise((resolve) => {
      child.once('error', (error) => resolve(String(error)));
      child.once('exit', (code, signal) => resolve(code ?? signal));
    });
    child.stderr.setEncoding('utf8').on('data', (text) => (proxy.#stderr = (proxy.#stderr + text).slice(-200_000)));
    await proxy.#ready();
    return proxy;
  }

  /** A place in the standard error, to be given to `since`. */
  get mark() {
    return this.#stderr.length;
  }

  /** What was said since `mark`, the last lines of it. */
  since(mark) {
    return this.#stderr.slice(mark).split('\n').slice(-40).join('\n').trim();
  }

  get alive() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Ends it by SIGTERM and returns its exit code; one that does not end is killed, and told as "killed". */
  async stop() {
    if (this.alive) this.#child.kill('SIGTERM');
    const late = sleep(END_MS).then(() => 'late');
    let code = await Promise.race([this.#exit, late]);
    if (code === 'late') {
      this.#child.kill('SIGKILL');
      await this.#exit;
      code = `killed, for it had not ended ${END_MS} ms after SIGTERM`;
    }
    return code;
  }

  async #ready() {
    const deadline = Date.now() + READY_MS;
    let exit;
    this.#exit.then((code) => (exit = code));
    while (!(await accepts(this.port))) {
      if (exit !== undefined) throw new Error(`the proxy ended (${exit}) before it was ready:\n${this.#stderr}`);
      if (Date.now() > deadline) {
        await this.stop();
        throw new Error(`the proxy was not ready in ${READY_MS} ms:\n${this.#stderr}`);
      }
      await sleep(10);
    }
  }
}

function config({ kind, path: prefix, route = {}, upstream = {} }, port, backendPort) {
  const lines = (table) => Object.entries(table).map(([key, value]) => `${key} = ${toml(value)}`);
  return [
    '[server]',
    `listen = ["127.0.0.1:${port}"]`,
    '',
    '[admin]',
    'listen = "127.0.0.1:0"',
    '',
    '[[routes]]',
    ...lines({ path: prefix, dialect: 'engine.io', upstream: 'b', close_timeout: '2s', ...route }),
    '',
    '[upstreams.b]',
    ...lines({ kind, url: `ws://127.0.0.1:${backendPort}${kind === 'websocket' ? '/' : prefix}`, ...upstream }),
    '',
  ].join('\n');
}

function toml(value) {
  if (typeof value !== 'object' || Array.isArray(value)) return JSON.stringify(value);
  return `{ ${Object.entries(value).map(([key, inner]) => `${key} = ${toml(inner)}`)} }`;
}
