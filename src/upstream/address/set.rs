//! Which address of an upstream is next: all of them, how loaded each is, and which ones failed. Pure: time is passed in.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::upstream::Balance;
use crate::upstream::affinity::Key;

/// An address of one of the upstream's URLs, or its name as long as that has not been resolved.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::upstream) struct Endpoint {
    /// The index of the URL.
    pub(in crate::upstream) server: usize,
    /// One of the addresses of its host; `None` stands for its name.
    pub(in crate::upstream) address: Option<SocketAddr>,
}

/// The addresses of one upstream.
#[derive(Debug)]
pub(super) struct Set {
    balance: Balance,
    entries: Vec<Entry>,
    /// Counts choices, so that ties are broken in turn.
    turn: u64,
}

#[derive(Debug)]
struct Entry {
    endpoint: Endpoint,
    /// Connections and requests that use it now, and attempts to reach it.
    load: usize,
    /// When it was last chosen.
    chosen: u64,
    /// Whether an attempt is pending that another address has overtaken.
    is_late: bool,
    failure: Option<Failure>,
    /// How many handshakes in a row it has not completed, and how often it was out because of that.
    strikes: u32,
    relapses: u32,
    /// Whether its name no longer resolves to it; it stays until its last connection ends.
    is_gone: bool,
}

/// How an address failed.
#[derive(Clone, Copy, Debug)]
struct Failure {
    cause: Cause,
    rank: Rank,
    /// When it is probed.
    due: Instant,
}

/// Why an address is out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cause {
    /// It can't be reached. It is probed.
    Unreached,
    /// It takes connections and completes no handshakes. A probe would not show more, so it gets a client after a while.
    Unserved,
}

/// The order in which failed addresses are tried: those first that cost the least time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Rank {
    timed_out: bool,
    attempts: u32,
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
    /// Those that did not fail.
    Working,
    /// All: those that failed come last, since one of them may be reachable again by now.
    All,
}

impl Set {
    pub(super) fn new(balance: Balance, endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        let entries = endpoints.into_iter().map(Entry::new).collect();
        Self { balance, entries, turn: 0 }
    }

    /// Chooses an address that is not among those `tried` before, and counts one more use of it. The key is the
    /// request's, if the policy is [`Balance::Hash`] and it has one.
    pub(super) fn choose(&mut self, among: Among, tried: &[Endpoint], key: Option<Key>) -> Option<Endpoint> {
        let balance = self.balance;
        let may_be = |entry: &Entry| {
            !entry.is_gone
                && !tried.contains(&entry.endpoint)
                && (among == Among::All || entry.failure.is_none())
        };
        let entry = self.entries.iter_mut().filter(|entry| may_be(entry)).min_by_key(|entry| {
            let load = u64::try_from(entry.load).unwrap_or(u64::MAX);
            let score = match (balance, key) {
                // A name is resolved first: its addresses may suit the key better.
                (Balance::Hash, Some(key)) => {
                    entry.endpoint.address.map_or((0, 0), |address| (!key.affinity(address), 0))
                }
                (Balance::Least | Balance::Hash, _) => (load, entry.chosen),
                (Balance::RoundRobin, _) => (0, entry.chosen),
                (Balance::First, _) => (entry.endpoint.server as u64, 0),
            };
            // After an IPv6 address of a host comes an IPv4 address, and after that an IPv6 one (RFC 8305, section 4).
            let same_family = key.is_none() && tried.last().is_some_and(|last| last.is_like(entry.endpoint));
            (entry.failure.map(|failure| failure.rank), entry.is_late, same_family, score)
        })?;
        self.turn += 1;
        entry.chosen = self.turn;
        entry.load += 1;
        Some(entry.endpoint)
    }

    /// Ends one use of an address.
    pub(super) fn leave(&mut self, endpoint: Endpoint) {
        self.with(endpoint, |entry| entry.load = entry.load.saturating_sub(1));
        self.entries.retain(|entry| !entry.is_over());
    }

    /// Notes the addresses that a URL's name has now. Beside others that all failed, a new one has to be probed first.
    pub(super) fn resolved(&mut self, server: usize, addresses: &[SocketAddr], now: Instant) {
        let failure = self.has_only_failed().then_some(Failure::new(
            Cause::Unreached,
            Rank { timed_out: false, attempts: 0 },
            now,
        ));
        for entry in self.entries.iter_mut().filter(|entry| entry.endpoint.server == server) {
            entry.is_gone = entry.endpoint.address.is_none_or(|address| !addresses.contains(&address));
        }
        for address in addresses {
            let endpoint = Endpoint { server, address: Some(*address) };
            if !self.entries.iter().any(|entry| entry.endpoint == endpoint) {
                self.entries.push(Entry { failure, ..Entry::new(endpoint) });
            }
        }
        self.entries.retain(|entry| !entry.is_over());
        // In the order of the URLs; it is stable, so those of one URL stay in the order of the resolver.
        self.entries.sort_by_key(|entry| entry.endpoint.server);
    }

    /// Notes that an address could not be reached.
    pub(super) fn failed(&mut self, endpoint: Endpoint, timed_out: bool, now: Instant) {
        self.with(endpoint, |entry| {
            entry.is_late = false;
            let first = Failure::new(Cause::Unreached, Rank { timed_out, attempts: 0 }, now + BACKOFF_MIN);
            let failure = entry.failure.get_or_insert(first);
            failure.cause = Cause::Unreached;
            failure.rank.timed_out = timed_out;
        });
    }

    /// Notes that an address that had failed failed its probe too.
    pub(super) fn postpone(&mut self, endpoint: Endpoint, now: Instant) {
        self.with(endpoint, |entry| {
            if let Some(failure) = &mut entry.failure {
                failure.rank.attempts = failure.rank.attempts.saturating_add(1);
                failure.due = now + pause(failure.rank.attempts);
            }
        });
    }

    /// Notes that an address was reached. Returns whether it had failed.
    pub(super) fn reached(&mut self, endpoint: Endpoint) -> bool {
        let mut had_failed = false;
        self.with(endpoint, |entry| {
            entry.is_late = false;
            had_failed = entry.failure.take_if(|failure| failure.cause == Cause::Unreached).is_some();
        });
        had_failed
    }

    /// Notes that an address did not complete a handshake. Returns whether it is out because of that: after three in a
    /// row, and only beside others that work.
    pub(super) fn struck(&mut self, endpoint: Endpoint, now: Instant) -> bool {
        let others_work = self.present().any(|entry| entry.failure.is_none() && entry.endpoint != endpoint);
        let mut is_out = false;
        self.with(endpoint, |entry| {
            entry.strikes = entry.strikes.saturating_add(1);
            is_out = others_work && entry.failure.is_none() && entry.strikes >= STRIKES_MAX;
            if is_out {
                let rank = Rank { timed_out: false, attempts: entry.relapses };
                entry.failure = Some(Failure::new(Cause::Unserved, rank, now + pause(entry.relapses)));
                entry.relapses = entry.relapses.saturating_add(1);
            }
        });
        is_out
    }

    /// Notes that an address completed a handshake. Returns whether it was out before because it had not.
    pub(super) fn served(&mut self, endpoint: Endpoint) -> bool {
        let mut was_out = false;
        self.with(endpoint, |entry| {
            entry.failure.take_if(|failure| failure.cause == Cause::Unserved);
            entry.strikes = 0;
            was_out = std::mem::take(&mut entry.relapses) > 0;
        });
        was_out
    }

    /// Gives each address that completed no handshakes another client once its time is over: one more fault, and it is
    /// out for longer.
    pub(super) fn forgive(&mut self, now: Instant) {
        for entry in &mut self.entries {
            let is_over = |failure: &mut Failure| failure.cause == Cause::Unserved && failure.due <= now;
            if entry.failure.take_if(is_over).is_some() {
                entry.strikes = STRIKES_MAX - 1;
            }
        }
    }

    /// Notes whether another address answered while this one is still being dialled: until that ends, it is tried after
    /// the others.
    pub(super) fn late(&mut self, endpoint: Endpoint, is_late: bool) {
        self.with(endpoint, |entry| entry.is_late = is_late);
    }

    /// Returns the addresses that can't be reached and whose probe is due, or all of them.
    pub(super) fn due(&self, all: bool, now: Instant) -> Vec<Endpoint> {
        let probed = |failure: Failure| failure.cause == Cause::Unreached && (all || failure.due <= now);
        let is_due = |entry: &&Entry| entry.failure.is_some_and(probed);
        self.present().filter(is_due).map(|entry| entry.endpoint).collect()
    }

    /// Returns whether any address has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.present().any(|entry| entry.failure.is_some())
    }

    /// Returns whether all addresses have failed.
    pub(super) fn has_only_failed(&self) -> bool {
        self.present().all(|entry| entry.failure.is_some())
    }

    /// Returns whether there are several addresses to choose from.
    pub(super) fn has_choice(&self) -> bool {
        self.present().nth(1).is_some()
    }

    /// Returns whether there is another address than these.
    pub(super) fn has_other(&self, tried: &[Endpoint]) -> bool {
        self.present().any(|entry| !tried.contains(&entry.endpoint))
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for entry in &self.entries {
            *match (entry.is_gone, entry.failure) {
                (true, _) => &mut counts.draining,
                (false, Some(_)) => &mut counts.out,
                (false, None) => &mut counts.up,
            } += 1;
        }
        counts
    }

    fn present(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.is_gone)
    }

    /// An address may have disappeared while it was dialled: then nothing is noted.
    fn with(&mut self, endpoint: Endpoint, note: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.endpoint == endpoint) {
            note(entry);
        }
    }
}

impl Entry {
    const fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            load: 0,
            chosen: 0,
            is_late: false,
            failure: None,
            strikes: 0,
            relapses: 0,
            is_gone: false,
        }
    }

    const fn is_over(&self) -> bool {
        self.is_gone && self.load == 0
    }
}

impl Failure {
    const fn new(cause: Cause, rank: Rank, due: Instant) -> Self {
        Self { cause, rank, due }
    }
}

impl Endpoint {
    /// Returns whether both are of one host and one family.
    fn is_like(self, other: Self) -> bool {
        let family = |endpoint: Self| endpoint.address.map(|address| address.is_ipv6());
        self.server == other.server && family(self) == family(other)
    }
}

/// Returns how long an address stays out.
fn pause(attempts: u32) -> Duration {
    BACKOFF_MIN.saturating_mul(1 << attempts.min(5)).min(BACKOFF_MAX)
}

/// One or two handshakes may fail because of what their clients ask for.
const STRIKES_MAX: u32 = 3;
/// Often enough to notice a restart.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// Too seldom to be a burden.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
