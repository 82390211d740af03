// Bare requests and a bare Engine.IO client, for what a stock client does not show or does not do: header lines,
// error bodies, a connection that is cut, a client that falls silent.

import http from 'node:http';
import net from 'node:net';
import { WebSocket } from 'ws';

/** One request on its own connection; resolves with `{ status, headers, body, bytes }`. */
export function request({ port, path, method = 'GET', headers = {}, body }) {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    const options = { host: '127.0.0.1', port, path, method, headers: { ...length, ...headers }, agent: false };
    const call = http.request(options, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(chunks);
        resolve({ status: response.statusCode, headers: response.headers, body: bytes.toString(), bytes });
      });
    });
    call.on('error', reject);
    call.end(body);
  });
}

/** Asks for a WebSocket with a bare socket; resolves with the headers of the response and what follows them. */
export function upgrade({ port, path, headers = {} }) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    const lines = {
      Host: `127.0.0.1:${port}`,
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      ...headers,
    };
    const head = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`GET ${path} HTTP/1.1\r\n${head.join('')}\r\n`);
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk) => (text += chunk));
    socket.on('error', reject);
    socket.on('close', () => {
      const [top, ...rest] = text.split('\r\n\r\n');
      resolve({ status: Number(top.split(' ')[1]), head: top, body: rest.join('\r\n\r\n') });
    });
  });
}

export class RawClient {
  #ws;
  #poll;
  #wanted = [];
  packets = [];
  closed = false;

  constructor(port, path, transport, { query = '' } = {}) {
    Object.assign(this, { port, transport });
    this.base = `${path}?EIO=4${query}`;
  }

  async open() {
    if (this.transport === 'websocket') {
      await this.#connect(`${this.base}&transport=websocket`);
      await this.next((packet) => packet.startsWith('0'));
      return;
    }
    const { status, body } = await request({ port: this.port, path: `${this.base}&transport=polling` });
    if (status !== 200) throw new Error(`handshake: ${status} ${body}`);
    const [first, ...rest] = body.split('\x1e');
    this.handshake = JSON.parse(first.slice(1));
    for (const packet of rest) this.#take(packet);
    this.polling = `${this.base}&transport=polling&sid=${this.handshake.sid}`;
    if (this.transport === 'upgrade') {
      await this.probe();
      this.#ws.send('5');
    }
  }

  /** The first half of an upgrade; "5" is left to the caller. From here on packets go over the WebSocket. */
  async probe() {
    await this.#connect(`${this.base}&transport=websocket&sid=${this.handshake.sid}`);
    this.#ws.send('2probe');
    await this.next((packet) => packet === '3probe');
    return this.#ws;
  }

  /** Sends one packet. */
  async send(packet) {
    if (this.#ws) this.#ws.send(packet);
    else await request({ port: this.port, path: this.polling, method: 'POST', body: packet });
  }

  /** The next packet that `wanted` accepts; while polling it asks for one. */
  async next(wanted) {
    for (;;) {
      const at = this.packets.findIndex(wanted);
      if (at >= 0) return this.packets.splice(at, 1)[0];
      if (this.#ws) await new Promise((resolve) => this.#wanted.push(resolve));
      else await this.poll();
    }
  }

  /** One GET, answered at its own time. */
  async poll() {
    const { status, body } = await request({ port: this.port, path: this.polling });
    if (status !== 200) throw new Error(`poll: ${status} ${body}`);
    for (const packet of body.split('\x1e')) this.#take(packet);
  }

  /** Leaves a GET waiting. Resolves when it has been written. */
  park() {
    if (this.#ws) return Promise.resolve();
    this.#poll = http.get({ host: '127.0.0.1', port: this.port, path: this.polling, agent: false });
    this.#poll.on('error', () => {});
    this.#poll.on('response', (response) => response.resume());
    return new Promise((resolve) => this.#poll.once('finish', resolve));
  }

  /** Dies: the connection closes without a goodbye. */
  die() {
    this.closed = true;
    this.#ws?.terminate();
    this.#poll?.destroy();
  }

  /** Leaves with a goodbye, if it still can. */
  async close() {
    if (this.closed) return;
    this.closed = true;
    if (this.#ws) return this.#ws.terminate();
    this.#poll?.destroy();
    if (this.polling) await this.send('1').catch(() => {});
  }

  #connect(path) {
    const ws = new WebSocket(`ws://127.0.0.1:${this.port}${path}`, { perMessageDeflate: false });
    this.#ws = ws;
    ws.on('message', (data, binary) => this.#take(binary ? data : data.toString()));
    return new Promise((resolve, reject) => {
      ws.once('open', resolve);
      ws.once('error', reject);
    });
  }

  #take(packet) {
    this.packets.push(packet);
    for (const resolve of this.#wanted.splice(0)) resolve();
  }
}
