// A backend that a case can inspect and make misbehave. By default it is an echo in the short form.

import { once } from 'node:events';
import WebSocket, { WebSocketServer } from 'ws';
import { PROFILE } from './peer.mjs';

/** One WebSocket of P: what P sent, and how it ended. */
class Line {
  heard = [];
  closed = undefined;
  at = performance.now();

  constructor(ws) {
    this.ws = ws;
    ws.on('close', (code, reason) => (this.closed = { code, reason: reason.toString() }));
    ws.on('error', () => {});
  }

  say(...frame) {
    if (this.ws.readyState === WebSocket.OPEN) this.ws.send(JSON.stringify(frame));
  }

  /** All frames of P with this verb. */
  of(verb) {
    return this.heard.filter((frame) => frame[0] === verb);
  }
}

const ECHO = {
  hello: (line) => line.say('hello', { v: 1 }),
  open: (line, id) => line.say('ok', id, {}),
  t: (line, ...frame) => line.say('t', ...frame),
  b: (line, ...frame) => line.say('b', ...frame),
  x: (line, id, seq, code) => line.say('x', id, line.of('t').filter((frame) => frame[1] === id).length, code, ''),
};

export class StandIn {
  lines = [];
  #server;

  /** `verbs` handle P's frames with their line; `greet` handles a new line. `protocol` is the chosen subprotocol. */
  static async listen(verbs = {}, { greet = () => {}, protocol = PROFILE } = {}) {
    const standIn = new StandIn();
    const all = { ...ECHO, ...verbs };
    standIn.#server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => protocol });
    standIn.#server.on('connection', (ws) => {
      const line = new Line(ws);
      standIn.lines.push(line);
      greet(line);
      ws.on('message', (data) => {
        const frame = JSON.parse(data);
        line.heard.push(frame);
        all[frame[0]]?.(line, ...frame.slice(1));
      });
    });
    await once(standIn.#server, 'listening');
    standIn.port = standIn.#server.address().port;
    return standIn;
  }

  /** A stand-in that records the traffic with the backend on `port`, and passes everything on. */
  static tap(port) {
    const greet = (line) => {
      const far = new WebSocket(`ws://127.0.0.1:${port}/`, PROFILE, { perMessageDeflate: false });
      const opened = once(far, 'open');
      opened.catch(() => line.ws.terminate());
      line.said = [];
      line.ws.on('message', (data) => opened.then(() => far.send(data, { binary: false }), () => {}));
      line.ws.on('close', (code) => far.close(code === 1001 || code === 1002 ? code : 1000));
      far.on('message', (data) => {
        line.said.push(JSON.parse(data));
        line.say(...line.said.at(-1));
      });
      far.on('close', () => line.ws.terminate());
      far.on('error', () => {});
    };
    const nothing = Object.fromEntries(Object.keys(ECHO).map((verb) => [verb, undefined]));
    return StandIn.listen(nothing, { greet });
  }

  /** Frames with this verb that P sent on any line. */
  heard(verb) {
    return this.lines.flatMap((line) => line.of(verb));
  }

  close() {
    for (const { ws } of this.lines) ws.terminate();
    this.#server.close();
  }
}
