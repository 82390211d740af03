// Engine.IO 3 on the wire: its payloads of text and of bytes, JSONP, and payloads that no client would send.

import { asking, bytes, handshake, text } from '../lib/raw3.mjs';

const NONE = { transports: ['none'], quick: ['none'] };
const EIO = '?EIO=3&transport=polling';
const OCTETS = { 'content-type': 'application/octet-stream' };
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

const echo = (engine, t) =>
  engine.on('connection', (socket) => {
    socket.on('message', (data) => (t.log('server', 'message', data), socket.send(data)));
    socket.on('close', (reason) => t.log('server', 'close', reason));
  });

/** One GET must return all echoes, and nothing shows when they have reached the proxy. */
const echoed = (t) => t.quiet(20, 'the echoes are under way to the proxy');

const hear = (engine, t) =>
  engine.on('connection', (socket) => socket.on('message', (data) => t.log('server', 'message', data)));

const errors = [
  ['unknown transport', 'GET', '?EIO=3&transport=tobi'],
  ['prototype name as transport', 'GET', '?EIO=3&transport=constructor'],
  ['no transport', 'GET', '?EIO=3'],
  ['unknown sid', 'GET', `${EIO}&sid=nobody`],
  ['unknown sid, POST', 'POST', `${EIO}&sid=nobody`],
  ['unknown sid, JSONP', 'GET', `${EIO}&sid=nobody&j=0`],
  ['POST without sid', 'POST', EIO],
  ['PUT without sid', 'PUT', EIO],
  ['OPTIONS without sid', 'OPTIONS', EIO],
  ['websocket without Upgrade', 'GET', '?EIO=3&transport=websocket'],
];

const MESSAGES = [
  '4hello',
  '4',
  '4b4AAEC',
  '4band',
  '4444',
  '4🐸 and ünïcode',
  '41:6',
  '4line\u2028and\u2029, nul \u0000, \u001e',
];

const hostile = [
  ['no length', ':4x'],
  ['no colon', '4x'],
  ['a length of words', 'x:4x'],
  ['a negative length', '-1:4x'],
  ['a length with a zero before it', '02:4x'],
  ['zero', '0:'],
  ['zero, and more', '0:2:4x'],
  ['beyond the body', '3:4x'],
  ['far beyond the body', '999999999999999999999:4x'],
  ['less than the packet', '1:4x'],
  ['truncated in the second length', '2:4x2'],
  ['truncated in the second packet', '2:4x2:4'],
  ['the length of its bytes', '5:4🐸'],
  ['an unknown type', '2:9x'],
  ['no type', '1:x'],
  ['base64 that is none', '5:b4*&%'],
  ['empty', ''],
];

/** The stock servers read something in these, which is not required. */
const doubtful = [
  ['a length with a sign', '+2:4x'],
  ['a length with a fraction', '2.0:4x'],
  ['base64 of no type', '1:b'],
];

const hostileBytes = [
  ['no end of the length', [0, 2]],
  ['no length', [0, 0xff, 0x34, 0x78]],
  ['a digit that is none', [0, 0x32, 0xff, 0x34, 0x78]],
  ['far beyond the body', [0, ...Array(400).fill(9), 0xff, 0x34, 0x78]],
  ['zero', [0, 0, 0xff]],
  ['empty', []],
];

const doubtfulBytes = [
  ['beyond the body', [0, 9, 0xff, 0x34, 0x78]],
  ['an unknown kind', [7, 2, 0xff, 0x34, 0x78]],
  ['a type in ASCII', [1, 2, 0xff, 0x34, 0x78]],
  ['an unknown type', [1, 2, 0xff, 9, 0x78]],
  ['no UTF-8', [0, 3, 0xff, 0x34, 0xc3, 0x28]],
  ['truncated in the second packet', [0, 2, 0xff, 0x34, 0x78, 0, 2, 0xff, 0x34]],
];

const cases = [
  {
    name: 'the handshake answer, to the byte',
    ...NONE,
    async client(t) {
      const ask = asking(t);
      const { body } = await ask('handshake', { path: t.path + EIO });
      const [, length, packet] =
        /^(\d+):(0\{"sid":"[\w-]{20,}","upgrades":\["websocket"\],"pingInterval":25000,.*\})$/.exec(body);
      t.assert.equal(Number(length), packet.length);
      await ask('an empty sid is none', { path: `${t.path}${EIO}&sid=` });
      await ask('base64', { path: `${t.path}${EIO}&b64=1` });
      await ask('JSONP', { path: `${t.path}${EIO}&b64=1&j=7` });
    },
  },
  {
    name: 'the cookie with the id, on every answer where a server of version 3 sets it',
    ...NONE,
    async client(t) {
      const { sid, path } = await handshake(t);
      const note = async (what, options) => {
        const { status, headers } = await t.request(options);
        t.log('client', what, status, headers['set-cookie']?.map((cookie) => cookie.replace(/io=[\w-]{20,}/, 'io=SID')));
        return headers['set-cookie'] ?? [];
      };
      await note('handshake', { path: t.path + EIO });
      await note('JSONP', { path: `${t.path}${EIO}&b64=1&j=0` });
      const of = await note('POST', { path, method: 'POST', body: text('2') });
      t.assert.ok(of.every((cookie) => cookie.startsWith(`io=${sid};`)), `${of}`);
      await note('GET', { path });
      await note('an unknown sid', { path: `${t.path}${EIO}&sid=nobody` });
    },
  },
  {
    name: 'what a page of another origin is told',
    ...NONE,
    async client(t) {
      const { path } = await handshake(t);
      const note = async (what, options) => {
        const { status, headers } = await t.request(options);
        const told = ['origin', 'credentials', 'headers'].map((name) => headers[`access-control-allow-${name}`] ?? '-');
        t.log('client', what, status, ...told);
      };
      for (const headers of [{ origin: 'http://a.example' }, {}]) {
        await note('handshake', { path: t.path + EIO, headers });
        await note('POST', { path, method: 'POST', body: text('2'), headers });
        await note('GET', { path, headers });
        await note('an error', { path: `${t.path}${EIO}&sid=nobody`, headers });
        await note('OPTIONS', { path, method: 'OPTIONS', headers });
        await note('OPTIONS without a session', { path: t.path + EIO, method: 'OPTIONS', headers });
      }
    },
  },
  {
    name: 'every error of a request without session',
    ...NONE,
    async client(t) {
      const ask = asking(t);
      for (const [what, method, query] of errors) await ask(what, { path: t.path + query, method });
      t.assert.equal(t.transcript.toJSON().client.length, errors.length);
      t.assert.match(t.transcript.of('client', 'unknown sid')[0].at(-1), /"code":1/);
    },
  },
  {
    name: 'text is counted in units of UTF-16, one by one and together',
    ...NONE,
    server: echo,
    async client(t) {
      const { ask, path } = await handshake(t);
      for (const message of [...MESSAGES.map((one) => text(one)), text(...MESSAGES)]) {
        await ask('POST', { path, method: 'POST', body: message });
        await t.until('server', 'message', message === text(...MESSAGES) ? 2 * MESSAGES.length : undefined);
        await echoed(t);
        await ask('GET', { path });
      }
      t.assert.equal(t.transcript.of('client', 'GET').at(-1).at(-1), text(...MESSAGES));
    },
  },
  {
    name: 'bytes make a payload of bytes, mixed with text or alone',
    ...NONE,
    server: echo,
    async client(t) {
      const { ask, path } = await handshake(t);
      const payloads = [[[1, 2, 3, 4]], [[]], ['4🐸 and ünïcode', [0, 0xff, 0x1e], '4b4AAEC', Array(300).fill(0x80)]];
      let count = 0;
      for (const packets of payloads) {
        await ask('POST', { path, method: 'POST', body: bytes(...packets), headers: OCTETS });
        await t.until('server', 'message', (count += packets.length));
        await echoed(t);
        const answer = await ask('GET', { path });
        t.log('client', 'bytes', answer.bytes.toString('hex').slice(0, 190));
        t.assert.deepEqual(answer.bytes, bytes(...packets));
      }
      await ask('POST base64', { path, method: 'POST', body: text('b4AAEC/w==', 'b4AAEC/w') });
      await t.until('server', 'message', count + 2);
      await echoed(t);
      t.log('client', 'bytes', (await ask('GET', { path })).bytes.toString('hex'));
    },
  },
  {
    name: 'who asked for base64 is given it, for ever',
    ...NONE,
    server: echo,
    async client(t) {
      const { ask, path } = await handshake(t, '&b64=1');
      await ask('POST', { path, method: 'POST', body: text('4a', 'b4AAEC/w==', 'b4', '4c') });
      await t.until('server', 'message', 4);
      await echoed(t);
      await ask('GET', { path });
      await ask('POST bytes', { path, method: 'POST', body: bytes([1, 2, 3]), headers: OCTETS });
      await t.until('server', 'message', 5);
      await echoed(t);
      await ask('GET', { path: path.replace('&b64=1', '') });
      t.assert.equal(t.transcript.of('client', 'GET')[0].at(-1), text('4a', 'b4AAEC/w==', 'b4', '4c'));
    },
  },
  {
    name: 'JSONP, as its handshake decides',
    ...NONE,
    server: echo,
    async client(t) {
      const { ask, path } = await handshake(t, '&b64=1&j=3');
      const bodies = [
        text(...MESSAGES),
        text('4quote " and \\ and </script>'),
        text('b4AAEC/w=='),
        // How a client escapes a line end, which browsers would turn into two, and what looks like that escape.
        text('4a\nb').replace('\n', '\\n'),
        text('4a\\nb').replace('\\n', '\\\n'),
      ];
      let count = 0;
      for (const body of bodies) {
        const form = `d=${encodeURIComponent(body)}`;
        await ask('POST', { path, method: 'POST', body: form, headers: FORM });
        await t.until('server', 'message', (count += body === bodies[0] ? MESSAGES.length : 1));
        await echoed(t);
        await ask('GET', { path: path.replace('j=3', 'j=12') });
      }
      t.assert.match(t.transcript.of('client', 'GET')[0].at(-1), /^___eio\[3\]\("6:4hello1:4.*\\u2028.*"\);$/);
    },
  },
  ...['0', '12', 'x5y6', '-1', '1e3'].map((j) => ({
    name: `JSONP for the callback "${j}"`,
    transports: ['none'],
    async client(t) {
      const { body } = await asking(t)('handshake', { path: `${t.path}${EIO}&b64=1&j=${j}` });
      t.assert.match(body, /^___eio\[\d+\]\(/);
    },
  })),
  {
    name: 'JSONP with a form that is none',
    ...NONE,
    server: echo,
    // The order in which the backend sees several sessions end is not promised.
    ignore: ['server'],
    async client(t) {
      for (const [what, body, headers] of [
        ['no field', '', FORM],
        ['another field', 'e=2:4x', FORM],
        ['two fields', 'd=2:4x&d=2:4y', FORM],
        ['no form', text('4x'), {}],
        ['an escape that is none', 'd=2:4%', FORM],
        ['bytes', bytes([1]), OCTETS],
      ]) {
        const { ask, path } = await handshake(t, '&b64=1&j=0');
        await ask(what, { path, method: 'POST', body, headers });
        await t.quiet(20, 'the session ends after the response to a bad POST');
        await ask(`${what}, afterwards`, { path, method: 'POST', body: 'd=1:2', headers: FORM });
      }
      t.assert.equal(t.transcript.toJSON().client.length, 12);
    },
  },
  ...[
    ['text', hostile, {}],
    ['bytes', hostileBytes, OCTETS],
  ].map(([form, list, headers]) => ({
    name: `payloads of ${form} that no client sends`,
    ...NONE,
    server: hear,
    async client(t) {
      for (const [what, body] of list) {
        const { ask, path } = await handshake(t);
        await ask(what, { path, method: 'POST', body: Buffer.from(body), headers });
        await t.quiet(20, 'the session ends after the response to a bad POST');
        await ask(`${what}, afterwards`, { path, method: 'POST', body: text('2') });
      }
      t.assert.equal(t.transcript.toJSON().client.length, 2 * list.length);
    },
  })),
  ...[
    ['text', doubtful, {}],
    ['bytes', doubtfulBytes, OCTETS],
  ].map(([form, list, headers]) => ({
    name: `payloads of ${form} that may be refused`,
    ...NONE,
    server: hear,
    ignore: ['server'],
    async client(t) {
      for (const [what, body] of list) {
        const { ask, path } = await handshake(t);
        await ask(what, { path, method: 'POST', body: Buffer.from(body), headers });
        const { status } = await t.request({ path, method: 'POST', body: text('2') });
        t.assert.ok(status === 200 || status === 400, `${what}: ${status}`);
      }
      t.assert.equal(t.transcript.toJSON().client.length, list.length);
    },
  })),
  {
    name: 'octets count only where their type says nothing more',
    ...NONE,
    server: echo,
    differs: [
      {
        track: 'server',
        label: 'close',
        direct: ['parse error'],
        proxied: ['transport close'],
        why: 'behind the proxy every end of a client is the end of its WebSocket',
      },
    ],
    async client(t) {
      const { ask, path } = await handshake(t);
      const headers = { 'content-type': 'application/octet-stream; charset=UTF-8' };
      await ask('POST', { path, method: 'POST', body: bytes([1, 2]), headers });
      await t.until('server', 'close');
      await ask('afterwards', { path, method: 'POST', body: text('2') });
      t.assert.equal(t.transcript.of('client', 'POST').length, 1);
    },
  },
];

const suite = (name, backend, versions, options) => ({
  name: `engine.io 3 wire, ${name}`,
  backend,
  ways: ['proxy'],
  cases: cases.map((test) => ({ options, config: { upstream: { versions } }, ...test })),
});

export default [
  suite('engine.io 6', 'engine.io', [3, 4], { allowEIO3: true }),
  suite('engine.io 3', 'engine.io 3', [3], {}),
];
