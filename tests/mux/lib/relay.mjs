// A TCP relay that cuts: each connection passes so many bytes, both ways together, and is destroyed then.

import net from 'node:net';
import { once } from 'node:events';

/** Relays to `port`. `budget()` is asked once for each connection. */
export async function relay(port, budget) {
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    let left = budget();
    const cut = () => {
      near.destroy();
      far.destroy();
    };
    const pass = (to) => (bytes) => {
      to.write(bytes.subarray(0, Math.max(left, 0)));
      left -= bytes.length;
      // What was passed shall still arrive.
      if (left <= 0) to.end(cut);
    };
    near.on('data', pass(far)).on('error', cut).on('close', cut);
    far.on('data', pass(near)).on('error', cut).on('close', cut);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: server.address().port, close: () => server.close() };
}
