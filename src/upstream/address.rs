//! The addresses of one upstream, with their load and health: one value that its dials, its sessions and its prober share.

mod checked;
mod checks;
mod entry;
mod health;
mod line;
mod queue;
mod set;
mod sight;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

pub(super) use self::checks::{Change, Thresholds};
pub(super) use self::entry::Endpoint;
use self::entry::Entry;
pub(super) use self::line::Overfull;
use self::queue::Queue;
pub(super) use self::set::{Among, Purpose, Unchosen, Wish};
use self::set::{Counts, Set};
use crate::duplex::Companion;
use crate::meter::{AddressState, Dials};
use crate::throttle::Outage;
use crate::upstream::{Balance, Limits};

/// The addresses of one upstream.
#[derive(Debug)]
pub(super) struct Addresses {
    set: Mutex<Shown>,
    /// The log lines of each, including those that recovered a short time ago.
    outages: Mutex<BTreeMap<Endpoint, Outage>>,
    /// The same of those that fail their checks.
    illnesses: Mutex<BTreeMap<Endpoint, Outage>>,
    /// Notified when a name was resolved again, and when a check has ended.
    news: Notify,
    dials: Dials,
}

/// The set, and what its metrics show of it.
#[derive(Debug)]
struct Shown {
    set: Set,
    queue: Queue,
    limits: Limits,
    counts: Counts,
    queued: usize,
}

impl Addresses {
    pub(super) fn new(
        balance: Balance,
        slow_start: Duration,
        endpoints: impl IntoIterator<Item = Endpoint>,
        limits: Limits,
        dials: Dials,
    ) -> Arc<Self> {
        let shown = Shown {
            set: Set::new(balance, slow_start, endpoints),
            queue: Queue::default(),
            limits,
            counts: Counts::default(),
            queued: 0,
        };
        let addresses = Self {
            set: Mutex::new(shown),
            outages: Mutex::default(),
            illnesses: Mutex::default(),
            news: Notify::new(),
            dials,
        };
        addresses.limit(limits);
        Arc::new(addresses)
    }

    /// Sets the limits from now on.
    pub(super) fn limit(&self, limits: Limits) {
        self.with_all(|shown| {
            shown.limits = limits;
            shown.set.max_sessions = limits.max_sessions.unwrap_or(usize::MAX);
        });
    }

    /// Returns whether an address may have only so many sessions.
    pub(super) fn is_limited(&self) -> bool {
        self.lock().limits.max_sessions.is_some()
    }

    /// Chooses an address for what is wished.
    ///
    /// # Errors
    /// There is none, or all that are not out are full.
    pub(super) fn choose(self: &Arc<Self>, among: Among, wish: Wish<'_>) -> Result<Place, Unchosen> {
        let endpoint = self.lock().set.choose(among, wish, Instant::now())?;
        Ok(self.place(endpoint, wish.purpose))
    }

    fn place(self: &Arc<Self>, endpoint: Endpoint, purpose: Purpose) -> Place {
        Place { addresses: Arc::clone(self), endpoint, purpose }
    }

    /// Notes that sessions may begin on a shared connection to this address, until the result is dropped.
    pub(super) fn join(self: &Arc<Self>, endpoint: Endpoint) -> Joined {
        self.with(|set| set.with(endpoint, |entry| entry.trunks += 1));
        Joined { addresses: Arc::clone(self), endpoint }
    }

    /// Notes the addresses that a URL's name has now.
    pub(super) fn resolved(&self, server: usize, addresses: &[SocketAddr]) {
        self.with(|set| set.resolved(server, addresses, Instant::now()));
        self.news.notify_waiters();
    }

    /// Ready once its name no longer has this address.
    pub(super) async fn lost(&self, endpoint: Endpoint) {
        loop {
            let news = self.news();
            if self.lock().set.has_lost(endpoint) {
                return;
            }
            news.await;
        }
    }

    /// Notes that an address could not be reached. If a log line is due, which it only is beside other addresses,
    /// returns how many failures it stands for.
    pub(super) fn failed(&self, endpoint: Endpoint, timed_out: bool) -> Option<u64> {
        self.dials.failed();
        let has_choice = self.with(|set| {
            set.failed(endpoint, timed_out, Instant::now());
            set.has_choice()
        });
        let mut outages = self.outages.lock().unwrap_or_else(PoisonError::into_inner);
        outages.retain(|_, outage| !outage.is_forgotten());
        if has_choice { outages.entry(endpoint).or_default().begin() } else { None }
    }

    /// Notes that an address that had failed failed its probe too.
    pub(super) fn postpone(&self, endpoint: Endpoint) {
        self.with(|set| set.postpone(endpoint, Instant::now()));
    }

    /// Notes that an address was reached. Returns whether a log line had reported that it was not.
    pub(super) fn reached(&self, endpoint: Endpoint) -> bool {
        if !self.with(|set| set.reached(endpoint)) {
            return false;
        }
        let outages = self.outages.lock().unwrap_or_else(PoisonError::into_inner);
        outages.get(&endpoint).is_some_and(Outage::end)
    }

    /// Notes that an address did not complete a handshake. If it is out because of that and a log line is due, returns
    /// how many outages it stands for.
    pub(super) fn struck(&self, endpoint: Endpoint) -> Struck {
        if !self.with(|set| set.struck(endpoint, Instant::now())) {
            return Struck::In;
        }
        let mut outages = self.outages.lock().unwrap_or_else(PoisonError::into_inner);
        Struck::Out(outages.entry(endpoint).or_default().begin())
    }

    /// Notes that an address says that it stops within this time. Returns whether it is left out because of that.
    pub(super) fn stopping(&self, endpoint: Endpoint, patience: Duration) -> bool {
        self.with(|set| set.stopping(endpoint, Instant::now() + patience))
    }

    /// Notes that an address completed a handshake. Returns whether a log line had reported that it did not.
    pub(super) fn served(&self, endpoint: Endpoint) -> bool {
        if !self.with(|set| set.served(endpoint)) {
            return false;
        }
        let outages = self.outages.lock().unwrap_or_else(PoisonError::into_inner);
        outages.get(&endpoint).is_some_and(Outage::end)
    }

    /// Gives each address that completed no handshakes, or was about to stop, another client once its time is over.
    pub(super) fn forgive(&self) {
        self.with(|set| set.forgive(Instant::now()));
    }

    /// Notes whether another address answered while this one is still being dialled.
    pub(super) fn late(&self, endpoint: Endpoint, is_late: bool) {
        self.lock().set.late(endpoint, is_late);
    }

    /// Returns the failed addresses whose probe is due, or all of them.
    pub(super) fn due(&self, all: bool) -> Vec<Endpoint> {
        self.lock().set.due(all, Instant::now())
    }

    /// Returns whether there is another address than these.
    pub(super) fn has_other(&self, tried: &[Endpoint]) -> bool {
        self.lock().set.has_other(tried)
    }

    /// Returns whether any address has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.lock().set.has_failed()
    }

    /// Returns whether all addresses are out.
    pub(super) fn are_all_out(&self) -> bool {
        self.lock().set.are_all_out()
    }

    /// Returns the addresses whose check begins now, and when the next is due.
    pub(super) fn due_checks(&self) -> (Vec<Endpoint>, Option<Instant>) {
        self.lock().set.due_checks(Instant::now())
    }

    /// Notes the outcome of a check, if it had one, and when the next one is due. Returns what that changed, and how many
    /// times a log line stands for, if one is due.
    pub(super) fn checked(
        &self,
        endpoint: Endpoint,
        passed: Option<bool>,
        thresholds: Thresholds,
        next: Instant,
    ) -> (Change, Option<u64>) {
        if let Some(passed) = passed {
            self.dials.checked(passed);
        }
        let change = self.with(|set| set.checked(endpoint, passed, thresholds, next));
        self.news.notify_waiters();
        let mut illnesses = self.illnesses.lock().unwrap_or_else(PoisonError::into_inner);
        illnesses.retain(|_, outage| !outage.is_forgotten());
        let line = match change {
            Change::None => None,
            Change::Fails => illnesses.entry(endpoint).or_default().begin(),
            Change::Passes => illnesses.get(&endpoint).is_some_and(Outage::end).then_some(1),
        };
        (change, line)
    }

    /// Returns whether an address fails its checks.
    pub(super) fn is_sick(&self, endpoint: Endpoint) -> bool {
        self.lock().set.is_sick(endpoint)
    }

    /// Ready once a name was resolved again, or a check has ended: of all that happens from this call on.
    pub(super) fn news(&self) -> Notified<'_> {
        self.news.notified()
    }

    fn with<T>(&self, work: impl FnOnce(&mut Set) -> T) -> T {
        self.with_all(|shown| work(&mut shown.set))
    }

    fn with_all<T>(&self, work: impl FnOnce(&mut Shown) -> T) -> T {
        let now = Instant::now();
        let mut shown = self.lock();
        let output = work(&mut shown);
        let Shown { set, queue, counts, queued, .. } = &mut *shown;
        // Whatever has changed may have made room.
        queue.serve(set, now);
        let now = set.count(now);
        self.show(std::mem::replace(counts, now), now);
        self.dials.queued(std::mem::replace(queued, queue.len()), queue.len());
        output
    }

    /// By their difference: an upstream that a reload replaces counts as long as it is in use.
    fn show(&self, before: Counts, now: Counts) {
        self.dials.addresses(AddressState::Up, before.up, now.up);
        self.dials.addresses(AddressState::Out, before.out, now.out);
        self.dials.addresses(AddressState::Draining, before.draining, now.draining);
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Addresses {
    fn drop(&mut self) {
        let Shown { counts, queued, .. } = *self.lock();
        self.show(counts, Counts::default());
        self.dials.queued(queued, 0);
    }
}

/// What a handshake that was not completed means for its address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Struck {
    /// Nothing yet.
    In,
    /// It is out; with the number of outages that a log line stands for, if one is due.
    Out(Option<u64>),
}

/// One use of an address, until it is dropped: an attempt to reach it, a connection, or a request on its way.
#[derive(Debug)]
pub(super) struct Place {
    addresses: Arc<Addresses>,
    endpoint: Endpoint,
    purpose: Purpose,
}

impl Place {
    pub(super) const fn endpoint(&self) -> Endpoint {
        self.endpoint
    }
}

/// A connection counts as long as it is open.
impl Companion for Place {}

impl Drop for Place {
    fn drop(&mut self) {
        self.addresses.with(|set| set.leave(self.endpoint, self.purpose));
    }
}

/// A shared connection to an address on which sessions may begin.
#[derive(Debug)]
pub(super) struct Joined {
    addresses: Arc<Addresses>,
    endpoint: Endpoint,
}

impl Joined {
    pub(super) const fn endpoint(&self) -> Endpoint {
        self.endpoint
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        let part = |entry: &mut Entry| entry.trunks = entry.trunks.saturating_sub(1);
        self.addresses.with(|set| set.with(self.endpoint, part));
    }
}
