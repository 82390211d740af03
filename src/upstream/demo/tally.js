// How many messages of all clients were lost: what was asked, and has no answer after a long time.

/** A backend that restarts and a client that waits for its next attempt are faster than this. */
const LOST_MS = 20_000;

export class Tally {
  sent = 0;
  lost = 0;
  /** Asked once more by a new session, as nobody knew whether the server had heard them. */
  repeated = 0;

  /** Follows one question to its answer. */
  count(answer) {
    this.sent += 1;
    const timer = setTimeout(() => (this.lost += 1), LOST_MS);
    return answer.then((args) => {
      clearTimeout(timer);
      // The client was turned off before.
      if (!args) this.sent -= 1;
      return args;
    });
  }

  again(count) {
    this.repeated += count;
  }
}
