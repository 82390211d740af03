// What TLS and HTTP/2 cost beside nginx, both in front of Engine.IO on node: a push to a parked poll, and a handshake of TLS. See README.md.

import { once } from 'node:events';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { accepts, freePort, sleep } from '../tests/interop/lib/ports.mjs';
import { certificate } from '../tests/interop/lib/secure.mjs';
import { ask } from './http2.mjs';
import { proxy, route, run, start, stop } from './subjects.mjs';
import { leave } from '../tests/leave.mjs';

const seconds = Number(process.env.SECONDS_EACH ?? 3);
const rounds = Number(process.env.ROUNDS ?? 3);
/** As node.mjs has them: a command is for a group. */
const GROUP = 32;
const MESSAGE = '40123456789abcdef0123456789abcdef';
/** All on one connection of HTTP/2, where each has its own two of HTTP/1.1. */
const SESSIONS = 3 * GROUP;

const pem = await certificate();
const ca = readFileSync(pem.certificate);

const on = (core) => ['taskset', '-c', core];

/** Microseconds of the scheduler's time. */
const cpu = ({ pid }) =>
  readdirSync(`/proc/${pid}/task`)
    .map((task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e3)
    .reduce((sum, time) => sum + time, 0);

/** The servers: each is started with where it listens, and where node does. */
const SERVERS = {
  Polliwog: ({ port, admin, server }) =>
    proxy(
      'secure.toml',
      `[server]\nlisten = "127.0.0.1:${port}"\ntls = { certificate = "${pem.certificate}", key = "${pem.key}" }
[admin]\nlisten = "127.0.0.1:${admin}"\n${route('/socket.io/', 'engine.io')}relay = false\nping_interval = "1h"
[limits]\nconnection_requests = 0\n[upstreams.u]\nkind = "engine.io"\nurl = "ws://127.0.0.1:${server}/socket.io/"\n`,
      port,
      on('0'),
    ),
  nginx: ({ port, server }) =>
    run(
      [...on('0'), 'nginx', '-c'],
      'nginx.conf',
      `daemon off;\nmaster_process off;\npid /dev/null;\nerror_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  upstream node { server 127.0.0.1:${server}; keepalive 512; keepalive_requests 1000000000; keepalive_timeout 1h; }
  server {
    listen 127.0.0.1:${port} ssl http2 backlog=4096;
    ssl_certificate ${pem.certificate};
    ssl_certificate_key ${pem.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    http2_max_concurrent_streams 512;
    location / {
      proxy_pass http://node;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 1h;
    }
  }
}\n`,
      port,
    ),
};

/** Starts a server and node behind it; `act` measures. */
async function site(name, act) {
  const [port, admin, server, control] = [await freePort(), await freePort(), await freePort(), await freePort()];
  // Behind nginx it is what has the sessions; behind Polliwog it is a backend, as it would be without polling.
  const script = fileURLToPath(new URL('comparison/node.mjs', import.meta.url));
  const node = start([...on(name === 'nginx' ? '0' : '1'), 'node', script, 'engine.io', `127.0.0.1:${server}`, `127.0.0.1:${control}`, 'silent']);
  // The interval between two looks.
  while (!(await accepts(server))) await sleep(20);
  const child = await SERVERS[name]({ port, admin, server });
  const measured = await act({ port, control, child, node });
  await stop(child);
  await stop(node);
  return measured;
}

/** By HTTP/1.1: a connection for each of a session's two lines. */
function lines(port) {
  const agents = [0, 1].map(() => new https.Agent({ keepAlive: true, maxSockets: 1, ca, ALPNProtocols: ['http/1.1'] }));
  return (line, method, target, body) =>
    new Promise((resolve, reject) => {
      const request = https.request({ host: '127.0.0.1', port, agent: agents[line], method, path: target }, (response) => {
        let text = '';
        response.on('data', (piece) => (text += piece));
        response.on('end', () => resolve(text));
      });
      request.on('error', reject);
      request.end(body);
    });
}

/** By HTTP/2: a stream for each request, all on one connection. */
async function streams(port) {
  const connection = http2.connect(`https://127.0.0.1:${port}`, { ca });
  // How many streams there may be.
  await once(connection, 'remoteSettings');
  connection.setMaxListeners(0);
  // The server is killed at the end.
  connection.on('error', () => {});
  return (_line, method, target, body) => ask(connection, method, target, body);
}

/** Opens a session; returns what waits for its next message. */
async function session(ask, number) {
  const path = `/socket.io/?EIO=4&transport=polling&n=${number}`;
  const { sid } = JSON.parse((await ask(0, 'GET', path)).slice(1));
  return () => ask(0, 'GET', `${path}&sid=${sid}`);
}

/** CPU of a push to a parked poll: one group after the other gets a message, while the others wait. */
const pushes = (ways) => async ({ port, control, child, node }) => {
  const one = ways === streams && (await streams(port));
  const sessions = await Promise.all(Array.from({ length: SESSIONS }, (_, number) => session(one || lines(port), number)));
  const commands = net.connect(control, '127.0.0.1');
  let waiting = sessions.map((wait) => wait());
  const push = async (group) => {
    const command = Buffer.alloc(2);
    command.writeUInt16BE(group);
    commands.write(command);
    for (let number = group * GROUP; number < (group + 1) * GROUP; number += 1) {
      const text = await waiting[number];
      if (text !== MESSAGE) throw new Error(`${text} in place of a message`);
      waiting[number] = sessions[number]();
    }
  };
  const turn = async () => {
    for (let group = 0; group < SESSIONS / GROUP; group += 1) await push(group);
  };
  for (let count = 0; count < 20; count += 1) await turn();
  const before = [child, node].map(cpu);
  const end = performance.now() + seconds * 1000;
  let turns = 0;
  for (; performance.now() < end; turns += 1) await turn();
  const times = [child, node].map((process, index) => (cpu(process) - before[index]) / turns / SESSIONS);
  waiting = waiting.map((answer) => answer.catch(() => {}));
  commands.destroy();
  return times;
};

/** CPU of a handshake: full, or one that resumes the session of the last one. */
const handshakes = (resumes) => async ({ port, child }) => {
  let ticket;
  const shake = () =>
    new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port, ca, ALPNProtocols: ['http/1.1'], session: resumes ? ticket : undefined };
      const socket = tls.connect(options, () => {
        if (resumes && ticket && !socket.isSessionReused()) reject(new Error('the handshake was a full one'));
      });
      socket.on('error', reject);
      socket.once('session', (session) => {
        ticket = session;
        socket.destroy();
        resolve();
      });
    });
  for (let count = 0; count < 50; count += 1) await shake();
  const before = cpu(child);
  const end = performance.now() + seconds * 1000;
  let count = 0;
  for (; performance.now() < end; count += 1) await shake();
  return [(cpu(child) - before) / count, 0];
};

const MEASURES = {
  'push to a parked poll, TLS, HTTP/1.1': pushes(lines),
  [`push to a parked poll, TLS, HTTP/2, ${SESSIONS} sessions of a connection`]: pushes(streams),
  'handshake of TLS 1.3, full': handshakes(false),
  'handshake of TLS 1.3, resumed': handshakes(true),
};

const median = (values) => values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)];
const shown = (time) => time.toFixed(1);

console.log('| what, us of CPU | Polliwog | its backend | nginx | node behind it | Polliwog beside both |\n|---|---|---|---|---|---|');
for (const [what, measure] of Object.entries(MEASURES)) {
  const taken = [];
  for (let round = 0; round < rounds; round += 1) {
    const [own, backend] = await site('Polliwog', measure);
    const [nginx, node] = await site('nginx', measure);
    taken.push({ own, backend, nginx, node, ratio: own / (nginx + node) });
  }
  const ratios = taken.map(({ ratio }) => ratio);
  const { own, backend, nginx, node, ratio } = taken.find((each) => each.ratio === median(ratios));
  const span = `${ratio.toFixed(2)} (${Math.min(...ratios).toFixed(2)} .. ${Math.max(...ratios).toFixed(2)})`;
  console.log(`| ${what} | ${shown(own)} | ${shown(backend)} | ${shown(nginx)} | ${shown(node)} | ${span} |`);
}
await leave(0);
