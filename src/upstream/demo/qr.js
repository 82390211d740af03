// QR codes for short texts: bytes, error correction L, versions 1 to 5 (ISO/IEC 18004), which are one block each.

/** By version: codewords of data and of correction. */
const SIZES = [undefined, [19, 7], [34, 10], [55, 15], [80, 20], [108, 26]];
const PENALTIES = { run: 3, box: 3, finder: 40, balance: 10 };
const MASKS = [
  (x, y) => (x + y) % 2 === 0,
  (x, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(y / 2) + Math.floor(x / 3)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

/** Rows of a code, `true` where it is dark; `undefined` for a text of more than 106 bytes. */
export function encode(text) {
  const bytes = new TextEncoder().encode(text);
  // Four bits say that these are bytes, eight how many.
  const version = SIZES.findIndex((size) => size && bytes.length + 2 <= size[0]);
  if (version < 0) return undefined;
  const words = codewords(bytes, ...SIZES[version]);
  const drawn = MASKS.map((mask, number) => draw(words, version, mask, number));
  const costs = drawn.map(penalty);
  return drawn[costs.indexOf(Math.min(...costs))];
}

function codewords(bytes, room, corrections) {
  const bits = [4, 4, bytes.length, 8, ...[...bytes].flatMap((byte) => [byte, 8])];
  let text = '';
  for (let index = 0; index < bits.length; index += 2) text += bits[index].toString(2).padStart(bits[index + 1], '0');
  text = text.padEnd(Math.min(text.length + 4, room * 8), '0');
  text = text.padEnd(Math.ceil(text.length / 8) * 8, '0');
  const data = text.match(/.{8}/g).map((word) => parseInt(word, 2));
  for (let filler = 0xec; data.length < room; filler ^= 0xec ^ 0x11) data.push(filler);
  return [...data, ...remainder(data, corrections)];
}

/** A product in the field of 256 elements, whose polynomial is x^8 + x^4 + x^3 + x^2 + 1. */
function times(a, b) {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) {
    product = (product << 1) ^ ((product >> 7) * 0x11d);
    if ((b >> bit) & 1) product ^= a;
  }
  return product;
}

/** The Reed-Solomon codewords behind `data`. */
function remainder(data, count) {
  let divisor = [1];
  for (let index = 0, root = 1; index < count; index++, root = times(root, 2)) {
    const next = [...divisor, 0];
    divisor.forEach((factor, at) => (next[at + 1] ^= times(factor, root)));
    divisor = next;
  }
  const rest = new Array(count).fill(0);
  for (const byte of data) {
    const factor = byte ^ rest.shift();
    rest.push(0);
    rest.forEach((_, at) => (rest[at] ^= times(divisor[at + 1], factor)));
  }
  return rest;
}

function draw(words, version, mask, number) {
  const size = 17 + 4 * version;
  const rows = Array.from({ length: size }, () => new Array(size));
  const set = (x, y, isDark) => {
    if (rows[y] && x >= 0 && x < size) rows[y][x] = isDark;
  };
  for (let at = 0; at < size; at++) [rows[6][at], rows[at][6]] = [at % 2 === 0, at % 2 === 0];
  // Rings around a centre: three finders with a light ring outside, and from version 2 on one alignment pattern.
  const rings = (x, y, radius, isDark) => {
    for (let dy = -radius; dy <= radius; dy++) {
      for (let dx = -radius; dx <= radius; dx++) set(x + dx, y + dy, isDark(Math.max(Math.abs(dx), Math.abs(dy))));
    }
  };
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]]) rings(x, y, 4, (ring) => ring !== 2 && ring !== 4);
  if (version > 1) rings(size - 7, size - 7, 2, (ring) => ring !== 1);
  format(set, size, number);
  fill(rows, words, mask);
  return rows;
}

/** The correction level (L is 1) and the mask, with ten bits of their own correction, twice. */
function format(set, size, number) {
  const data = (1 << 3) | number;
  let rest = data;
  for (let step = 0; step < 10; step++) rest = (rest << 1) ^ ((rest >> 9) * 0x537);
  const bits = ((data << 10) | rest) ^ 0x5412;
  const isDark = (bit) => ((bits >> bit) & 1) === 1;
  for (let bit = 0; bit < 15; bit++) {
    const near = bit < 6 ? bit : bit < 8 ? bit + 1 : 14 - bit;
    if (bit < 8) set(8, near, isDark(bit));
    else set(bit === 8 ? 7 : near, 8, isDark(bit));
    if (bit < 8) set(size - 1 - bit, 8, isDark(bit));
    else set(8, size - 15 + bit, isDark(bit));
  }
  set(8, size - 8, true);
}

/** Lays the bits in pairs of columns from the right, up and down in turns, over whatever is still free. */
function fill(rows, words, mask) {
  const size = rows.length;
  let at = 0;
  for (let right = size - 1; right > 0; right -= 2) {
    // The upright timing pattern is a column of its own.
    if (right === 6) right = 5;
    for (let step = 0; step < size; step++) {
      const y = ((right + 1) & 2) === 0 ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (rows[y][x] !== undefined) continue;
        const bit = (words[at >> 3] >> (7 - (at & 7))) & 1;
        rows[y][x] = (bit === 1) !== mask(x, y);
        at += 1;
      }
    }
  }
}

/** How hard a code is to read: long runs, boxes, what looks like a finder, and more of one colour. */
function penalty(rows) {
  const size = rows.length;
  let sum = 0;
  const columns = rows.map((_, x) => rows.map((row) => row[x]));
  for (const line of [...rows, ...columns]) {
    const text = line.map((isDark) => (isDark ? '1' : '0')).join('');
    for (const { length } of text.match(/1{5,}|0{5,}/g) ?? []) sum += PENALTIES.run + length - 5;
    for (let at = 0; at + 11 <= size; at++) {
      if (['10111010000', '00001011101'].includes(text.slice(at, at + 11))) sum += PENALTIES.finder;
    }
  }
  for (let y = 1; y < size; y++) {
    for (let x = 1; x < size; x++) {
      if (rows[y][x] === rows[y][x - 1] && rows[y][x] === rows[y - 1][x] && rows[y][x] === rows[y - 1][x - 1]) sum += PENALTIES.box;
    }
  }
  const dark = rows.flat().filter(Boolean).length;
  return sum + Math.floor(Math.abs((dark / size ** 2) * 100 - 50) / 5) * PENALTIES.balance;
}
