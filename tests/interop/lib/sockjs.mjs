// SockJS: the stock clients, and one application for both a SockJS server and a plain WebSocket server behind a bridge.

import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

export const SOCKJS_CLIENTS = {
  1.6: require('sockjs-client'),
  1.1: require('sockjs-client-1.1'),
  '1.0': require('sockjs-client-1.0'),
};

/** What the clients have under Node, by the words of the cases. */
export const SOCKJS_TRANSPORTS = ['websocket', 'xhr-streaming', 'eventsource', 'xhr-polling'];

/** Calls `work` with each client of the application: `{ send, close, onMessage, request }`. */
export function application(handle, t, work) {
  handle.on('connection', (socket, request) => {
    // When a server learns of an end that it asked for depends on the transport, so it is not logged.
    let isClosing = false;
    socket.on('close', () => isClosing || t.log('server', 'close'));
    const isSockJs = typeof socket.write === 'function';
    work({
      send: (text) => (isSockJs ? socket.write(text) : socket.send(text)),
      close: (code, reason) => {
        isClosing = true;
        socket.close(code, reason);
      },
      onMessage: (listener) =>
        isSockJs ? socket.on('data', listener) : socket.on('message', (data) => listener(data.toString())),
      request,
    });
  });
}
