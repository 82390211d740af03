//! Log lines that others can cause at will: each is written at most once a minute, with a count of its occurrences.
//!
//! There is one value for each subject (a route and a reason, an upstream), so their number is fixed by the
//! configuration. An occurrence without a line is not lost: the next line counts it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Something momentary, such as a refusal.
#[derive(Default, Debug)]
pub struct Throttle(Mutex<Line>);

/// Something that begins and ends. The line about its end is written only if the one about its beginning was.
#[derive(Default, Debug)]
pub struct Outage(Mutex<State>);

#[derive(Default, Debug)]
struct Line {
    /// When the line may be written again; `None` if it never was.
    due: Option<Instant>,
    /// Occurrences since the last line.
    count: u64,
}

#[derive(Default, Debug)]
struct State {
    line: Line,
    is_down: bool,
    is_written: bool,
}

impl Throttle {
    /// Counts one occurrence. If the line is due, returns how many it stands for: this one, and those since the last
    /// line.
    pub fn count(&self) -> Option<u64> {
        let mut line = lock(&self.0);
        line.count += 1;
        line.take()
    }
}

impl Outage {
    /// Notes that an outage has begun; may be called again during it. If the line is due and this outage has none yet,
    /// returns how many outages it stands for.
    pub fn begin(&self) -> Option<u64> {
        let mut state = lock(&self.0);
        if !std::mem::replace(&mut state.is_down, true) {
            state.line.count += 1;
        }
        if state.is_written {
            return None;
        }
        let count = state.line.take();
        state.is_written = count.is_some();
        count
    }

    /// Notes the end of an outage. Returns whether a line reported its beginning.
    pub fn end(&self) -> bool {
        let mut state = lock(&self.0);
        state.is_down = false;
        std::mem::take(&mut state.is_written)
    }

    /// Returns whether the outage ended so long ago that a new value would be equivalent.
    pub fn is_forgotten(&self) -> bool {
        let state = lock(&self.0);
        !state.is_down && state.line.due.is_none_or(|due| due + PAUSE <= Instant::now())
    }
}

impl Line {
    /// Uses tokio's clock, which a test can pause.
    fn take(&mut self) -> Option<u64> {
        let now = Instant::now();
        if self.due.is_some_and(|due| now < due) {
            return None;
        }
        self.due = Some(now + PAUSE);
        Some(std::mem::take(&mut self.count))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Between two lines about the same subject.
const PAUSE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_line_is_written_at_most_once_a_minute_and_counts_the_rest() {
        let throttle = Throttle::default();
        assert_eq!(throttle.count(), Some(1), "the first is told at once");
        for _ in 0..999 {
            assert_eq!(throttle.count(), None);
        }
        advance(59 * SECOND).await;
        assert_eq!(throttle.count(), None);
        advance(SECOND).await;
        assert_eq!(throttle.count(), Some(1001), "this one and those that were left out");
        advance(100 * PAUSE).await;
        assert_eq!(throttle.count(), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_that_comes_and_goes_has_a_pair_of_lines_a_minute() {
        let outage = Outage::default();
        assert_eq!((outage.begin(), outage.begin()), (Some(1), None), "it is told once while it lasts");
        assert!(outage.end());
        for _ in 0..10 {
            assert_eq!(outage.begin(), None);
            assert!(!outage.end(), "an end without a beginning");
        }
        advance(PAUSE).await;
        assert_eq!(outage.begin(), Some(11));
        assert!(outage.end() && !outage.end());
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_that_lasts_is_told_in_the_end() {
        let outage = Outage::default();
        outage.begin();
        outage.end();
        assert_eq!(outage.begin(), None);
        advance(PAUSE).await;
        assert_eq!(outage.begin(), Some(1));
        assert!(outage.end());
    }
}
