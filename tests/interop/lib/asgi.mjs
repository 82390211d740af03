// python-socketio's server below uvicorn, in the place of a stock backend.

import { listen, PYTHON, here, start } from './processes.mjs';
import { accepts, sleep } from './ports.mjs';

const READY_MS = 20_000;
// Longer than the close_timeout of the suite's routes.
const CLOSED_MS = 2500;

// A server takes longer to start than a case takes, so it stays for the next one on its port with the same options.
const servers = new Map();

export class AsgiBackend {
  constructor(port, options) {
    Object.assign(this, { port, options: JSON.stringify(options ?? {}) });
  }

  async start() {
    if (servers.get(this.port)?.options === this.options) return;
    await this.kill();
    const args = [here('../peers/server.py'), String(this.port), this.options];
    const child = start(PYTHON, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    listen(child, 'server');
    const ended = new Promise((resolve) => child.once('exit', resolve));
    servers.set(this.port, { options: this.options, child, ended });
    const deadline = Date.now() + READY_MS;
    while (!(await accepts(this.port))) {
      if (child.exitCode !== null) throw new Error(`the Python backend ended with ${child.exitCode}`);
      if (Date.now() > deadline) throw new Error(`the Python backend was not ready in ${READY_MS} ms`);
      // The interval between two checks.
      await sleep(10);
    }
  }

  stop() {}

  /** Kills the server with all its sessions. */
  async kill() {
    const server = servers.get(this.port);
    servers.delete(this.port);
    server?.child.kill('SIGKILL');
    await server?.ended;
  }
}

/** Ends all servers, and waits until a proxy has ended the sessions that killed clients left behind. */
export async function endServers() {
  if (servers.size === 0) return;
  await Promise.all([...servers.keys()].map((port) => new AsgiBackend(port).kill()));
  // The proxies have metrics, but this file does not know them.
  await sleep(CLOSED_MS);
}
