// Three nodes of the binary behind HAProxy's roundrobin, and runs of the load generator against them.

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { accepts, freePort, sleep } from '../interop/lib/ports.mjs';
import { start } from '../interop/lib/processes.mjs';

const NAMES = ['a', 'b', 'c'];

export class Site {
  /** Starts everything. `binary` is the proxy's; `drain` is what a node takes to stop, in seconds. */
  static async start(binary, { drain = 8, retries = true, upstream = 'kind = "demo"' } = {}) {
    const site = new Site();
    site.binary = binary;
    site.folder = mkdtempSync(path.join(tmpdir(), 'polliwog-cluster-'));
    process.once('exit', () => rmSync(site.folder, { recursive: true, force: true }));
    site.nodes = [];
    for (const name of NAMES) {
      site.nodes.push({ name, port: await freePort(), admin: await freePort(), peer: await freePort() });
    }
    site.port = await freePort();
    const peers = site.nodes.map(({ name, peer }) => `${name} = "127.0.0.1:${peer}"`).join(', ');
    for (const node of site.nodes) {
      const file = path.join(site.folder, `${node.name}.toml`);
      writeFileSync(file, configuration(node, peers, drain, upstream));
      node.child = start(binary, ['run', '--config', file], { stdio: ['ignore', 'ignore', 'pipe'] });
      node.log = '';
      node.child.stderr.setEncoding('utf8').on('data', (text) => (node.log += text));
    }
    await Promise.all(site.nodes.flatMap(({ port, admin }) => [listens(port), listens(admin)]));
    const file = path.join(site.folder, 'haproxy.cfg');
    writeFileSync(file, balancer(site.port, site.nodes, retries));
    site.balancer = start('haproxy', ['-db', '-q', '-f', file], { stdio: ['ignore', 'ignore', 'inherit'] });
    await listens(site.port);
    return site;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Ends everything. */
  async stop() {
    const children = [this.balancer, ...this.nodes.map(({ child }) => child)];
    const living = children.filter((child) => child.exitCode === null && child.signalCode === null);
    await Promise.all(
      living.map((child) => {
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        return ended;
      }),
    );
  }

  /** Loads the balancer with clients; returns the process and a promise of its figures. */
  load(...args) {
    const child = start(this.binary, ['load', this.url, '--json', '-', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [out, errors] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (errors += text));
    const figures = once(child, 'close').then(() => {
      if (!out.startsWith('{')) throw new Error(`the load generator says: ${errors}`);
      return JSON.parse(out);
    });
    return { child, figures, said: () => errors };
  }

  /** The sum of a metric's series at a node. */
  async metric(node, name, label = '') {
    const text = await (await fetch(`http://127.0.0.1:${node.admin}/metrics`)).text();
    const lines = text.split('\n').filter((line) => new RegExp(`^${name}[ {]`).test(line) && line.includes(label));
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }
}

function configuration({ port, admin, peer }, peers, drain, upstream) {
  return `[server]
listen = "127.0.0.1:${port}"
drain_delay = "0s"
drain_timeout = "${drain}s"
[admin]
listen = "127.0.0.1:${admin}"
[log]
level = "debug"
[cluster]
listen = "127.0.0.1:${peer}"
peers = { ${peers} }
token = "a-long-secret-of-all-nodes"
[[routes]]
path = "/socket.io/"
dialect = "engine.io"
upstream = "b"
relay = false
[upstreams.b]
${upstream}
`;
}

/** As docs/cluster.md has it, without the lines that lead requests home. */
function balancer(port, nodes, retries) {
  const servers = nodes.map(
    ({ name, port, admin }) => `  server ${name} 127.0.0.1:${port} check inter 500ms fall 1 port ${admin}`,
  );
  return `global
  maxconn 4000
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
frontend all
  bind 127.0.0.1:${port}
  default_backend polliwog
backend polliwog
  balance roundrobin
${retries ? `  option redispatch 1
  retries 2
  retry-on conn-failure empty-response
  http-request disable-l7-retry if METH_POST` : ''}
  option httpchk GET /readyz
${servers.join('\n')}
`;
}

async function listens(port) {
  // The interval between two looks.
  for (const until = Date.now() + 10_000; Date.now() < until; await sleep(20)) {
    if (await accepts(port)) return;
  }
  throw new Error(`nobody listens at ${port}`);
}
