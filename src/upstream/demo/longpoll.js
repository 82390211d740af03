// One session of the dialect longpoll: an EventSource, and a numbered POST for each message.

import { inOrder } from './line.js';

/** The head of a stream's answer, which an EventSource shows nobody. */
const STREAM = new Response('', {
  status: 200,
  statusText: 'OK',
  headers: {
    'cache-control': 'no-store',
    'content-type': 'text/event-stream',
    date: 'Thu, 01 Jan 1970 00:00:00 GMT',
    'transfer-encoding': 'chunked',
    'x-accel-buffering': 'no',
  },
});

/** `hear` is told as an `Engine`'s is. */
export class Longpoll {
  transport = 'longpoll';
  #base;
  #wire;
  #line;
  #hear;
  #url;
  #source;
  #later;
  #queue = [];
  #posting;
  #sent = 0;
  /** The number of the last message. */
  #last = 0;
  #closed = false;

  constructor({ base, wire, line, hear }) {
    this.#base = base;
    this.#wire = wire;
    this.#line = line;
    this.#hear = hear;
    this.#later = inOrder(line);
  }

  /** Its id, once it has one. */
  get sid() {
    return this.#url?.split('/').at(-1);
  }

  async open() {
    const text = await this.#post(this.#base, '');
    if (this.#closed || text === undefined) return;
    this.#url = new URL(JSON.parse(text).url, this.#base).href;
    this.#source = new EventSource(this.#url);
    this.#wire.request('GET', this.#url);
    let isOpen = false;
    this.#source.addEventListener('open', () => {
      this.#wire.begin(STREAM);
      if (!isOpen) this.#later(() => !this.#closed && this.#hear.open());
      isOpen = true;
    });
    this.#source.addEventListener('message', ({ data, lastEventId }) => this.#later(() => this.#receive(data, lastEventId)));
    for (const type of ['close', 'replaced']) this.#source.addEventListener(type, () => this.#ended(type));
    this.#source.addEventListener('error', () => {
      if (this.#source.readyState === EventSource.CLOSED) return this.close('the stream failed');
      // The browser asks again by itself, after the last message that it got.
      this.#wire.request('GET', this.#url);
    });
  }

  send(text) {
    this.#queue.push(text);
    this.#flush();
  }

  close(reason, isLeaving) {
    if (this.#closed) return;
    this.#closed = true;
    this.#source?.close();
    if (this.#url) this.#goodbye(this.#url, isLeaving);
    this.#hear.close(reason);
  }

  async #goodbye(url, isLeaving) {
    // A message that is under way comes first: behind the end it would be refused.
    if (this.#posting && !isLeaving) await this.#posting;
    await fetch(url, { method: 'DELETE', keepalive: true }).catch(() => {});
  }

  /** Polliwog has ended the session, and keeps its messages until they are acknowledged. */
  #ended(reason) {
    const url = `${this.#url}?after=${this.#last}&wait=0`;
    if (!this.#closed) fetch(url, { keepalive: true }).catch(() => {});
    this.#url = undefined;
    this.close(reason);
  }

  #receive(data, id) {
    if (this.#closed) return;
    this.#last = id;
    const lead = `id: ${id}\ndata: `;
    this.#wire.piece(`${lead}${data}\n\n`, [{ lead: 'data: ', payload: data }], 'event');
    this.#hear.message(data);
  }

  #flush() {
    if (this.#posting || !this.#queue.length || this.#closed) return;
    this.#posting = this.#postAll().finally(() => {
      this.#posting = undefined;
      this.#flush();
    });
  }

  async #postAll() {
    while (this.#queue.length && !this.#closed) {
      await this.#post(`${this.#url}?id=${(this.#sent += 1)}`, this.#queue.shift());
    }
  }

  async #post(url, body) {
    try {
      this.#wire.request('POST', url, body, body ? [{ lead: '', payload: body }] : []);
      const { response, text } = await this.#line.fetch(url, { method: 'POST', body });
      this.#wire.answer(response, text, String(response.status));
      if (response.ok) return text;
      this.close(`a request was answered ${response.status}`);
    } catch {
      this.close('a request failed');
    }
    return undefined;
  }
}
