// A balancer that sends each session to the wrong node: it begins at the first of two, and everything else of it is asked at
// the second. Bytes pass as they are; only the ends of requests are looked for.

import { once } from 'node:events';
import net from 'node:net';

/** In the first line of a request: an id in the query, or one in the path that names the first node. */
const OF_A_SESSION = /[?&]sid=[^& ]|\/2a---/;
/** A SockJS session begins with the first of these that receives; `websocket` is a whole session each time. */
const SOCKJS = /^\S+ [^ ?]*\/[^/ ?]+\/([^/ ?]+)\/(?:xhr|xhr_streaming|eventsource|htmlfile|jsonp|(xhr_send|jsonp_send))[ ?]/;

/** Listens in front of two ports. `led()` is how many requests went to the second. */
export async function balancer(first, second) {
  const begun = new Set();
  const clients = new Set();
  let led = 0;
  const choose = (line) => {
    const [, session, sends] = SOCKJS.exec(line) ?? [];
    if (begun.has(session) || OF_A_SESSION.test(line)) {
      led += 1;
      return { port: second };
    }
    // A browser asks first whether it may.
    const begins = session && !sends && !line.startsWith('OPTIONS');
    return { port: first, answered: () => begins && begun.add(session) };
  };
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    clients.add(client);
    client.on('close', () => clients.delete(client));
    serve(client, choose);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    server.close();
    clients.forEach((client) => client.destroy());
  };
  return { port: server.address().port, led: () => led, close };
}

/** Leads the requests of one connection, each by its first line. One that nobody answers may come again. */
function serve(client, choose) {
  const nodes = new Map();
  const requests = new Requests();
  let current;
  let answered;

  const connect = (port) => {
    const node = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    nodes.set(port, node);
    node.on('data', () => {
      answered?.();
      answered = undefined;
    });
    pass(node, client);
    // A node that is not asked at the moment may close what is idle.
    node.on('end', () => (node === current ? client.end() : node.end()));
    node.on('error', () => node === current && client.destroy());
    node.on('close', () => {
      if (nodes.get(port) === node) nodes.delete(port);
      if (node === current) client.end();
    });
    return node;
  };

  client.on('data', (bytes) => {
    for (const { line, piece } of requests.read(bytes)) {
      if (line !== undefined) {
        const choice = choose(line);
        answered = choice.answered;
        current = nodes.get(choice.port) ?? connect(choice.port);
      }
      if (!current.write(piece)) hold(client, current);
    }
  });
  client.on('end', () => nodes.forEach((node) => node.end()));
  client.on('error', () => {});
  client.on('close', () => nodes.forEach((node) => node.destroy()));
}

function pass(from, to) {
  from.on('data', (bytes) => to.write(bytes) || hold(from, to));
}

/** Reads no more from one side until the other has taken what it got. */
function hold(from, to) {
  from.pause();
  const resume = () => {
    to.off('drain', resume).off('close', resume);
    from.resume();
  };
  to.on('drain', resume).on('close', resume);
}

/** Finds where the requests on a connection begin. */
class Requests {
  /** The part of a head, or of the line before a chunk, that has come. */
  #begun = Buffer.alloc(0);
  /** How much is to come until the next of them. */
  #body = 0;
  #isChunked = false;

  /** Takes bytes, and yields what is to be passed on: a `piece`, with the first `line` where a request begins. */
  *read(bytes) {
    while (bytes.length > 0) {
      if (this.#body > 0) {
        const piece = bytes.subarray(0, this.#body);
        this.#body -= piece.length;
        bytes = bytes.subarray(piece.length);
        yield { piece };
        continue;
      }
      const end = this.#isChunked ? '\r\n' : '\r\n\r\n';
      const all = Buffer.concat([this.#begun, bytes]);
      const at = all.indexOf(end);
      this.#begun = at < 0 ? all : Buffer.alloc(0);
      if (at < 0) return;
      const piece = all.subarray(0, at + end.length);
      bytes = all.subarray(piece.length);
      yield { piece, line: this.#follow(piece.toString('latin1')) };
    }
  }

  /** Notes what follows; returns the first line of a request. */
  #follow(text) {
    if (this.#isChunked) {
      const length = Number.parseInt(text, 16);
      // A chunk ends with an empty line, and so does the last one, behind which no client here has trailers.
      [this.#body, this.#isChunked] = [length + 2, length > 0];
      return undefined;
    }
    this.#isChunked = /^transfer-encoding: *chunked/im.test(text);
    // Behind an upgrade comes whatever it may be.
    if (/^upgrade: *websocket/im.test(text)) this.#body = Infinity;
    else this.#body = Number(/^content-length: *(\d+)/im.exec(text)?.[1] ?? 0);
    return text.slice(0, text.indexOf('\r\n'));
  }
}
