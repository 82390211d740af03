// The oracle: npm's own `engine.io` server, whose application obeys a test's commands over a control connection.
//
// Found in tests/interop/node_modules or, failing that, by NODE_PATH. The first argument holds the options as JSON;
// standard output gets one line, the two ports. It ends when its standard input does.
import { createRequire } from "node:module";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";

const require = createRequire(new URL("../interop/package.json", import.meta.url));
const { Server } = require("engine.io");

const { refuse, ...options } = JSON.parse(process.argv[2] ?? "{}");
if (refuse !== undefined) {
  options.allowRequest = (_request, decide) => decide(refuse === "Forbidden" ? undefined : refuse, false);
}

const sessions = new Map();
let control = null;
const early = [];
const tell = (event) => {
  const line = `${JSON.stringify(event)}\n`;
  control ? control.write(line) : early.push(line);
};

const engine = new Server(options);
let count = 0;
engine.on("connection", (socket) => {
  const id = count++;
  sessions.set(id, socket);
  tell({ id, event: "open", target: socket.request.url, headers: socket.request.headers });
  socket.on("message", (data) => {
    if (socket.echoes) socket.send(data);
    if (Buffer.isBuffer(data)) tell({ id, event: "binary", base64: data.toString("base64") });
    else tell({ id, event: "text", text: data ?? "" });
  });
  socket.on("close", (reason) => {
    sessions.delete(id);
    tell({ id, event: "close", reason });
  });
});

const obey = ({ id, do: what, text, texts, base64 }) => {
  const socket = sessions.get(id);
  if (what === "count") return tell({ event: "count", count: engine.clientsCount });
  if (!socket) return;
  if (what === "send") socket.send(base64 === undefined ? text : Buffer.from(base64, "base64"));
  if (what === "sendAll") texts.forEach((text) => socket.send(text));
  if (what === "echo") {
    socket.echoes = true;
    tell({ id, event: "echoing" });
  }
  if (what === "close") socket.close();
};

const application = createServer((stream) => {
  control = stream;
  stream.setNoDelay(true);
  early.splice(0).forEach((line) => stream.write(line));
  let text = "";
  stream.setEncoding("utf8").on("data", (chunk) => {
    const lines = (text + chunk).split("\n");
    text = lines.pop();
    lines.forEach((line) => obey(JSON.parse(line)));
  });
  stream.on("error", () => {});
}).listen(0, "127.0.0.1");

const http = createHttpServer((_request, response) => response.writeHead(404).end()).listen(0, "127.0.0.1");
engine.attach(http, { path: "/engine.io/" });

http.on("listening", () =>
  console.log(JSON.stringify({ port: http.address().port, control: application.address().port })),
);
process.stdin.on("end", () => process.exit(0)).resume();
