// Clients of other languages: programs that read commands and write events as lines of JSON (README.md),
// and the stock client with the same commands.

import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { sleep } from './ports.mjs';
import { listen, PYTHON, here, start, writeBytes } from './processes.mjs';

/** How a client is started, by the name of its library. */
const PROGRAMS = {
  'python-socketio': [PYTHON, here('../peers/client.py'), 'sync'],
  'python-socketio 4': [here('../../.cache/interop-4/bin/python'), here('../peers/client_4.py')],
  'python-socketio asyncio': [PYTHON, here('../peers/client.py'), 'asyncio'],
  rust_socketio: [process.env.INTEROP_RUST_CLIENT ?? 'INTEROP_RUST_CLIENT'],
};

// Python takes longer to start than a case takes, so the next case gets the same process.
const idle = { 'python-socketio': [], 'python-socketio 4': [], 'python-socketio asyncio': [] };
const FORGET_MS = 300;

/** A client of the library `name`: `tell` takes what it does, and what it sees goes to the tracks `client NAMESPACE`. */
export function peer(name, t) {
  return PROGRAMS[name] ? program(name, t) : stock(t);
}

function program(name, t) {
  const child = idle[name]?.pop() ?? begin(...PROGRAMS[name]);
  const tell = (command) => child.stdin.write(`${JSON.stringify({ id: t.id, ...command }, writeBytes)}\n`);
  t.defer(async () => {
    if (!t.passed) console.error(child.said);
    if (t.passed && idle[name] && (await forgets(child, tell))) idle[name].push(child);
    else child.kill('SIGKILL');
  });
  return { tell };
}

/** Whether it has left its server in time; the synchronous one may wait for its last poll instead. */
async function forgets(child, tell) {
  tell({ do: 'forget' });
  const forgotten = once(child, 'forgotten').then(() => true);
  // A deadline, not a pause.
  return Promise.race([forgotten, sleep(FORGET_MS)]);
}

function begin(file, ...args) {
  if (!existsSync(file)) throw new Error(`there is no ${file}: tests/interop/run makes it`);
  const child = start(file, args, { stdio: 'pipe' });
  child.said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (child.said += text));
  listen(child, 'client');
  return child;
}

function stock(t) {
  const sockets = new Map();
  const tell = ({ do: what, namespace, name, args, ...how }) => {
    const socket = sockets.get(namespace);
    if (what === 'connect') connect(t, sockets, how);
    if (what === 'emit') socket.emit(name, ...args);
    if (what === 'ask') socket.emit(name, ...args, (...answer) => t.log(`client ${namespace}`, 'answer', ...answer));
    if (what === 'identify') socket.emit('my id', socket.id);
    if (what === 'disconnect') sockets.forEach((one) => one.disconnect());
  };
  return { tell };
}

function connect(t, sockets, { namespaces: [first, ...others], auth, query, reconnects }) {
  sockets.clear();
  const again = reconnects ? { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 100 } : {};
  sockets.set(first, t.io({ auth: auth ?? {}, query: { ...query, id: t.id }, ...again }, first));
  const { io } = sockets.get(first);
  // A client of Socket.IO 2 has no payload for its CONNECT, only a query.
  const more = { auth: auth ?? {}, query: String(new URLSearchParams(auth ?? {})) };
  for (const other of others) sockets.set(other, io.socket(other, more));
  const all = [...sockets.values()];
  t.defer(() => all.forEach((socket) => socket.disconnect()));
  io.once('open', () => {
    const log = () => t.log('client engine', 'transport', io.engine.transport.name);
    if (t.transport === 'upgrade') io.engine.once('upgrade', log);
    else log();
  });
  for (const [namespace, socket] of sockets) {
    const log = (...event) => t.log(`client ${namespace}`, ...event);
    socket.on('connect', () => log('connect'));
    // How many attempts fail before one succeeds is random.
    if (!reconnects) socket.on('connect_error', ({ message, data }) => log('refused', message, data));
    // The name of the event in Socket.IO 2.
    socket.on('error', (data) => log('refused', data));
    socket.on('disconnect', (reason) => log('disconnect', reason));
    socket.onAny((name, ...args) => {
      if (name === 'question') args.pop()([...args]);
      log('event', name, ...args);
    });
    socket.connect();
  }
}
