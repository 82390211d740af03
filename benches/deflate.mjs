// What compression of WebSocket messages costs and saves: instructions of a message there and back through a session, bytes on
// the client's wire, and memory of idle sessions; without it, with clients, and on both sides. See README.md.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { freePort, sleep } from '../tests/interop/lib/ports.mjs';
import { callgrind, hasCallgrind, instructions, proxy, route, server, stop } from './subjects.mjs';
import { leave } from '../tests/leave.mjs';

const { WebSocket, WebSocketServer } = createRequire(new URL('../tests/interop/', import.meta.url))('ws');
const SESSIONS = Number(process.env.SESSIONS ?? 2000);
const ROUNDS = 20;

const back = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: { threshold: 1000 } });
await once(back, 'listening');
back.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })));

/** Rows of an application, as JSON: about `size` bytes of text. */
function rows(size) {
  const list = [];
  let seed = 1;
  while (JSON.stringify(list).length < size) {
    seed = (seed * 48_271) % 0x7fffffff;
    list.push({ id: seed, name: `user ${seed % 977}`, active: seed % 3 > 0, score: (seed % 10_000) / 100, tags: ['a', 'list'] });
  }
  return `42["rows",${JSON.stringify(list).slice(0, size)}]`;
}

const key = 'permessage_deflate = "1kB"';
const WAYS = { off: ['', ''], 'with clients': [key, ''], 'on both sides': [key, key] };
const text = (at, [ofRoute, ofUpstream]) =>
  `${server(at)}${route('/', 'websocket')}relay = false\nmax_payload = "16MiB"\nping_interval = "1h"\n${ofRoute}\n` +
  `[upstreams.u]\nkind = "websocket"\nurl = "ws://127.0.0.1:${back.address().port}/"\n${ofUpstream}\n`;

async function client(port) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: { threshold: 1000 } });
  await once(socket, 'open');
  return socket;
}

async function echo(socket, message) {
  socket.send(message);
  const [data] = await once(socket, 'message');
  if (data.length !== Buffer.byteLength(message)) throw new Error('another message came back');
}

process.env.TOKIO_WORKER_THREADS = '1';
process.env._RJEM_MALLOC_CONF = 'dirty_decay_ms:-1,muzzy_decay_ms:-1';
const found = {};
if (hasCallgrind) {
  for (const [way, lines] of Object.entries(WAYS)) {
    const at = { port: await freePort(), admin: await freePort() };
    const subject = await proxy('subject.toml', text(at, lines), at.port, callgrind('subject'));
    const socket = await client(at.port);
    for (const size of [32, 1000, 10_000, 100_000, 1_000_000]) {
      const message = rows(size);
      for (let round = 0; round < 3; round += 1) await echo(socket, message);
      const before = [socket._socket.bytesRead, socket._socket.bytesWritten];
      const act = async () => {
        for (let round = 0; round < ROUNDS; round += 1) await echo(socket, message);
      };
      const [total] = await instructions({ subject }, act);
      const wire = [socket._socket.bytesRead - before[0], socket._socket.bytesWritten - before[1]];
      (found[size] ??= {})[way] = { instructions: Math.round(total / ROUNDS), down: wire[0] / ROUNDS, up: wire[1] / ROUNDS };
    }
    await stop(subject);
  }
  for (const [size, ways] of Object.entries(found)) console.log(size, JSON.stringify(ways));
}

process.env._RJEM_MALLOC_CONF = '';
const resident = ({ pid }) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
for (const [way, lines] of Object.entries(WAYS)) {
  const at = { port: await freePort(), admin: await freePort() };
  const subject = await proxy('subject.toml', text(at, lines), at.port);
  const [message, sockets, steps] = [rows(2000), [], []];
  for (const count of [200, SESSIONS + 200]) {
    while (sockets.length < count) {
      const socket = await client(at.port);
      await echo(socket, message);
      sockets.push(socket);
    }
    // What is freed goes back to the system within ten seconds.
    await sleep(12_000);
    steps.push(resident(subject));
  }
  console.log(`${way}: ${((steps[1] - steps[0]) / SESSIONS).toFixed(2)} kB for each further session, ${steps[0]} kB with 200`);
  sockets.forEach((socket) => socket.terminate());
  await stop(subject);
}
await leave(0);
