//! Which connection is cut, where and how: all of it follows from the seed.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::random::Random;
use crate::relay::{Counts, Cut, Manner};

/// Which two sides a connection is between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hop {
    /// A client and a node.
    Client,
    /// A node and the backend of one session.
    Backend,
    /// A node and the proxy that takes its sessions by a shared connection.
    Shared,
    /// Two nodes of a cluster.
    Nodes,
}

impl Hop {
    pub(crate) const ALL: [Self; 4] = [Self::Client, Self::Backend, Self::Shared, Self::Nodes];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Backend => "backend",
            Self::Shared => "shared",
            Self::Nodes => "nodes",
        }
    }
}

/// The cuts of a run, and how many of them have happened.
#[derive(Debug)]
pub(crate) struct Schedule {
    pub(crate) seed: u64,
    counts: [AtomicU64; 4],
}

impl Schedule {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, counts: [const { AtomicU64::new(0) }; 4] }
    }

    /// Returns where a connection is cut, if it is. `connection` numbers those of a session, or of a shared hop.
    pub(crate) fn cut(&self, hop: Hop, session: u64, connection: u64, odds: Odds) -> Option<Cut> {
        let mut random = Random::of(&[self.seed, hop as u64, session, connection]);
        random.percent(odds.percent).then(|| Cut {
            counts: if random.percent(50) { Counts::Received } else { Counts::Sent },
            after: random.spread(odds.bits),
            manner: if random.percent(60) { Manner::Reset } else { Manner::Close },
        })
    }

    /// Notes that a cut has happened.
    pub(crate) fn note(&self, hop: Hop) {
        self.counts[hop as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self, hop: Hop) -> u64 {
        self.counts[hop as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn total(&self) -> u64 {
        Hop::ALL.into_iter().map(|hop| self.count(hop)).sum()
    }
}

/// How likely a connection is cut, and within how many bytes (a power of two).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Odds {
    pub(crate) percent: u64,
    pub(crate) bits: u64,
}
