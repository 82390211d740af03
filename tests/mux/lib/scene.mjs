// What a case through the binary gets, and what is closed after it.

import assert from 'node:assert/strict';
import { start, stop } from './backend.mjs';
import { KINDS } from './client.mjs';
import { Peer } from './peer.mjs';
import { Polliwog } from './polliwog.mjs';
import { until } from './until.mjs';

export class Scene {
  #backends = [];
  #polliwogs = [];
  #others = [];
  #clients = [];

  constructor({ file, random }) {
    Object.assign(this, { file, random });
  }

  /** A reference backend. */
  async backend(options) {
    const backend = await start(this.file, options);
    this.#backends.push(backend);
    return backend;
  }

  /** The binary, in front of `port`. */
  async polliwog(port, options) {
    const polliwog = await Polliwog.start(port, options);
    this.#polliwogs.push(polliwog);
    return polliwog;
  }

  /** Both. */
  async pair(options) {
    const backend = await this.backend();
    return { backend, polliwog: await this.polliwog(backend.port, options) };
  }

  /** Closes something at the end of the case. */
  keep(other) {
    this.#others.push(other);
    return other;
  }

  /** A client, not yet open. */
  client(Kind, { port }, options) {
    const client = new Kind(port, options);
    this.#clients.push(client);
    return client;
  }

  /** So many of every kind, open. */
  async some(polliwog, count = 1) {
    const clients = KINDS.flatMap((Kind) => Array.from({ length: count }, () => this.client(Kind, polliwog)));
    await Promise.all(clients.map((client) => client.open()));
    return clients;
  }

  /** What a reference backend counts, without this request. */
  async stats({ port }) {
    const peer = new Peer(port);
    await peer.hello('a question', {});
    await peer.open('s1', { path: '/stats' });
    const counts = JSON.parse((await peer.next('t'))[3]);
    await peer.close();
    const less = ['sockets', 'sockets_ever', 'sessions', 'sessions_ever'];
    return { ...counts, ...Object.fromEntries(less.map((name) => [name, counts[name] - 1])) };
  }

  /** Waits until a reference backend has so many sessions. */
  async sessions(backend, count) {
    let now;
    const isSo = async () => (now = (await this.stats(backend)).sessions) === count;
    await until(isSo, () => `${now} sessions at the backend, not ${count}`);
  }

  /** The last lines of the binaries' output. */
  log() {
    return this.#polliwogs.flatMap(({ log, noise }) => [...noise, ...log.map((line) => JSON.stringify(line))]).slice(-20).join('\n');
  }

  /** Closes everything; asserts that the binary lived, and wrote nothing but its log. */
  async end() {
    const dead = this.#polliwogs.filter((polliwog) => !polliwog.lives && !polliwog.stopped);
    for (const client of this.#clients) client.drop();
    for (const other of this.#others) other.close();
    await Promise.all(this.#polliwogs.map((polliwog) => polliwog.stop('SIGKILL')));
    for (const backend of this.#backends) if (backend.child.exitCode === null && backend.child.signalCode === null) await stop(backend, 'SIGKILL');
    assert.equal(dead.length, 0, 'the binary ended by itself');
    assert.deepEqual(this.#polliwogs.flatMap(({ noise }) => noise), []);
    assert.deepEqual(this.#backends.map(({ errors }) => errors).join(''), '');
  }
}
