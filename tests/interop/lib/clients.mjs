// The Socket.IO clients of the cases, and what the server in front of each must know.

import { io } from 'socket.io-client';
import io1 from 'socket.io-client-1';
import io2 from 'socket.io-client-2';
import { io as io3 } from 'socket.io-client-3';
import parser from 'socket.io-msgpack-parser';

export const CLIENTS = {
  4.8: { io, options: {}, server: {} },
  3.1: { io: io3, options: {}, server: {} },
  2.5: { io: io2, options: {}, server: {} },
  1.7: { io: io1, options: {}, server: {} },
  msgpack: { io, options: { parser }, server: { parser } },
};

const prototypeOf = (connect) => connect('http://127.0.0.1', { autoConnect: false }).constructor.prototype;

// What came after 3.1, for its sockets and those before.
for (const prototype of [io1, io2, io3].map(prototypeOf)) {
  prototype.emitWithAck = function (...event) {
    return new Promise((resolve) => this.emit(...event, resolve));
  };

  prototype.timeout = function (ms) {
    // The deadline that these clients lack.
    const late = (_, reject) => setTimeout(() => reject(new Error('operation has timed out')), ms);
    return { emitWithAck: (...event) => Promise.race([this.emitWithAck(...event), new Promise(late)]) };
  };
}

// What came with 3.0: one listener for all events, the only one then.
for (const prototype of [io1, io2].map(prototypeOf)) {
  prototype.onAny = function (listener) {
    this.onevent = ({ id, data }) => listener(...data, ...(id === undefined ? [] : [this.ack(id)]));
  };
}
