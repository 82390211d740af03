// What a case saw, in order, on named tracks ("client", "server", ...), without anything that differs from run to run.

import { createHash } from 'node:crypto';
import { isDeepStrictEqual, inspect } from 'node:util';

export class Transcript {
  tracks = new Map();
  #waiting = new Set();
  #sealed = false;

  /** Writes one event down; `value` is normalised, so buffers become a digest and errors their public part. */
  log(track, label, ...values) {
    if (this.#sealed) return;
    if (!this.tracks.has(track)) this.tracks.set(track, []);
    this.tracks.get(track).push([label, ...values.map(normalise)]);
    for (const check of [...this.#waiting]) check();
  }

  /** The events with `label` on `track`. */
  of(track, label) {
    return (this.tracks.get(track) ?? []).filter(([name]) => name === label);
  }

  /** Resolves with the event once `track` holds `count` events with `label`; the case's own deadline ends the wait. */
  until(track, label, count = 1) {
    return new Promise((resolve) => {
      const check = () => {
        const found = this.of(track, label);
        if (found.length < count) return;
        this.#waiting.delete(check);
        resolve(found[count - 1]);
      };
      this.#waiting.add(check);
      check();
    });
  }

  /** Ends it: what happens while the case is cleared away is no part of it. */
  seal() {
    this.#sealed = true;
  }

  get empty() {
    return this.tracks.size === 0;
  }

  toJSON() {
    return Object.fromEntries([...this.tracks].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

/** Makes a value comparable between two runs. Long text and bytes become length and digest. */
export function normalise(value) {
  if (typeof value === 'string') {
    return value.length > 200 ? `text:${value.length}:${digest(value)}` : value.replace(/127\.0\.0\.1:\d+/g, 'HOST');
  }
  if (value instanceof ArrayBuffer) return normalise(Buffer.from(value));
  if (ArrayBuffer.isView(value)) {
    return `bytes:${value.byteLength}:${digest(Buffer.from(value.buffer, value.byteOffset, value.byteLength))}`;
  }
  if (value instanceof Error) return normalise({ error: value.message, ...(value.data && { data: value.data }) });
  if (Array.isArray(value)) return value.map(normalise);
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, normalise(inner)]));
  }
  return value;
}

/**
 * Compares two transcripts. `differs` lists what a bridge cannot hide: `{ track, label, direct, proxied, why }`, where
 * `direct` and `proxied` are the event's values; such an event of the proxied run counts as the direct one. A rule with
 * `through` holds for that way only. Tracks named in `ignore` are not compared.
 * Returns lines that show the first difference of each track; none when they are equal.
 */
export function compare(direct, proxied, { differs = [], ignore = [] }, through) {
  const rules = differs.filter((rule) => (rule.through ?? through) === through);
  const [left, right] = [direct.toJSON(), proxied.toJSON()];
  const lines = [];
  for (const track of new Set([...Object.keys(left), ...Object.keys(right)])) {
    if (ignore.includes(track)) continue;
    const [a, b] = [left[track] ?? [], right[track] ?? []];
    for (let i = 0; i < Math.max(a.length, b.length); i++) {
      if (isDeepStrictEqual(a[i], b[i]) || allowed(track, a[i], b[i], rules)) continue;
      lines.push(`track ${track}, event ${i}:`);
      for (let before = Math.max(0, i - 2); before < i; before++) lines.push(`      both     ${show(a[before])}`);
      for (let at = i; at < Math.min(i + 3, a.length); at++) lines.push(`    - direct   ${show(a[at])}`);
      for (let at = i; at < Math.min(i + 3, b.length); at++) lines.push(`    + proxied  ${show(b[at])}`);
      lines.push(`      (${a.length} events direct, ${b.length} proxied)`);
      break;
    }
  }
  return lines;
}

function allowed(track, a, b, differs) {
  return differs.some(
    (rule) =>
      rule.track === track &&
      isDeepStrictEqual(a, [rule.label, ...rule.direct]) &&
      isDeepStrictEqual(b, [rule.label, ...rule.proxied]),
  );
}

function show(event) {
  return event === undefined ? '(nothing)' : inspect(event, { breakLength: Infinity, depth: 6, maxStringLength: 160 });
}

function digest(data) {
  return createHash('sha256').update(data).digest('hex').slice(0, 12);
}
