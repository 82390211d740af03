// A client: events, questions with their answers, and a way back when a session ends.

const BACKOFF_MS = { first: 250, longest: 5000 };
/** In a cluster an id begins with its node's name, filled up to four characters (docs/cluster.md). */
const NODE = /^2(?=[\w-]{26}$)([A-Za-z0-9]{1,4})/;

/**
 * Tells "state" when it is on another transport or on none, "event" with `{ name, args }`, "refused" when a transport
 * could not be had and the next is tried, and "again" with how many questions it asked anew. `ways` are tried in their order,
 * from the first with each session: each has the name of its `transport`, and `make(hear)` for a session on it.
 */
export class Client extends EventTarget {
  /** The transport once it is connected, before that "connecting", and "waiting" between two attempts. */
  state = 'connecting';
  /** When the next attempt begins, between two of them. */
  retryAt;
  #ways;
  #speech;
  #session;
  #connected = false;
  #ended = false;
  #attempts = 0;
  #retry;
  #upgrades = [];
  /** What waits for the next session. */
  #unsent = [];
  #asked = new Map();
  #lastId = 0;

  constructor({ ways, speech }) {
    super();
    this.#ways = ways;
    this.#speech = speech;
  }

  /** The node of a cluster that has its session; `undefined` if there is none, or the session's id does not name it. */
  get node() {
    const [, name] = (this.#connected && NODE.exec(this.#session.sid)) || [];
    return name;
  }

  /** Whether it has a session that carries messages. */
  get isConnected() {
    return this.#connected;
  }

  open() {
    this.#ended = false;
    this.#begin(0);
  }

  /** Ends it for good: nobody waits for answers any more. `isLeaving` is whether the page goes with it. */
  close(isLeaving = false) {
    this.#ended = true;
    clearTimeout(this.#retry);
    this.#session?.close('left', isLeaving);
    for (const { resolve } of this.#asked.values()) resolve(undefined);
    this.#asked.clear();
  }

  emit(name, ...args) {
    this.#say(this.#speech.event(name, args));
  }

  /**
   * Asks, and resolves with the arguments of the answer, or with `undefined` once the client is closed. Nobody knows whether a server heard what was under way when its session
   * ended: the next session asks again.
   */
  async ask(name, ...args) {
    if (this.#ended) return undefined;
    const id = (this.#lastId += 1);
    const text = this.#speech.ask(id, name, args);
    return new Promise((resolve) => {
      this.#asked.set(id, { resolve, text });
      if (this.#connected) this.#session.send(text);
    });
  }

  /** Moves to WebSocket, where that is wanted and the client is on polling. */
  async upgrade() {
    const wanted = this.#ways.some(({ transport }) => transport === 'websocket') && this.#upgrades.includes('websocket');
    if (!wanted || this.state !== 'polling') return;
    const session = this.#session;
    const moved = await session.upgrade();
    if (!moved && session === this.#session) this.#tell('refused', { transport: 'websocket', probed: true });
  }

  #begin(choice) {
    const { transport, make } = this.#ways[choice];
    this.retryAt = undefined;
    let opened = false;
    const hear = {
      open: (upgrades = []) => {
        opened = true;
        this.#upgrades = upgrades;
        if (!this.#speech.isGreeted) return this.#connect(session);
        if (this.#speech.hello) session.send(this.#speech.hello);
      },
      message: (text) => this.#receive(text, session),
      moved: () => this.#become('websocket'),
      close: () => {
        if (opened || this.#ended || choice + 1 === this.#ways.length) return this.#lose();
        this.#tell('refused', { transport, probed: false });
        this.#begin(choice + 1);
      },
    };
    const session = make(hear);
    this.#session = session;
    this.#become('connecting');
    session.open(transport);
  }

  #connect(session) {
    this.#connected = true;
    this.#attempts = 0;
    this.#become(session.transport);
    if (this.#asked.size) this.#tell('again', this.#asked.size);
    for (const { text } of this.#asked.values()) session.send(text);
    for (const unsent of this.#unsent.splice(0)) session.send(unsent);
    this.upgrade();
  }

  #lose() {
    this.#connected = false;
    this.#become('waiting');
    if (this.#ended) return;
    const pause = Math.min(BACKOFF_MS.first * 2 ** this.#attempts, BACKOFF_MS.longest) * (0.75 + Math.random() / 2);
    this.#attempts += 1;
    this.retryAt = performance.now() + pause;
    this.#retry = setTimeout(() => this.#begin(0), pause);
  }

  #say(text) {
    if (!this.#connected) return void this.#unsent.push(text);
    this.#session.send(text);
  }

  #receive(text, session) {
    const { greeting, event, answer, args, end } = this.#speech.read(text);
    if (greeting) this.#connect(session);
    if (event) this.#tell('event', { name: event[0], args: event.slice(1) });
    if (answer !== undefined) {
      this.#asked.get(answer)?.resolve(args);
      this.#asked.delete(answer);
    }
    if (end) session.close('the server disconnected');
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.#tell('state', state);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
