// Reads the binary profile of docs/mux.md into frames of the JSON profile.

const VERBS = [, 'hello', 'open', 'ok', 'deny', 't', 'b', 'a', 'x', 'transport', 'drain', 'sync', 'x'];
// The `x` after a close packet.
const BY_PACKET = 12;

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
  }

  take(length) {
    if (length > this.bytes.length) throw new Error('too short');
    const taken = this.bytes.subarray(0, length);
    this.bytes = this.bytes.subarray(length);
    return taken;
  }

  number() {
    let value = 0n;
    for (let shift = 0n; shift < 56n; shift += 7n) {
      const [byte] = this.take(1);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return safe(value);
    }
    throw new Error('a varint of more than 8 bytes');
  }

  id() {
    const number = this.number();
    if (number === 0) throw new Error('session 0');
    return `s${number}`;
  }

  rest() {
    return this.take(this.bytes.length);
  }

  json() {
    const elements = JSON.parse(text(this.rest()));
    if (!Array.isArray(elements) || elements.length === 0) throw new Error('no elements');
    return elements;
  }

  /** Triples of an id, a seq and a limit, up to the end. */
  list(seq) {
    const list = [];
    while (this.bytes.length) list.push([this.id(), seq(this.number()), this.number()]);
    return list;
  }
}

function safe(value) {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Error('above 2^53-1');
  return Number(value);
}

const text = (bytes) => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);

const FIELDS = {
  hello: (reader) => reader.json(),
  open: (reader) => [reader.id(), ...reader.json()],
  ok: (reader) => [reader.id(), ...reader.json()],
  deny: (reader) => [reader.id(), ...reader.json()],
  t: (reader) => [reader.id(), reader.number(), text(reader.rest())],
  b: (reader) => [reader.id(), reader.number(), reader.rest().toString('base64')],
  a: (reader) => [reader.list((seq) => seq)],
  x: (reader) => [reader.id(), reader.number(), reader.number(), text(reader.rest())],
  transport: (reader) => [reader.id(), ...reader.json()],
  drain: (reader) => reader.json(),
  sync(reader) {
    const epoch = text(reader.take(reader.number()));
    const [more] = reader.take(1);
    if (more > 1) throw new Error('neither 0 nor 1');
    const list = reader.list((seq) => seq - 1);
    if (!epoch && list.some(([, seq]) => seq < 0)) throw new Error('-1 from B');
    return [...(epoch ? [epoch] : []), list, ...(more ? [true] : [])];
  },
};

/** The frame, as an array. Throws for one that is malformed in itself. */
export function decode(bytes) {
  const reader = new Reader(bytes);
  const [byte] = reader.take(1);
  const verb = VERBS[byte];
  if (!verb) throw new Error('an unknown verb');
  return [verb, ...FIELDS[verb](reader), ...(byte === BY_PACKET ? [true] : [])];
}
