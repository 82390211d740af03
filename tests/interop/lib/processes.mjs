// The processes that the suite starts, what they say, and folders: whatever ends the suite ends and removes them.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';

const children = new Set();
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));

export function start(file, args, options) {
  const child = spawn(file, args, options);
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

// Whatever ends the suite removes what it wrote.
const directories = new Set();
process.on('exit', () => directories.forEach((directory) => rmSync(directory, { recursive: true, force: true })));

/** A folder for the time of the run. */
export async function newDirectory() {
  const directory = await mkdtemp(path.join(tmpdir(), 'polliwog-interop-'));
  directories.add(directory);
  return directory;
}

/** Runs `file` in a node process of its own, up to its word "ready"; used for a backend that is killed. */
export async function fork(file, args) {
  const child = start(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

/** The Python that has what peers/requirements.txt names; ../run makes it. */
export const PYTHON = here('../../.cache/interop/bin/python');

/** The path of a file that is named from this folder. */
export function here(name) {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** The cases that run, by the id that the lines of a peer bear. */
export const running = new Map();

/** Writes the lines of a peer, `[id, namespace, label, ...values]`, down in the cases that they belong to. */
export function listen(child, side) {
  readline.createInterface({ input: child.stdout }).on('line', (line) => {
    const [id, namespace, ...event] = JSON.parse(line, readBytes);
    if (event[0] === 'forgotten') child.emit('forgotten');
    running.get(String(id))?.log(`${side} ${namespace}`, ...event);
  });
}

/** Bytes are {"$bytes": base64}; Buffer's own toJSON has been called already. */
export const writeBytes = (_, value) =>
  value?.type === 'Buffer' ? { $bytes: Buffer.from(value.data).toString('base64') } : value;

const readBytes = (_, value) => (value?.$bytes === undefined ? value : Buffer.from(value.$bytes, 'base64'));
