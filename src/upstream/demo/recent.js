// What a client cost in the last ten seconds, in which a figure follows what happens and one burst does not outlive its minute.

const SPAN_MS = 10_000;
/** Fewer messages than this give no average worth showing. */
const LEAST_MESSAGES = 4;

/** Sums the counts of a `Wire` over the last ten seconds, leaving out slots in which the client was on another transport. */
export class Recent {
  #slots = [];
  #last = { requests: 0, messages: 0, payload: 0, bytes: 0 };
  #before;
  #average;

  /** Ends a slot of `slotMs`, of which `state` is the client's state at its end; `wanted` is the transport that counts. */
  tick(wire, state, wanted, slotMs) {
    const now = { requests: wire.requests, messages: wire.messages, payload: wire.payload, bytes: wire.bytes };
    const difference = Object.fromEntries(Object.keys(now).map((key) => [key, now[key] - this.#last[key]]));
    const counts = state === wanted && (this.#before ?? wanted) === wanted;
    this.#slots.push(counts ? difference : undefined);
    if (this.#slots.length > SPAN_MS / slotMs) this.#slots.shift();
    [this.#last, this.#before] = [now, state];
    this.#average = this.#sum() ?? this.#average;
  }

  /** Payload, bytes and requests a message: of the last ten seconds, or of the last time when there were messages. */
  get average() {
    return this.#average;
  }

  /** Whether the average is of the last ten seconds. */
  get isFresh() {
    return this.#sum() !== undefined;
  }

  #sum() {
    const sum = { requests: 0, messages: 0, payload: 0, bytes: 0 };
    for (const slot of this.#slots) for (const key in slot) sum[key] += slot[key];
    if (sum.messages < LEAST_MESSAGES) return undefined;
    const { requests, messages, payload, bytes } = sum;
    return { requests: requests / messages, payload: payload / messages, bytes: bytes / messages };
  }
}
