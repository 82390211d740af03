// The backend vanishes silently: which sessions end with it, and what later clients get.

import assert from 'node:assert/strict';
import { BACKENDS, stop } from '../lib/backend.mjs';
import { KINDS, Plain, Polling, Refused, Socket } from '../lib/client.mjs';
import { relay } from '../lib/relay.mjs';
import { until } from '../lib/until.mjs';

const ALL = BACKENDS.map(({ file }) => file);
const LONG = ALL.filter((file) => file.startsWith('long'));
// Half of handshake_timeout.
const AT_ONCE_MS = 5000;

const NO_CODE = { code: 1005, reason: '' };
const FORGOTTEN = { code: 1012, reason: 'the backend has lost the session' };

/** Waits until all have ended, a plain WebSocket as told. */
async function ended(clients, plain = NO_CODE) {
  const how = new Map([[Polling, { packet: '1' }], [Socket, NO_CODE], [Plain, plain]]);
  for (const client of clients) assert.deepEqual(await client.ended, how.get(client.constructor), client.constructor.name);
}

const ready = (polliwog, status) =>
  until(async () => (await polliwog.ask('/readyz')).status === status, () => `readyz says ${status}`);

/** Asserts that clients are refused without a wait. */
async function refused(scene, polliwog) {
  const began = performance.now();
  for (const Kind of KINDS) {
    const error = await scene.client(Kind, polliwog).open().catch((caught) => caught);
    assert.ok(error instanceof Refused && error.status === 502, `${Kind.name}: ${error}`);
  }
  assert.ok(performance.now() - began < AT_ONCE_MS, `refused only after ${performance.now() - began} ms`);
}

async function welcome(scene, polliwog) {
  await ready(polliwog, 200);
  for (const client of await scene.some(polliwog)) assert.equal(await client.echo('again'), 'again');
}

export default [
  {
    name: 'after its end without a memory every session ends, and new ones are welcome; meanwhile they are turned away at once',
    backends: ALL,
    async run(scene) {
      const { backend, polliwog } = await scene.pair();
      const clients = await scene.some(polliwog, 3);
      for (const client of clients) assert.equal(await client.echo('hello'), 'hello');
      await stop(backend, 'SIGKILL');
      await ready(polliwog, 503);
      await refused(scene, polliwog);
      const resumes = LONG.includes(scene.file);
      if (resumes) assert.deepEqual(clients.filter(({ over }) => over), []);
      else await ended(clients);
      await scene.backend({ port: backend.port });
      if (resumes) await ended(clients, FORGOTTEN);
      assert.equal(await polliwog.metric('polliwog_sessions_closed_total', 'reason="upstream_closed"'), clients.length);
      await welcome(scene, polliwog);
    },
  },
  {
    name: 'a cut ends every session where there is no resume, and new ones begin',
    backends: ALL,
    async run(scene) {
      const backend = await scene.backend();
      const plan = { pass: Infinity };
      const line = scene.keep(await relay(backend.port, () => (line?.cuts() ? { pass: Infinity } : plan)));
      const polliwog = await scene.polliwog(line.port, { mux: { resume_timeout: 0 } });
      const clients = await scene.some(polliwog, 3);
      plan.pass = 0;
      clients[0].send('the last straw');
      await ended(clients);
      await welcome(scene, polliwog);
    },
  },
  {
    name: 'sessions end when the backend does not come back in time',
    backends: LONG,
    async run(scene) {
      const { backend, polliwog } = await scene.pair({ mux: { resume_timeout: '700ms' } });
      const clients = await scene.some(polliwog, 3);
      await stop(backend, 'SIGKILL');
      await ended(clients);
      await polliwog.sessions(0);
    },
  },
];
