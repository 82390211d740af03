// Engine.IO's own server. Arguments: its address, the address at which it takes commands, and "echo" or "silent".
// A command is the number of a group, in two bytes; each session of the group gets a message.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import net from "node:net";

const { Server } = createRequire(new URL("../../tests/interop/", import.meta.url))("engine.io");
const [address, control, manner] = process.argv.slice(2);
const GROUP = 32;
const MESSAGE = "0123456789abcdef0123456789abcdef";

const sessions = [];
const http = createServer({ keepAliveTimeout: 3_600_000, requestTimeout: 0 });
const engine = new Server({ pingInterval: 600_000, pingTimeout: 600_000 });
engine.attach(http, { path: "/socket.io/" });
engine.on("connection", (socket) => {
  sessions[Number(socket.request._query.n)] = socket;
  if (manner === "echo") {
    socket.on("message", (message) => socket.send(message));
  }
});

const commands = net.createServer((connection) => {
  let bytes = Buffer.alloc(0);
  connection.on("data", (more) => {
    for (bytes = Buffer.concat([bytes, more]); bytes.length >= 2; bytes = bytes.subarray(2)) {
      const first = bytes.readUInt16BE() * GROUP;
      for (let number = first; number < first + GROUP; number += 1) {
        sessions[number].send(MESSAGE);
      }
    }
  });
});
listen(commands, control, () => listen(http, address));

function listen(server, address, then) {
  const [host, port] = address.split(":");
  server.listen({ host, port: Number(port), backlog: 4096 }, then);
}
