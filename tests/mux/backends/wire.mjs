// What both forms of the Node backend share: frames of polliwog.mux.v1.json, and the WebSocket server that takes them.

import { WebSocketServer } from 'ws';

const PROFILE = 'polliwog.mux.v1.json';
const BEAT_MS = 20_000;
// A frame is larger than its message: base64 adds a third, and JSON's escapes make six bytes of one.
const FRAME_MAX = 64 * 1024 * 1024;

const isText = (it) => typeof it === 'string' && it.isWellFormed();
const isCount = (it) => Number.isSafeInteger(it) && it >= 0;
const isObject = (it) => typeof it === 'object' && it !== null && !Array.isArray(it);
const isBase64 = (it) => isText(it) && Buffer.from(it, 'base64').toString('base64') === it;
const listOf = (isOne) => (it) => Array.isArray(it) && it.every(isOne);
const isPair = (it) => Array.isArray(it) && isText(it[0]) && isText(it[1]);
const isVersion = (it) => it === undefined || it === 3 || it === 4;
const hasLists = (it) => listOf(isPair)(it.headers) && listOf(isText)(it.protocols);
const isRequest = (it) => isObject(it) && isText(it.path) && isVersion(it.eio) && hasLists(it);
const isHello = (it) => isObject(it) && it.v === 1 && isText(it.epoch) && isCount(it.max_message);
const isNews = (it) => Array.isArray(it) && isText(it[0]) && isCount(it[1]) && isCount(it[2]);
const isEntry = (it) => isNews(it) || (Array.isArray(it) && it[1] === -1 && isNews([it[0], 0, it[2]]));

/** What P may send: the fields after each verb. */
const FRAMES = new Map([
  ['hello', [isHello]],
  ['sync', [isText, listOf(isEntry)]],
  ['open', [isText, isRequest]],
  ['t', [isText, isCount, isText]],
  ['b', [isText, isCount, isBase64]],
  ['a', [listOf(isNews)]],
  ['x', [isText, isCount, isCount, isText]],
  ['transport', [isText, isText]],
  ['drain', [isCount]],
]);

/** What closes the WebSocket with 1002. */
export class Fault extends Error {}

function parse(data, isBinary) {
  let frame;
  try {
    frame = isBinary || JSON.parse(data);
  } catch {
    // Text that is not JSON is not an array either.
  }
  if (!Array.isArray(frame)) throw new Fault('not a JSON array in a text message');
  const [verb, ...fields] = frame;
  if (!FRAMES.get(verb)?.every((fits, i) => fits(fields[i]))) throw new Fault('an unknown verb or a wrong field');
  if (verb === 'b') fields[2] = Buffer.from(fields[2], 'base64');
  return [verb, fields];
}

/** The frame of a message, a string or a Buffer. A lone surrogate, which UTF-8 can't encode, would be a fault. */
export function message(id, seq, data) {
  if (typeof data === 'string') return ['t', id, seq, data.toWellFormed()];
  return ['b', id, seq, data.toString('base64')];
}

/** The end of an `x`: `byPacket` is for a P that knows it. */
export function goodbye({ close_packets }, code, reason, byPacket = false) {
  return byPacket && close_packets === true ? [code, reason, true] : [code, reason];
}

/** Serves `connection(ws, app)`, which gives `take(verb, fields)`, `end(code)` and `stop(seconds)`. */
export function serve({ connection, app, port, token }) {
  const stops = new Map();
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port,
    maxPayload: FRAME_MAX,
    handleProtocols: (offered) => offered.has(PROFILE) && PROFILE,
    verifyClient: ({ req }, done) => done(!token || req.headers.authorization === `Bearer ${token}`, 401),
  });
  server.on('connection', (ws) => {
    const { take, end, stop } = connection(ws, app);
    let greeted = false;
    watch(ws);
    stops.set(ws, stop);
    ws.on('message', (data, isBinary) => {
      if (ws.readyState !== ws.OPEN) return;
      try {
        const [verb, fields] = parse(data, isBinary);
        if ((verb === 'hello') === greeted) throw new Fault('hello comes first, and once');
        greeted = true;
        take(verb, fields);
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        ws.close(1002, error.message);
        end(1002);
      }
    });
    ws.on('error', () => {}); // 'close' follows.
    ws.on('close', (code) => stops.delete(ws) && end(code));
  });
  const stop = (seconds) => {
    server.close();
    for (const each of stops.values()) each(seconds);
  };
  return { server, stop };
}

/** Ends a WebSocket whose other side is silent: no hello, or no Pong. */
function watch(ws) {
  let heard = false;
  const hear = () => (heard = true);
  const timer = setInterval(() => {
    if (!heard) return ws.terminate();
    heard = false;
    ws.ping();
  }, BEAT_MS);
  ws.on('message', hear).on('pong', hear);
  ws.on('close', () => clearInterval(timer));
}
