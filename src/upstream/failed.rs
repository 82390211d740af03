//! Which addresses of an upstream could not be reached, and when each should be retried.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::meter::Dials;
use crate::throttle::Outage;

/// One server of an upstream, or one of its addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Endpoint {
    /// The index of the server's URL.
    pub(super) server: usize,
    /// One of the addresses of its host; `None` if the host's name cannot be resolved.
    pub(super) address: Option<SocketAddr>,
}

/// The endpoints whose last attempt failed.
#[derive(Debug)]
pub(super) struct Failed {
    endpoints: Mutex<BTreeMap<Endpoint, Failure>>,
    /// The log lines of each, including those that recovered a short time ago.
    outages: Mutex<BTreeMap<Endpoint, Outage>>,
    dials: Dials,
}

/// How an endpoint failed.
#[derive(Clone, Copy, Debug)]
struct Failure {
    rank: Rank,
    due: Instant,
}

/// The order in which failed endpoints are tried: those first that cost the least time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Rank {
    timed_out: bool,
    attempts: u32,
}

impl Failed {
    pub(super) fn new(dials: Dials) -> Self {
        Self { endpoints: Mutex::default(), outages: Mutex::default(), dials }
    }

    /// Returns the rank of a failed endpoint; `None` if it has not failed.
    pub(super) fn rank(&self, endpoint: Endpoint) -> Option<Rank> {
        self.with(|endpoints| endpoints.get(&endpoint).map(|failure| failure.rank))
    }

    /// Notes that an endpoint failed. If a log line is due, which it only is with `log`, returns how many failures it stands
    /// for.
    pub(super) fn note(&self, endpoint: Endpoint, timed_out: bool, log: bool) -> Option<u64> {
        self.dials.failed();
        self.with(|endpoints| {
            let now = Instant::now();
            let rank = Rank { timed_out, attempts: 0 };
            let failure = endpoints.entry(endpoint).or_insert(Failure { rank, due: now + BACKOFF_MIN });
            failure.rank.timed_out = timed_out;
        });
        let mut outages = self.outages.lock().unwrap_or_else(PoisonError::into_inner);
        outages.retain(|_, outage| !outage.is_forgotten());
        if log { outages.entry(endpoint).or_default().begin() } else { None }
    }

    /// Notes that an endpoint failed again at its retry.
    pub(super) fn postpone(&self, endpoint: Endpoint) {
        self.with(|endpoints| {
            if let Some(failure) = endpoints.get_mut(&endpoint) {
                let attempts = failure.rank.attempts.saturating_add(1);
                failure.rank.attempts = attempts;
                failure.due =
                    Instant::now() + BACKOFF_MIN.saturating_mul(1 << attempts.min(5)).min(BACKOFF_MAX);
            }
        });
    }

    /// Forgets that an endpoint failed. Returns whether a log line had reported the failure.
    pub(super) fn forget(&self, endpoint: Endpoint) -> bool {
        if self.with(|endpoints| endpoints.remove(&endpoint)).is_none() {
            return false;
        }
        let outages = self.outages.lock().unwrap_or_else(PoisonError::into_inner);
        outages.get(&endpoint).is_some_and(Outage::end)
    }

    /// Returns the endpoints that are due, or all of them.
    pub(super) fn due(&self, all: bool) -> Vec<Endpoint> {
        let now = Instant::now();
        self.with(|endpoints| {
            endpoints
                .iter()
                .filter(|(_, failure)| all || failure.due <= now)
                .map(|(endpoint, _)| *endpoint)
                .collect()
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.with(|endpoints| endpoints.is_empty())
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<Endpoint, Failure>) -> T) -> T {
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        let output = work(&mut endpoints);
        self.dials.addresses_failed(endpoints.len());
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

    fn endpoint(server: usize) -> Endpoint {
        Endpoint { server, address: Some(SocketAddr::from(([127, 0, 0, 1], 1))) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_way_that_fails_again_and_again_is_tried_less_and_less_often() {
        let failed = Failed::new(Dials::default());
        failed.note(endpoint(0), true, true);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let start = Instant::now();
            while failed.due(false).is_empty() {
                tokio::time::advance(Duration::from_millis(500)).await;
            }
            pauses.push(start.elapsed().as_secs());
            failed.postpone(endpoint(0));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert!(failed.forget(endpoint(0)) && failed.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_way_is_logged_once_and_the_slowest_come_last() {
        let failed = Failed::new(Dials::default());
        assert_eq!(
            [failed.note(endpoint(0), true, true), failed.note(endpoint(0), true, true)],
            [Some(1), None]
        );
        assert_eq!(failed.note(endpoint(1), false, false), None);
        failed.postpone(endpoint(1));
        failed.note(endpoint(2), false, true);
        let mut endpoints = failed.due(true);
        endpoints.sort_by_key(|endpoint| failed.rank(*endpoint));
        assert_eq!(endpoints, [endpoint(2), endpoint(1), endpoint(0)]);
        assert!(failed.rank(endpoint(3)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_way_that_comes_and_goes_is_logged_once_a_minute() {
        let failed = Failed::new(Dials::default());
        for (minute, count) in [(0, 1), (1, 60)] {
            for second in 0..60 {
                let expected = (second == 0).then_some(count);
                assert_eq!(failed.note(endpoint(0), false, true), expected, "{minute}:{second}");
                assert_eq!(failed.forget(endpoint(0)), expected.is_some());
                tokio::time::advance(Duration::from_secs(1)).await;
            }
        }
        tokio::time::advance(Duration::from_mins(1)).await;
        failed.note(endpoint(1), false, true);
        assert_eq!(failed.outages.lock().unwrap().len(), 1, "what was said long ago is forgotten");
    }
}
