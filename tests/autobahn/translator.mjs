// Leads clients of HTTP/1.1 to a server of HTTP/2: each WebSocket becomes a stream of one connection (RFC 8441), and bytes are
// copied. The argument is the server's port. Says where it listens.

import { createHash } from 'node:crypto';
import http from 'node:http';
import http2 from 'node:http2';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const PASSED = ['sec-websocket-version', 'sec-websocket-extensions', 'sec-websocket-protocol', 'origin', 'user-agent'];
const only = (headers, names) => Object.fromEntries(names.filter((name) => headers[name]).map((name) => [name, headers[name]]));

let connection;

/** The connection that all streams share: another one only if the server has ended it. */
async function connected() {
  if (!connection || connection.closed || connection.destroyed) {
    connection = http2.connect(`http://127.0.0.1:${process.argv[2]}`);
    connection.on('error', (error) => console.log(`the connection broke: ${error.message}`));
    connection.on('goaway', (code, _, why) => console.log(`the server is going away: ${code} ${why ?? ''}`));
    const begun = connection;
    begun.settled = new Promise((resolve) => begun.once('remoteSettings', resolve).once('close', resolve));
  }
  const { settled } = connection;
  await settled;
  return connection;
}

async function translate(request, near, head) {
  near.on('error', () => {}).setNoDelay(true);
  const connect = { ':method': 'CONNECT', ':protocol': 'websocket', ':path': request.url };
  const far = (await connected()).request({ ...connect, ...only(request.headers, PASSED) }, { endStream: false });
  far.on('error', () => near.destroy());
  // Whatever ends one side without a word ends the other.
  near.on('close', () => far.destroyed || far.close(http2.constants.NGHTTP2_CANCEL));
  far.on('response', (headers) => {
    const isAccepted = headers[':status'] === 200;
    const accept = createHash('sha1').update(request.headers['sec-websocket-key'] + GUID).digest('base64');
    const answer = {
      ...only(headers, ['sec-websocket-extensions', 'sec-websocket-protocol']),
      ...(isAccepted ? { upgrade: 'websocket', connection: 'Upgrade', 'sec-websocket-accept': accept } : { connection: 'close' }),
    };
    const lines = Object.entries(answer).map(([name, value]) => `${name}: ${value}\r\n`);
    near.write(`HTTP/1.1 ${isAccepted ? '101 Switching Protocols' : `${headers[':status']} Refused`}\r\n${lines.join('')}\r\n`);
    if (head.length) far.write(head);
    near.pipe(far);
    far.pipe(near);
  });
}

const server = http.createServer((_, response) => response.writeHead(426).end());
server.on('upgrade', translate);
server.listen(0, '127.0.0.1', () => console.log(`listening on 127.0.0.1:${server.address().port}`));
process.on('SIGTERM', () => process.exit());
