// TLS for the suite: a certificate of its own for 127.0.0.1 and localhost, which browsers are told to accept.

import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { newDirectory } from './processes.mjs';

const run = promisify(execFile);
let made;

/** The files `{ key, certificate }`, made once. */
export function certificate() {
  return (made ??= make());
}

async function make() {
  const folder = await newDirectory();
  const [key, file] = ['key.pem', 'cert.pem'].map((name) => path.join(folder, name));
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  await run('openssl', ['req', ...kind, '-keyout', key, '-out', file, ...names]);
  return { key, certificate: file };
}

/** What Node's TLS servers take. */
export async function credentials() {
  const { key, certificate: cert } = await certificate();
  return { key: await readFile(key), cert: await readFile(cert) };
}

/** Puts TLS in front of a port, with HTTP/1.1 in it. Returns where. */
export async function terminate(port) {
  const server = tls.createServer(await credentials(), (near) => {
    const far = net.connect(port, '127.0.0.1');
    near.pipe(far).pipe(near);
    for (const [one, other] of [[near, far], [far, near]]) {
      one.on('error', () => other.destroy()).on('close', () => other.destroy());
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  return server.address().port;
}
