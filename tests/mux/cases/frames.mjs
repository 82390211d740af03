// Frames, right and wrong: tests/mux/vectors.json, and what docs/mux.md says of their order.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { decode } from '../lib/binary.mjs';
import { HELLO, OPEN, PROFILE } from '../lib/peer.mjs';

const PAGE = readFileSync(new URL('../../../docs/mux.md', import.meta.url), 'utf8');
const { frames, malformed } = JSON.parse(readFileSync(new URL('../vectors.json', import.meta.url)));

export default [
  {
    name: 'the vectors say the same in both profiles',
    run() {
      const byName = new Map(frames.map((frame) => [frame.name, frame]));
      assert.equal(byName.size, frames.length, 'a name stands twice');
      for (const { name, json, hex, as } of frames) {
        const frame = JSON.parse(json);
        // Only readers must accept optional white space and escapes.
        if (!as) assert.equal(JSON.stringify(frame), json, name);
        if (as) assert.ok(byName.has(as) && !byName.get(as).as, name);
        if (hex) assert.deepEqual(decode(Buffer.from(hex, 'hex')), frame, name);
        assert.ok(hex || as, name);
      }
    },
  },
  {
    name: 'the vectors hold every verb, from everyone who may send it',
    run() {
      const said = new Set(frames.map(({ json, from }) => `${JSON.parse(json)[0]} ${from}`));
      const wanted = 'hello P, hello B, open P, ok B, deny B, t both, b both, a both, x both, transport P, drain both';
      assert.deepEqual([...said].sort(), `${wanted}, sync P, sync B`.split(', ').sort());
    },
  },
  {
    name: 'the frames that the page shows are of those forms',
    run() {
      const shown = [...PAGE.matchAll(/^(P|B|both) +(\[".*)$/gm)].filter(([, , frame]) => !frame.includes(' …'));
      assert.ok(shown.length >= 14, `${shown.length} frames`);
      for (const [, from, text] of shown) {
        const frame = JSON.parse(text);
        const alike = frames.filter(({ json, from: side }) => JSON.parse(json)[0] === frame[0] && [from, 'both'].includes(side));
        const types = (value) => (Array.isArray(value) ? value.map((each) => typeof each) : value);
        assert.ok(alike.some(({ json }) => JSON.stringify(types(JSON.parse(json))) === JSON.stringify(types(frame))), text);
      }
    },
  },
  {
    name: 'every frame of P is taken, with whatever stands behind its fields',
    async run(t) {
      const ours = frames.filter(({ json, from }) => from !== 'B' && !['hello', 'sync'].includes(JSON.parse(json)[0]));
      assert.ok(ours.length > 40, `${ours.length} frames`);
      for (const { name, json } of ours) {
        const peer = await t.peer();
        peer.ws.send(json);
        await peer.rest();
        assert.equal(peer.ws.readyState, peer.ws.OPEN, name);
        await peer.close();
      }
    },
  },
  {
    name: 'every hello of P is taken, once',
    async run(t) {
      const hellos = frames.filter(({ json, from }) => from === 'P' && JSON.parse(json)[0] === 'hello');
      assert.ok(hellos.length >= 2, `${hellos.length} hellos`);
      for (const { json } of hellos) {
        const peer = t.dial();
        await peer.opened;
        peer.ws.send(json);
        assert.equal((await peer.next('hello'))[1].v, 1);
        await peer.refused(json);
      }
    },
  },
  {
    name: 'every malformed frame closes the WebSocket with 1002',
    async run(t) {
      const wrong = malformed.filter(({ json, to, opaque }) => json !== undefined && to !== 'P' && !opaque);
      assert.ok(wrong.length > 80, `${wrong.length} frames`);
      for (const { json } of wrong) {
        const isHello = json.startsWith('["hello"');
        const peer = isHello ? t.dial() : await t.peer({ epoch: 'kYx0v3iJ4Qm2Zb8h' });
        await peer.opened;
        await peer.refused(json);
      }
    },
  },
  {
    name: 'a session id is a mere text',
    async run(t) {
      const odd = malformed.filter(({ opaque }) => opaque);
      assert.ok(odd.length > 5, `${odd.length} ids`);
      const peer = await t.peer();
      for (const { json } of odd) {
        peer.ws.send(json);
        assert.deepEqual(await peer.next(), ['x', JSON.parse(json)[1], 0, 1001, 'unknown session']);
      }
    },
  },
  {
    name: 'a binary message closes the WebSocket with 1002, whatever is in it',
    async run(t) {
      for (const bytes of [Buffer.from('["drain",1]'), Buffer.from('0501017878', 'hex'), Buffer.alloc(0)]) {
        const peer = await t.peer();
        await peer.refused(bytes);
      }
    },
  },
  {
    name: 'a verb that only B may say, or that comes before hello, closes the WebSocket with 1002',
    async run(t) {
      const theirs = frames.filter(({ json, from }) => from === 'B' && !['hello'].includes(JSON.parse(json)[0]));
      assert.ok(theirs.length > 5, `${theirs.length} frames`);
      for (const { json } of theirs) {
        const peer = await t.peer();
        await peer.refused(json);
      }
      for (const first of [['open', 's1', OPEN], ['t', 's1', 1, 'x'], ['a', []], ['drain', 1], ['sync', 'e', []]]) {
        const peer = t.dial();
        await peer.opened;
        await peer.refused(JSON.stringify(first));
      }
    },
  },
  {
    name: 'the JSON profile is chosen, wherever it stands in the offer',
    async run(t) {
      const peer = t.dial({ protocols: ['polliwog.mux.v1', PROFILE] });
      await peer.opened;
      assert.equal(peer.ws.protocol, PROFILE);
    },
  },
  {
    name: 'an offer without the JSON profile is refused',
    async run(t) {
      await assert.rejects(t.dial({ protocols: ['polliwog.mux.v1'] }).opened);
    },
  },
  {
    name: 'hello tells what the form can do',
    async run(t) {
      const { theirs } = await t.peer();
      const short = { v: 1, close_packets: true };
      assert.deepEqual(theirs, t.form === 'long' ? { ...short, credit: 262_144, resume: true } : short);
    },
  },
  {
    name: 'a token is asked for where there is one',
    async run(t) {
      const backend = await t.own({ env: { TOKEN: 'secret' } });
      for (const headers of [{}, { authorization: 'Bearer other' }, { authorization: 'secret' }]) {
        await assert.rejects(t.dial({ headers }, backend).opened, /401/);
      }
      const peer = t.dial({ headers: { authorization: 'Bearer secret' } }, backend);
      await peer.opened;
      peer.send('hello', { ...HELLO, epoch: 'e' });
      await peer.next('hello');
    },
  },
];
