//! Which addresses are out, and until when. Pure: time is passed in.

use tokio::time::Instant;

use super::entry::{BACKOFF_MIN, Cause, Endpoint, Entry, Failure, Rank, STRIKES_MAX, pause};
use super::set::Set;

impl Set {
    /// Notes that an address could not be reached.
    pub(super) fn failed(&mut self, endpoint: Endpoint, timed_out: bool, now: Instant) {
        self.with(endpoint, |entry| {
            entry.is_late = false;
            let first = Failure::new(Cause::Unreached, Rank { timed_out, attempts: 0 }, now + BACKOFF_MIN);
            let failure = entry.failure.get_or_insert(first);
            failure.cause = Cause::Unreached;
            failure.rank.timed_out = timed_out;
        });
    }

    /// Notes that an address that had failed failed its probe too.
    pub(super) fn postpone(&mut self, endpoint: Endpoint, now: Instant) {
        self.with(endpoint, |entry| {
            if let Some(failure) = &mut entry.failure {
                failure.rank.attempts = failure.rank.attempts.saturating_add(1);
                failure.due = now + pause(failure.rank.attempts);
            }
        });
    }

    /// Notes that an address was reached. Returns whether it had failed.
    pub(super) fn reached(&mut self, endpoint: Endpoint) -> bool {
        let mut had_failed = false;
        self.with(endpoint, |entry| {
            entry.is_late = false;
            had_failed = entry.failure.take_if(|failure| failure.cause == Cause::Unreached).is_some();
        });
        had_failed
    }

    /// Notes that an address did not complete a handshake. Returns whether it is out because of that: after three in a
    /// row, and only beside others that work.
    pub(super) fn struck(&mut self, endpoint: Endpoint, now: Instant) -> bool {
        let others_work = self.others_work(endpoint);
        let mut is_out = false;
        self.with(endpoint, |entry| {
            entry.strikes = entry.strikes.saturating_add(1);
            is_out = others_work && !entry.is_out() && entry.strikes >= STRIKES_MAX;
            if is_out {
                let rank = Rank { timed_out: false, attempts: entry.relapses };
                entry.failure = Some(Failure::new(Cause::Unserved, rank, now + pause(entry.relapses)));
                entry.relapses = entry.relapses.saturating_add(1);
            }
        });
        is_out
    }

    /// Notes that an address is about to stop, and is left out until then. Returns whether that is news, which it only is
    /// beside others that work.
    pub(super) fn stopping(&mut self, endpoint: Endpoint, due: Instant) -> bool {
        let others_work = self.others_work(endpoint);
        let mut is_out = false;
        self.with(endpoint, |entry| {
            is_out = others_work && !entry.is_out();
            if is_out {
                let rank = Rank { timed_out: false, attempts: 0 };
                entry.failure = Some(Failure::new(Cause::Stopping, rank, due));
            }
        });
        is_out
    }

    fn others_work(&self, endpoint: Endpoint) -> bool {
        self.present().any(|entry| !entry.is_out() && entry.endpoint != endpoint)
    }

    /// Notes that an address completed a handshake. Returns whether it was out before because it had not.
    pub(super) fn served(&mut self, endpoint: Endpoint) -> bool {
        let mut was_out = false;
        self.with(endpoint, |entry| {
            entry.failure.take_if(|failure| failure.cause != Cause::Unreached);
            entry.strikes = 0;
            was_out = std::mem::take(&mut entry.relapses) > 0;
        });
        was_out
    }

    /// Gives each address that completed no handshakes another client once its time is over: one more fault, and it is
    /// out for longer. One that was about to stop is as good as any.
    pub(super) fn forgive(&mut self, now: Instant) {
        for entry in &mut self.entries {
            let is_over = |failure: &mut Failure| failure.cause != Cause::Unreached && failure.due <= now;
            let over = entry.failure.take_if(is_over);
            if over.is_some_and(|failure| failure.cause == Cause::Unserved) {
                entry.strikes = STRIKES_MAX - 1;
            }
        }
    }

    /// Returns the addresses that can't be reached and whose probe is due, or all of them.
    pub(super) fn due(&self, all: bool, now: Instant) -> Vec<Endpoint> {
        let probed = |failure: Failure| failure.cause == Cause::Unreached && (all || failure.due <= now);
        let is_due = |entry: &&Entry| entry.failure.is_some_and(probed);
        self.present().filter(is_due).map(|entry| entry.endpoint).collect()
    }

    /// Returns whether any address has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.present().any(|entry| entry.failure.is_some())
    }

    /// Returns whether all addresses are out.
    pub(super) fn are_all_out(&self) -> bool {
        self.present().all(Entry::is_out)
    }
}
