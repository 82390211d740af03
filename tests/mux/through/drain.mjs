// Either side stops cleanly.

import assert from 'node:assert/strict';
import { BACKENDS, stop } from '../lib/backend.mjs';
import { Plain, Polling, Socket } from '../lib/client.mjs';
import { StandIn } from '../lib/stand-in.mjs';
import { until } from '../lib/until.mjs';

const ALL = BACKENDS.map(({ file }) => file);

/** Asserts that all end, a plain WebSocket with 1001. */
async function gone(clients) {
  const codes = new Map([[Polling, undefined], [Socket, 1005], [Plain, 1001]]);
  for (const client of clients) {
    const { packet, code } = await client.ended;
    assert.equal(packet, client instanceof Polling ? '1' : undefined, client.constructor.name);
    assert.equal(code, codes.get(client.constructor), client.constructor.name);
  }
}

async function echo(clients) {
  for (const client of clients) assert.equal(await client.echo('hello'), 'hello');
}

export default [
  {
    name: 'the proxy drains: the backend is told, every session closes with 1001 on both sides, and then the WebSocket',
    backends: ALL,
    async run(scene) {
      const backend = await scene.backend();
      const tap = scene.keep(await StandIn.tap(backend.port));
      const polliwog = await scene.polliwog(tap.port);
      const clients = await scene.some(polliwog, 3);
      await echo(clients);
      const exit = polliwog.stop();
      await gone(clients);
      assert.equal(await exit, 0);
      const [line] = tap.lines;
      await until(() => line.closed, () => 'the WebSocket is closed');
      assert.equal(line.closed.code, 1001);
      const last = line.heard.filter(([verb]) => verb === 'drain' || verb === 'x');
      assert.deepEqual(last.map(([verb, , , code]) => code ?? verb), ['drain', ...clients.map(() => 1001)]);
      await scene.sessions(backend, 0);
    },
  },
  {
    name: 'the backend drains: its sessions go on until they end, and new ones begin on another WebSocket',
    backends: ALL,
    async run(scene) {
      const backend = await scene.backend();
      const tap = scene.keep(await StandIn.tap(backend.port));
      const polliwog = await scene.polliwog(tap.port);
      const before = await scene.some(polliwog, 2);
      tap.lines[0].say('drain', 30);
      await until(() => tap.lines[1]?.said.length, () => 'there is another WebSocket');
      const after = await scene.some(polliwog, 2);
      await echo([...before, ...after]);
      assert.deepEqual(tap.lines.map((line) => line.of('open').length), [before.length, after.length]);
      await Promise.all(before.map((client) => client.close()));
      await until(() => tap.lines[0].closed, () => 'the old WebSocket is closed');
      assert.equal(tap.lines[0].closed.code, 1001);
      await echo(after);
      await scene.sessions(backend, after.length);
    },
  },
  {
    name: "the backend ends its sessions and itself: clients hear 1001, and new ones are its successor's",
    backends: ALL,
    async run(scene) {
      const { backend, polliwog } = await scene.pair();
      const clients = await scene.some(polliwog, 3);
      const exit = stop(backend, 'SIGTERM');
      await gone(clients);
      assert.equal(await exit, 0);
      const successor = await scene.backend({ port: backend.port });
      await until(async () => (await polliwog.ask('/readyz')).status === 200, () => 'it is ready again');
      await echo(await scene.some(polliwog));
      await scene.sessions(successor, 3);
    },
  },
];
