// What a case gets: a backend, peers that are closed after it, and the backend's counters.

import { start, stop } from './backend.mjs';
import { HELLO, Peer } from './peer.mjs';
import { until } from './until.mjs';

let epochs = 0;

export class Context {
  #peers = [];
  #backends = [];

  constructor({ backend, file, form, random }) {
    Object.assign(this, { backend, file, form, random });
  }

  epoch() {
    return `epoch ${(epochs += 1)}`;
  }

  /** A WebSocket to the backend, without a hello. */
  dial(options, { port } = this.backend) {
    const peer = new Peer(port, options);
    this.#peers.push(peer);
    return peer;
  }

  /** The same with a hello; `peer.theirs` is the backend's. */
  async peer(fields = {}, backend = this.backend) {
    const peer = this.dial({}, backend);
    peer.theirs = await peer.hello(fields.epoch ?? this.epoch(), fields);
    return peer;
  }

  /** Resumes with an epoch and a list; `peer.list` is the backend's. */
  async resume(epoch, list, fields = {}, backend = this.backend) {
    const peer = this.dial({}, backend);
    await peer.opened;
    peer.send('hello', { ...HELLO, epoch, ...fields });
    peer.send('sync', epoch, list);
    await peer.next('hello');
    [, peer.list] = await peer.next('sync');
    return peer;
  }

  /** How many WebSockets and sessions there are and were, without those of this request. */
  async stats(backend = this.backend) {
    const peer = await this.peer({}, backend);
    await peer.open('s1', { path: '/stats' });
    const [, , , text] = await peer.next('t');
    await peer.close();
    const counts = JSON.parse(text);
    return { ...counts, sockets: counts.sockets - 1, sessions: counts.sessions - 1 };
  }

  /** Waits until the backend has so many sessions, which no event shows. */
  async sessions(count, backend = this.backend) {
    let now;
    const isSo = async () => (now = (await this.stats(backend)).sessions) === count;
    await until(isSo, () => `${now} sessions are left, not ${count}`);
  }

  /** A backend for this case alone. */
  async own(options) {
    const backend = await start(this.file, options);
    this.#backends.push(backend);
    return backend;
  }

  /** Closes everything, and asserts that nothing is left in the shared backend. */
  async end() {
    // After a 1002 no session waits for P to come back.
    for (const { ws } of this.#peers) ws.close(1002);
    for (const backend of this.#backends) if (backend.child.exitCode === null) await stop(backend, 'SIGKILL');
    await this.sessions(0);
  }
}
