// The five clients of the page, each as somebody has it, and how it is made.

import { Client } from './client.js';
import { Engine } from './engine.js';
import { Longpoll } from './longpoll.js';
import { SockJs } from './sockjs.js';
import { SPEECHES } from './speech.js';

/** Tells this tab's messages from others'. */
export const TAB = Math.random().toString(36).slice(2);

/**
 * `word` names the client in the page's code and `hue` its colour while it is on `wanted`, its transport of choice. `chip` is
 * its name where clients are chosen, `short` in a sentence; `what` says what it may do, `backend` what the server has of it.
 */
export const CLIENTS = [
  {
    word: 'polling',
    letter: 'A',
    chip: 'Polling',
    short: 'polling',
    what: 'polling only',
    wanted: 'polling',
    speech: 'socket.io',
    ways: ['polling'],
  },
  {
    word: 'websocket',
    letter: 'B',
    chip: 'WebSocket',
    short: 'a WebSocket',
    what: 'may use WebSocket',
    wanted: 'websocket',
    speech: 'socket.io',
    ways: ['websocket', 'polling'],
  },
  {
    word: 'old',
    letter: 'C',
    chip: 'Old client of 2014, translated',
    short: 'the old client',
    what: 'Socket.IO 2, polling',
    backend: 'WebSocket, Engine.IO 3 → 4',
    wanted: 'polling',
    speech: 'socket.io 2',
    version: 3,
    ways: ['polling'],
  },
  {
    word: 'streaming',
    letter: 'D',
    chip: 'SockJS streaming',
    short: 'SockJS',
    what: 'SockJS, streaming',
    wanted: 'streaming',
    speech: 'plain',
    ways: ['streaming'],
  },
  {
    word: 'longpoll',
    letter: 'E',
    chip: 'Longpoll, EventSource',
    short: 'longpoll',
    what: 'EventSource and POST',
    wanted: 'longpoll',
    speech: 'plain',
    ways: ['longpoll'],
  },
];

const PATHS = { streaming: 'sockjs/', longpoll: 'feed/' };
const SESSIONS = { streaming: SockJs, longpoll: Longpoll };

/** Makes the client of a row above, whose bytes `wire` counts and `line` carries. */
export function makeClient({ ways, version, speech }, wire, line) {
  const way = (transport) => ({
    transport,
    make(hear) {
      const base = new URL(PATHS[transport] ?? 'socket.io/', document.baseURI).href;
      const Session = SESSIONS[transport] ?? Engine;
      return new Session({ base, wire, line, hear, version });
    },
  });
  return new Client({ ways: ways.map(way), speech: SPEECHES[speech] });
}
