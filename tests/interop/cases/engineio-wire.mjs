// Engine.IO on the wire: status, headers and bodies that no stock client shows, one request a line of the transcript.

const NONE = { transports: ['none'], quick: ['none'] };
const EIO = '?EIO=4&transport=polling';

const echo = (engine, t) =>
  engine.on('connection', (socket) => {
    socket.on('message', (data) => socket.send(data));
    socket.on('close', (reason) => t.log('server', 'close', reason));
  });

/** What a client reads of a response, with SID in place of the session's id. */
const told = ({ status, headers, body }, sid) => [
  status,
  headers['content-type'],
  headers['cache-control'],
  sid ? body.replaceAll(sid, 'SID') : body.replace(/"sid":"[\w-]{20,}"/, '"sid":"SID"'),
];

const ask = async (t, what, options, sid) => {
  const answer = await t.request(options);
  t.log('client', what, ...told(answer, sid));
  return answer;
};

const errors = [
  ['unknown transport', 'GET', '?EIO=4&transport=tobi'],
  ['prototype name as transport', 'GET', '?EIO=4&transport=constructor'],
  ['no transport', 'GET', '?EIO=4'],
  ['no query', 'GET', ''],
  ['webtransport', 'GET', '?EIO=4&transport=webtransport'],
  ['unknown sid', 'GET', `${EIO}&sid=nobody`],
  ['unknown sid, POST', 'POST', `${EIO}&sid=nobody`],
  ['prototype name as sid', 'GET', `${EIO}&sid=__proto__`],
  ['POST without sid', 'POST', EIO],
  ['PUT without sid', 'PUT', EIO],
  ['DELETE without sid', 'DELETE', EIO],
  ['OPTIONS without sid', 'OPTIONS', EIO],
  ['websocket without Upgrade', 'GET', '?EIO=4&transport=websocket'],
  ['protocol 3', 'GET', '?EIO=3&transport=polling'],
  ['protocol 5', 'GET', '?EIO=5&transport=polling'],
  ['no protocol', 'GET', '?transport=polling'],
];

const cases = [
  {
    name: 'the handshake answer, to the byte',
    ...NONE,
    async client(t) {
      const { body } = await ask(t, 'handshake', { path: t.path + EIO });
      t.assert.match(
        body,
        /^0\{"sid":"[\w-]{20,}","upgrades":\["websocket"\],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000\}$/,
      );
      await ask(t, 'an empty sid is none', { path: `${t.path}${EIO}&sid=` });
      await ask(t, 'a longer path', { path: `${t.path}and/more${EIO}` });
      await ask(t, 'the last of two keys counts', { path: `${t.path}?EIO=3&transport=x&EIO=4&transport=polling` });
    },
  },
  {
    name: 'every error of a request without session',
    ...NONE,
    async client(t) {
      for (const [what, method, query] of errors) await ask(t, what, { path: t.path + query, method });
      const answers = t.transcript.toJSON().client;
      t.assert.equal(answers.length, errors.length);
      t.assert.deepEqual(answers[0].slice(1), [
        400,
        'application/json',
        undefined,
        '{"code":0,"message":"Transport unknown"}',
      ]);
    },
  },
  {
    name: 'every error of a WebSocket handshake',
    ...NONE,
    options: {
      allowRequest: (request, answer) =>
        answer(request.url.includes('secret') ? 'not you' : null, !request.url.includes('no=')),
    },
    async client(t) {
      const asked = [
        ['unknown transport', '?EIO=4&transport=tobi'],
        ['unknown sid', '?EIO=4&transport=websocket&sid=nobody'],
        ['forbidden', '?EIO=4&transport=websocket&no=1'],
        ['forbidden with a message', '?EIO=4&transport=websocket&no=1&secret=1'],
      ];
      for (const [what, query] of asked) {
        const { status, head, body } = await t.upgradeRequest({ path: t.path + query });
        t.log(
          'client',
          what,
          status,
          /^connection: *close/im.test(head),
          /^content-type: *text\/html/im.test(head),
          body,
        );
      }
      t.assert.deepEqual(t.transcript.of('client', 'unknown sid')[0].slice(1), [400, true, true, 'Session ID unknown']);
    },
  },
  {
    name: 'POST and GET of a session, headers and bodies',
    ...NONE,
    server: echo,
    async client(t) {
      const { polling: path, handshake } = await t.raw('polling');
      await ask(t, 'POST', { path, method: 'POST', body: '4hello' }, handshake.sid);
      await ask(t, 'GET', { path }, handshake.sid);
      await ask(t, 'POST binary', { path, method: 'POST', body: 'bAAEC/w==' }, handshake.sid);
      await ask(t, 'GET binary', { path }, handshake.sid);
      await ask(t, 'POST binary unpadded', { path, method: 'POST', body: 'bAAEC/w' }, handshake.sid);
      await ask(t, 'GET binary unpadded', { path }, handshake.sid);
      await ask(t, 'GET for another transport', { path: path.replace('polling', 'websocket') }, handshake.sid);
      await ask(t, 'GET for another protocol', { path: path.replace('EIO=4', 'EIO=3') }, handshake.sid);
      t.assert.deepEqual(t.transcript.of('client', 'GET')[0], [
        'GET',
        200,
        'text/plain; charset=UTF-8',
        'no-store',
        '4hello',
      ]);
      t.assert.deepEqual(t.transcript.of('client', 'POST')[0], ['POST', 200, 'text/html', 'no-store', 'ok']);
    },
  },
  {
    name: 'one GET brings the echoes of all that was posted before',
    alone: true,
    ...NONE,
    server: echo,
    async client(t) {
      const { polling: path, handshake } = await t.raw('polling');
      const body = ['4a', 'bAQID', '4c', '4d'].join('\x1e');
      for (let round = 0; round < 5; round++) {
        await ask(t, 'POST', { path, method: 'POST', body }, handshake.sid);
        await ask(t, 'GET', { path }, handshake.sid);
      }
      t.assert.equal(t.transcript.of('client', 'GET')[4].at(-1), body);
    },
  },
  {
    name: 'a session that is misused',
    ...NONE,
    options: { maxHttpBufferSize: 1000 },
    server: echo,
    async client(t) {
      const first = await t.raw('polling');
      const ends = async (what, options) => {
        const client = await t.raw('polling');
        await ask(t, what, { path: client.polling, ...options }, client.handshake.sid);
        await ask(t, `${what}, afterwards`, { path: client.polling, method: 'POST', body: '4x' }, client.handshake.sid);
      };
      await ask(t, 'too large', { path: first.polling, method: 'POST', body: `4${'x'.repeat(1000)}` });
      await ask(t, 'just fits', { path: first.polling, method: 'POST', body: `4${'x'.repeat(999)}` });
      await ask(t, 'PUT', { path: first.polling, method: 'PUT', body: '4x' });
      await ends('octets', { method: 'POST', body: '4x', headers: { 'content-type': 'application/octet-stream' } });
      await ends('garbage', { method: 'POST', body: 'xyz' });
      await ends('empty', { method: 'POST', body: '' });
      await ends('trailing separator', { method: 'POST', body: '4a\x1e' });
      await ends('a ping from the client', { method: 'POST', body: '2' });
      t.assert.equal(t.transcript.of('client', 'too large')[0][1], 413);
    },
    // The order in which the backend sees several sessions end is not promised, nor are their reasons.
    ignore: ['server'],
  },
  {
    name: 'two GETs at once end the session',
    ...NONE,
    server: echo,
    differs: [
      {
        track: 'server',
        label: 'close',
        direct: ['transport error'],
        proxied: ['transport close'],
        why: 'behind the proxy every end of a client is the end of its WebSocket',
      },
    ],
    async client(t) {
      const { polling: path } = await t.raw('polling');
      const parked = t.request({ path });
      await t.parked();
      await ask(t, 'second', { path });
      t.log('client', 'first', ...told(await parked));
      await ask(t, 'afterwards', { path });
      await t.until('server', 'close');
      t.assert.equal(t.transcript.of('client', 'first')[0].at(-1), '1');
    },
  },
  {
    name: 'a close packet answers the GET that waits',
    ...NONE,
    server: echo,
    async client(t) {
      const { polling: path } = await t.raw('polling');
      const parked = t.request({ path });
      await t.parked();
      await ask(t, 'POST', { path, method: 'POST', body: '1' });
      t.log('client', 'GET', ...told(await parked));
      await ask(t, 'afterwards', { path });
      await t.until('server', 'close');
      t.assert.equal(t.transcript.of('client', 'GET')[0].at(-1), '6');
    },
  },
  {
    name: 'a GET that waits is freed while the client upgrades, and polling ends there',
    alone: true,
    ...NONE,
    server: echo,
    async client(t) {
      const client = await t.raw('polling');
      const path = client.polling;
      const parked = t.request({ path });
      await t.parked();
      const ws = await client.probe();
      const began = performance.now();
      t.log('client', 'freed', ...told(await parked));
      t.measure('until it was freed', performance.now() - began, 60);
      await client.send('5');
      await client.send('4now here');
      t.log('client', 'message', await client.next((packet) => packet.startsWith('4')));
      await ask(t, 'polling', { path });
      const second = await t.raw('websocket');
      t.log('client', 'another client', second.packets.length, ws.readyState);
      t.assert.equal(t.transcript.of('client', 'polling')[0].at(-1), '{"code":3,"message":"Bad request"}');
    },
  },
];

export default { name: 'engine.io wire', backend: 'engine.io', cases };
