// What a client costs on the wire: bodies and WebSocket frames to the byte, heads of HTTP as nearly as a page can know them.

const encoder = new TextEncoder();

/** The length of a text in UTF-8. */
export const byteLength = (text) => encoder.encode(text).length;

/** How many exchanges are kept to be read. */
const KEPT = 12;

/**
 * A packet on the wire: its `lead` is envelope, its `payload`, if it has one, a message of the application.
 * @typedef {{ lead: string, payload?: string }} Part
 */

/**
 * Counts for one client, and its last exchanges. `sent` and `received` hold everything; `heads` is the part of it that is an
 * estimate. Tells "exchange" of each that crosses the wire, and "wait" of a request that nothing answers yet.
 */
export class Wire extends EventTarget {
  requests = 0;
  heads = 0;
  sent = { messages: 0, payload: 0, bytes: 0 };
  received = { messages: 0, payload: 0, bytes: 0 };
  /** The last exchanges, oldest first. */
  exchanges = [];
  #count = 0;

  get messages() {
    return this.sent.messages + this.received.messages;
  }

  get payload() {
    return this.sent.payload + this.received.payload;
  }

  get bytes() {
    return this.sent.bytes + this.received.bytes;
  }

  /** A request goes out, with `parts` in its body. */
  request(method, url, body = '', parts = []) {
    this.requests += 1;
    const length = byteLength(body);
    const { origin } = new URL(url);
    const ofPost = [`Content-Length: ${length}`, 'Content-Type: text/plain;charset=UTF-8', `Origin: ${origin}`];
    const head = [...requestLines(method, url), ...FETCH, ...(method === 'POST' ? ofPost : [])];
    this.#add('sent', { what: method, head, length, parts, rest: method === 'GET' ? 'waits for news' : '' });
  }

  /** An answer came, with `text` in it; `what` it is called. */
  answer(response, text, what, parts = []) {
    // What was compressed is counted as it travelled.
    const length = Number(response.headers.get('content-length') ?? byteLength(text));
    this.#add('received', { what, head: responseLines(response), length, parts, rest: text && text.length < 9 ? text : '' });
  }

  /** An answer begins that goes on for as long as it may. */
  begin(response, what = 'stream') {
    this.#add('received', { what, head: responseLines(response), length: 0, rest: 'stays open' });
  }

  /** A piece of such an answer, which HTTP/1.1 sends as a chunk with its length around it. */
  piece(text, parts, what = 'piece') {
    const length = byteLength(text);
    this.#add('received', { what, length: length + length.toString(16).length + 4, parts, rest: parts.length ? '' : 'padding' });
  }

  /** A WebSocket's handshake: a request, and the answer that no page gets to see. */
  handshake(url) {
    this.requests += 1;
    this.#add('sent', { what: 'GET', head: [...requestLines('GET', url), ...ASKED], length: 0, rest: 'asks for a WebSocket' });
    this.#add('received', { what: '101', head: ANSWERED, length: 0, rest: 'it is one' });
  }

  /** A frame of a WebSocket: 2 bytes, more for a long length, and a mask of 4 from a client (RFC 6455, section 5.2). */
  frame(way, text, part, what) {
    const length = byteLength(text);
    const long = length > 65_535 ? 8 : length > 125 ? 2 : 0;
    this.#add(way, { what, length: 2 + long + (way === 'sent' ? 4 : 0) + length, parts: [part], isFrame: true });
  }

  #add(way, { head = [], length, parts = [], ...more }) {
    const ofHead = head.length ? byteLength(`${head.join('\r\n')}\r\n\r\n`) : 0;
    const said = parts.filter(({ payload }) => payload !== undefined);
    const payload = said.reduce((sum, part) => sum + byteLength(part.payload), 0);
    const count = this[way];
    count.messages += said.length;
    count.payload += payload;
    count.bytes += ofHead + length;
    this.heads += ofHead;
    const exchange = { id: (this.#count += 1), at: performance.now(), way, head, parts, payload, messages: said.length, ...more };
    exchange.bytes = ofHead + length;
    this.exchanges.push(exchange);
    if (this.exchanges.length > KEPT) this.exchanges.shift();
    this.dispatchEvent(new CustomEvent('exchange', { detail: exchange }));
  }
}

/** A page sees all headers of its own origin but cookies, and no casing, which weighs nothing. */
function responseLines(response) {
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${response.status} ${response.statusText}`, ...headers];
}

/** What a browser of today says in any request, as far as it tells its pages. */
function requestLines(method, url) {
  const { pathname, search, host } = new URL(url);
  const { userAgent, userAgentData, languages } = navigator;
  const brands = userAgentData?.brands.map(({ brand, version }) => `"${brand}";v="${version}"`).join(', ');
  const hints = [`sec-ch-ua: ${brands}`, `sec-ch-ua-platform: "${userAgentData?.platform}"`, 'sec-ch-ua-mobile: ?0'];
  return [
    `${method} ${pathname}${search} HTTP/1.1`,
    `Host: ${host}`,
    `User-Agent: ${userAgent}`,
    // Client hints go to safe places only, and so do the newer codings.
    ...(brands && isSecureContext && !url.startsWith('ws') ? hints : []),
    `Accept-Encoding: gzip, deflate${isSecureContext ? ', br, zstd' : ''}`,
    `Accept-Language: ${languages.map((tag, index) => (index ? `${tag};q=0.${10 - Math.min(index, 9)}` : tag)).join(',')}`,
    ...(document.cookie ? [`Cookie: ${document.cookie}`] : []),
  ];
}

const FETCH = [
  'Connection: keep-alive',
  'Accept: */*',
  'Sec-Fetch-Site: same-origin',
  'Sec-Fetch-Mode: cors',
  'Sec-Fetch-Dest: empty',
  `Referer: ${location.origin}${location.pathname}`,
];
const ASKED = [
  'Connection: Upgrade',
  'Pragma: no-cache',
  'Cache-Control: no-cache',
  'Upgrade: websocket',
  `Origin: ${location.origin}`,
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
];
const ANSWERED = [
  'HTTP/1.1 101 Switching Protocols',
  'upgrade: websocket',
  'connection: Upgrade',
  'sec-websocket-accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=',
  'date: Thu, 01 Jan 1970 00:00:00 GMT',
];
