// One SockJS session with streaming: an answer that never ends, and a POST for what is sent.

const random = () => Math.random().toString(36).slice(2, 10);

/** `hear` is told as an `Engine`'s is. */
export class SockJs {
  transport = 'streaming';
  #url;
  #wire;
  #line;
  #hear;
  #queue = [];
  #posting = false;
  #closed = false;
  #abort = new AbortController();

  constructor({ base, wire, line, hear }) {
    this.#url = `${base}${Math.floor(Math.random() * 1000).toString().padStart(3, '0')}/${random()}`;
    this.#wire = wire;
    this.#line = line;
    this.#hear = hear;
  }

  async open() {
    // A stream ends after some time, and the next goes on with the session.
    while (!this.#closed) await this.#stream();
  }

  send(text) {
    this.#queue.push(text);
    this.#flush();
  }

  close(reason) {
    if (this.#closed) return;
    this.#closed = true;
    this.#abort.abort();
    this.#hear.close(reason);
  }

  async #stream() {
    try {
      const url = `${this.#url}/xhr_streaming`;
      this.#wire.request('POST', url);
      const response = await this.#line.begin(url, { method: 'POST', signal: this.#abort.signal });
      this.#wire.begin(response);
      if (!response.ok) return this.close(`a request was answered ${response.status}`);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        const frames = (rest + value).split('\n');
        rest = frames.pop();
        this.#wire.piece(value, frames.flatMap(parts), kind(frames));
        for (const frame of frames) this.#receive(frame);
      }
    } catch {
      this.close('a request failed');
    }
  }

  #receive(frame) {
    if (this.#closed) return;
    if (frame === 'o') this.#hear.open();
    if (frame[0] === 'a') for (const text of JSON.parse(frame.slice(1))) this.#hear.message(text);
    if (frame[0] === 'c') this.close('the server closed the session');
  }

  async #flush() {
    if (this.#posting) return;
    this.#posting = true;
    while (this.#queue.length && !this.#closed) {
      const batch = this.#queue.splice(0);
      try {
        const url = `${this.#url}/xhr_send`;
        const body = JSON.stringify(batch);
        this.#wire.request('POST', url, body, batch.map((payload) => ({ lead: '', payload })));
        const { response, text } = await this.#line.fetch(url, { method: 'POST', body, signal: this.#abort.signal });
        this.#wire.answer(response, text, String(response.status));
        if (!response.ok) this.close(`a request was answered ${response.status}`);
      } catch {
        this.close('a request failed');
      }
    }
    this.#posting = false;
  }
}

function parts(frame) {
  if (frame[0] !== 'a') return frame.length > 9 ? [] : [{ lead: frame }];
  return JSON.parse(frame.slice(1)).map((payload) => ({ lead: 'a', payload }));
}

function kind([frame = '']) {
  return { o: 'open', a: 'message', c: 'close' }[frame[0]] ?? (frame === 'h' ? 'heartbeat' : 'prelude');
}
