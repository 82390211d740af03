// A Socket.IO backend in its own process, for cases that kill it. Argument: the port. Says "ready" when it listens.

import http from 'node:http';
import { Server } from 'socket.io';

const server = http.createServer();
new Server(server).on('connection', (socket) => socket.on('echo', (value, answer) => answer(value)));
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('ready'));
