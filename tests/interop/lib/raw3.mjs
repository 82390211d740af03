// Sessions of Engine.IO 3 by hand: requests, and what a client reads of each response.

import { once } from 'node:events';
import { WebSocket } from 'ws';

const EIO = '?EIO=3&transport=polling';

/** A payload of text: each packet after its length in UTF-16 units. */
export const text = (...packets) => packets.map((packet) => `${packet.length}:${packet}`).join('');

/** A payload of bytes: each packet after its kind, its length as one byte for each digit, and 0xff. */
export const bytes = (...packets) =>
  Buffer.concat(
    packets.flatMap((packet) => {
      const [kind, data] = typeof packet === 'string' ? [0, Buffer.from(packet)] : [1, Buffer.from([4, ...packet])];
      return [Buffer.from([kind, ...String(data.length)].map(Number)), Buffer.from([0xff]), data];
    }),
  );

/** Returns a function that sends a request and logs the response, with SID in place of the session's id. */
export function asking(t, sid) {
  return async (what, options) => {
    const answer = await t.request(options);
    const { status, headers, body } = answer;
    const said = sid ? body.replaceAll(sid, 'SID') : body.replace(/("sid\\?":\\?")[\w-]{20,}/, '$1SID');
    t.log('client', what, status, headers['content-type'], said);
    return answer;
  };
}

/** Opens a session: `ask` logs the responses at `path`. */
export async function handshake(t, query = '') {
  const { body } = await t.request({ path: t.path + EIO + query });
  const [, sid] = /"sid\\?":\\?"([\w-]{20,})/.exec(body) ?? t.assert.fail(`no handshake: ${body}`);
  return { sid, ask: asking(t, sid), path: `${t.path}${EIO}${query}&sid=${sid}` };
}

/** A WebSocket that begins a session, or is of the session `sid`: `next()` is the next packet, `closed` the code. */
export async function socket(t, { query = '', sid } = {}) {
  const which = sid ? `${query}&sid=${sid}` : query;
  const ws = new WebSocket(`ws://127.0.0.1:${t.port}${t.path}?EIO=3&transport=websocket${which}`);
  t.defer(() => ws.terminate());
  const packets = [];
  const waiting = [];
  ws.on('message', (data, binary) => {
    packets.push(binary ? data : data.toString());
    waiting.shift()?.();
  });
  const closed = new Promise((resolve) => ws.once('close', (code) => resolve(code)));
  ws.on('error', () => {});
  await once(ws, 'open');
  let read = 0;
  const next = async () => {
    if (read === packets.length) await new Promise((resolve) => waiting.push(resolve));
    return packets[read++];
  };
  return { ws, next, closed };
}
