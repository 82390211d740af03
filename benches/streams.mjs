// What HTTP/2 costs: the memory of a connection and of a poll that is parked on it, and the instructions of a message there and back
// beside polls that are parked on the same connection. See README.md.

import http2 from 'node:http2';
import { readFileSync } from 'node:fs';
import { freePort, sleep } from '../tests/interop/lib/ports.mjs';
import { ask as request } from './http2.mjs';
import { backend, callgrind, hasCallgrind, instructions, proxy, route, stop } from './subjects.mjs';
import { leave } from '../tests/leave.mjs';

const polls = Number(process.env.POLLS ?? 5000);
const WARM = 1000;

const kilobytes = ({ pid }) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1.024;

const UPSTREAM = (await backend({ port: await freePort(), admin: await freePort() })).mux;

async function subject(under) {
  const [port, admin] = [await freePort(), await freePort()];
  // No ping ends a poll.
  const pings = 'ping_interval = "1h"\n';
  const server = `[server]\nlisten = "127.0.0.1:${port}"\nh2c = true\nidle_timeout = "10m"\n[admin]\nlisten = "127.0.0.1:${admin}"\n`;
  const text = `${server}${route('/socket.io/', 'engine.io')}${pings}[upstreams.u]\n${UPSTREAM}\n`;
  return { child: await proxy('subject.toml', text, port, under), port };
}

function connect(port) {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.setMaxListeners(0);
  // The subject is killed at the end.
  session.on('error', () => {});
  return session;
}

/** A request of a session, or one that begins a session; resolves to its body. */
const ask = (connection, method, sid, body) =>
  request(connection, method, `/socket.io/?EIO=4&transport=polling${sid ? `&sid=${sid}` : ''}`, body, { 'user-agent': 'bench', accept: '*/*' });

async function handshake(connection) {
  const { sid } = JSON.parse((await ask(connection, 'GET')).slice(1));
  await ask(connection, 'POST', sid, '40');
  while (!(await ask(connection, 'GET', sid)).includes('40')) continue;
  return sid;
}

/** Does something for each, so many at a time. */
async function each(items, width, act) {
  const left = [...items.entries()];
  const results = [];
  const worker = async () => {
    for (let next = left.shift(); next; next = left.shift()) results[next[0]] = await act(next[1]);
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}

// The allocator returns what it does not use.
const settle = () => sleep(Number(process.env.SETTLE_MS ?? 12_000));

/** Kilobytes of a connection, of a session on it, and of the poll that it parks. */
async function memory(count, streams) {
  const { child, port } = await subject([]);
  const connect20 = (connections) =>
    each(Array.from({ length: connections }), 20, async () => {
      const connection = connect(port);
      // A connection that has served nothing is smaller.
      await ask(connection, 'GET', 'unknown');
      return connection;
    });
  const begin = async (connections) =>
    (await each(connections, 20, async (connection) => {
      const sids = [];
      for (let stream = 0; stream < streams; stream += 1) sids.push(await handshake(connection));
      return sids.map((sid) => ({ connection, sid }));
    })).flat();
  let answered = 0;
  const park = (sessions) => {
    for (const { connection, sid } of sessions) ask(connection, 'GET', sid).then(() => (answered += 1), () => {});
  };
  // What the first ones take is the allocator's as well.
  park(await begin(await connect20(WARM / streams)));
  await settle();
  const sizes = [kilobytes(child)];
  const connections = await connect20(count / streams);
  await settle();
  sizes.push(kilobytes(child));
  const sessions = await begin(connections);
  await settle();
  sizes.push(kilobytes(child));
  park(sessions);
  await settle();
  sizes.push(kilobytes(child));
  if (answered > 0) throw new Error(`${answered} polls did not wait`);
  await stop(child);
  const [connection, session, poll] = sizes.slice(1).map((size, index) => size - sizes[index]);
  return [connection / connections.length, session / count, poll / count];
}

/** Instructions of a POST and the GET that brings its echo, beside so many parked polls. */
async function instructionsBeside(parked) {
  const { child, port } = await subject(callgrind('subject'));
  const connection = connect(port);
  for (let count = 0; count < parked; count += 1) {
    const sid = await handshake(connection);
    ask(connection, 'GET', sid).catch(() => {});
  }
  const sid = await handshake(connection);
  const message = `42["echo","${'x'.repeat(22)}"]`;
  const go = async (rounds) => {
    for (let round = 0; round < rounds; round += 1) {
      const [answer] = await Promise.all([ask(connection, 'GET', sid), ask(connection, 'POST', sid, message)]);
      if (answer !== message) throw new Error(answer);
    }
  };
  const rounds = 300;
  await go(20);
  const [total] = await instructions({ subject: child }, () => go(rounds));
  connection.destroy();
  await stop(child);
  return total / rounds;
}

const only = process.argv[2];
// Kilobytes of a parked poll beyond its connection and its session.
const BUDGET = 4;

if (only !== 'instructions') {
  const polled = [];
  console.log('| polls parked, streams of each connection | connection, kB | session, kB | its parked poll, kB |\n|---|---|---|---|');
  for (const streams of [1, 10, 100]) {
    const figures = await memory(polls, streams);
    polled.push(figures[2]);
    console.log(`| ${polls}, ${streams} | ${figures.map((size) => size.toFixed(1)).join(' | ')} |`);
  }
  const most = Math.max(...polled);
  console.log(`\nBudget: a parked poll takes at most ${BUDGET} kB: ${most.toFixed(1)}, ${most <= BUDGET ? 'met' : 'not met'}`);
}
if (only !== 'memory' && hasCallgrind) {
  console.log('\n| polls parked beside it | instructions of POST, echo, GET |\n|---|---|');
  for (const parked of [0, 1, 10, 97]) console.log(`| ${parked} | ${Math.round(await instructionsBeside(parked))} |`);
}
await leave(0);
