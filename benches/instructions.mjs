// The instructions of a push and of a POST, one after the other, beside those that instructions.json keeps: exits with 1 if one has
// grown by more than 3 % (more, where they differ from run to run). `--write` keeps the new ones, with the commit. See README.md.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { freePort, sleep } from '../tests/interop/lib/ports.mjs';
import { client } from './rounds.mjs';
import { backend, callgrind, hasCallgrind, instructions, proxy, route, server } from './subjects.mjs';
import { leave } from '../tests/leave.mjs';

const RESTED = 'push to a poll that has waited for long';
/** Timers fire when they do, and how many messages share a write on one connection depends on the machine's other work. */
const growthMax = (what) => (what.startsWith(RESTED) ? 0.15 : what === 'POST; mux' ? 0.06 : 0.03);
const SESSIONS = 16;
const BATCHES = 4;
const KEPT = new URL('instructions.json', import.meta.url);

if (!hasCallgrind) {
  console.error('no callgrind: it comes with valgrind');
  await leave(1);
}

// One worker: which of several looks at a socket changes from run to run.
process.env.TOKIO_WORKER_THREADS = '1';
// Nor does the allocator return memory by the clock.
process.env._RJEM_MALLOC_CONF = 'dirty_decay_ms:-1,muzzy_decay_ms:-1';
const back = { port: await freePort(), admin: await freePort() };
const measured = {};
for (const [name, upstream] of Object.entries(await backend(back))) {
  const at = { port: await freePort(), admin: await freePort() };
  const text = `${server(at)}${route('/socket.io/', 'engine.io')}relay = false\nping_interval = "1h"\n[upstreams.u]\n${upstream}\n`;
  const subject = await proxy('subject.toml', text, at.port, callgrind('subject'));
  // The least of several: what comes by itself, and how many messages share a write, differs.
  const count = async (rounds, act) => {
    const totals = [];
    for (let batch = 0; batch < BATCHES; batch += 1) totals.push((await instructions({ subject }, () => act(rounds)))[0]);
    return Math.round(Math.min(...totals) / rounds / SESSIONS);
  };
  const clients = [];
  for (let each = 0; each < SESSIONS; each += 1) clients.push(await client(at.port));

  const posts = async (rounds) => {
    // An event that the backend has no handler for.
    for (let round = 0; round < rounds; round += 1) for (const { push } of clients) await push('42["unheard"]');
  };
  await posts(5);
  measured[`POST; ${name}`] = await count(10, posts);

  // It is connected to the backend itself, which has all of its clients hear what one says.
  const speaker = await client(back.port);
  const pushes = async (rounds, pause) => {
    for (let round = 0; round < rounds; round += 1) {
      const heard = clients.map(({ poll }) => poll('42["chat"'));
      // All polls are parked.
      await sleep(pause);
      await speaker.push('42["chat","to everybody"]');
      await Promise.all(heard);
    }
  };
  await pushes(3, 100);
  measured[`push; ${name}`] = await count(10, (rounds) => pushes(rounds, 100));
  // After `rest_after`, they wait outside hyper.
  await pushes(1, 2200);
  measured[`${RESTED}; ${name}`] = await count(1, (rounds) => pushes(rounds, 2200));
  subject.kill('SIGKILL');
}

const rustc = execFileSync('rustc', ['--version'], { encoding: 'utf8' }).trim();
const cpu = /^model name\s*: (.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown';
const where = `${rustc} on ${cpu}`;
if (process.argv.includes('--write')) {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  writeFileSync(KEPT, `${JSON.stringify({ commit, where, instructions: measured }, null, 2)}\n`);
}
const kept = JSON.parse(readFileSync(KEPT, 'utf8'));
let hasGrown = false;
for (const [what, now] of Object.entries(measured)) {
  const before = kept.instructions[what];
  const growth = now / before - 1;
  const grown = growth > growthMax(what);
  hasGrown ||= grown;
  console.log(`${grown ? 'GROWN' : 'ok   '} ${what}: ${now}, ${(growth * 100).toFixed(1)} % beside ${before} at ${kept.commit}`);
}
// Another compiler writes other code, and the C library has other functions for another processor.
const isComparable = kept.where === where;
if (!isComparable) console.log(`counted with ${where}, kept with ${kept.where}: growth is told, and is no failure`);
await leave(hasGrown && isComparable ? 1 : 0);
