#!/usr/bin/env node
// A bridge made of the stock packages only: it changes what every bridge must change. It is the oracle of the cases
// that cannot run directly (a plain WebSocket backend), and lets the suite be tried without a proxy:
// POLLIWOG_BIN=lib/stand-in.mjs. Started like the proxy; it reads the few keys that the suite writes.

import http from 'node:http';
import { readFileSync } from 'node:fs';
import { Server } from 'engine.io';
import { WebSocket } from 'ws';

const file = readFileSync(process.argv[process.argv.indexOf('--config') + 1], 'utf8');
const key = (name) => new RegExp(`^${name} = \\[?"(.*?)"`, 'm').exec(file)?.[1];
const prefix = key('path');
const url = key('url');
const engineUpstream = key('kind') === 'engine.io';
const millis = (name) => Number.parseInt(key(name), 10);
const heartbeat = { pingInterval: millis('ping_interval') || 25_000, pingTimeout: millis('ping_timeout') || 20_000 };
const allowUpgrades = !/^allow_upgrades = false/m.test(file);
const handshakeTimeout = millis('handshake_timeout') || 10_000;
const HOP =
  /^(connection|upgrade|keep-alive|te|trailer|transfer-encoding|accept-encoding|content-.*|sec-websocket-.*)$/;
const CODES = { 'Transport unknown': 0, 'Session ID unknown': 1, 'Bad handshake method': 2, 'Bad request': 3 };

const sessions = new Map();
const unknown = new Server();
const front = http.createServer((req, res) => route(req, { http: res }));
front.on('upgrade', (req, socket, head) => route(req, { socket, head }));
front.listen(Number(key('listen').split(':')[1]), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));

function route(req, carrier) {
  const target = new URL(req.url, 'http://stand-in');
  if (!target.pathname.startsWith(prefix)) return answer(carrier, 404, {}, '');
  const query = target.searchParams;
  const isSession = sessions.has(query.get('sid'));
  if (isSession) return serve(sessions.get(query.get('sid')), req, carrier);
  const proper =
    !query.get('sid') &&
    req.method === 'GET' &&
    query.get('EIO') === '4' &&
    query.get('transport') === (carrier.http ? 'polling' : 'websocket');
  if (!proper) return serve(unknown, req, carrier);
  dial(req, target, carrier);
}

function serve(server, req, { http: res, socket, head }) {
  if (res) server.handleRequest(req, res);
  else server.handleUpgrade(req, socket, head);
}

function dial(req, target, carrier) {
  const query = new URLSearchParams(target.searchParams);
  for (const own of ['sid', 't', 'j', 'b64', 'EIO', 'transport']) query.delete(own);
  if (engineUpstream) {
    query.set('EIO', '4');
    query.set('transport', 'websocket');
  }
  const headers = Object.fromEntries(Object.entries(req.headers).filter(([name]) => !HOP.test(name)));
  headers['x-forwarded-for'] = req.socket.remoteAddress;
  const offer = (req.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean);
  const path = target.pathname.slice(prefix.length);
  const link = new WebSocket(`${url}${path}?${query}`, offer, { headers, perMessageDeflate: false, handshakeTimeout });
  let upgradeHeaders = {};
  const early = [];
  link.on('upgrade', (response) => (upgradeHeaders = response.headers));
  link.once('unexpected-response', (_, response) => refuse(response, carrier));
  link.once('error', (error) => {
    const slow = /timed out/.test(error.message);
    answer(carrier, slow ? 504 : 502, {}, slow ? 'Gateway Timeout' : 'Bad Gateway');
  });
  const onMessage = (data, binary) => {
    const packet = binary ? data : data.toString();
    if (!engineUpstream || link.session) return early.push(packet);
    const { pingInterval, pingTimeout, maxPayload: maxHttpBufferSize } = JSON.parse(packet.slice(1));
    begin({ pingInterval, pingTimeout, maxHttpBufferSize });
  };
  link.on('message', onMessage);
  if (!engineUpstream) link.once('open', () => begin(heartbeat));

  function begin(options) {
    link.removeAllListeners('error').on('error', () => {});
    link.session = true;
    const server = new Server({ ...options, allowUpgrades });
    server.on('initial_headers', (out) => {
      for (const [name, value] of Object.entries(upgradeHeaders)) if (!HOP.test(name)) out[name] = value;
    });
    server.once('connection', (socket) => {
      sessions.set(socket.id, server);
      join(socket, link, early, onMessage);
    });
    serve(server, req, carrier);
  }
}

function join(socket, link, early, onMessage) {
  const take = (packet) => {
    if (!engineUpstream || typeof packet !== 'string') return socket.send(packet);
    if (packet === '2') return link.send('3');
    if (packet[0] === '4') socket.send(packet.slice(1));
  };
  link.off('message', onMessage);
  link.on('message', (data, binary) => take(binary ? data : data.toString()));
  link.on('close', () => socket.close());
  early.forEach(take);
  socket.on('message', (data = '') => link.send(engineUpstream && typeof data === 'string' ? `4${data}` : data));
  socket.on('close', () => {
    link.close();
    // Requests that are under way still find the session.
    setTimeout(() => sessions.delete(socket.id), 1000);
  });
  if (link.readyState >= WebSocket.CLOSING) socket.close();
}

function refuse(response, carrier) {
  let body = '';
  response.on('data', (chunk) => (body += chunk));
  response.on('end', () => {
    if (carrier.socket || response.statusCode !== 400) return answer(carrier, response.statusCode, {}, body);
    const code = CODES[body] ?? 4;
    const status = code === 4 ? 403 : 400;
    answer(carrier, status, { 'content-type': 'application/json' }, JSON.stringify({ code, message: body }));
  });
}

function answer({ http: res, socket }, status, headers, body) {
  if (res) return res.writeHead(status, headers).end(body);
  const head = `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\nConnection: close\r\nContent-type: text/html\r\n`;
  socket.end(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}
