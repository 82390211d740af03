// The line between the clients of this page and Polliwog, which the visitor may make worse: slow, or closed to WebSocket.

const SLOW_MS = 300;

/** All clients of the page share one. */
export class Line {
  /** Whether WebSocket is blocked, as behind a proxy that breaks upgrades. */
  cut = false;
  /** Whether a round trip takes `SLOW_MS` longer. */
  slow = false;
  #open = new Set();

  /** How long the way in one direction takes. */
  get lag() {
    return this.slow ? SLOW_MS / 2 : 0;
  }

  /** Blocks WebSocket, or stops doing so; what is open closes. */
  block(isCut) {
    this.cut = isCut;
    if (isCut) for (const socket of [...this.#open]) socket.close();
  }

  /** A request and its whole answer. */
  async fetch(url, options) {
    const response = await this.begin(url, options);
    return { response, text: await response.text() };
  }

  /** A request until its answer begins. */
  async begin(url, options) {
    await pause(this.lag);
    const response = await fetch(url, options);
    await pause(this.lag);
    return response;
  }

  /** Something like a WebSocket: one that is refused, or a real one behind this line. */
  dial(url) {
    if (this.cut) return new Refused();
    const socket = new Lagging(url, this);
    this.#open.add(socket);
    socket.addEventListener('close', () => this.#open.delete(socket));
    return socket;
  }
}

/** A WebSocket whose messages take as long as the line says, and stay in their order when that changes. */
class Lagging extends EventTarget {
  isReal = true;
  #socket;
  #up;
  #down;

  constructor(url, line) {
    super();
    this.#socket = new WebSocket(url);
    [this.#up, this.#down] = [inOrder(line), inOrder(line)];
    for (const type of ['open', 'message', 'close', 'error']) {
      this.#socket.addEventListener(type, ({ data }) => {
        this.#down(() => this.dispatchEvent(data === undefined ? new Event(type) : new MessageEvent(type, { data })));
      });
    }
  }

  get readyState() {
    return this.#socket.readyState;
  }

  send(text) {
    this.#up(() => this.#socket.readyState === WebSocket.OPEN && this.#socket.send(text));
  }

  close() {
    this.#up(() => this.#socket.close());
  }
}

/** Does one thing after the other, each when the line has carried it. */
export function inOrder(line) {
  let last = 0;
  return (act) => {
    const now = performance.now();
    last = Math.max(now + line.lag, last);
    // Where nothing is in front of it, it need not wait for a timer.
    if (last <= now) act();
    else setTimeout(act, last - now);
  };
}

/** A WebSocket as it looks behind a proxy that breaks upgrades: it fails, and carries nothing. */
class Refused extends EventTarget {
  isReal = false;
  readyState = WebSocket.CONNECTING;

  constructor() {
    super();
    setTimeout(() => {
      this.readyState = WebSocket.CLOSED;
      this.dispatchEvent(new Event('error'));
    }, 30);
  }

  close() {
    this.readyState = WebSocket.CLOSED;
  }
}

const pause = (ms) => (ms ? new Promise((resolve) => setTimeout(resolve, ms)) : undefined);
