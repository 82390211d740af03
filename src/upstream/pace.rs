//! How long recent handshakes took, for those that must know before they begin one.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the last successful handshakes took.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<VecDeque<(Instant, Duration)>>);

impl Pace {
    /// Notes how long a successful handshake took.
    pub(super) fn note(&self, took: Duration, now: Instant) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back((now, took));
    }

    /// Returns a duration longer than nine in ten of them took; zero if there were none in the last minute.
    pub(super) fn slow(&self, now: Instant) -> Duration {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while last.front().is_some_and(|(at, _)| now.duration_since(*at) >= MEMORY) {
            last.pop_front();
        }
        let mut took: Vec<Duration> = last.iter().map(|(_, took)| *took).collect();
        took.sort_unstable();
        took.get((took.len() * 9).div_ceil(10).saturating_sub(1)).copied().unwrap_or_default()
    }
}

const KEPT: usize = 50;
const MEMORY: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn nine_in_ten_handshakes_are_no_slower_and_an_old_one_is_forgotten() {
        let start = tokio::time::Instant::now().into_std();
        let pace = Pace::default();
        assert_eq!(pace.slow(start), Duration::ZERO);
        for took in 1..=10 {
            pace.note(took * MS, start);
        }
        assert_eq!(pace.slow(start), 9 * MS);
        for _ in 0..50 {
            pace.note(700 * MS, start + 30 * MS);
        }
        assert_eq!(pace.slow(start + 30 * MS), 700 * MS, "the last fifty count");
        pace.note(MS, start + Duration::from_secs(40));
        assert_eq!(pace.slow(start + Duration::from_secs(61)), MS);
        assert_eq!(pace.slow(start + Duration::from_secs(101)), Duration::ZERO);
    }
}
