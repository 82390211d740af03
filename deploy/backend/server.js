// A small Socket.IO server: `echo` comes back, `chat` reaches everyone, `whoami` returns the client as the server sees it.
"use strict";

const { createServer } = require("node:http");
const { Server } = require("socket.io");

const http = createServer((request, response) => {
  response.writeHead(request.url === "/healthz" ? 200 : 404, { "Content-Type": "text/plain" }).end("backend\n");
});

// Polliwog mirrors what this says about CORS on every answer of its own.
const io = new Server(http, { cors: { origin: process.env.CORS_ORIGIN?.split(",") ?? "*" } });
io.on("connection", (socket) => {
  const { headers } = socket.handshake;
  socket.on("echo", (...args) => {
    const reply = args.pop();
    if (typeof reply === "function") reply(...args);
  });
  socket.on("chat", (text) => io.emit("chat", text));
  socket.on("whoami", (reply) => reply({ for: headers["x-forwarded-for"], forwarded: headers.forwarded,
    proto: headers["x-forwarded-proto"], host: headers["x-forwarded-host"] }));
});

http.listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? "0.0.0.0");
process.on("SIGTERM", () => io.close(() => process.exit(0)));
