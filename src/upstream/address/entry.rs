//! An address of an upstream: how loaded it is, and how it failed. Pure: time is passed in.

use std::time::Duration;

use tokio::time::Instant;

use super::checked::Checked;
use crate::meter::AddressState;
use crate::upstream::backend_address::BackendAddress;

/// An address of one of the upstream's URLs, or its name as long as that has not been resolved.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::upstream) struct Endpoint {
    /// The index of the URL.
    pub(in crate::upstream) server: usize,
    /// One of the addresses of its host; `None` stands for its name.
    pub(in crate::upstream) address: Option<BackendAddress>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) endpoint: Endpoint,
    /// Connections and requests that use it now, and attempts to reach it.
    pub(super) load: usize,
    /// The sessions among them, and those on shared connections.
    pub(super) sessions: usize,
    /// Shared connections on which sessions may begin.
    pub(super) trunks: usize,
    /// When it was last chosen.
    pub(super) chosen: u64,
    /// Up to which round it has had its share of them.
    pub(super) rounds: u64,
    /// Since when it is back, or new beside others.
    pub(super) back: Option<Instant>,
    /// Whether it was out when that was last looked at.
    pub(super) was_out: bool,
    /// In which state it was then, and since when.
    pub(super) seen: Option<(AddressState, Instant)>,
    /// Whether an attempt is pending that another address has overtaken.
    pub(super) is_late: bool,
    pub(super) failure: Option<Failure>,
    pub(super) checked: Checked,
    /// How many handshakes in a row it has not completed, and how often it was out because of that.
    pub(super) strikes: u32,
    pub(super) relapses: u32,
    /// Whether its name no longer resolves to it; it stays until its last connection ends.
    pub(super) is_gone: bool,
}

/// How an address failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    pub(super) cause: Cause,
    pub(super) rank: Rank,
    /// When it is probed.
    pub(super) due: Instant,
}

/// Why an address is out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cause {
    /// It can't be reached. It is probed.
    Unreached,
    /// It takes connections and completes no handshakes. A probe would not show more, so it gets a client after a while.
    Unserved,
    /// It has said that it is about to stop. What is there then may be another process, so it gets a client after a while.
    Stopping,
}

/// The order in which failed addresses are tried: those first that cost the least time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Rank {
    pub(super) timed_out: bool,
    pub(super) attempts: u32,
}

impl Entry {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            load: 0,
            sessions: 0,
            trunks: 0,
            chosen: 0,
            rounds: 0,
            back: None,
            was_out: false,
            seen: None,
            is_late: false,
            failure: None,
            checked: Checked::default(),
            strikes: 0,
            relapses: 0,
            is_gone: false,
        }
    }

    /// Returns whether it failed, or fails its checks.
    pub(super) const fn is_out(&self) -> bool {
        self.failure.is_some() || self.checked.is_sick
    }

    /// Returns what an operator sees of that.
    pub(super) fn state(&self) -> AddressState {
        if self.is_gone || self.failure.is_some_and(|failure| failure.cause == Cause::Stopping) {
            AddressState::Draining
        } else if self.is_out() {
            AddressState::Out
        } else {
            AddressState::Up
        }
    }

    /// Returns its place among those that are out, if it is.
    pub(super) fn rank(&self) -> Option<Rank> {
        let sick = self.checked.is_sick.then_some(Rank { timed_out: false, attempts: 0 });
        self.failure.map(|failure| failure.rank).or(sick)
    }

    /// Returns its share of clients, of [`WHOLE`]: for some time after it came back, it grows.
    pub(super) fn share(&self, slow_start: Duration, now: Instant) -> u16 {
        let Some(back) = self.back else { return WHOLE };
        let (passed, whole) = (now.saturating_duration_since(back).as_millis(), slow_start.as_millis());
        if passed >= whole {
            return WHOLE;
        }
        u16::try_from(u128::from(WHOLE) * passed / whole).unwrap_or(WHOLE).max(SHARE_MIN)
    }

    pub(super) const fn is_over(&self) -> bool {
        self.is_gone && self.load == 0 && self.sessions == 0
    }
}

impl Failure {
    pub(super) const fn new(cause: Cause, rank: Rank, due: Instant) -> Self {
        Self { cause, rank, due }
    }
}

impl Endpoint {
    /// Returns whether both are of one host and one family.
    pub(super) fn is_like(self, other: Self) -> bool {
        let family = |endpoint: Self| endpoint.address.map(BackendAddress::is_ipv6);
        self.server == other.server && family(self) == family(other)
    }
}

/// Returns how long an address stays out.
pub(super) fn pause(attempts: u32) -> Duration {
    BACKOFF_MIN.saturating_mul(1 << attempts.min(5)).min(BACKOFF_MAX)
}

/// The share of an address that has been there for long enough.
pub(super) const WHOLE: u16 = 1000;
/// Enough to be noticed, and to be put to the test.
const SHARE_MIN: u16 = WHOLE / 20;
/// One or two handshakes may fail because of what their clients ask for.
pub(super) const STRIKES_MAX: u32 = 3;
/// Often enough to notice a restart.
pub(super) const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// Too seldom to be a burden.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
