// The backend: a stock `ws` server that compresses and sends back what it gets. Says where it listens.

import { createRequire } from 'node:module';

const { WebSocketServer } = createRequire(new URL('../interop/', import.meta.url))('ws');

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: 0,
  // The runner counts a short message that comes uncompressed as a fault.
  perMessageDeflate: { threshold: 0 },
  // 0 is no limit: one case sends 16 MiB, another 65,536 fragments.
  maxPayload: 0,
  maxFragments: 0,
});
server.on('listening', () => console.log(`listening on 127.0.0.1:${server.address().port}`));
server.on('connection', (socket) => {
  socket.on('message', (data, binary) => socket.send(data, { binary }));
  // The cases break the protocol on purpose; they judge how `ws` responds.
  socket.on('error', () => {});
});
process.on('SIGTERM', () => process.exit());
