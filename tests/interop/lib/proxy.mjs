// One proxy process: its start, its end by SIGTERM, and what it said on the standard error.

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { accepts, freePort, sleep } from './ports.mjs';
import { newDirectory, start } from './processes.mjs';
import { request } from './raw.mjs';

const READY_MS = 10_000;
const END_MS = 10_000;

export class Proxy {
  #command;
  #child;
  #stderr = '';
  #exit;

  /** `command` is what `spawn` takes: a file, its arguments, and options. */
  constructor(port, command) {
    Object.assign(this, { port });
    this.#command = command;
  }

  /** Starts `binary` on a port of its own; `config(port)` is its configuration. */
  static async start(binary, config) {
    const port = await freePort();
    const file = path.join(await newDirectory(), 'config.toml');
    await writeFile(file, config(port));
    const proxy = new Proxy(port, [binary, ['run', '--config', file], {}]);
    await proxy.start();
    return proxy;
  }

  /** Starts `binary` with its built-in configuration, except for the ports and what `more` has. */
  static async shipped(binary, more = {}) {
    const port = await freePort();
    const variables = { POLLIWOG_SERVER__LISTEN: `127.0.0.1:${port}`, POLLIWOG_ADMIN__LISTEN: '127.0.0.1:0' };
    const options = { cwd: await newDirectory(), env: { ...process.env, ...variables, ...more } };
    const proxy = new Proxy(port, [binary, [], options]);
    await proxy.start();
    return proxy;
  }

  /** Starts the process, for the first time or again, and waits until its port accepts. */
  async start() {
    const [binary, args, options] = this.#command;
    const child = start(binary, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    this.#exit = new Promise((resolve) => {
      child.once('error', (error) => resolve(String(error)));
      child.once('exit', (code, signal) => resolve(code ?? signal));
    });
    child.stderr.setEncoding('utf8').on('data', (text) => (this.#stderr = (this.#stderr + text).slice(-200_000)));
    await this.#ready();
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

  /** Sends a signal, and waits for nothing. */
  kill(signal) {
    this.#child.kill(signal);
  }

  /** Its exit code, or the signal that ended it. */
  get ended() {
    return this.#exit;
  }

  /** Has it take another configuration in place of the one that it was started with. */
  async reload(config) {
    const [, [, , file]] = this.#command;
    await writeFile(file, config(this.port));
    this.kill('SIGHUP');
  }

  /** The response of `/readyz`: `{ status, body }`. */
  readyz() {
    return request({ port: this.#admin, path: '/readyz' });
  }

  /** How many polls are parked, or undefined if the bridge has no metrics. */
  parked() {
    return this.#admin && this.sum('polliwog_polls_parked');
  }

  /** The sum of a metric's series. */
  async sum(metric) {
    const body = await this.#metrics();
    const lines = body.split('\n').filter((line) => line.startsWith(`${metric}{`));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  /** How many connections of clients are open. */
  connections() {
    return this.metric('polliwog_connections{listener="default"}');
  }

  /** On how many connections of clients HTTP of this version began: `http/1.1` or `http/2`. */
  spoken(protocol) {
    return this.metric(`polliwog_http_connections_total{listener="default",protocol="${protocol}"}`);
  }

  /** The value of one series. */
  async metric(series) {
    const body = await this.#metrics();
    return Number(body.split('\n').find((line) => line.startsWith(`${series} `))?.slice(series.length));
  }

  async #metrics() {
    return (await request({ port: await this.admin(), path: '/metrics' })).body;
  }

  /** The port of its admin listener. */
  async admin() {
    // It is said right behind the port of clients; the interval between two looks.
    while (!this.#admin && this.alive) await sleep(10);
    return this.#admin;
  }

  get #admin() {
    const lines = [...this.#stderr.matchAll(/admin listening address=127\.0\.0\.1:(\d+)/g)];
    return lines.length ? Number(lines.at(-1)[1]) : undefined;
  }

  /** Ends it by SIGTERM and returns its exit code; one that does not end is killed, and the returned text says so. */
  async stop() {
    if (this.alive) this.#child.kill('SIGTERM');
    // A deadline for the process to end by itself.
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
      // The interval between two checks.
      await sleep(10);
    }
  }
}
