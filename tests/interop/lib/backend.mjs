// The backends: stock servers in this process, one for each run of a case, always on the lane's port.

import http from 'node:http';
import { Server as SocketServer } from 'socket.io';
import SocketServer2 from 'socket.io-2';
import { Server as EngineServer } from 'engine.io';
import EngineServer3 from 'engine.io-3';
import sockjs from 'sockjs';
import { WebSocketServer } from 'ws';

const socketServer = (Server) => (server, options) => {
  const io = new Server(server, options);
  return { handle: io, engine: io.engine, close: () => io.close() };
};

const engineServer = (Server) => (server, options) => {
  const engine = new Server(options);
  engine.attach(server, { path: '/engine.io' });
  return { handle: engine, engine, close: () => engine.close() };
};

const KINDS = {
  'socket.io': socketServer(SocketServer),
  'socket.io 2': socketServer(SocketServer2),
  'engine.io': engineServer(EngineServer),
  'engine.io 3': engineServer(EngineServer3.Server),
  sockjs: (server, options) => {
    const handle = sockjs.createServer({ log() {}, ...options });
    handle.installHandlers(server, { prefix: '/sockjs' });
    return { handle, close() {} };
  },
  ws: (server, options) => {
    const sockets = new WebSocketServer({ server, ...options });
    return {
      handle: sockets,
      close: () => {
        for (const socket of sockets.clients) socket.terminate();
        sockets.close();
      },
    };
  },
};

export class Backend {
  #running;
  #http;
  #sockets = new Set();

  /** `setup(handle)` is called at every start with the stock server. */
  constructor(kind, port, options, setup) {
    Object.assign(this, { kind, port, options, setup });
  }

  async start() {
    this.#http = http.createServer((request, response) => response.writeHead(404).end());
    this.#http.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.#running = KINDS[this.kind](this.#http, this.options ?? {});
    this.handle = this.#running.handle;
    this.engine = this.#running.engine;
    this.setup?.(this.handle);
    await new Promise((resolve, reject) => {
      this.#http.once('error', reject);
      this.#http.listen(this.port, '127.0.0.1', resolve);
    });
  }

  /** Closes every session and the port, as a server that shuts down does. */
  async stop() {
    if (!this.#running) return;
    const server = this.#http;
    const closed = new Promise((resolve) => server.once('close', resolve));
    this.#running.close();
    this.#running = undefined;
    server.close();
    // The last responses and Close frames get out first.
    setTimeout(() => server.closeAllConnections(), 50);
    // A WebSocket whose client answers no close frame stays for half a minute otherwise.
    const late = setTimeout(() => this.#sockets.forEach((socket) => socket.destroy()), 1000);
    await closed;
    clearTimeout(late);
  }
}
