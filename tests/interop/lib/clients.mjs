// The Socket.IO clients of the cases, and what the server in front of each must know.

import { io } from 'socket.io-client';
import { io as io3 } from 'socket.io-client-3';
import parser from 'socket.io-msgpack-parser';

export const CLIENTS = {
  4.8: { io, options: {}, server: {} },
  3.1: { io: io3, options: {}, server: {} },
  msgpack: { io, options: { parser }, server: { parser } },
};

// What came after 3.1, for its sockets.
const { prototype } = io3('http://127.0.0.1', { autoConnect: false }).constructor;

prototype.emitWithAck = function (...event) {
  return new Promise((resolve) => this.emit(...event, resolve));
};

prototype.timeout = function (ms) {
  const late = (_, reject) => setTimeout(() => reject(new Error('operation has timed out')), ms);
  return { emitWithAck: (...event) => Promise.race([this.emitWithAck(...event), new Promise(late)]) };
};
