// HTTP/2 by clients that are no browsers: Node, curl, nghttp, h2load, and HAProxy in front.

import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import http2 from 'node:http2';
import path from 'node:path';
import { promisify } from 'node:util';
import { CLIENTS } from '../lib/clients.mjs';
import { TRANSPORTS, event } from '../lib/context.mjs';
import { secured, started, suite } from '../lib/own.mjs';
import { accepts, freePort } from '../lib/ports.mjs';
import { newDirectory, start } from '../lib/processes.mjs';

const run = promisify(execFile);
const SOCKET_IO = '/socket.io/?EIO=4';

/** A connection of Node's, with the server's settings read. */
async function dial(t, url) {
  const connection = http2.connect(url, { rejectUnauthorized: false });
  t.defer(() => connection.destroy());
  await new Promise((resolve, reject) => connection.once('error', reject).once('remoteSettings', resolve));
  return connection;
}

/** One request of it; resolves with `{ status, body }`. */
function ask(connection, headers, body) {
  return new Promise((resolve, reject) => {
    const stream = connection.request(headers, { endStream: body === undefined });
    let [status, text] = [0, ''];
    stream.on('response', (answer) => (status = answer[':status']));
    stream.setEncoding('utf8').on('data', (data) => (text += data));
    stream.on('error', reject).on('end', () => resolve({ status, body: text }));
    if (body !== undefined) stream.end(body);
  });
}

/** A client's text frame of up to 125 bytes, masked with zeros. */
const frame = (text) => Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);

/** A WebSocket as a stream of the connection (RFC 8441); `until(text)` waits for it among what comes. */
async function webSocket(t, connection, target) {
  const stream = connection.request(
    { ':method': 'CONNECT', ':protocol': 'websocket', ':path': target, 'sec-websocket-version': '13' },
    { endStream: false },
  );
  let heard = '';
  stream.on('data', (data) => (heard += data.toString('latin1')));
  stream.on('error', () => {});
  const status = await new Promise((resolve, reject) => {
    stream.once('response', (answer) => resolve(answer[':status'])).once('error', reject);
  });
  return {
    status,
    say: (text) => stream.write(frame(text)),
    until: (text) => t.eventually(() => heard.includes(text), `${text} in ${heard}`),
  };
}

/** The shipped configuration twice, behind TLS and in the clear: the URLs, and the proxies by them. */
async function both(t) {
  const [secure, clear] = [await secured(t), await started(t, { POLLIWOG_SERVER__H2C: 'true' })];
  const [https, http] = [`https://127.0.0.1:${secure.port}/`, `http://127.0.0.1:${clear.port}/`];
  return { https, http, proxies: { [https]: secure, [http]: clear } };
}

/** Has curl read a stream of longpoll's while nghttp posts to its session. */
async function stream(t, url, how) {
  const begun = await run('curl', ['-sS', ...how, '-X', 'POST', `${url}feed/`]);
  const session = new URL(JSON.parse(begun.stdout).url, url).href;
  const reader = start('curl', ['-sSN', ...how, '-H', 'Accept: application/x-ndjson', `${session}?after=0`], {});
  t.defer(() => reader.kill());
  let heard = '';
  reader.stdout.on('data', (data) => (heard += data));
  const file = path.join(await newDirectory(), 'message');
  for (const word of ['one', 'two']) {
    await writeFile(file, word);
    await run('nghttp', ['-d', file, session]);
    await t.eventually(() => heard.includes(`"text":"${word}"`), `${word} in ${heard}`);
  }
  await run('curl', ['-sS', ...how, '-X', 'DELETE', session]);
}

/** HAProxy in front of a port, which it asks by HTTP/2; returns its own, for clients of `protocol`. */
async function haproxy(t, port, protocol = 'h1') {
  const own = await freePort();
  const file = path.join(await newDirectory(), 'haproxy.cfg');
  const times = ['connect', 'client', 'server', 'tunnel'].map((what) => `  timeout ${what} 60s\n`).join('');
  await writeFile(file, `defaults
  mode http
${times}frontend all
  bind 127.0.0.1:${own} proto ${protocol}
  default_backend polliwog
backend polliwog
  http-reuse always
  server one 127.0.0.1:${port} proto h2
`);
  const child = start('haproxy', ['-db', '-q', '-f', file], { stdio: 'ignore' });
  t.defer(() => child.kill());
  await t.eventually(() => accepts(own), 'HAProxy');
  return own;
}

const cases = [
  {
    name: "Node's client polls, posts, opens a WebSocket and upgrades a session on one connection",
    async client(t) {
      const secure = await secured(t);
      const clear = await started(t, { POLLIWOG_SERVER__H2C: 'true' });
      for (const url of [`https://localhost:${secure.port}`, `http://localhost:${clear.port}`]) {
        const connection = await dial(t, url);
        t.assert.equal(connection.remoteSettings.enableConnectProtocol, true);
        const polling = `${SOCKET_IO}&transport=polling`;
        const begun = await ask(connection, { ':path': polling });
        const { sid } = JSON.parse(begun.body.slice(1));
        const session = `${polling}&sid=${sid}`;
        t.assert.deepEqual(await ask(connection, { ':path': session, ':method': 'POST' }, '40'), { status: 200, body: 'ok' });
        t.assert.match((await ask(connection, { ':path': session })).body, /^40\{/);
        const upgraded = await webSocket(t, connection, `${SOCKET_IO}&transport=websocket&sid=${sid}`);
        t.assert.equal(upgraded.status, 200);
        upgraded.say('2probe');
        await upgraded.until('3probe');
        upgraded.say('5');
        upgraded.say('42["chat","hello"]');
        await upgraded.until('hello');
        const fresh = await webSocket(t, connection, `${SOCKET_IO}&transport=websocket`);
        t.assert.equal(fresh.status, 200);
        fresh.say('40');
        await fresh.until('40{');
        fresh.say('42["chat","both hear it"]');
        await Promise.all([fresh.until('both hear it'), upgraded.until('both hear it')]);
        const unknown = await webSocket(t, connection, `${SOCKET_IO}&transport=websocket&sid=unknown`);
        t.assert.equal(unknown.status, 400);
        connection.close();
      }
    },
  },
  {
    name: 'curl and nghttp ask, post and stream by HTTP/2',
    async client(t) {
      const { https, http } = await both(t);
      const told = ['-sS', '-m', '10', '-o', '/dev/null', '-w', '%{http_version} %{response_code}'];
      const curl = async (...args) => (await run('curl', [...told, ...args])).stdout;
      t.assert.equal(await curl('-k', https), '2 200');
      t.assert.equal(await curl('-k', '--http1.1', https), '1.1 200');
      t.assert.equal(await curl('--http2-prior-knowledge', http), '2 200');
      t.assert.equal(await curl('--http2', http), '1.1 200', 'an upgrade to h2c is ignored, as RFC 9113 has it');
      for (const url of [https, http]) {
        t.assert.match((await run('nghttp', ['-v', url])).stdout, /:status: 200/);
        await stream(t, url, url === https ? ['-k'] : ['--http2-prior-knowledge']);
      }
    },
  },
  {
    name: 'h2load has a thousand requests answered, and ninety polls that wait on one connection',
    async client(t) {
      const { https, http, proxies } = await both(t);
      for (const url of [https, http]) {
        const many = await run('h2load', ['-n', '1000', '-c', '4', '-m', '50', url]);
        t.assert.match(many.stdout, /1000 succeeded, 0 failed, 0 errored, 0 timeout/);
        const connection = await dial(t, url);
        const begun = Array.from({ length: 90 }, () => ask(connection, { ':path': '/feed/', ':method': 'POST' }));
        const polls = (await Promise.all(begun)).map(({ body }) => new URL(JSON.parse(body).url, url).href);
        const file = path.join(await newDirectory(), 'polls');
        await writeFile(file, polls.join('\n'));
        const waiting = run('h2load', ['-n', '90', '-c', '1', '-m', '90', '-i', file]);
        const proxy = proxies[url];
        await t.eventually(async () => (await proxy.parked()) === polls.length, 'parked polls');
        const post = (poll) => ask(connection, { ':path': new URL(poll).pathname, ':method': 'POST' }, 'hello');
        await Promise.all(polls.map(post));
        t.assert.match((await waiting).stdout, /90 succeeded, 0 failed, 0 errored, 0 timeout/);
        await Promise.all(polls.map((poll) => ask(connection, { ':path': new URL(poll).pathname, ':method': 'DELETE' })));
      }
    },
  },
  ...['polling', 'websocket', 'upgrade'].map((transport) => ({
    // HAProxy itself makes an extended CONNECT of a handshake that came by HTTP/1.1.
    name: `HAProxy asks by HTTP/2 for a stock client's ${transport}`,
    async client(t) {
      const proxy = await started(t, { POLLIWOG_SERVER__H2C: 'true' });
      await t.eventually(async () => (await proxy.spoken('http/1.1')) === 1, 'the connection that looked for the proxy');
      const url = `http://127.0.0.1:${await haproxy(t, proxy.port)}`;
      const socket = CLIENTS['4.8'].io(url, { transports: TRANSPORTS[transport], reconnection: false, forceNew: true });
      t.defer(() => socket.disconnect());
      await event(socket, 'connect', 'connect_error');
      const { engine } = socket.io;
      const last = TRANSPORTS[transport].at(-1);
      await t.eventually(() => engine.transport.name === last, `the transport ${last}`);
      for (const word of ['hello', 'x'.repeat(100_000)]) {
        t.assert.equal(await socket.timeout(10_000).emitWithAck('echo', word), word);
      }
      t.assert.equal(await proxy.spoken('http/1.1'), 1);
      t.assert.ok((await proxy.spoken('http/2')) > 0);
    },
  })),
  {
    // All of them are on one connection of HAProxy's. Each that leaves resets its stream.
    name: 'clients of HAProxy that leave one after the other take no other with them',
    async client(t) {
      const proxy = await started(t, { POLLIWOG_SERVER__H2C: 'true', POLLIWOG_SERVER__TRUSTED_PROXIES: '127.0.0.1' });
      const clients = await dial(t, `http://127.0.0.1:${await haproxy(t, proxy.port, 'h2')}`);
      const begin = async () => JSON.parse((await ask(clients, { ':path': '/feed/', ':method': 'POST' })).body).url;
      const [stays, leaves] = [await begin(), await begin()];
      const waiting = ask(clients, { ':path': `${stays}?after=0` }).catch((error) => ({ body: String(error) }));
      for (let left = 0; left < 150; left++) {
        const leaving = clients.request({ ':path': `${leaves}?after=0` }).on('error', () => {});
        await t.eventually(async () => (await proxy.parked()) === 2, 'both wait');
        leaving.close(http2.constants.NGHTTP2_CANCEL);
        await t.eventually(async () => (await proxy.parked()) === 1, 'one waits');
      }
      await ask(clients, { ':path': stays, ':method': 'POST' }, 'still here');
      t.assert.match((await waiting).body, /"text":"still here"/);
      for (const session of [stays, leaves]) await ask(clients, { ':path': session, ':method': 'DELETE' });
    },
  },
];

// Which browser the others run in makes no difference to these.
export default suite('http2', cases, { browsers: ['chromium'] });
