//! Which addresses of an upstream could not be reached, and when each should be retried.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::meter::Dials;
use crate::throttle::Outage;

/// One way to a backend.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Way {
    /// The index of its URL.
    pub(super) place: usize,
    /// One of the addresses of its host; `None` if the host's name cannot be resolved.
    pub(super) address: Option<SocketAddr>,
}

/// The ways whose last attempt failed.
#[derive(Debug)]
pub(super) struct Failed {
    ways: Mutex<BTreeMap<Way, Failure>>,
    /// The log lines of each, including those that recovered a short time ago.
    outages: Mutex<BTreeMap<Way, Outage>>,
    dials: Dials,
}

/// How a way failed.
#[derive(Clone, Copy, Debug)]
struct Failure {
    rank: Rank,
    due: Instant,
}

/// The order in which failed ways are tried: those first that cost the least time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Rank {
    timed_out: bool,
    attempts: u32,
}

impl Failed {
    pub(super) fn new(dials: Dials) -> Self {
        Self { ways: Mutex::default(), outages: Mutex::default(), dials }
    }

    /// Returns the rank of a failed way; `None` if it has not failed.
    pub(super) fn rank(&self, way: Way) -> Option<Rank> {
        self.with(|ways| ways.get(&way).map(|failure| failure.rank))
    }

    /// Notes that a way failed. If a log line is due, which it only is with `log`, returns how many failures it stands
    /// for.
    pub(super) fn note(&self, way: Way, timed_out: bool, log: bool) -> Option<u64> {
        self.dials.failed();
        self.with(|ways| {
            let now = Instant::now();
            let rank = Rank { timed_out, attempts: 0 };
            let failure = ways.entry(way).or_insert(Failure { rank, due: now + BACKOFF_MIN });
            failure.rank.timed_out = timed_out;
        });
        let mut outages = self.outages.lock().unwrap_or_else(PoisonError::into_inner);
        outages.retain(|_, outage| !outage.is_forgotten());
        if log { outages.entry(way).or_default().begin() } else { None }
    }

    /// Notes that a way failed again at its retry.
    pub(super) fn postpone(&self, way: Way) {
        self.with(|ways| {
            if let Some(failure) = ways.get_mut(&way) {
                let attempts = failure.rank.attempts.saturating_add(1);
                failure.rank.attempts = attempts;
                failure.due =
                    Instant::now() + BACKOFF_MIN.saturating_mul(1 << attempts.min(5)).min(BACKOFF_MAX);
            }
        });
    }

    /// Forgets that a way failed. Returns whether a log line had reported the failure.
    pub(super) fn forget(&self, way: Way) -> bool {
        if self.with(|ways| ways.remove(&way)).is_none() {
            return false;
        }
        let outages = self.outages.lock().unwrap_or_else(PoisonError::into_inner);
        outages.get(&way).is_some_and(Outage::end)
    }

    /// Returns the ways that are due, or all of them.
    pub(super) fn due(&self, all: bool) -> Vec<Way> {
        let now = Instant::now();
        self.with(|ways| {
            ways.iter().filter(|(_, failure)| all || failure.due <= now).map(|(way, _)| *way).collect()
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.with(|ways| ways.is_empty())
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<Way, Failure>) -> T) -> T {
        let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        let output = work(&mut ways);
        self.dials.addresses_failed(ways.len());
        output
    }
}

/// Often enough to notice a restart.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// Too seldom to be a burden.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn way(place: usize) -> Way {
        Way { place, address: Some(SocketAddr::from(([127, 0, 0, 1], 1))) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_way_that_fails_again_and_again_is_tried_less_and_less_often() {
        let failed = Failed::new(Dials::default());
        failed.note(way(0), true, true);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let start = Instant::now();
            while failed.due(false).is_empty() {
                tokio::time::advance(Duration::from_millis(500)).await;
            }
            pauses.push(start.elapsed().as_secs());
            failed.postpone(way(0));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert!(failed.forget(way(0)) && failed.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_way_is_logged_once_and_the_slowest_come_last() {
        let failed = Failed::new(Dials::default());
        assert_eq!([failed.note(way(0), true, true), failed.note(way(0), true, true)], [Some(1), None]);
        assert_eq!(failed.note(way(1), false, false), None);
        failed.postpone(way(1));
        failed.note(way(2), false, true);
        let mut ways = failed.due(true);
        ways.sort_by_key(|way| failed.rank(*way));
        assert_eq!(ways, [way(2), way(1), way(0)]);
        assert!(failed.rank(way(3)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_way_that_comes_and_goes_is_logged_once_a_minute() {
        let failed = Failed::new(Dials::default());
        for (minute, count) in [(0, 1), (1, 60)] {
            for second in 0..60 {
                let expected = (second == 0).then_some(count);
                assert_eq!(failed.note(way(0), false, true), expected, "{minute}:{second}");
                assert_eq!(failed.forget(way(0)), expected.is_some());
                tokio::time::advance(Duration::from_secs(1)).await;
            }
        }
        tokio::time::advance(Duration::from_mins(1)).await;
        failed.note(way(1), false, true);
        assert_eq!(failed.outages.lock().unwrap().len(), 1, "what was said long ago is forgotten");
    }
}
