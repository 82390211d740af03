// The ways from a client to a backend: through one proxy, in the clear, behind TLS with HTTP/2, or with compressed messages on both
// sides; through two nodes of a cluster, of which the second is asked for the sessions of the first; or through an edge whose sessions
// share a WebSocket to a demultiplexer beside the backend.

import { relay } from '../../mux/lib/relay.mjs';
import { balancer } from './balancer.mjs';
import { freePort } from './ports.mjs';
import { Proxy } from './proxy.mjs';
import { certificate } from './secure.mjs';

const TOKEN = 'interop-secret';
const CLIENT_FILES = 'socket.io.';
/** A busy machine may take long to connect two nodes, or be silent for long. */
const BUSY = { connect_timeout: '5s', silence_timeout: '10s' };

/** By the words of `--through`: each starts what the lane's `profile` asks for, in front of the backend. */
export const WAYS = {
  async proxy(binary, profile, backendPort) {
    if (profile.shipped) return new Way({ proxy: await Proxy.shipped(binary) });
    return new Way({ proxy: await single(binary, profile, backendPort) });
  },

  async http2(binary, profile, backendPort) {
    if (profile.shipped) return WAYS.proxy(binary, profile, backendPort);
    const proxy = await single(binary, profile, backendPort, { server: { tls: await certificate() } });
    const way = new Way({ proxy });
    way.check = async () => {
      const [old, current] = [await proxy.spoken('http/1.1'), await proxy.spoken('http/2')];
      return old === 0 && current > 0 ? [] : [`${old} connections spoke HTTP/1.1, ${current} HTTP/2`];
    };
    return way;
  },

  async foreign(binary, profile, backendPort) {
    const peers = { a: `127.0.0.1:${await freePort()}`, b: `127.0.0.1:${await freePort()}` };
    const node = (name) => {
      const cluster = { listen: peers[name], peers, token: 'a-long-secret-of-both-nodes', ...BUSY };
      if (profile.shipped) return Proxy.shipped(binary, variables('POLLIWOG_CLUSTER', cluster));
      return single(binary, profile, backendPort, { cluster });
    };
    const [a, b] = await Promise.all(['a', 'b'].map(node));
    const front = await balancer(a.port, b.port);
    const way = Object.assign(new Way({ a, b }), { front, port: front.port });
    way.check = async () => {
      const faults = [];
      const [began, asked] = [await b.sum('polliwog_sessions_opened_total'), await b.sum('polliwog_cluster_asks_total')];
      if (began > 0) faults.push(`${began} sessions began at the node that is only asked`);
      if (front.led() > 0 && asked === 0) faults.push(`of ${front.led()} requests none was asked at the other node`);
      return faults;
    };
    return way;
  },

  async compressed(binary, profile, backendPort) {
    const route = { ...profile.route, relay: false, permessage_deflate: 1 };
    const upstream = { ...profile.upstream, permessage_deflate: 1 };
    return new Way({ proxy: await single(binary, { ...profile, route, upstream }, backendPort) });
  },

  async demux(binary, profile, backendPort) {
    // The whole of a client's path comes through, so the backend's URL is only the base.
    const backend = { kind: profile.kind, url: `ws://127.0.0.1:${backendPort}/`, ...profile.upstream };
    const files = profile.path === '/socket.io/' ? [{ path: profile.path + CLIENT_FILES, dialect: 'http' }] : [];
    const trunk = { path: '/mux', dialect: 'mux', close_timeout: '2s', mux: { token: TOKEN } };
    const demux = await Proxy.start(binary, (port) => config(port, [trunk, ...files], backend));
    const line = { count: 0, port: demux.port };
    if (profile.cutAfter) {
      Object.assign(line, await relay(demux.port, () => ((line.count += 1), { pass: profile.cutAfter })));
    }
    const mux = { token: TOKEN, ...profile.edge?.mux };
    const far = { kind: 'mux', url: `ws://127.0.0.1:${line.port}/mux`, ...profile.edge, mux };
    // Echoes are two hops away, on a busy machine.
    const near = { linger: '30ms', ...sessions(profile) };
    const edge = await Proxy.start(binary, (port) => config(port, [near, ...files], far));
    return Object.assign(new Way({ edge, demux }), { line });
  },
};

/** What was started, by name; the first of it is where clients come in. */
class Way {
  #parts;

  constructor(parts) {
    this.#parts = Object.entries(parts);
    Object.assign(this, parts, { port: this.#parts[0][1].port });
  }

  get alive() {
    return this.#parts.every(([, proxy]) => proxy.alive);
  }

  /** A place in what is said on the standard errors, to be given to `since`. */
  get mark() {
    return this.#parts.map(([, proxy]) => proxy.mark);
  }

  since(mark = []) {
    const said = this.#parts.map(([name, proxy], index) => [name, proxy.since(mark[index] ?? 0)]);
    return said.flatMap(([name, text]) => (text ? [`${name}: ${text}`] : [])).join('\n');
  }

  /** How many polls are parked where clients come in, or undefined if that does not show. */
  parked() {
    return this.#parts[0][1].parked();
  }

  /** Ends all of it by SIGTERM, one after the other; every exit code but 0 is a fault. */
  async stop() {
    const faults = (this.alive && (await this.check?.())) || [];
    for (const [name, proxy] of this.#parts) {
      const code = await proxy.stop();
      if (code !== 0) faults.push(`exit code of the ${name} after SIGTERM: ${code}`);
    }
    this.line?.close?.();
    this.front?.close();
    return faults;
  }
}

function single(binary, profile, backendPort, more) {
  const upstream = { kind: profile.kind, url: urlOf(profile, backendPort), ...profile.upstream };
  const forwarded = (profile.forwarded ?? []).map((path) => ({ path, dialect: 'http' }));
  const routes = [sessions(profile), ...forwarded];
  return Proxy.start(binary, (port) => config(port, routes, upstream, more));
}

const sessions = ({ path, route }) => ({ path, dialect: 'engine.io', close_timeout: '2s', ...route });

function urlOf({ kind, path, backendPath = kind === 'websocket' ? '/' : path }, port) {
  return `ws://127.0.0.1:${port}${backendPath}`;
}

/** `more` are keys for [server], and a whole [cluster]. */
function config(port, routes, upstream, { server = {}, cluster } = {}) {
  const lines = (table) => Object.entries(table).map(([key, value]) => `${key} = ${toml(value)}`);
  return [
    '[server]',
    `listen = ["127.0.0.1:${port}"]`,
    // Sessions end over a quarter of it.
    'drain_timeout = "4s"',
    ...lines(server),
    '',
    '[admin]',
    'listen = "127.0.0.1:0"',
    ...(cluster ? ['', '[cluster]', ...lines(cluster)] : []),
    ...routes.flatMap((route) => ['', '[[routes]]', ...lines({ upstream: 'b', ...route })]),
    '',
    '[upstreams.b]',
    ...lines(upstream),
    '',
  ].join('\n');
}

/** The same table as variables of the environment. */
function variables(prefix, table) {
  return Object.fromEntries(
    Object.entries(table).flatMap(([key, value]) => {
      const name = `${prefix}__${key.toUpperCase()}`;
      return typeof value === 'object' ? Object.entries(variables(name, value)) : [[name, value]];
    }),
  );
}

function toml(value) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return JSON.stringify(value);
  return `{ ${Object.entries(value).map(([key, inner]) => `${key} = ${toml(inner)}`)} }`;
}
