// What is on its way across the stage: dots, how far each of them is, and what was too much to show one by one.

/** Over this many dots at once, those that go the same way merge into one labelled batch. */
export const BATCH_AT = 40;
const MERGE_MS = 120;
/** On one machine a round trip is too short to be seen: what was measured comes on top of this, up to the longest. */
const SHORTEST_MS = 450;
const LONGEST_MS = 1200;
const BACKEND_PART = 0.6;

/** The dots of all panes. */
export class Travel {
  #dots = [];
  #crossed = [];

  /** An exchange of `pane` sets off: from the client to Polliwog and on to the backend, or the other way round. */
  add(pane, { way, what, bytes, payload, messages, isFrame }) {
    const now = performance.now();
    this.#crossed.push({ pane, now, messages });
    this.#crossed = this.#crossed.filter((one) => now - one.now < 1000);
    this.#dots = this.#dots.filter((dot) => now < dot.ends);
    const took = Math.min(SHORTEST_MS + (pane.trips.median ?? 0) / 2, LONGEST_MS);
    const first = { pane, way, bytes, payload, count: Math.max(messages, 1), label: what, isFrame, hue: pane.hue };
    // Messages go on to the backend, headers end at Polliwog.
    const legs = way === 'sent' ? ['client', 'backend'] : ['backend', 'client'];
    let begins = now;
    for (const leg of messages ? legs : ['client']) {
      const lasts = leg === 'client' ? took : took * BACKEND_PART;
      this.#put({ ...first, leg, begins, ends: begins + lasts });
      begins += lasts;
    }
  }

  /** Forgets what belongs to no pane of these. */
  keep(panes) {
    this.#dots = this.#dots.filter(({ pane }) => panes.includes(pane));
  }

  isMoving(now) {
    return this.#dots.some(({ ends }) => now < ends);
  }

  /** The dots of `pane`, each with the `part` of its way that it has gone. */
  of(pane, now) {
    return this.#dots
      .filter((dot) => dot.pane === pane && dot.begins <= now && now < dot.ends)
      // What carries messages is drawn over what does not.
      .sort((one, other) => one.payload - other.payload)
      .map((dot) => ({ ...dot, part: (now - dot.begins) / (dot.ends - dot.begins) }));
  }

  /** Messages of the last second. */
  rate(pane) {
    const now = performance.now();
    return this.#crossed.filter((one) => one.pane === pane && now - one.now < 1000).reduce((sum, { messages }) => sum + messages, 0);
  }

  #put(dot) {
    if (this.#dots.length >= BATCH_AT / 2) {
      const same = this.#dots.find(
        (one) => one.pane === dot.pane && one.way === dot.way && one.leg === dot.leg && one.label === dot.label && Math.abs(one.begins - dot.begins) < MERGE_MS,
      );
      if (same) {
        same.bytes += dot.bytes;
        same.payload += dot.payload;
        same.count += dot.count;
        return;
      }
    }
    this.#dots.push(dot);
  }
}
