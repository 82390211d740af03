//! Which address of an upstream is next: all of them, and how loaded each is. Pure: time is passed in.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::entry::{Cause, Endpoint, Entry, Failure, Rank, WHOLE};
use crate::upstream::Balance;
use crate::upstream::affinity::Key;

/// The addresses of one upstream.
#[derive(Debug)]
pub(super) struct Set {
    balance: Balance,
    /// How long the share of an address grows that has come back.
    slow_start: Duration,
    pub(super) entries: Vec<Entry>,
    /// Counts choices, so that ties are broken in turn.
    turn: u64,
    /// The round of choices that goes on, in which each address has its share.
    round: u64,
}

/// How many addresses are in which state.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Counts {
    pub(super) up: usize,
    pub(super) out: usize,
    pub(super) draining: usize,
}

/// Which addresses may be chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::upstream) enum Among {
    /// Those that are not out.
    Working,
    /// All: those that are out come last, since one of them may be reachable again by now.
    All,
}

impl Set {
    pub(super) fn new(
        balance: Balance,
        slow_start: Duration,
        endpoints: impl IntoIterator<Item = Endpoint>,
    ) -> Self {
        let entries = endpoints.into_iter().map(Entry::new).collect();
        Self { balance, slow_start, entries, turn: 0, round: 0 }
    }

    /// Chooses an address that is not among those `tried` before, and counts one more use of it. The key is the
    /// request's, if the policy is [`Balance::Hash`] and it has one.
    pub(super) fn choose(
        &mut self,
        among: Among,
        tried: &[Endpoint],
        key: Option<Key>,
        now: Instant,
    ) -> Option<Endpoint> {
        let Self { balance, slow_start, round, .. } = *self;
        let may_be = |entry: &Entry| {
            !entry.is_gone && !tried.contains(&entry.endpoint) && (among == Among::All || !entry.is_out())
        };
        let entry = self.entries.iter_mut().filter(|entry| may_be(entry)).min_by_key(|entry| {
            let share = entry.share(slow_start, now);
            let load = u64::try_from(entry.load).unwrap_or(u64::MAX);
            let score = match (balance, key) {
                // A name is resolved first: its addresses may suit the key better.
                (Balance::Hash, Some(key)) => entry.endpoint.address.map_or((0, 0), |address| {
                    let is_of_others = key.portion(address, WHOLE) >= share;
                    (is_of_others.into(), !key.affinity(address))
                }),
                (Balance::Least | Balance::Hash, _) => {
                    (load.saturating_add(1).saturating_mul(WHOLE) / share, entry.chosen)
                }
                (Balance::RoundRobin, _) => (entry.rounds.max(round), entry.chosen),
                (Balance::First, _) => (entry.endpoint.server as u64, 0),
            };
            // After an IPv6 address of a host comes an IPv4 address, and after that an IPv6 one (RFC 8305, section 4).
            let same_family = key.is_none() && tried.last().is_some_and(|last| last.is_like(entry.endpoint));
            (entry.rank(), entry.is_late, same_family, score)
        })?;
        self.turn += 1;
        entry.chosen = self.turn;
        self.round = round.max(entry.rounds);
        entry.rounds = self.round + WHOLE * WHOLE / entry.share(slow_start, now);
        entry.load += 1;
        Some(entry.endpoint)
    }

    /// Ends one use of an address.
    pub(super) fn leave(&mut self, endpoint: Endpoint) {
        self.with(endpoint, |entry| entry.load = entry.load.saturating_sub(1));
        self.entries.retain(|entry| !entry.is_over());
    }

    /// Notes the addresses that a URL's name has now. Beside others that are all out, a new one has to be probed first.
    pub(super) fn resolved(&mut self, server: usize, addresses: &[SocketAddr], now: Instant) {
        let failure = self.are_all_out().then_some(Failure::new(
            Cause::Unreached,
            Rank { timed_out: false, attempts: 0 },
            now,
        ));
        for entry in self.entries.iter_mut().filter(|entry| entry.endpoint.server == server) {
            entry.is_gone = entry.endpoint.address.is_none_or(|address| !addresses.contains(&address));
        }
        // Those of the first resolution begin all at once.
        let is_first = !self
            .entries
            .iter()
            .any(|entry| entry.endpoint.server == server && entry.endpoint.address.is_some());
        let back = (!is_first).then_some(now);
        for address in addresses {
            let endpoint = Endpoint { server, address: Some(*address) };
            if !self.entries.iter().any(|entry| entry.endpoint == endpoint) {
                self.entries.push(Entry { failure, back, ..Entry::new(endpoint) });
            }
        }
        self.entries.retain(|entry| !entry.is_over());
        // In the order of the URLs; it is stable, so those of one URL stay in the order of the resolver.
        self.entries.sort_by_key(|entry| entry.endpoint.server);
    }

    /// Notes whether another address answered while this one is still being dialled: until that ends, it is tried after
    /// the others.
    pub(super) fn late(&mut self, endpoint: Endpoint, is_late: bool) {
        self.with(endpoint, |entry| entry.is_late = is_late);
    }

    /// Returns whether there are several addresses to choose from.
    pub(super) fn has_choice(&self) -> bool {
        self.present().nth(1).is_some()
    }

    /// Returns whether there is another address than these.
    pub(super) fn has_other(&self, tried: &[Endpoint]) -> bool {
        self.present().any(|entry| !tried.contains(&entry.endpoint))
    }

    /// Returns whether its name no longer has this address.
    pub(super) fn has_lost(&self, endpoint: Endpoint) -> bool {
        !self.present().any(|entry| entry.endpoint == endpoint)
    }

    /// Counts the addresses, and notes which are back.
    pub(super) fn count(&mut self, now: Instant) -> Counts {
        let mut counts = Counts::default();
        for entry in &mut self.entries {
            let is_out = entry.is_out();
            if std::mem::replace(&mut entry.was_out, is_out) && !is_out {
                entry.back = Some(now);
            }
            *match (entry.is_gone, is_out) {
                (true, _) => &mut counts.draining,
                (false, true) => &mut counts.out,
                (false, false) => &mut counts.up,
            } += 1;
        }
        counts
    }

    pub(super) fn present(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.is_gone)
    }

    /// An address may have disappeared while it was dialled: then nothing is noted.
    pub(super) fn with(&mut self, endpoint: Endpoint, note: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.endpoint == endpoint) {
            note(entry);
        }
    }
}
