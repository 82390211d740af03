// One HTTP/1.1 connection that is kept, one request at a time: light enough for thousands of them.

import net from 'node:net';

const HEAD_END = Buffer.from('\r\n\r\n');

export class Connection {
  #socket;
  #answer;
  #chunks = [];
  #length = 0;
  #head;

  constructor(port, headers = {}) {
    this.port = port;
    this.lines = Object.entries({ host: `127.0.0.1:${port}`, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  }

  /** Resolves with `{ status, headers, body }`; rejects if the connection ends first. */
  request(method, path, body) {
    this.#socket ??= this.#connect();
    const length = body === undefined ? '' : `content-length: ${Buffer.byteLength(body)}\r\n`;
    this.#socket.write(`${method} ${path} HTTP/1.1\r\n${this.lines.join('')}${length}\r\n${body ?? ''}`);
    return new Promise((resolve, reject) => (this.#answer = { resolve, reject }));
  }

  close() {
    this.#socket?.destroy();
  }

  #connect() {
    const socket = net.connect({ port: this.port, host: '127.0.0.1', noDelay: true });
    socket.on('data', (bytes) => this.#take(bytes));
    socket.on('error', () => {}); // 'close' follows.
    socket.on('close', () => {
      this.#socket = undefined;
      this.#answer?.reject(new Error('the connection ended without an answer'));
    });
    return socket;
  }

  #take(bytes) {
    this.#chunks.push(bytes);
    this.#length += bytes.length;
    this.#head ??= this.#readHead();
    if (!this.#head || this.#length < this.#head.end) return;
    const { status, headers, start } = this.#head;
    const body = Buffer.concat(this.#chunks).toString('utf8', start);
    const { resolve } = this.#answer;
    this.#chunks = [];
    this.#length = 0;
    this.#head = this.#answer = undefined;
    resolve({ status, headers, body });
  }

  #readHead() {
    const all = Buffer.concat(this.#chunks);
    this.#chunks = [all];
    const at = all.indexOf(HEAD_END);
    if (at < 0) return undefined;
    const [top, ...lines] = all.toString('latin1', 0, at).split('\r\n');
    const pairs = lines.map((line) => line.split(/: (.*)/s, 2));
    const headers = Object.fromEntries(pairs.map(([name, value]) => [name.toLowerCase(), value]));
    const length = Number(headers['content-length']);
    if (!Number.isInteger(length)) throw new Error(`an answer without a length: ${top}`);
    const start = at + HEAD_END.length;
    return { status: Number(top.split(' ')[1]), headers, start, end: start + length };
  }
}
