//! What an operator sees of an upstream's addresses.

use std::time::Duration;

use tokio::time::Instant;

use super::entry::{Cause, Endpoint, Entry, WHOLE};
use super::{Addresses, Shown};
use crate::meter::AddressState;
use crate::upstream::{AddressSight, Sight};

impl Addresses {
    /// Returns all addresses, with the names that they have for an operator.
    pub(in crate::upstream) fn sight(&self, name: impl Fn(Endpoint) -> String) -> Sight {
        let now = Instant::now();
        let shown = self.lock();
        let Shown { set, queue, limits, .. } = &*shown;
        let share = |entry: &Entry| match entry.state() {
            AddressState::Up => f64::from(set.share(entry, now)) / f64::from(WHOLE),
            AddressState::Out | AddressState::Draining => 0.0,
        };
        let one = |entry: &Entry| AddressSight {
            address: name(entry.endpoint),
            state: entry.state(),
            lasts: entry.seen.map_or(Duration::ZERO, |(_, since)| now.saturating_duration_since(since)),
            reason: match entry.failure.map(|failure| failure.cause) {
                Some(Cause::Unreached) => Some("cannot be reached"),
                Some(Cause::Unserved) => Some("completes no handshakes"),
                Some(Cause::Stopping) => Some("is about to stop"),
                None => entry.checked.is_sick.then_some("fails its checks"),
            },
            connections: entry.load,
            sessions: entry.sessions,
            share: share(entry),
        };
        let addresses = set.entries.iter().map(one).collect();
        Sight { addresses, max_sessions: limits.max_sessions, waiting: queue.len() }
    }
}
