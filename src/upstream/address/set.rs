//! Which address of an upstream is next: all of them, and how loaded each is. Pure: time is passed in.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::entry::{Cause, Endpoint, Entry, Failure, Rank, WHOLE};
use crate::meter::AddressState;
use crate::upstream::Balance;
use crate::upstream::affinity::Key;

/// The addresses of one upstream.
#[derive(Debug)]
pub(super) struct Set {
    balance: Balance,
    /// How long the share of an address grows that has come back.
    slow_start: Duration,
    /// The most sessions at each address.
    pub(super) max_sessions: usize,
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

/// What an address is wanted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::upstream) enum Purpose {
    /// A connection that is no session: for a request, or shared by sessions.
    Other,
    /// A session with a connection of its own.
    Session,
    /// A session on a shared connection.
    Shared,
}

impl Purpose {
    const fn has_connection(self) -> bool {
        matches!(self, Self::Other | Self::Session)
    }

    const fn is_session(self) -> bool {
        matches!(self, Self::Session | Self::Shared)
    }
}

/// Who wants an address.
#[derive(Clone, Copy, Debug)]
pub(in crate::upstream) struct Wish<'w> {
    pub(in crate::upstream) purpose: Purpose,
    /// The addresses that were tried before.
    pub(in crate::upstream) tried: &'w [Endpoint],
    /// The request's key, if the policy is [`Balance::Hash`] and it has one.
    pub(in crate::upstream) key: Option<Key>,
}

impl Wish<'_> {
    /// Returns the wish of one that has tried none before.
    pub(in crate::upstream) const fn new(purpose: Purpose, key: Option<Key>) -> Self {
        Self { purpose, tried: &[], key }
    }
}

/// Why no address is chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::upstream) enum Unchosen {
    /// There is none.
    None,
    /// There are only some that have all the sessions that they may have.
    Full,
}

impl Set {
    pub(super) fn new(
        balance: Balance,
        slow_start: Duration,
        endpoints: impl IntoIterator<Item = Endpoint>,
    ) -> Self {
        let entries = endpoints.into_iter().map(Entry::new).collect();
        Self { balance, slow_start, max_sessions: usize::MAX, entries, turn: 0, round: 0 }
    }

    /// Chooses an address for what is wished, and counts one more use of it.
    ///
    /// # Errors
    /// There is none, or all that are not out are full.
    pub(super) fn choose(
        &mut self,
        among: Among,
        wish: Wish<'_>,
        now: Instant,
    ) -> Result<Endpoint, Unchosen> {
        let Self { balance, slow_start, max_sessions, round, .. } = *self;
        let Wish { purpose, tried, key } = wish;
        let may_be = |entry: &Entry| {
            !entry.is_gone
                && !tried.contains(&entry.endpoint)
                && match purpose {
                    Purpose::Shared => entry.trunks > 0,
                    Purpose::Other | Purpose::Session => among == Among::All || !entry.is_out(),
                }
        };
        // A name is no place: its addresses are.
        let is_full = |entry: &Entry| {
            purpose != Purpose::Other && entry.sessions >= max_sessions && entry.endpoint.address.is_some()
        };
        let waits = self.entries.iter().any(|entry| may_be(entry) && is_full(entry) && !entry.is_out());
        let chosen = self.entries.iter_mut().filter(|entry| may_be(entry) && !is_full(entry));
        let chosen = chosen.min_by_key(|entry| {
            let share = u64::from(entry.share(slow_start, now));
            let score = match (balance, key) {
                // The connections to an address share its sessions.
                (_, _) if purpose == Purpose::Shared => {
                    (as_u64(entry.sessions) * u64::from(WHOLE) / as_u64(entry.trunks.max(1)), entry.chosen)
                }
                // A name is resolved first: its addresses may suit the key better.
                (Balance::Hash, Some(key)) => entry.endpoint.address.map_or((0, 0), |address| {
                    let is_of_others = key.portion(address, WHOLE.into()) >= share;
                    (is_of_others.into(), !key.affinity(address))
                }),
                (Balance::Least | Balance::Hash, _) => {
                    ((as_u64(entry.load) + 1) * u64::from(WHOLE) / share, entry.chosen)
                }
                (Balance::RoundRobin, _) => (entry.rounds.max(round), entry.chosen),
                (Balance::First, _) => (entry.endpoint.server as u64, 0),
            };
            // After an IPv6 address of a host comes an IPv4 address, and after that an IPv6 one (RFC 8305, section 4).
            let same_family = key.is_none() && tried.last().is_some_and(|last| last.is_like(entry.endpoint));
            (entry.rank(), entry.is_late, same_family, score)
        });
        let entry = match chosen {
            // One that is out is no choice while another one only has to be waited for.
            Some(entry) if !(waits && entry.is_out()) => entry,
            Some(_) | None if waits => return Err(Unchosen::Full),
            Some(_) | None => return Err(Unchosen::None),
        };
        self.turn += 1;
        entry.chosen = self.turn;
        self.round = round.max(entry.rounds);
        entry.rounds = self.round + STRIDE / u64::from(entry.share(slow_start, now));
        entry.load += usize::from(purpose.has_connection());
        entry.sessions += usize::from(purpose.is_session());
        Ok(entry.endpoint)
    }

    /// Ends one use of an address.
    pub(super) fn leave(&mut self, endpoint: Endpoint, purpose: Purpose) {
        self.with(endpoint, |entry| {
            entry.load = entry.load.saturating_sub(purpose.has_connection().into());
            entry.sessions = entry.sessions.saturating_sub(purpose.is_session().into());
        });
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
            entry.is_gone = entry
                .endpoint
                .address
                .is_none_or(|address| !addresses.iter().any(|one| address == (*one).into()));
        }
        // Those of the first resolution begin all at once.
        let is_first = !self
            .entries
            .iter()
            .any(|entry| entry.endpoint.server == server && entry.endpoint.address.is_some());
        let back = (!is_first).then_some(now);
        for address in addresses {
            let endpoint = Endpoint { server, address: Some((*address).into()) };
            if !self.entries.iter().any(|entry| entry.endpoint == endpoint) {
                self.entries.push(Entry { back, failure, ..Entry::new(endpoint) });
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

    /// Returns an address' share of clients, of [`WHOLE`].
    pub(super) fn share(&self, entry: &Entry, now: Instant) -> u16 {
        entry.share(self.slow_start, now)
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

    /// Counts the addresses, and notes since when each is in its state, and which are back.
    pub(super) fn count(&mut self, now: Instant) -> Counts {
        let mut counts = Counts::default();
        for entry in &mut self.entries {
            let (state, is_out) = (entry.state(), entry.is_out());
            if std::mem::replace(&mut entry.was_out, is_out) && !is_out {
                entry.back = Some(now);
            }
            if entry.seen.is_none_or(|(before, _)| before != state) {
                entry.seen = Some((state, now));
            }
            *match state {
                AddressState::Draining => &mut counts.draining,
                AddressState::Out => &mut counts.out,
                AddressState::Up => &mut counts.up,
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

fn as_u64(count: usize) -> u64 {
    // A product with WHOLE has to fit as well.
    u64::try_from(count).unwrap_or(u64::MAX).min(u64::MAX >> 16)
}

/// How far a choice brings an address with all of its share.
const STRIDE: u64 = 1_000_000;
