// What a client costs on the wire: bodies and WebSocket frames to the byte, heads of HTTP as nearly as a page can know them.

const encoder = new TextEncoder();

/** The length of a text in UTF-8. */
export const byteLength = (text) => encoder.encode(text).length;

/** Counts for one client. `sent` and `received` hold everything; `heads` is the part of it that is an estimate. */
export class Wire {
  requests = 0;
  heads = 0;
  sent = { messages: 0, payload: 0, bytes: 0 };
  received = { messages: 0, payload: 0, bytes: 0 };

  get messages() {
    return this.sent.messages + this.received.messages;
  }

  get payload() {
    return this.sent.payload + this.received.payload;
  }

  get bytes() {
    return this.sent.bytes + this.received.bytes;
  }

  /** A message of the application, whatever carries it; `way` is "sent" or "received". */
  message(way, text) {
    this[way].messages += 1;
    this[way].payload += byteLength(text);
  }

  /** A request goes out. */
  request(method, url, body = '') {
    this.requests += 1;
    const length = byteLength(body);
    const { origin } = new URL(url);
    const ofPost = [`Content-Length: ${length}`, 'Content-Type: text/plain;charset=UTF-8', `Origin: ${origin}`];
    this.#head('sent', [...requestLines(method, url), ...FETCH, ...(method === 'POST' ? ofPost : [])]);
    this.sent.bytes += length;
  }

  /** Its answer came, with `text` in it. */
  answer(response, text) {
    // A page sees all headers of its own origin but cookies, and no casing, which weighs nothing.
    const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`);
    this.#head('received', [`HTTP/1.1 ${response.status} ${response.statusText}`, ...headers]);
    // What was compressed is counted as it travelled.
    this.received.bytes += Number(response.headers.get('content-length') ?? byteLength(text));
  }

  /** A WebSocket's handshake: a request, and the answer that no page gets to see. */
  handshake(url) {
    this.requests += 1;
    this.#head('sent', [...requestLines('GET', url), ...ASKED]);
    this.#head('received', ANSWERED);
  }

  /** A frame of a WebSocket: 2 bytes, more for a long length, and a mask of 4 from a client (RFC 6455, section 5.2). */
  frame(way, text) {
    const length = byteLength(text);
    const long = length > 65_535 ? 8 : length > 125 ? 2 : 0;
    this[way].bytes += 2 + long + (way === 'sent' ? 4 : 0) + length;
  }

  #head(way, lines) {
    const length = byteLength(`${lines.join('\r\n')}\r\n\r\n`);
    this[way].bytes += length;
    this.heads += length;
  }
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
