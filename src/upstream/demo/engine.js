// One Engine.IO session: polling by fetch, or a WebSocket, or the move from the first to the second.

import { CODECS } from './codec.js';
import { byteLength } from './wire.js';

const PROBE_MS = 5000;
const NAMES = { 1: 'close', 2: 'ping', 3: 'pong', 4: 'message', 5: 'upgrade' };

/**
 * `hear` is told what happens: `open(upgrades)`, `message(text)`, `moved()` after an upgrade, and `close(reason)` once.
 * `line` makes requests and WebSockets; `version` is that of Engine.IO, 3 or 4.
 */
export class Engine {
  transport;
  #base;
  #wire;
  #line;
  #version;
  #codec;
  #hear;
  #sid;
  #socket;
  /** Packets that wait for a POST. */
  #queue = [];
  #polling;
  #posting;
  #moving = false;
  #closed = false;
  #abort = new AbortController();
  #patience = 0;
  #watchdog;
  #pinger;
  #maxPayload = Infinity;

  constructor({ base, wire, line, hear, version = 4 }) {
    this.#base = base;
    this.#wire = wire;
    this.#line = line;
    this.#version = version;
    this.#codec = CODECS[version];
    this.#hear = hear;
  }

  /** Its id, once it has one. */
  get sid() {
    return this.#sid;
  }

  /** Begins the session, on "polling" or "websocket". */
  open(transport) {
    this.transport = transport;
    if (transport === 'polling') {
      this.#polling = this.#poll();
    } else {
      this.#adopt(this.#connect());
    }
  }

  /** Sends a message. */
  send(text) {
    this.#write(`4${text}`);
  }

  /** Ends the session with a goodbye; a page that is left (`isLeaving`) cannot wait until that may be said. */
  close(reason, isLeaving) {
    if (this.#closed) return;
    const isPolling = this.transport === 'polling' && this.#sid;
    this.#end(reason, isPolling ? this.#goodbye(isLeaving) : undefined);
  }

  async #goodbye(isLeaving) {
    // Two POSTs at once are refused.
    if (this.#posting && !isLeaving) await this.#posting;
    // A page that is left is waited for by nobody.
    await fetch(this.#url('polling'), { method: 'POST', body: this.#codec.encode(['1']), keepalive: true }).catch(() => {});
  }

  /** Moves from polling to WebSocket; resolves with whether that went well. */
  async upgrade() {
    const socket = this.#connect();
    const moved = await this.#probe(socket);
    if (this.#closed || !moved) {
      socket.close();
      if (!this.#closed && this.#moving) {
        this.#moving = false;
        this.#polling = this.#poll();
        this.#flush();
      }
      return false;
    }
    this.transport = 'websocket';
    this.#adopt(socket);
    this.#frame('5');
    this.#moving = false;
    this.#flush();
    this.#hear.moved();
    return true;
  }

  /** Asks on a second way whether messages get through, and lets the first come to rest. */
  async #probe(socket) {
    const answered = new Promise((resolve) => {
      const no = () => resolve(false);
      setTimeout(no, PROBE_MS);
      socket.addEventListener('error', no);
      socket.addEventListener('close', no);
      socket.addEventListener('open', () => this.#frame('2probe', socket));
      socket.addEventListener(
        'message',
        ({ data }) => {
          this.#wire.frame('received', data, part(data), kind(data));
          resolve(data === '3probe');
        },
        { once: true },
      );
    });
    if (!(await answered) || this.#closed) return false;
    this.#moving = true;
    // The server answers the poll that waits, if need be with nothing.
    await Promise.all([this.#polling, this.#posting]);
    return socket.readyState === WebSocket.OPEN;
  }

  #connect() {
    const url = this.#url('websocket');
    const socket = this.#line.dial(url);
    // One that is only made believe costs nothing.
    if (socket.isReal) this.#wire.handshake(url);
    return socket;
  }

  #adopt(socket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      this.#wire.frame('received', data, part(data), kind(data));
      this.#receive(data);
    });
    socket.addEventListener('error', () => this.#end('the WebSocket failed'));
    socket.addEventListener('close', () => this.#end('the WebSocket was closed'));
  }

  async #poll() {
    while (this.transport === 'polling' && !this.#moving && !this.#closed) {
      const packets = await this.#request('GET');
      for (const packet of packets ?? []) this.#receive(packet);
    }
  }

  /** One request with some packets, or none; an answer that is none ends the session. */
  async #request(method, packets) {
    try {
      const url = this.#url('polling');
      const body = packets && this.#codec.encode(packets);
      this.#wire.request(method, url, body, packets?.map(part));
      const { response, text } = await this.#line.fetch(url, { method, body, signal: this.#abort.signal });
      const answered = response.ok && method === 'GET' ? this.#codec.decode(text) : [];
      this.#wire.answer(response, text, method === 'GET' && response.ok ? 'poll' : String(response.status), answered.map(part));
      if (response.ok) return answered;
      this.#end(`a request was answered ${response.status}`);
    } catch {
      this.#end('a request failed');
    }
    return undefined;
  }

  #write(packet) {
    if (this.#closed) return;
    this.#queue.push(packet);
    this.#flush();
  }

  #flush() {
    if (this.#moving || this.#closed) return;
    if (this.transport === 'websocket') {
      for (const packet of this.#queue.splice(0)) this.#frame(packet);
    } else if (!this.#posting && this.#sid && this.#queue.length) {
      this.#posting = this.#post().finally(() => {
        this.#posting = undefined;
        this.#flush();
      });
    }
  }

  /** One POST with as much of what waits as the server takes at once. */
  async #post() {
    let room = this.#maxPayload;
    const count = this.#queue.findIndex((packet) => (room -= byteLength(packet) + 1) < 0);
    const batch = this.#queue.splice(0, count < 0 ? this.#queue.length : Math.max(count, 1));
    await this.#request('POST', batch);
  }

  #frame(packet, socket = this.#socket) {
    if (socket.readyState !== WebSocket.OPEN) return;
    this.#wire.frame('sent', packet, part(packet), kind(packet));
    socket.send(packet);
  }

  #receive(packet) {
    if (this.#closed) return;
    const [type, rest] = [packet[0], packet.slice(1)];
    if (type === '0') {
      const { sid, upgrades, pingInterval, pingTimeout, maxPayload } = JSON.parse(rest);
      this.#sid = sid;
      this.#patience = pingInterval + pingTimeout;
      this.#maxPayload = maxPayload ?? Infinity;
      this.#watch();
      if (this.#version === 3) this.#pinger = setInterval(() => this.#write('2'), pingInterval);
      this.#hear.open(upgrades);
    } else if (type === '1') {
      this.#end('the server closed the session');
    } else if (type === '2') {
      this.#watch();
      this.#write(`3${rest}`);
    } else if (type === '3') {
      this.#watch();
    } else if (type === '4') {
      this.#hear.message(rest);
    }
  }

  /** The server pings, or in version 3 answers pings; silence is its end. */
  #watch() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#end('no heartbeat from the server'), this.#patience);
  }

  /** Ends what is under way, after the `goodbye` if there is one: a session whose poll is gone could not hear it. */
  #end(reason, goodbye) {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#watchdog);
    clearInterval(this.#pinger);
    if (goodbye) goodbye.then(() => this.#abort.abort());
    else this.#abort.abort();
    this.#socket?.close();
    this.#hear.close(reason);
  }

  #url(transport) {
    const url = new URL(this.#base);
    url.search = `EIO=${this.#version}&transport=${transport}${this.#sid ? `&sid=${this.#sid}` : ''}`;
    if (transport === 'websocket') url.protocol = url.protocol.replace('http', 'ws');
    return url.href;
  }
}

/** Of a packet, what a message says is payload. */
const part = (packet) => (packet[0] === '4' ? { lead: '4', payload: packet.slice(1) } : { lead: packet });

const kind = (packet) => (packet.length > 1 && packet[0] !== '4' ? 'probe' : NAMES[packet[0]]);
