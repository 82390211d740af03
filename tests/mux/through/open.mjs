// How sessions begin, and how handshakes are refused.

import assert from 'node:assert/strict';
import { BACKENDS } from '../lib/backend.mjs';
import { KINDS, Plain, Refused } from '../lib/client.mjs';
import { StandIn } from '../lib/stand-in.mjs';
import { until } from '../lib/until.mjs';

const ALL = BACKENDS.map(({ file }) => file);

async function refusal(client) {
  const error = await client.open().catch((caught) => caught);
  assert.ok(error instanceof Refused, `${client.constructor.name}: ${error}`);
  return error;
}

export default [
  {
    name: 'with three connections there are three WebSockets, and sessions are spread evenly',
    backends: ['long.mjs', 'short.py'],
    async run(scene) {
      const backend = await scene.backend();
      const tap = scene.keep(await StandIn.tap(backend.port));
      const polliwog = await scene.polliwog(tap.port, { mux: { connections: 3 } });
      const clients = await scene.some(polliwog, 10);
      for (const client of clients) assert.equal(await client.echo('hello'), 'hello');
      assert.deepEqual(tap.lines.map((line) => line.of('open').length), [10, 10, 10]);
      const { sockets, sessions } = await scene.stats(backend);
      assert.deepEqual([sockets, sessions], [3, 30]);
    },
  },
  {
    name: "a client hears the backend's refusal, and its cookie and subprotocol otherwise",
    backends: ALL,
    async run(scene) {
      const { polliwog } = await scene.pair();
      for (const Kind of KINDS) {
        for (const status of [400, 403, 503]) {
          const refused = await refusal(scene.client(Kind, polliwog, { path: `/deny/${status}` }));
          assert.deepEqual([refused.status, refused.body], [status, 'denied'], Kind.name);
        }
        const { answer } = await scene.client(Kind, polliwog).open();
        assert.match(`${answer.headers['set-cookie']}`, /^met=1$/, Kind.name);
        const known = await scene.client(Kind, polliwog, { headers: { cookie: 'met=1' } }).open();
        assert.equal(known.answer.headers['set-cookie'], undefined, Kind.name);
      }
      const chooser = scene.client(Plain, polliwog);
      chooser.protocols = ['chat', 'superchat'];
      assert.equal((await chooser.open()).ws.protocol, 'chat');
      await polliwog.sessions(KINDS.length * 2 + 1);
    },
  },
  {
    name: "a refusal's headers reach the client, and so does the subprotocol that was chosen",
    async run(scene) {
      const headers = [['www-authenticate', 'Basic'], ['x-reason', 'banned']];
      const backend = scene.keep(
        await StandIn.listen({
          open(line, id, { path, protocols }) {
            if (path === '/') line.say('ok', id, { protocol: protocols[1] });
            else line.say('deny', id, 401, 'who are you?', { headers });
          },
        }),
      );
      const polliwog = await scene.polliwog(backend.port);
      for (const Kind of KINDS) {
        const refused = await refusal(scene.client(Kind, polliwog, { path: '/deny' }));
        assert.deepEqual([refused.status, refused.body], [401, 'who are you?'], Kind.name);
        for (const [name, value] of headers) assert.equal(refused.headers[name], value, Kind.name);
      }
      const chooser = scene.client(Plain, polliwog);
      chooser.protocols = ['chat', 'superchat'];
      assert.equal((await chooser.open()).ws.protocol, 'superchat');
    },
  },
  {
    name: 'a handshake that is never answered is a 504 in time, and the backend hears x',
    async run(scene) {
      const backend = scene.keep(await StandIn.listen({ open() {} }));
      const polliwog = await scene.polliwog(backend.port, { upstream: { handshake_timeout: '400ms' } });
      const began = performance.now();
      const refused = await Promise.all(KINDS.map((Kind) => refusal(scene.client(Kind, polliwog))));
      assert.deepEqual(refused.map(({ status }) => status), [504, 504, 504]);
      const took = performance.now() - began;
      assert.ok(took > 390 && took < 8000, `after ${took} ms`);
      await until(() => backend.heard('x').length === 3, () => 'three sessions are taken back');
      const opened = backend.heard('open').map((frame) => frame[1]);
      assert.deepEqual(backend.heard('x').map(([, id, seq, code]) => [id, seq, code]).sort(), opened.sort().map((id) => [id, 0, 1001]));
      await polliwog.sessions(0);
    },
  },
];
