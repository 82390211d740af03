// The reference servers. Arguments: which one, its address, the address at which it takes commands, and "echo" or
// "silent". A command is the number of a group, in two bytes; each session of the group gets a message.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import net from "node:net";

const require = createRequire(new URL("../../tests/interop/", import.meta.url));
const [name, address, control, manner] = process.argv.slice(2);
const GROUP = 32;
const MESSAGE = "0123456789abcdef0123456789abcdef";
const PATIENCE = 600_000;

// By their numbers, how each is sent a message.
const sessions = [];
const http = createServer({ keepAliveTimeout: 3_600_000, requestTimeout: 0 });
const servers = {
  "engine.io"() {
    const engine = new (require("engine.io").Server)({ pingInterval: PATIENCE, pingTimeout: PATIENCE });
    engine.attach(http, { path: "/socket.io/" });
    engine.on("connection", (socket) => {
      const send = (message) => socket.send(message);
      begin(socket.request._query.n, send, (echo) => socket.on("message", echo));
    });
  },
  sockjs() {
    const settings = { heartbeat_delay: PATIENCE, response_limit: 2 ** 30, log: () => {} };
    const sockjs = require("sockjs").createServer(settings);
    sockjs.installHandlers(http, { prefix: "/sockjs" });
    sockjs.on("connection", (connection) => {
      const number = new URL(connection.url, "http://localhost").searchParams.get("n");
      begin(number, (message) => connection.write(message), (echo) => connection.on("data", echo));
    });
  },
};
servers[name]();

function begin(number, send, hear) {
  sessions[Number(number)] = send;
  if (manner === "echo") {
    hear(send);
  }
}

const commands = net.createServer((connection) => {
  let bytes = Buffer.alloc(0);
  connection.on("data", (more) => {
    for (bytes = Buffer.concat([bytes, more]); bytes.length >= 2; bytes = bytes.subarray(2)) {
      const first = bytes.readUInt16BE() * GROUP;
      for (let number = first; number < first + GROUP; number += 1) {
        sessions[number](MESSAGE);
      }
    }
  });
});
listen(commands, control, () => listen(http, address));

function listen(server, address, then) {
  const [host, port] = address.split(":");
  server.listen({ host, port: Number(port), backlog: 4096 }, then);
}
