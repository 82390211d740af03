// How the two versions of Engine.IO put packets into one body.

const SEPARATOR = '\x1e';

/** By version: `encode(packets)` and `decode(body)`. */
export const CODECS = {
  4: {
    encode: (packets) => packets.join(SEPARATOR),
    decode: (body) => body.split(SEPARATOR),
  },
  // Version 3 writes before each packet how many UTF-16 units it has.
  3: {
    encode: (packets) => packets.map((packet) => `${packet.length}:${packet}`).join(''),
    decode(body) {
      const packets = [];
      for (let at = 0; at < body.length; ) {
        const colon = body.indexOf(':', at);
        const end = colon + 1 + Number(body.slice(at, colon));
        if (colon < 0 || !(end > colon)) throw new Error('not a body of Engine.IO 3');
        packets.push(body.slice(colon + 1, end));
        at = end;
      }
      return packets;
    },
  },
};
