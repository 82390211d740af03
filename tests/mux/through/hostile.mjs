// A backend that breaks the protocol: its sessions end, and the proxy lives, logs the reason and dials again after a pause.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Plain, Refused } from '../lib/client.mjs';
import { StandIn } from '../lib/stand-in.mjs';
import { until } from '../lib/until.mjs';

const WATCH_MS = 1200;
// With pauses that double from half of 100 ms at least.
const DIALS_MAX = 8;
// Below what a frame may have with this max_message.
const MAX_MESSAGE = 65_536;
const HUGE = 2 << 20;

const raw = (data, binary = false) => (line) => line.ws.send(data, { binary });
const say = (...frame) => (line) => line.say(...frame);
const sayOf = (frame) => (line, id) => line.say(...frame(id));

/** What it sends on an open session, and what is logged of it. */
const FAULTS = [
  ['no JSON', raw('{secret'), 'not JSON'],
  ['no array', raw('{"secret":1}'), 'a frame is an array'],
  ['no UTF-8', raw(Buffer.from([0x22, 0xff, 0x22])), 'a text is not UTF-8'],
  ['a binary message', raw(Buffer.from('secret'), true), 'a binary message in the JSON profile'],
  ['no WebSocket frame', (line) => line.ws._socket.write(Buffer.from([0x83, 0x00])), 'not a WebSocket frame'],
  ['a frame too large', raw(`["t","s1",1,"${'secret'.repeat(HUGE / 6)}"]`), 'a frame is too large'],
  ['an unknown verb', sayOf((id) => ['secret', id]), 'an unknown verb'],
  ["the proxy's verb", sayOf((id) => ['transport', id, 'websocket']), 'a verb of the other side'],
  ['a second hello', say('hello', { v: 1, secret: 1 }), 'a second hello'],
  ['a sync without a break', say('sync', []), 'a sync without a break'],
  ['a seq out of order', sayOf((id) => ['t', id, 2, 'secret']), 'a seq is out of order'],
  ['an a for what was never sent', sayOf((id) => ['a', [[id, 9, 1]]]), 'what was never sent is acknowledged'],
  ['an x for what never came', sayOf((id) => ['x', id, 1, 1000, 'secret']), 'an x for messages that never came'],
  ['a close code that is none', sayOf((id) => ['x', id, 0, 99, 'secret']), 'x: a code is from 1000 to 4999'],
];

/** What it sends instead of a hello, and the reason that it gets. */
const GREETINGS = [
  ['another version', say('hello', { v: 2, secret: 1 }), 'another version of the protocol'],
  ['another first frame', say('ok', 's1', {}), 'the first frame is no hello'],
  ['nothing', () => {}, 'no hello'],
];

const warnings = (polliwog) => polliwog.log.filter(({ level }) => level === 'WARN' || level === 'ERROR');

async function fault(scene, [name, act, reason]) {
  let tame = false;
  const standIn = scene.keep(
    await StandIn.listen({
      t: (line, id, ...message) => (tame ? line.say('t', id, ...message) : act(line, id)),
    }),
  );
  const polliwog = await scene.polliwog(standIn.port, { upstream: { max_message: MAX_MESSAGE } });
  const clients = await scene.some(polliwog);
  clients[0].send('go');
  for (const client of clients) {
    const how = await client.ended;
    if (client.constructor === Plain) assert.deepEqual(how, { code: 1002, reason: 'upstream protocol error' }, name);
  }
  await until(() => standIn.lines[0].closed, () => `${name}: the WebSocket is closed`);
  assert.deepEqual(standIn.lines[0].closed, { code: 1002, reason }, name);
  assert.deepEqual(warnings(polliwog).map((line) => line.reason), [reason], name);
  assert.doesNotMatch(JSON.stringify(polliwog.log), /secret/, name);
  tame = true;
  const [again] = await scene.some(polliwog);
  assert.equal(await again.echo('tame'), 'tame', name);
}

export default [
  {
    name: 'a fault ends all sessions with 1002, is told in one line of the log without what was said, and is forgiven',
    async run(scene) {
      for (const each of FAULTS) await fault(scene, each);
    },
  },
  {
    name: 'a backend without a hello is down, and is asked again and again, but not in a hurry',
    async run(scene) {
      for (const [name, act, reason] of GREETINGS) {
        const standIn = scene.keep(await StandIn.listen({ hello: act }));
        const polliwog = await scene.polliwog(standIn.port, { upstream: { handshake_timeout: '200ms' } });
        const client = await scene.client(Plain, polliwog).open().catch((caught) => caught);
        assert.ok(client instanceof Refused, `${name}: ${client}`);
        // The dials are counted over this time.
        await sleep(WATCH_MS);
        const [{ at: first }] = standIn.lines;
        const dials = standIn.lines.filter(({ at }) => at < first + WATCH_MS).length;
        assert.ok(dials < DIALS_MAX, `${name}: ${dials} dials`);
        await until(() => standIn.lines.length > 1 && standIn.lines[0].closed, () => `${name}: it is dialled again`);
        assert.deepEqual(standIn.lines[0].closed, { code: 1002, reason }, name);
        assert.equal((await polliwog.ask('/readyz')).status, 503, name);
        const down = warnings(polliwog).filter(({ message }) => message === 'no shared connection');
        assert.equal(down.length, 1, `${name}: ${JSON.stringify(polliwog.log)}`);
        assert.doesNotMatch(JSON.stringify(polliwog.log), /secret/, name);
      }
    },
  },
];
