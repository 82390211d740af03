// Servers, proxies and the processes of one case, all on the loopback; whatever ends the case ends them.

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import { createRequire } from 'node:module';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { accepts, freePort, sleep } from '../interop/lib/ports.mjs';
import { start } from '../interop/lib/processes.mjs';

const require = createRequire(new URL('../interop/', import.meta.url));
/** Short, so that a heartbeat comes soon; a busy machine has time to answer. */
const BEAT = { pingInterval: 3000, pingTimeout: 20_000 };

export class Site {
  constructor(binary) {
    this.binary = binary;
    this.folder = mkdtempSync(path.join(tmpdir(), 'polliwog-doctor-'));
    this.children = [];
    this.ends = [];
    this.engines = [];
    this.admins = [];
  }

  /** Starts a server of Socket.IO 3 and 4, and returns its port. */
  async socketIo(options = {}) {
    const { Server } = require('socket.io');
    const server = http.createServer();
    const io = new Server(server, { ...BEAT, ...options });
    this.engines.push(io.engine);
    return this.#listen(server, () => io.disconnectSockets(true));
  }

  /** Starts a server of Socket.IO 2. */
  async socketIo2() {
    const server = http.createServer();
    const io = require('socket.io-2')(server, BEAT);
    this.engines.push(io.engine);
    return this.#listen(server);
  }

  /** Starts a bare Engine.IO server, at Socket.IO's path. */
  async engineIo() {
    const { Server } = require('engine.io');
    const server = http.createServer();
    const engine = new Server(BEAT);
    engine.attach(server, { path: '/socket.io/' });
    this.engines.push(engine);
    return this.#listen(server);
  }

  /** Starts a server of SockJS that echoes. */
  async sockJs() {
    const server = http.createServer();
    const sockjs = require('sockjs').createServer({ log: () => {} });
    sockjs.on('connection', (connection) => connection.on('data', (text) => connection.write(text)));
    sockjs.installHandlers(server, { prefix: '/sockjs' });
    return this.#listen(server);
  }

  /** Starts a plain WebSocket server, which does `begin` with each WebSocket. */
  async webSocket(begin = () => {}) {
    const server = http.createServer((_, response) => response.writeHead(426).end('Upgrade Required'));
    const sockets = new (require('ws').WebSocketServer)({ server });
    sockets.on('connection', begin);
    return this.#listen(server, () => sockets.close());
  }

  /** The files `{ key, certificate }` of a server at 127.0.0.1, made once, which a client may trust as they are. */
  certificate() {
    const [key, certificate] = ['key.pem', 'cert.pem'].map((name) => path.join(this.folder, name));
    if (!existsSync(key)) {
      const names = ['-subj', '/CN=doctor', '-addext', 'subjectAltName=IP:127.0.0.1', '-addext', 'basicConstraints=CA:FALSE'];
      const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
      execFileSync('openssl', ['req', ...kind, '-keyout', key, '-out', certificate, ...names], { stdio: 'ignore' });
    }
    return { key, certificate };
  }

  /** Starts a server of Socket.IO that speaks HTTP/2 by TLS and announces WebSocket over it, which it does not know. */
  async announcing() {
    const [key, cert] = Object.values(this.certificate()).map((file) => readFileSync(file));
    const settings = { enableConnectProtocol: true };
    const server = http2.createSecureServer({ key, cert, allowHTTP1: true, settings });
    const io = new (require('socket.io').Server)(server, BEAT);
    this.engines.push(io.engine);
    return this.#listen(server, () => io.disconnectSockets(true), 'secureConnection');
  }

  /** Starts Polliwog behind TLS, and returns its URL. */
  async secure() {
    const { key, certificate } = this.certificate();
    return `https://127.0.0.1:${await this.polliwog(`tls = { certificate = "${certificate}", key = "${key}" }`)}`;
  }

  /** Starts Polliwog with its demos, with more lines for `[server]`. */
  async polliwog(lines = '') {
    const [port, admin] = [await freePort(), await freePort()];
    this.admins.push(admin);
    const file = this.#write(`polliwog-${port}.toml`, `[server]
listen = "127.0.0.1:${port}"
${lines}
[admin]
listen = "127.0.0.1:${admin}"
[log]
level = "error"
[[routes]]
path = "/socket.io/"
dialect = "engine.io"
upstream = "demo"
ping_interval = "3s"
[[routes]]
path = "/sockjs/"
dialect = "sockjs"
upstream = "echo"
[[routes]]
path = "/feed/"
dialect = "longpoll"
upstream = "echo"
wait = "3s"
[[routes]]
path = "/ws/"
dialect = "websocket"
upstream = "echo"
[upstreams.demo]
kind = "demo"
[upstreams.echo]
kind = "demo"
protocol = "websocket"
`);
    await this.#run(this.binary, ['run', '--config', file], port);
    return port;
  }

  /** Starts nginx in front of ports, with these lines in its location and others in its upstream and `http`. */
  async nginx(ports, location, upstream = '', outside = '') {
    const port = await freePort();
    const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    const file = this.#write(`nginx-${port}.conf`, `daemon off;
master_process off;
pid ${this.folder}/nginx-${port}.pid;
error_log stderr crit;
events { worker_connections 1000; }
http {
  access_log off;
${folders.map((folder) => `  ${folder}_temp_path ${this.folder}/${folder};`).join('\n')}
  map $http_upgrade $upgrade { default upgrade; "" ""; }
  ${outside}
  upstream servers {
    ${upstream}
${ports.map((port) => `    server 127.0.0.1:${port};`).join('\n')}
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://servers;
      ${location}
    }
  }
}
`);
    await this.#run('nginx', ['-p', this.folder, '-c', file, '-e', 'stderr'], port);
    return port;
  }

  /** Starts HAProxy in front of ports, each with a cookie of its own, and these lines in its backend. */
  async haproxy(ports, lines) {
    const port = await freePort();
    const file = this.#write(`haproxy-${port}.cfg`, `defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
frontend all
  bind 127.0.0.1:${port}
  default_backend servers
backend servers
  ${lines}
${ports.map((port) => `  server s${port} 127.0.0.1:${port} cookie s${port}`).join('\n')}
`);
    await this.#run('haproxy', ['-db', '-q', '-f', file], port);
    return port;
  }

  /** Starts a server that answers each connection as it likes. */
  async hostile(answer) {
    return this.#listen(net.createServer((socket) => answer(socket.on('error', () => {}))));
  }

  /** Starts a server that answers every poll at once, and returns its port and how many requests came. */
  async talkative() {
    const open = { sid: 'a', upgrades: [], pingInterval: 25_000, pingTimeout: 20_000, maxPayload: 1e6 };
    const seen = { requests: 0 };
    const server = http.createServer((request, response) => {
      seen.requests += 1;
      const query = new URL(request.url, 'http://h').searchParams;
      request.resume().on('end', () => {
        if (request.method === 'POST') return response.end('ok');
        if (query.get('transport') !== 'polling') return response.writeHead(400).end('{"code":0,"message":"Transport unknown"}');
        if (query.has('sid')) return response.end('4x');
        open.sid = `s${seen.requests}`;
        return response.end(`0${JSON.stringify(open)}`);
      });
    });
    server.on('upgrade', (_, socket) => socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 17\r\n\r\nTransport unknown'));
    seen.port = await this.#listen(server);
    return seen;
  }

  /** Starts a proxy of bytes, which may change what the server says. */
  async middlebox(to, change) {
    const server = net.createServer((client) => {
      const backend = net.connect(to, '127.0.0.1');
      client.on('error', () => backend.destroy()).pipe(backend);
      backend.on('error', () => client.destroy());
      backend.on('data', (bytes) => change(bytes, client)).on('end', () => client.end());
    });
    return this.#listen(server);
  }

  /** Waits until no session is left on the servers. */
  async isLeftAlone() {
    const left = async () => {
      const sessions = await Promise.all(this.admins.map(sessionsAt));
      return [...sessions, ...this.engines.map(({ clientsCount }) => clientsCount)].reduce((sum, count) => sum + count, 0);
    };
    // The interval between two looks.
    for (const until = Date.now() + 5000; (await left()) > 0; await sleep(50)) {
      if (Date.now() > until) throw new Error(`${await left()} sessions are left`);
    }
  }

  async stop() {
    await Promise.all(
      this.children.map((child) => {
        if (child.exitCode !== null || child.signalCode !== null) return undefined;
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        return ended;
      }),
    );
    this.ends.forEach((end) => end());
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #listen(server, end = () => {}, event = 'connection') {
    const sockets = new Set();
    server.on(event, (socket) => sockets.add(socket) && socket.once('close', () => sockets.delete(socket)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.ends.push(() => {
      end();
      sockets.forEach((socket) => socket.destroy());
      server.close();
    });
    return server.address().port;
  }

  #write(name, text) {
    const file = path.join(this.folder, name);
    writeFileSync(file, text);
    return file;
  }

  async #run(program, args, port) {
    const child = start(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    this.children.push(child);
    // The interval between two looks.
    for (const until = Date.now() + 20_000; !(await accepts(port)); await sleep(50)) {
      if (Date.now() > until || child.exitCode !== null) throw new Error(`${program} does not listen at ${port}`);
    }
  }
}

/** The sessions of a Polliwog with this admin port. */
async function sessionsAt(port) {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith('polliwog_sessions{'));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
