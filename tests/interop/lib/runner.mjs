// Runs the plan: each job directly (the oracle), then through the proxy, and compares. A lane is one backend port and
// the proxy in front of it, kept for all cases that ask for the same configuration.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { AsgiBackend, endServers } from './asgi.mjs';
import { freePort } from './ports.mjs';
import { Backend } from './backend.mjs';
import { Context } from './context.mjs';
import { isSecure } from './choice.mjs';
import { terminate } from './secure.mjs';
import { compare } from './transcript.mjs';
import { WAYS } from './ways.mjs';

const STAND_IN = fileURLToPath(new URL('stand-in.mjs', import.meta.url));
const ATTEMPTS = 3;
const STALL_MS = 20;
const CLEAR_MS = 15_000;
const PATHS = {
  'socket.io': '/socket.io/',
  'socket.io 2': '/socket.io/',
  asgi: '/socket.io/',
  'engine.io': '/engine.io/',
  'engine.io 3': '/engine.io/',
  ws: '/engine.io/',
  none: '/socket.io/',
};

export class Runner {
  #lanes = [];
  results = { passed: 0, failed: 0, skipped: 0 };

  constructor({ binary, through, parallel, report }) {
    Object.assign(this, { binary, through, parallel, report });
  }

  async run(jobs) {
    const together = jobs.filter(({ test }) => !test.alone);
    // More cases run at once if they mostly wait.
    const counts = new Set(together.map(({ suite }) => this.#beside(suite)));
    for (const count of counts) {
      const queue = together.filter(({ suite }) => this.#beside(suite) === count);
      const worker = async () => {
        for (let job; (job = queue.shift());) await this.#job(job);
      };
      await Promise.all(Array.from({ length: count }, worker));
    }
    for (const job of jobs.filter(({ test }) => test.alone)) await this.#job(job);
    await endServers();
    for (const lane of this.#lanes) await this.#end(lane);
    return this.results;
  }

  #beside({ parallel = this.parallel }) {
    return parallel;
  }

  async #job(job) {
    const name = `${job.suite.name}: ${job.test.name}${job.transport === 'none' ? '' : ` [${job.transport}]`}`;
    const lane = await this.#lane(job.suite, job.test);
    let outcome;
    const stalls = [];
    // A case that measures time shows nothing if the machine stalled, and no case does if client and server fail without
    // the proxy: it is tried again, and the report says so.
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      outcome = await this.#attempt({ ...job, lane });
      const { faults, stall, isDirect } = outcome;
      const stalled = job.test.alone && stall >= STALL_MS;
      if (faults.length === 0 || !(isDirect || stalled)) break;
      const why = isDirect ? faults[0].split('\n')[0] : `a stall of ${stall} ms`;
      if (attempt < ATTEMPTS) stalls.push(`again after ${why}`);
    }
    lane.busy = false;
    const { faults, times } = outcome;
    const verdict = faults.length ? 'failed' : times.length ? 'passed' : 'skipped';
    this.results[verdict] += 1;
    this.report(verdict, name, [...times, ...stalls].join(', '), faults, job);
  }

  /** Both runs of a case and their comparison; `stall` is the longest time that this process stalled meanwhile. */
  async #attempt({ suite, test, transport, lane }) {
    const faults = [];
    const times = [];
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    let oracle;
    // Only another bridge can be the oracle where the client does not speak the backend's protocol.
    if (!test.proxiedOnly) oracle = await this.#once('direct', { suite, test, transport, lane, faults, times });
    const isDirect = faults.length > 0;
    if (this.binary && faults.length === 0) {
      const run = await this.#once('proxied', { suite, test, transport, lane, faults, times });
      if (oracle && faults.length === 0) {
        faults.push(...compare(oracle.transcript, run.transcript, test, this.through));
        faults.push(...slower(oracle.measures, run.measures));
        if (faults.length) faults.push(...said(lane.proxy, lane.mark));
      }
    }
    delay.disable();
    return { faults, times, isDirect, stall: Math.round(delay.max / 1e6) };
  }

  /** One run of a case. Faults are added to `faults`; the context, with its transcript, is returned. */
  async #once(side, { suite, test, transport, lane, faults, times }) {
    const began = performance.now();
    const proxied = side === 'proxied';
    let context;
    try {
      const proxy = proxied ? await this.#proxy(lane) : await this.#reference(lane, suite);
      if (proxied) lane.mark = proxy.mark;
      let port = proxy ? proxy.port : lane.backendPort;
      if (isSecure && !proxied) port = await (lane.terminated ??= terminate(port));
      const { path } = lane.profile;
      const through = proxied ? this.through : undefined;
      context = new Context({
        port,
        proxied,
        through,
        way: proxy,
        transport,
        path,
        suite,
        backendPort: lane.backendPort,
      });
      await deadline(test.timeout ?? 10_000, perform(suite, test, context));
      context.transcript.seal();
      context.passed = true;
      if (context.transcript.empty) throw new Error('the case saw nothing');
    } catch (error) {
      faults.push(
        `${side}: ${String(error.stack ?? error).replace(/\n +at .*(node:|node_modules|lib\/runner).*/g, '')}`,
      );
      if (context) faults.push(`${side} transcript: ${JSON.stringify(context.transcript).slice(0, 2000)}`);
      if (proxied) faults.push(...said(lane.proxy, lane.mark));
    }
    const cleared = async () => {
      await context?.end();
      await context?.backend?.stop();
    };
    await deadline(CLEAR_MS, cleared()).catch((error) => faults.push(`${side}, while clearing away: ${error.stack}`));
    const took = Math.round(performance.now() - began);
    times.push(`${side === 'direct' && suite.backend === 'ws' && !suite.oracle ? 'reference' : side} ${took} ms`);
    return context;
  }

  async #lane(suite, test) {
    const kind = suite.backend === 'ws' ? 'websocket' : 'engine.io';
    const profile = { kind, path: PATHS[suite.backend], ...suite.config, ...test.config };
    // A Python backend keeps its port for the cases to come.
    const id = `${suite.backend === 'asgi' ? 'asgi ' : ''}${JSON.stringify(profile)}`;
    let lane = this.#lanes.find((one) => !one.busy && one.id === id);
    if (!lane) {
      lane = { id, profile, busy: true, backendPort: 0, broken: {} };
      this.#lanes.push(lane);
      lane.backendPort = await freePort();
    }
    lane.busy = true;
    return lane;
  }

  #proxy(lane) {
    return this.#way(lane, 'proxy', this.through, this.binary);
  }

  #reference(lane, suite) {
    return suite.backend === 'ws' && !suite.oracle ? this.#way(lane, 'reference', 'proxy', STAND_IN) : undefined;
  }

  /** What stands between the lane's clients and its backend, started by its first case. One that cannot start is not tried again. */
  async #way(lane, which, through, binary) {
    if (lane[which] && !lane[which].alive) {
      const last = lane[which].since();
      await lane[which].stop();
      lane[which] = undefined;
      throw new Error(`the proxy had died before the case began; it said last:\n${last}`);
    }
    if (lane.broken[which]) throw lane.broken[which];
    try {
      return (lane[which] ??= await WAYS[through](binary, lane.profile, lane.backendPort));
    } catch (error) {
      lane.broken[which] = error;
      throw error;
    }
  }

  async #end(lane) {
    await lane.reference?.stop();
    if (!lane.proxy) return;
    const faults = await lane.proxy.stop();
    if (faults.length) faults.push(...said(lane.proxy));
    this.results[faults.length ? 'failed' : 'passed'] += 1;
    this.report(faults.length ? 'failed' : 'passed', `proxy ends with 0 on SIGTERM ${lane.id}`, '', faults);
  }
}

async function perform(suite, test, context) {
  if (suite.backend !== 'none' && !test.ownBackend) {
    context.backend = backend(suite, test, context);
    await context.backend.start();
  }
  await test.client(context);
}

function backend(suite, test, context) {
  const given = typeof test.options === 'function' ? test.options(context) : test.options;
  if (suite.backend === 'asgi') return new AsgiBackend(context.backendPort, given);
  const setup = (handle) => test.server?.(handle, context);
  // A client that does not speak the backend's protocol is measured by a server that speaks the client's.
  const kind = context.proxied ? suite.backend : (suite.oracle ?? suite.backend);
  return new Backend(kind, context.backendPort, { ...given, ...context.client.server }, setup);
}

function deadline(ms, work) {
  let timer;
  const late = new Promise((_, reject) => {
    // The deadline itself.
    timer = setTimeout(() => reject(new Error(`not done after ${ms} ms`)), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function slower(direct, proxied) {
  const faults = [];
  for (const [name, { ms, slack }] of direct) {
    const other = proxied.get(name)?.ms;
    if (other > ms + slack) {
      faults.push(`${name}: ${Math.round(ms)} ms direct, ${Math.round(other)} ms proxied, ${slack} ms more allowed`);
    }
  }
  return faults;
}

function said(proxy, mark) {
  const text = proxy?.since(mark);
  return text ? [`the proxy said:\n${text}`] : [];
}
