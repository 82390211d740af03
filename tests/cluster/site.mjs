// Three nodes of the binary behind a balancer, and runs of the load generator against them.

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { accepts, freePort, sleep } from '../interop/lib/ports.mjs';
import { start } from '../interop/lib/processes.mjs';
import { BALANCERS } from './balancers.mjs';

/** Each node has an address of its own and the same ports, as on hosts of their own. */
const NODES = { a: '127.0.0.2', b: '127.0.0.3', c: '127.0.0.4' };

/** A busy machine may take long to connect two nodes. */
const BUSY = 'connect_timeout = "5s"';

/** What is added for the page. */
const PAGE = `[[routes]]
path = "/"
dialect = "http"
upstream = "page"
[upstreams.page]
kind = "demo"
controls = true
`;

const folders = new Set();
process.once('exit', () => folders.forEach(remove));

function remove(folder) {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}

export class Site {
  /**
   * Starts everything. `binary` is the proxy's, `lines` are more of [cluster], `balancer` is one of balancers.mjs, and with
   * `redis` there is a directory of the ids that name no node. With `successions`, the nodes' processes may succeed each other. With
   * `page` they have the demo's page, which may kill them.
   */
  static async start(binary, { lines = BUSY, balancer = 'roundrobin', redis = false, successions = false, page = false } = {}) {
    const site = new Site();
    site.binary = binary;
    site.folder = mkdtempSync(path.join(tmpdir(), 'polliwog-cluster-'));
    folders.add(site.folder);
    site.others = [];
    const [port, admin, peer] = [await freePort(), await freePort(), await freePort()];
    site.nodes = Object.entries(NODES).map(([name, host]) => ({ name, host, port, admin, peer }));
    site.port = await freePort();
    if (redis) {
      const port = await freePort();
      const options = ['--bind', '127.0.0.1', '--port', `${port}`, '--save', '', '--dir', site.folder];
      await site.run('redis-server', options, '127.0.0.1', port);
      lines += `\ndirectory = "redis://127.0.0.1:${port}"`;
    }
    for (const node of site.nodes) {
      const more = successions ? `${lines}\n[succession]\ndirectory = "${site.folder}/${node.name}"\nlinger = "30s"` : lines;
      node.file = site.write(`${node.name}.toml`, `${configuration(node, site.nodes, more)}${page ? PAGE : ''}`);
      node.child = start(binary, ['run', '--config', node.file], { stdio: ['ignore', 'ignore', 'pipe'] });
      node.log = '';
      node.child.stderr.setEncoding('utf8').on('data', (text) => (node.log += text));
    }
    await Promise.all(site.nodes.flatMap(({ host, port, admin }) => [listens(host, port), listens(host, admin)]));
    const { program, args, text } = BALANCERS[balancer](site);
    await site.run(program, args(site.write(`${balancer}.conf`, text)), '127.0.0.1', site.port);
    return site;
  }

  /** What `polliwog check --cluster` prints behind the nodes. */
  hints() {
    const [{ file }] = this.nodes;
    return execFileSync(this.binary, ['check', '--cluster', '--config', file], { encoding: 'utf8' });
  }

  write(name, text) {
    const file = path.join(this.folder, name);
    writeFileSync(file, text);
    return file;
  }

  /** Runs a program until the site stops. */
  async run(program, args, host, port) {
    this.others.push(start(program, args, { stdio: ['ignore', 'ignore', 'inherit'] }));
    await listens(host, port);
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Has a node's process start its successor, and waits until that serves. */
  async succeed(node) {
    const taken = () => node.log.split('took over from the process before').length;
    const before = taken();
    process.kill(successors(node).at(-1) ?? node.child.pid, 'SIGUSR2');
    // The interval between two looks.
    for (const until = Date.now() + 20_000; taken() === before; await sleep(50)) {
      if (Date.now() > until) throw new Error(`node ${node.name} has no successor`);
    }
  }

  /** Ends everything. */
  async stop() {
    for (const pid of this.nodes.flatMap(successors)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    }
    const children = [...this.others, ...this.nodes.map(({ child }) => child)];
    const living = children.filter((child) => child.exitCode === null && child.signalCode === null);
    await Promise.all(
      living.map((child) => {
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        return ended;
      }),
    );
    remove(this.folder);
  }

  /** Loads the balancer with clients, and returns a promise of the figures. */
  load(...args) {
    const options = { stdio: ['ignore', 'pipe', 'pipe'] };
    const child = start(this.binary, ['load', this.url, '--json', '-', ...args], options);
    let [out, errors] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (errors += text));
    return once(child, 'close').then(() => {
      if (!out.startsWith('{')) throw new Error(`the load generator says: ${errors}`);
      return JSON.parse(out);
    });
  }

  /** The sum of a metric's series at a node. */
  async metric(node, name, label = '') {
    const text = await (await fetch(`http://${node.host}:${node.admin}/metrics`)).text();
    const lines = text.split('\n').filter((line) => new RegExp(`^${name}[ {]`).test(line) && line.includes(label));
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  /** The same at all nodes. */
  async total(...series) {
    const all = await Promise.all(this.nodes.map((node) => this.metric(node, ...series)));
    return all.reduce((sum, one) => sum + one);
  }

  /** Waits until a total is reached. */
  async reaches(number, ...series) {
    let total;
    // The interval between two looks.
    for (const until = Date.now() + 20_000; Date.now() < until; await sleep(50)) {
      total = await this.total(...series);
      if (total === number) return;
    }
    throw new Error(`${series} is ${total}, not ${number}`);
  }
}

/** The numbers of the processes that have succeeded a node's first one. */
const successors = ({ log }) => [...log.matchAll(/a successor was started pid=(\d+)/g)].map(([, pid]) => Number(pid));

function configuration({ host, port, admin, peer }, nodes, lines) {
  const peers = nodes.map(({ name, host, peer }) => `${name} = "${host}:${peer}"`).join(', ');
  return `[server]
listen = "${host}:${port}"
drain_delay = "0s"
drain_timeout = "8s"
[admin]
listen = "${host}:${admin}"
[log]
level = "debug"
[cluster]
listen = "${host}:${peer}"
peers = { ${peers} }
token = "a-long-secret-of-all-nodes"
${lines}
[[routes]]
path = "/socket.io/"
dialect = "engine.io"
upstream = "b"
relay = false
[[routes]]
path = "/sockjs/"
dialect = "sockjs"
upstream = "echo"
disconnect_delay = "1m"
[[routes]]
path = "/feed/"
dialect = "longpoll"
upstream = "echo"
[upstreams.b]
kind = "demo"
[upstreams.echo]
kind = "demo"
protocol = "websocket"
`;
}

async function listens(host, port) {
  // The interval between two looks.
  for (const until = Date.now() + 10_000; Date.now() < until; await sleep(20)) {
    if (await accepts(port, host)) return;
  }
  throw new Error(`nobody listens at ${host}:${port}`);
}
