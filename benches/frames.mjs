// The instructions of a WebSocket message there and back, through a session: so many at once, of so many bytes. See README.md.

import { once } from 'node:events';
import net from 'node:net';
import { randomBytes } from 'node:crypto';
import { freePort, sleep } from '../tests/interop/lib/ports.mjs';
import { backend, callgrind, instructions, proxy, route, server, stop } from './subjects.mjs';
import { leave } from '../tests/leave.mjs';

const SESSIONS = 16;
process.env.TOKIO_WORKER_THREADS = '1';
process.env._RJEM_MALLOC_CONF = 'dirty_decay_ms:-1,muzzy_decay_ms:-1';

/** A client frame. */
function frame(text) {
  const payload = Buffer.from(text);
  const mask = randomBytes(4);
  const long = payload.length > 125;
  const head = Buffer.alloc(long ? 4 : 2);
  head[0] = 0x81;
  head[1] = 0x80 | (long ? 126 : payload.length);
  if (long) head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, mask, payload.map((byte, index) => byte ^ mask[index % 4])]);
}

async function client(port) {
  const socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
  socket.write(
    'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  let [received, wanted, done] = [0, 0, () => {}];
  let buffer = '';
  socket.on('data', (bytes) => {
    received += bytes.length;
    if (buffer !== null) buffer += bytes.toString('latin1');
    if (wanted && received >= wanted) done();
  });
  while (!buffer.includes('"sid"')) await once(socket, 'data');
  socket.write(frame('40'));
  while (!buffer.includes('40{"sid"')) await once(socket, 'data');
  await sleep(50);
  buffer = null;
  const echo = (frames, len) =>
    new Promise((resolve) => {
      received = 0;
      wanted = len;
      done = () => {
        wanted = 0;
        resolve();
      };
      socket.write(frames);
    });
  return { echo };
}

const back = { port: await freePort(), admin: await freePort() };
for (const [name, upstream] of Object.entries(await backend(back))) {
  const at = { port: await freePort(), admin: await freePort() };
  const text = `${server(at)}${route('/socket.io/', 'engine.io')}relay = false\nping_interval = "1h"\n[upstreams.u]\n${upstream}\n`;
  const subject = await proxy('subject.toml', text, at.port, callgrind('subject'));
  const clients = [];
  for (let each = 0; each < SESSIONS; each += 1) clients.push(await client(at.port));
  for (const [size, outstanding] of [[32, 1], [32, 10], [1000, 1], [16_384, 1]]) {
    const message = `42["echo","${'x'.repeat(size - 12)}"]`;
    const frames = Buffer.concat(Array.from({ length: outstanding }, () => frame(message)));
    const echoed = (message.length + (message.length > 125 ? 4 : 2)) * outstanding;
    const act = async (rounds) => {
      for (let round = 0; round < rounds; round += 1) for (const { echo } of clients) await echo(frames, echoed);
    };
    await act(3);
    const rounds = 20;
    const totals = [];
    for (let batch = 0; batch < 3; batch += 1) totals.push((await instructions({ subject }, () => act(rounds)))[0]);
    console.log(`${name}, ${size} bytes, ${outstanding} at once: ${Math.round(Math.min(...totals) / rounds / SESSIONS / outstanding)}`);
  }
  await stop(subject);
}
await leave(0);
