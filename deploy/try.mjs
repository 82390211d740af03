#!/usr/bin/env node
// Runs the files of this directory as they are, but for their ports: the example backend behind Polliwog, alone and
// behind each front that is installed (nginx, HAProxy), and behind two Polliwogs with one WebSocket between them, with
// stock clients in front. Exits 1 if anything fails.
//
//   cargo build && tests/interop/run --list >/dev/null && node deploy/try.mjs [--idle]
//
// POLLIWOG_BIN names another binary. --idle also leaves a polling and a WebSocket client silent for 100 seconds.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { leave } from '../tests/leave.mjs';

const here = import.meta.dirname;
const interop = path.join(here, "../tests/interop");
const { io } = createRequire(path.join(interop, "package.json"))("socket.io-client");
const binary = process.env.POLLIWOG_BIN ?? path.join(here, "../target/debug/polliwog");
const folder = mkdtempSync(path.join(tmpdir(), "polliwog-try-"));
const IDLE_MS = process.argv.includes("--idle") ? 100_000 : 0;

const children = [];
process.on("exit", () => {
  // nginx's workers outlive a master that is killed; a Polliwog that is asked would drain.
  children.forEach((child) => child.kill(child.spawnfile === "nginx" ? "SIGTERM" : "SIGKILL"));
  rmSync(folder, { recursive: true, force: true });
});

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

const listens = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => (socket.destroy(), resolve(true))).once("error", () => resolve(false));
  });

/** Starts a program and waits until it listens. */
async function start(name, port, command, args, env = {}) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "pipe"] });
  children.push(child);
  let said = "";
  child.stderr.on("data", (text) => (said = `${said}${text}`.slice(-4000)));
  for (let turn = 0; !(await listens(port)); turn++) {
    if (turn > 100 || child.exitCode !== null) throw new Error(`${name} does not listen:\n${said}`);
    await sleep(100);
  }
  return child;
}

/** A shipped file with other words in some places, each of which must be there. */
function adapt(file, ...changes) {
  let text = readFileSync(path.join(here, file), "utf8");
  for (const [from, to] of changes) {
    if (!text.includes(from)) throw new Error(`${file} has no ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}

const write = (name, text) => (writeFileSync(path.join(folder, name), text), path.join(folder, name));
const installed = (command) => !spawnSync(command, ["-v"]).error;
const assert = (condition, what) => {
  if (!condition) throw new Error(what);
};

/** One client's whole life; `known` says who the backend must take it for. */
async function visit(port, transports, known) {
  const socket = io(`http://127.0.0.1:${port}`, {
    transports,
    forceNew: true,
    reconnection: false,
    extraHeaders: { "X-Forwarded-For": "6.6.6.6", Forwarded: "for=6.6.6.6", Origin: "https://elsewhere.test" },
  });
  try {
    const ask = (...args) => socket.timeout(10_000).emitWithAck(...args);
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("connect_error", reject));
    if (transports.length > 1) {
      for (let turn = 0; socket.io.engine.transport.name !== "websocket"; turn++) {
        assert(turn < 100, "it never upgraded");
        await sleep(100);
      }
    }
    const began = Date.now();
    for (const size of [1, 2000, 300_000]) assert((await ask("echo", "é".repeat(size))).length === size, "an echo");
    const bytes = await ask("echo", Buffer.from([0, 1, 255]));
    assert(Buffer.compare(Buffer.from(bytes), Buffer.from([0, 1, 255])) === 0, "a binary echo");
    const heard = new Promise((resolve) => socket.once("chat", resolve));
    socket.emit("chat", "hello");
    assert((await heard) === "hello", "a message to everyone");
    // A front that buffers holds them for 25 s, until the poll's heartbeat.
    assert(Date.now() - began < 10_000, "answers are held back");
    const who = await ask("whoami");
    assert(who.for === known, `the backend takes it for ${who.for}`);
    assert(who.forwarded.includes("6.6.6.6") === known.includes("6.6.6.6"), `it is told ${who.forwarded}`);
    assert(who.proto === "http" && who.host === `127.0.0.1:${port}`, JSON.stringify(who));
    const id = socket.id;
    await sleep(IDLE_MS);
    assert((await ask("echo", "still here")) === "still here" && socket.id === id, "it lost its session");
  } finally {
    socket.disconnect();
  }
}

/** An answer that a browser of another origin must be able to read, compressed. */
async function look(port) {
  const target = `http://127.0.0.1:${port}/socket.io/?EIO=4&transport=polling`;
  const answer = await fetch(target, { headers: { Origin: "https://elsewhere.test" } });
  assert(answer.status === 200 && answer.headers.get("access-control-allow-origin") === "*", "no CORS headers");
  const error = await fetch(`${target}&sid=nobody`, { headers: { Origin: "https://elsewhere.test" } });
  assert(error.status === 400 && error.headers.get("access-control-allow-origin") === "*", "no CORS on an error");
  const headers = { Origin: "https://elsewhere.test", "Access-Control-Request-Method": "POST" };
  const preflight = await fetch(target, { method: "OPTIONS", headers });
  assert(preflight.status === 204 && preflight.headers.has("access-control-allow-methods"), "no preflight");
  const library = await fetch(`http://127.0.0.1:${port}/socket.io/socket.io.min.js`);
  assert(library.status === 200 && (await library.text()).includes("Socket.IO v4"), "no client library");
  const { sid } = JSON.parse((await answer.text()).slice(1));
  const post = (body) => fetch(`${target}&sid=${sid}`, { method: "POST", body });
  assert((await post("40")).status === 200, "a POST");
  assert((await (await fetch(`${target}&sid=${sid}`)).text()).startsWith("40"), "a poll");
  const large = await post("4".repeat(1_500_000));
  assert(large.status === 413, `1.5 MB are answered ${large.status}`);
  assert((await post(`421["echo","${"x".repeat(5000)}"]`)).status === 200, "a session after a 413");
  const long = await fetch(`${target}&sid=${sid}`, { headers: { "Accept-Encoding": "gzip" } });
  assert(long.headers.get("content-encoding") === "gzip" && (await long.text()).includes("xxx"), "no compression");
  assert((await post("1")).status === 200, "a goodbye");
}

/** Clients that poll through a front while two Polliwogs behind it are restarted, one 5 seconds after the other. */
async function restart(port, nodes) {
  const clients = Array.from({ length: 20 }, (_, index) =>
    io(`http://127.0.0.1:${port}`, {
      transports: ["polling"],
      forceNew: true,
      reconnectionDelay: 100,
      reconnectionDelayMax: 300,
      extraHeaders: { "X-Client": `client ${index}` },
    }),
  );
  try {
    const refused = {};
    for (const client of clients) {
      client.io.on("reconnect_error", ({ description }) => (refused[description] = (refused[description] ?? 0) + 1));
      if (!client.connected) await new Promise((resolve) => client.once("connect", resolve));
    }
    let [away, longest] = [0, 0];
    const watch = setInterval(() => {
      away = clients.some((client) => client.connected) ? 0 : away + 50;
      longest = Math.max(longest, away);
    }, 50);
    for (const node of nodes) {
      node.child.kill("SIGTERM");
      await once(node.child, "exit");
      await sleep(1000);
      await node.start();
      await sleep(4000);
    }
    clearInterval(watch);
    // A Polliwog that drains answers 503.
    assert(!refused[502], `${refused[502]} times 502 for those who come back`);
    assert(longest < 1000, `nobody was connected for ${longest} ms`);
    assert(clients.every((client) => client.connected), "somebody did not come back");
  } finally {
    clients.forEach((client) => client.disconnect());
  }
}

const ports = await Promise.all(Array.from({ length: 10 }, freePort));
const [backend, polliwog, admin, nginx, haproxy, edge, beside, ...two] = ports;
await start("the backend", backend, process.execPath, [path.join(here, "backend/server.js")], {
  NODE_PATH: path.join(interop, "node_modules"),
  PORT: String(backend),
  HOST: "127.0.0.1",
});

const config = adapt(
  "config.compose.toml",
  ["0.0.0.0:8080", `127.0.0.1:${polliwog}`],
  ["0.0.0.0:9090", `127.0.0.1:${admin}`],
  ["# trusted_proxies = [\"10.0.0.0/8\"]", "trusted_proxies = [\"127.0.0.1\"]"],
  ["backend:3000", `127.0.0.1:${backend}`],
);
await start("Polliwog", polliwog, binary, ["run", "--config", write("config.toml", config)]);

const others = [];
// A client that asks Polliwog directly comes from a trusted address here, so its headers are taken. The front is what
// replaces the headers of unknown clients.
const cases = [["Polliwog alone", polliwog, "6.6.6.6, 127.0.0.1"]];
if (installed("nginx")) {
  const startNginx = (port, ...changes) => {
    const site = adapt("nginx.conf", ["listen 80;", `listen 127.0.0.1:${port};`], ...changes);
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    const temporary = paths.map((name) => `${name}_temp_path ${folder}/${name};`).join("\n");
    const main = `daemon off; pid ${folder}/nginx-${port}.pid; error_log stderr; events { worker_connections 1024; }
      http { access_log off; ${temporary} include ${write(`site-${port}.conf`, site)}; }`;
    const file = write(`nginx-${port}.conf`, main);
    return start("nginx", port, "nginx", ["-p", folder, "-e", "stderr", "-c", file]);
  };
  await startNginx(nginx, ["127.0.0.1:8080", `127.0.0.1:${polliwog}`]);
  cases.push(["behind nginx", nginx, "127.0.0.1, 127.0.0.1"]);

  const [front, ...nodePorts] = two;
  const nodes = nodePorts.map((port) => {
    const text = config.replace(`127.0.0.1:${polliwog}`, `127.0.0.1:${port}`);
    const file = write(`node-${port}.toml`, text);
    const env = { POLLIWOG_ADMIN__LISTEN: "127.0.0.1:0", POLLIWOG_SERVER__DRAIN_TIMEOUT: "2s" };
    const node = {};
    node.start = async () => (node.child = await start("a Polliwog of two", port, binary, ["run", "--config", file], env));
    return node;
  });
  for (const node of nodes) await node.start();
  // All clients here have one address.
  await startNginx(
    front,
    ["# hash $remote_addr", "hash $http_x_client"],
    ["# server 127.0.0.1:8081", `server 127.0.0.1:${nodePorts[0]}`],
    ["127.0.0.1:8080", `127.0.0.1:${nodePorts[1]}`],
  );
  others.push(["behind nginx: two Polliwogs, restarted one after the other", () => restart(front, nodes)]);
}
if (installed("haproxy")) {
  const file = adapt(
    "haproxy.cfg",
    ["bind :80", `bind 127.0.0.1:${haproxy}`],
    ["127.0.0.1:8080", `127.0.0.1:${polliwog}`],
    ["port 9090", `port ${admin}`],
    ["maxconn 65536", "maxconn 200"],
  );
  await start("HAProxy", haproxy, "haproxy", ["-db", "-f", write("haproxy.cfg", file)]);
  cases.push(["behind HAProxy", haproxy, "127.0.0.1, 127.0.0.1"]);
}

const besideFile = adapt(
  "mux/beside-the-backend.toml",
  ["0.0.0.0:8081", `127.0.0.1:${beside}`],
  ["127.0.0.1:3000", `127.0.0.1:${backend}`],
);
const edgeFile = adapt(
  "mux/edge.toml",
  ["0.0.0.0:8080", `127.0.0.1:${edge}`],
  ["# trusted_proxies = [\"10.0.0.0/8\"]", "trusted_proxies = [\"127.0.0.1\"]"],
  ["10.0.0.7:8081", `127.0.0.1:${beside}`],
  ["https://chat.example.org", "*"],
);
const noAdmin = { POLLIWOG_ADMIN__LISTEN: "127.0.0.1:0" };
await start("Polliwog beside the backend", beside, binary, ["run", "--config", write("beside.toml", besideFile)], noAdmin);
await start("Polliwog at the edge", edge, binary, ["run", "--config", write("edge.toml", edgeFile)], noAdmin);
cases.push(["over one WebSocket", edge, "6.6.6.6, 127.0.0.1"]);

const work = cases.flatMap(([name, port, known]) => [
  ...[["polling"], ["websocket"], ["polling", "websocket"]].map((transports) => [
    `${name}: ${transports.join(" to ")}`,
    () => visit(port, transports, known),
  ]),
  [`${name}: raw answers`, () => look(port)],
]).concat(others);
const outcomes = await Promise.allSettled(work.map(([, run]) => run()));
let failed = 0;
outcomes.forEach(({ status, reason }, index) => {
  failed += status === "rejected";
  console.log(`${status === "rejected" ? "FAILED" : "ok    "} ${work[index][0]}${reason ? `: ${reason.message}` : ""}`);
});
const missing = ["nginx", "haproxy"].filter((command) => !installed(command));
if (missing.length) console.log(`not installed: ${missing.join(", ")}`);
console.log(`${outcomes.length - failed} passed, ${failed} failed`);
await leave(failed ? 1 : 0);
