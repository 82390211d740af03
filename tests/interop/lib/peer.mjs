// Clients of other languages: programs that are told what to do and tell what they see in lines of JSON (README.md),
// and the stock client behind the same few words.

import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { sleep } from './ports.mjs';
import { listen, PYTHON, here, start, writeBytes } from './processes.mjs';

/** How a client is started, by the name of its library. */
const PROGRAMS = {
  'python-socketio': [PYTHON, here('../peers/client.py'), 'sync'],
  'python-socketio asyncio': [PYTHON, here('../peers/client.py'), 'asyncio'],
  rust_socketio: [process.env.INTEROP_RUST_CLIENT ?? 'INTEROP_RUST_CLIENT'],
};

// Python takes longer to start than a case takes, so the next case is given it.
const idle = { 'python-socketio': [], 'python-socketio asyncio': [] };
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
  const tell = ({ do: what, namespace, namespaces, auth, name, args }) => {
    const socket = sockets.get(namespace);
    if (what === 'connect') connect(t, sockets, namespaces, auth ?? {});
    if (what === 'emit') socket.emit(name, ...args);
    if (what === 'ask') socket.emit(name, ...args, (...answer) => t.log(`client ${namespace}`, 'answer', ...answer));
    if (what === 'disconnect') sockets.forEach((one) => one.disconnect());
  };
  return { tell };
}

function connect(t, sockets, [first, ...others], auth) {
  const query = { id: t.id };
  sockets.clear();
  sockets.set(first, t.io({ auth, query }, first));
  const { io } = sockets.get(first);
  for (const other of others) sockets.set(other, io.socket(other, { auth }));
  io.once('open', () => {
    const log = () => t.log('client engine', 'transport', io.engine.transport.name);
    if (t.transport === 'upgrade') io.engine.once('upgrade', log);
    else log();
  });
  for (const [namespace, socket] of sockets) {
    const log = (...event) => t.log(`client ${namespace}`, ...event);
    socket.on('connect', () => log('connect'));
    socket.on('connect_error', ({ message, data }) => log('refused', message, data));
    socket.on('disconnect', (reason) => log('disconnect', reason));
    socket.onAny((name, ...args) => {
      if (name === 'question') args.pop()([...args]);
      log('event', name, ...args);
    });
    socket.connect();
  }
}
