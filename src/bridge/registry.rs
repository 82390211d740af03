//! Finds a session by its route and id, generates ids, and limits the number of sessions.

mod reservation;

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use foldhash::quality::RandomState;
use moka::ops::compute::{CompResult, Op};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio_util::sync::CancellationToken;

pub use self::reservation::Reservation;
use super::admission::{Admission, EndingExpiry, Losses, Places, Remembered};
use super::clock::clock_now;
use super::entry::Entry;
use super::handle::Bridge;
use super::key::{Asked, Key};
use super::name::{Name, Names};
use super::newcomers::Newcomers;
use crate::budget::Budget;
use crate::route_id::RouteId;
use crate::session::Ending;
use crate::sid::{Node, Sid};

/// The index of live sessions.
///
/// The cache behind it has no capacity limit, since it would evict live sessions or refuse new ones: a semaphore does
/// admission. It has no TTL: only look-ups would refresh an entry, and a session on a WebSocket is never looked up.
/// Sessions check their own liveness and remove themselves, even if their task panicked.
///
/// From its [`Reservation`] on, an id belongs to one session of its route: no other session can take or remove it. Ids
/// that clients influence are only stored after admission. A hash with a key of this process is therefore enough, and
/// costs a third of one that withstands hash flooding.
#[derive(Clone)]
pub struct Registry(Arc<Index>);

struct Index {
    sessions: Cache<Key, Slot, RandomState>,
    /// How sessions ended, by id. The oldest may be evicted: their ids are then unknown.
    ended: Cache<Key, Remembered, RandomState>,
    /// Whether there was ever one. Most dialects have none, and a look costs each request for another node's session.
    has_remembered: AtomicBool,
    /// Whether there was ever an id that may name another node, which only a backend or a client has made.
    has_others: AtomicBool,
    places: Places,
    newcomers: Newcomers,
    losses: Losses,
    budget: Budget,
    /// Hashes ids for display.
    names: Names,
    /// The node that its own ids name.
    node: Option<Node>,
}

/// The session of an id; `None` if the id is only reserved.
type Slot = Option<Entry>;

/// Where the session with an id is.
#[derive(Clone, Debug)]
pub enum Located {
    /// It is live.
    Here(Entry),
    /// It is being opened with its backend.
    Opening,
    /// It has ended; the value says how.
    Gone(Ending),
    /// It is unknown.
    Nowhere,
}

impl Registry {
    /// Creates an empty index of a process that is no node of a cluster.
    #[cfg(test)]
    pub fn new(sessions_max: usize) -> Self {
        Self::of_node(sessions_max, None, Budget::default())
    }

    /// Creates an empty index with room for `sessions_max` sessions, whose ids name their node and whose buffers are charged
    /// to `budget`.
    pub fn of_node(sessions_max: usize, node: Option<Node>, budget: Budget) -> Self {
        Self(Arc::new(Index {
            node,
            sessions: Cache::builder().build_with_hasher(RandomState::default()),
            ended: Cache::builder()
                .max_capacity(REMEMBERED_MAX)
                .eviction_policy(EvictionPolicy::lru())
                .expire_after(EndingExpiry)
                .build_with_hasher(RandomState::default()),
            has_remembered: AtomicBool::new(false),
            has_others: AtomicBool::new(false),
            places: Places::new(sessions_max),
            newcomers: Newcomers::default(),
            losses: Losses::default(),
            budget,
            names: Names::default(),
        }))
    }

    /// Returns a place for one more session, or `None` if the proxy is full: then a session whose client has not come back
    /// since its handshake gives its place.
    pub fn admit(&self) -> Option<Admission> {
        self.0.places.admit().or_else(|| {
            let is_free = self.0.newcomers.end_oldest(clock_now(), |key| self.bridge(key));
            is_free.then(|| self.0.places.admit()).flatten()
        })
    }

    fn bridge(&self, key: &Key) -> Option<Arc<Bridge>> {
        match self.0.sessions.get(key)?? {
            Entry::Bridge(bridge) => Some(bridge),
            Entry::Relay(_) => None,
        }
    }

    /// Returns the budget for what its sessions hold.
    pub fn budget(&self) -> &Budget {
        &self.0.budget
    }

    /// Sets the maximum of sessions. Those that are beyond it live on.
    pub fn set_max(&self, sessions_max: usize) {
        self.0.places.resize(sessions_max);
    }

    /// Returns where the session with this id is, on this route.
    pub fn find(&self, route: &RouteId, sid: &str) -> Located {
        let asked = Asked { route, sid };
        // Here most requests for another node's session end, which a look would cost as much as its own.
        if self.names_another(sid) && !self.0.has_others.load(Ordering::Relaxed) {
            return Located::Nowhere;
        }
        match self.0.sessions.get(&asked) {
            Some(Some(entry)) => Located::Here(entry),
            Some(None) => Located::Opening,
            None => self.remember(&asked).map_or(Located::Nowhere, Located::Gone),
        }
    }

    fn names_another(&self, sid: &str) -> bool {
        self.0.node.is_some_and(|me| Sid::may_name_another(sid, me))
    }

    /// Returns how the session with this id ended, if it has and is still remembered.
    fn remember(&self, asked: &Asked<'_>) -> Option<Ending> {
        let index = &self.0;
        let Remembered { ending, until, .. } =
            index.has_remembered.load(Ordering::Relaxed).then(|| index.ended.get(asked))??;
        (clock_now() < until).then_some(ending)
    }

    /// Remembers an ended session for its full time again, because its ending was just reported.
    pub fn renew(&self, route: &RouteId, sid: &str) {
        let asked = Asked { route, sid };
        let Some(told) = self.0.ended.get(&asked) else { return };
        let Some(sid) = Sid::of_client(sid, self.0.names.hash(sid)) else { return };
        let until = clock_now() + told.lasts;
        self.0.ended.insert(Key { route: route.clone(), sid }, Remembered { until, ..told });
    }

    /// Reserves an id that was generated elsewhere; returns `None` if another session of the route has it.
    pub fn reserve(&self, route: &RouteId, sid: Sid) -> Option<Reservation> {
        if self.names_another(sid.as_str()) {
            self.0.has_others.store(true, Ordering::Relaxed);
        }
        let key = Key { route: route.clone(), sid };
        // `or_insert` does not work here: of several concurrent callers, more than one may see its value as fresh.
        let held = self.0.sessions.entry_by_ref(&key).and_compute_with(|held| match held {
            Some(_) => Op::Nop,
            None => Op::Put(None),
        });
        let is_free = matches!(held, CompResult::Inserted(_));
        is_free.then(|| Reservation { registry: self.clone(), key, hold: None })
    }

    /// Reserves an id that a client chose; returns `None` if it is invalid or another session of the route has it.
    pub fn reserve_named(&self, route: &RouteId, name: &str) -> Option<Reservation> {
        self.reserve(route, Sid::of_client(name, self.0.names.hash(name))?)
    }

    /// Reserves an unguessable id. The proxy's own ids are generated only here.
    ///
    /// # Errors
    /// Returns an error if the system provides no random bytes.
    pub fn reserve_fresh(&self, route: &RouteId) -> Result<Reservation, getrandom::Error> {
        loop {
            let mut random = [0; 15];
            getrandom::fill(&mut random)?;
            // A collision of 120 random bits does not happen; if it did, no session would be harmed.
            if let Some(reservation) = self.reserve(route, Sid::from_random(random, self.0.node)) {
                return Ok(reservation);
            }
        }
    }

    /// Returns how many sessions a drain has cut while something was left for their clients, or while messages of
    /// theirs were undelivered.
    pub fn cut(&self) -> usize {
        self.0.losses.sessions()
    }

    /// Returns how many messages they have lost.
    pub fn lost(&self) -> usize {
        self.0.losses.messages()
    }

    /// Returns how many sessions hold a place.
    pub fn taken(&self) -> usize {
        self.0.places.taken()
    }

    /// Returns every live session, in no particular order.
    pub fn all(&self) -> Vec<Entry> {
        self.0.sessions.iter().filter_map(|(_, slot)| slot).collect()
    }

    /// Returns what operators call its sessions.
    pub fn names(&self) -> Names {
        self.0.names.clone()
    }

    /// Returns every live session with its name.
    pub(super) fn named(&self) -> impl Iterator<Item = (Name, Arc<Key>, Entry)> {
        let live = self.0.sessions.iter().filter_map(|(key, slot)| Some((key, slot?)));
        live.map(|(key, entry)| (self.0.names.of(&key.route, &key.sid), key, entry))
    }

    /// Forgets how a session has ended.
    pub(super) fn forget(&self, asked: &Asked<'_>) {
        self.0.ended.invalidate(asked);
    }

    /// Returns whether the route has a live session.
    pub fn has_sessions(&self, route: &RouteId) -> bool {
        self.0.sessions.iter().any(|(key, _)| key.route == *route)
    }

    /// Returns whether no session holds a place.
    pub fn is_empty(&self) -> bool {
        self.taken() == 0
    }

    /// Returns whether nothing is left of any session: no place is taken, and all accepted messages are with the
    /// backends.
    pub fn is_settled(&self) -> bool {
        self.is_empty() && self.0.places.all_delivered()
    }

    /// Returns whether no session's end is remembered.
    pub fn remembers_none(&self) -> bool {
        // Only then the count is exact.
        self.0.ended.run_pending_tasks();
        self.0.ended.entry_count() == 0
    }

    /// Runs the caches' maintenance until `stop`: they have no thread of their own, and a removed session stays in
    /// memory until then.
    pub async fn run_maintenance(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(HOUSEKEEPING);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let index = Arc::clone(&self.0);
            let tidy = move || {
                index.sessions.run_pending_tasks();
                index.ended.run_pending_tasks();
            };
            // Many removals at once can take long, so they run on a thread that no session waits for.
            if let Err(error) = tokio::task::spawn_blocking(tidy).await
                && let Ok(panic) = error.try_into_panic()
            {
                resume_unwind(panic);
            }
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.0.places).finish()
    }
}

/// The maximum number of ended sessions that are remembered.
const REMEMBERED_MAX: u64 = 100_000;
const HOUSEKEEPING: Duration = Duration::from_secs(1);
