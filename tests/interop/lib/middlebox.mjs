// A relay in front of the side under test that hangs up on some requests, as firewalls and proxies of offices do.

import net from 'node:net';

/**
 * Relays all requests but those that match `blocked`, and resolves with its origin. What is answered goes to the track
 * "network": the last word of each request's path.
 */
export async function middlebox(t, blocked) {
  const server = net.createServer((near) => {
    const far = net.connect(t.port, '127.0.0.1');
    const end = () => [near, far].forEach((socket) => socket.destroy());
    let asked;
    near.on('data', (bytes) => {
      // The headers of a page's request fit into one piece.
      const head = bytes.toString('latin1');
      if (blocked?.test(head)) return end();
      asked = /^(?:GET|POST) [^ ?]*?([\w.]*)[? ]/.exec(head)?.[1] ?? asked;
      far.write(bytes);
    });
    far.on('data', (bytes) => {
      if (asked) t.log('network', asked);
      asked = undefined;
      near.write(bytes);
    });
    for (const socket of [near, far]) socket.on('error', end).on('close', end);
    t.defer(end);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.defer(() => server.close());
  return `http://127.0.0.1:${server.address().port}`;
}
