// A TCP relay that cuts connections: each passes so many bytes, both ways together, loses some more, and is then cut.

import net from 'node:net';
import { once } from 'node:events';

// A side that sends nothing more can't lose anything.
const LOSING_MS = 20;

/**
 * Relays to `port`. `plan()` is called once for each connection, and its result may be changed meanwhile: `pass` bytes are
 * passed, `lose` more are lost (none, if left out), and the end is a FIN, or an RST if `reset`.
 */
export async function relay(port, plan) {
  const links = new Set();
  let cuts = 0;
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    const both = [near, far];
    const mine = plan();
    // After lost bytes nothing may be passed, even if the plan has changed.
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
      // Bytes that were passed still arrive, unless an RST overtakes them.
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
