// A reference backend in its own process.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../backends/', import.meta.url));
const PYTHON = fileURLToPath(new URL('../../.cache/mux/bin/python', import.meta.url));

const running = new Set();
// All of them end with the check, however it ends.
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/** The four: how each is started, and which form it has. */
export const BACKENDS = ['short.mjs', 'long.mjs', 'short.py', 'long.py'].map((file) => ({
  file,
  form: file.startsWith('long') ? 'long' : 'short',
}));

/** Starts one, and waits until it listens. */
export async function start(file, { port = 0, env = {} } = {}) {
  const command = file.endsWith('.py') ? PYTHON : process.execPath;
  const child = spawn(command, [FOLDER + file, String(port)], {
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  child.on('exit', () => running.delete(child));
  const backend = { child, port: 0, errors: '', lines: [], ended: once(child, 'exit') };
  child.stderr.setEncoding('utf8').on('data', (text) => (backend.errors += text));
  const output = createInterface({ input: child.stdout });
  output.on('line', (line) => backend.lines.push(line));
  const gone = backend.ended.then(() => Promise.reject(new Error(`${file} ended at its start: ${backend.errors}`)));
  const [line] = await Promise.race([once(output, 'line'), gone]);
  gone.catch(() => {});
  backend.port = Number(/^listening (\d+)$/.exec(line)?.[1]);
  if (!backend.port) throw new Error(`${file} says ${line} and not where it listens`);
  return backend;
}

/** Ends one: `signal` is SIGTERM, which must end it, or SIGKILL. Returns its exit code. */
export async function stop(backend, signal) {
  backend.child.kill(signal);
  const [code] = await backend.ended;
  return code;
}
