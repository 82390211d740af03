//! What the reloader does without being asked, and when.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

use super::watch::Seen;

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// Letting routes of earlier configurations go.
    Past,
    /// A look at the files.
    Look,
}

/// The next times of both, which no reload postpones.
#[derive(Debug)]
pub(super) struct Rounds {
    past: Interval,
    /// Within which a change is noticed, as it was configured when the next look was set; zero is never.
    watch: Duration,
    look: Instant,
}

impl Rounds {
    /// Begins with neither due.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let mut past = interval_at(now + PAST_PACE, PAST_PACE);
        past.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { past, watch: Duration::ZERO, look: now }
    }

    /// Waits until something is due, if a change is noticed within `watch`. It may be dropped and called again: nothing is put off.
    pub(super) async fn next(&mut self, watch: Duration) -> Due {
        if watch != self.watch {
            self.watch = watch;
            self.look = Instant::now() + watch.saturating_sub(again(watch));
        }
        tokio::select! {
            _now = self.past.tick() => Due::Past,
            () = sleep_until(self.look), if !watch.is_zero() => Due::Look,
        }
    }

    /// Sets the next look after one. It is soon if that one has found something new: both must find the same, and all
    /// within the time in which a change is noticed.
    pub(super) fn looked(&mut self, seen: Seen) {
        let again = again(self.watch);
        self.look = Instant::now() + if seen == Seen::New { again } else { self.watch.saturating_sub(again) };
    }
}

/// Returns how long after a look that has found something new the next one comes.
fn again(watch: Duration) -> Duration {
    AGAIN_MAX.min(watch / 2)
}

/// How often routes of earlier configurations are looked at.
const PAST_PACE: Duration = Duration::from_secs(5);
/// What belongs together is written within this time, as a certificate and its key.
const AGAIN_MAX: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// Returns what is due within a time, in which a reload interrupts the wait again and again.
    async fn due_within(time: Duration, watch: Duration, reloads: Duration) -> Vec<Due> {
        let (end, mut rounds, mut due) = (Instant::now() + time, Rounds::new(), Vec::new());
        while Instant::now() < end {
            let next = timeout(reloads, rounds.next(watch)).await;
            if next == Ok(Due::Look) {
                rounds.looked(Seen::Same);
            }
            due.extend(next);
        }
        due
    }

    #[tokio::test(start_paused = true)]
    async fn the_past_is_looked_at_every_5_s_however_long_the_watch_is_and_however_many_reloads_there_are() {
        let hour = Duration::from_hours(1);
        for (watch, reloads) in [
            (hour, hour),
            (hour, Duration::from_secs(1)),
            (Duration::ZERO, Duration::from_secs(1)),
            (Duration::from_secs(2), Duration::from_millis(300)),
        ] {
            let due = due_within(Duration::from_mins(1), watch, reloads).await;
            let past = due.iter().filter(|due| **due == Due::Past).count();
            assert!((11..=12).contains(&past), "{watch:?} {reloads:?}: {due:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn reloads_put_no_look_off() {
        let second = Duration::from_secs(1);
        let due = due_within(60 * second, 7 * second, second).await;
        assert_eq!(due.iter().filter(|due| **due == Due::Look).count(), 9, "{due:?}");
        let due = due_within(60 * second, Duration::ZERO, second).await;
        assert!(!due.contains(&Due::Look));
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_noticed_in_time_whenever_it_comes() {
        for watch in [100, 900, 2000, 5000, 3_600_000].map(Duration::from_millis) {
            for part in 0..10 {
                let (mut rounds, mut before) = (Rounds::new(), false);
                let change = Instant::now() + watch * part / 7;
                let noticed = loop {
                    if rounds.next(watch).await == Due::Past {
                        continue;
                    }
                    let is_there = Instant::now() >= change;
                    if is_there && before {
                        break Instant::now();
                    }
                    rounds.looked(if is_there { Seen::New } else { Seen::Same });
                    before = is_there;
                };
                // The clock counts whole milliseconds.
                let took = noticed - change;
                assert!(took <= watch + Duration::from_millis(2), "{watch:?} {part}: {took:?}");
                // What is half written stays unread.
                assert!(took >= again(watch), "{watch:?} {part}: {took:?}");
            }
        }
    }
}
