// The files of the client library, which a Socket.IO server serves below its own path to pages that load them.

import { createHash } from 'node:crypto';

const digest = (body) => createHash('sha256').update(body).digest('hex').slice(0, 16);

const ask = async (t, what, path, headers = {}, method = 'GET') => {
  const answer = await t.request({ path: t.path + path, headers, method });
  const told = ['etag', 'content-type', 'content-encoding', 'content-length', 'cache-control', 'sourcemap'];
  t.log('client', what, answer.status, ...told.map((name) => answer.headers[name] ?? '-'), digest(answer.body));
  return answer;
};

const cases = [
  {
    name: 'the client library is served',
    transports: ['none'],
    quick: ['none'],
    async client(t) {
      const whole = await ask(t, 'whole', 'socket.io.js');
      t.assert.equal(whole.status, 200);
      t.assert.match(whole.body, /Socket\.IO v4/);
      for (const name of ['socket.io.min.js', 'socket.io.esm.min.js', 'socket.io.msgpack.min.js', 'socket.io.js.map'])
        t.assert.equal((await ask(t, name, name)).status, 200);
      const packed = await ask(t, 'packed', 'socket.io.min.js', { 'accept-encoding': 'gzip' });
      t.assert.equal(packed.headers['content-encoding'], 'gzip');
      const known = await ask(t, 'known', 'socket.io.js', { 'if-none-match': whole.headers.etag });
      t.assert.equal(known.status, 304);
      t.assert.equal((await ask(t, 'with a query', 'socket.io.js?v=1')).status, 200);
    },
  },
  {
    name: 'what only looks like it is no file',
    transports: ['none'],
    async client(t) {
      for (const path of ['socket.io.css', 'socket.io.min.msgpack.js', 'socket.io.js/', 'x/socket.io.js']) {
        const answer = await t.request({ path: t.path + path });
        t.log('client', path, answer.status, answer.body);
        t.assert.equal(answer.status, 400);
      }
    },
  },
];

export default { name: 'socket.io files', backend: 'socket.io', cases };
