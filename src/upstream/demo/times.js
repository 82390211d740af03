// Durations of the last minute.

const SPAN_MS = 60_000;

export class Times {
  #times = [];
  #latest;

  add(took) {
    this.#times.push([performance.now(), took]);
    this.#latest = Math.max(this.#latest ?? 0, took);
  }

  /** The longest since it was last asked. */
  takeLatest() {
    const latest = this.#latest;
    this.#latest = undefined;
    return latest;
  }

  /** The median, if there is one. */
  get median() {
    const since = performance.now() - SPAN_MS;
    this.#times = this.#times.filter(([at]) => at >= since);
    const sorted = this.#times.map(([, took]) => took).sort((a, b) => a - b);
    return sorted[sorted.length >> 1];
  }
}
