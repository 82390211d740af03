// A TCP relay that cuts: each connection passes so many bytes, both ways together, loses some more, and is cut then.

import net from 'node:net';
import { once } from 'node:events';

// Who has nothing to say any more can't lose it.
const LOSING_MS = 20;

/**
 * Relays to `port`. `plan()` is asked once for each connection, and may be changed while it lives: `pass` bytes are
 * passed, `lose` more are lost (none, if left out), and the end is a FIN, or an RST if `reset`.
 */
export async function relay(port, plan) {
  const links = new Set();
  let cuts = 0;
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    const both = [near, far];
    const mine = plan();
    // What was lost can't be made up for: behind it nothing is passed, whatever the plan says by then.
    let losing = false;
    let over = false;
    links.add(both);
    const end = () => {
      links.delete(both);
      both.forEach((socket) => (mine.reset && over ? socket.resetAndDestroy() : socket.destroy()));
    };
    const cut = (to) => {
      if (!over) cuts += 1;
      over = true;
      // What was passed shall still arrive, unless an RST overtakes it.
      if (mine.lose || mine.reset) end();
      else to.end(end);
    };
    const pass = (to) => (bytes) => {
      if (!losing) to.write(bytes.subarray(0, Math.max(mine.pass, 0)));
      mine.pass -= bytes.length;
      losing ||= mine.pass <= 0;
      if (!losing) return;
      if (mine.pass + (mine.lose ?? 0) <= 0) cut(to);
      // The bytes to lose are taken meanwhile.
      else setTimeout(cut, LOSING_MS, to);
    };
    near.on('data', pass(far)).on('error', end).on('close', end);
    far.on('data', pass(near)).on('error', end).on('close', end);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    server.close();
    links.forEach((both) => both.forEach((socket) => socket.destroy()));
  };
  return { port: server.address().port, close, cuts: () => cuts };
}
