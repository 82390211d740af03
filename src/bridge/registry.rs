//! Finds a session by its route and its id, makes ids, and says how many sessions there may be.

use std::fmt;
use std::hash::{BuildHasher as _, Hash, Hasher};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use equivalent::Equivalent;
use foldhash::quality::RandomState;
use moka::Expiry;
use moka::ops::compute::{CompResult, Op};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio_util::sync::CancellationToken;

use super::admission::{Admission, Debt, Leave, Losses, Places, Remembered};
use super::clock::clock_now;
use super::handle::{Bridge, Front};
use super::info::BridgeInfo;
use crate::dialect::{Framing, Known};
use crate::end::End;
use crate::packet::Transport;
use crate::route_id::RouteId;
use crate::session::{Ending, Session};
use crate::sid::Sid;
use crate::upstream::Link;

/// The index of living sessions.
///
/// The cache behind it has no capacity, since it would evict living sessions or refuse new ones: admission is the
/// semaphore's. Nor has it a time to live: only a look-up would count as life, and who is on a WebSocket is never looked
/// up. Sessions judge their own liveness and remove themselves, one whose task panicked included.
///
/// An id is a session's own from its [`Reservation`] on, on its route alone: no other can take it, and no other session
/// can remove it. What clients may make an id of is admitted first: a hash with a key of the process's own does, for a
/// third of what a hash takes that withstands clients who fill a table.
#[derive(Clone)]
pub struct Registry(Arc<Index>);

struct Index {
    sessions: Cache<Key, Slot, RandomState>,
    /// What ids say whose sessions have ended. It may forget the oldest: they are then as unknown as any other.
    ended: Cache<Key, Remembered, RandomState>,
    places: Places,
    losses: Losses,
    /// What of a client's id may be seen is a hash of it, whose key nobody has.
    shown: std::hash::RandomState,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Key {
    route: RouteId,
    sid: Sid,
}

/// The same, as a request has it.
struct Asked<'r> {
    route: &'r RouteId,
    sid: &'r str,
}

/// What stands under an id: nothing yet, where it is only reserved.
type Slot = Option<Entry>;

/// Where the session with an id is.
#[derive(Clone, Debug)]
pub enum Located {
    /// Here.
    Here(Entry),
    /// Its backend is being asked for it.
    Opening,
    /// It has ended, and says why.
    Gone(Ending),
    /// Nowhere, as far as is known.
    Nowhere,
}

/// A living session, as the index knows it.
#[derive(Clone, Debug)]
pub enum Entry {
    /// One whose packets pass through here.
    Bridge(Arc<Bridge>),
    /// One whose WebSocket is left to its two ends.
    Relay(Arc<RelayHandle>),
}

impl Entry {
    /// Returns what a request may know of it.
    pub fn known(&self) -> Known<'_> {
        match self {
            Self::Bridge(bridge) => {
                Known { transport: bridge.transport(), framing: &bridge.info().framing, is_relayed: false }
            }
            Self::Relay(relay) => {
                Known { transport: Transport::WebSocket, framing: &relay.framing, is_relayed: true }
            }
        }
    }

    /// Ends the session in good order: its client takes what is left within `patience`.
    pub fn drain(&self, patience: Duration) {
        match self {
            Self::Bridge(bridge) => bridge.drain(patience),
            Self::Relay(relay) => relay.drain.cancel(),
        }
    }
}

/// What the index needs of a relayed session.
#[derive(Debug)]
pub struct RelayHandle {
    /// How its client speaks.
    pub framing: Arc<dyn Framing>,
    /// Cancelled when it is to end.
    pub drain: CancellationToken,
}

impl Registry {
    /// Creates an empty index with room for `sessions_max` sessions.
    pub fn new(sessions_max: usize) -> Self {
        Self(Arc::new(Index {
            sessions: Cache::builder().build_with_hasher(RandomState::default()),
            ended: Cache::builder()
                .max_capacity(REMEMBERED_MAX)
                .eviction_policy(EvictionPolicy::lru())
                .expire_after(UntilToldLongEnough)
                .build_with_hasher(RandomState::default()),
            places: Places::new(sessions_max),
            losses: Losses::default(),
            shown: std::hash::RandomState::new(),
        }))
    }

    /// Returns a place for one more session; `None` when the proxy is full.
    pub fn admit(&self) -> Option<Admission> {
        self.0.places.admit()
    }

    /// Returns where the session with this id of a route's is.
    pub fn find(&self, route: &RouteId, sid: &str) -> Located {
        let asked = Asked { route, sid };
        match self.0.sessions.get(&asked) {
            Some(Some(entry)) => Located::Here(entry),
            Some(None) => Located::Opening,
            None => self.remember(&asked).map_or(Located::Nowhere, Located::Gone),
        }
    }

    /// Returns what the id of a session says that has ended.
    fn remember(&self, asked: &Asked<'_>) -> Option<Ending> {
        let Remembered { ending, until, .. } = self.0.ended.get(asked)?;
        (clock_now() < until).then_some(ending)
    }

    /// The id of a session that has ended was told so: it goes on saying it for as long again.
    pub fn renew(&self, route: &RouteId, sid: &str) {
        let asked = Asked { route, sid };
        let Some(told) = self.0.ended.get(&asked) else { return };
        let Some(sid) = Sid::of_client(sid, self.0.shown.hash_one(sid)) else { return };
        let until = clock_now() + told.lasts;
        self.0.ended.insert(Key { route: route.clone(), sid }, Remembered { until, ..told });
    }

    /// Reserves an id that somebody else made; `None` where another session of the route has it.
    pub fn reserve(&self, route: &RouteId, sid: Sid) -> Option<Reservation> {
        let key = Key { route: route.clone(), sid };
        // `or_insert` is no good here: of several at once, more than one may be told that its value is fresh.
        let held = self.0.sessions.entry_by_ref(&key).and_compute_with(|held| match held {
            Some(_) => Op::Nop,
            None => Op::Put(None),
        });
        let is_free = matches!(held, CompResult::Inserted(_));
        is_free.then(|| Reservation { registry: self.clone(), key })
    }

    /// Reserves an id that a client made; `None` where another session of the route has it, or it is none.
    pub fn reserve_named(&self, route: &RouteId, name: &str) -> Option<Reservation> {
        self.reserve(route, Sid::of_client(name, self.0.shown.hash_one(name))?)
    }

    /// Reserves an id that nobody can guess: the only maker of ids of ours.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn reserve_fresh(&self, route: &RouteId) -> Result<Reservation, getrandom::Error> {
        loop {
            let mut random = [0; 15];
            getrandom::fill(&mut random)?;
            // Of 120 random bits none comes twice; if they did, no session would be harmed.
            if let Some(reservation) = self.reserve(route, Sid::from_random(random)) {
                return Ok(reservation);
            }
        }
    }

    /// Returns how many sessions a drain has cut, with something left for their clients, or with messages of theirs
    /// that nobody took.
    pub fn cut(&self) -> usize {
        self.0.losses.count()
    }

    /// Returns every living session, in no order.
    pub fn all(&self) -> Vec<Entry> {
        self.0.sessions.iter().filter_map(|(_, slot)| slot).collect()
    }

    /// Returns whether no session holds a place.
    pub fn is_empty(&self) -> bool {
        self.0.places.is_empty()
    }

    /// Returns whether nothing is left of any session: none holds a place, and all that was accepted is with the
    /// backends.
    pub fn is_settled(&self) -> bool {
        self.0.places.is_empty() && self.0.places.owes_nothing()
    }

    /// Keeps house until `stop`: the cache has no thread of its own, and a removed session stays in memory until its
    /// maintenance runs.
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
            // Many removals at once can take long; no session waits for it.
            if let Err(error) = tokio::task::spawn_blocking(tidy).await
                && let Ok(panic) = error.try_into_panic()
            {
                resume_unwind(panic);
            }
        }
    }
}

/// An id of a route's that is one session's own: it is free again when this is dropped.
#[must_use]
pub struct Reservation {
    registry: Registry,
    key: Key,
}

impl Reservation {
    /// Returns the id.
    pub const fn sid(&self) -> &Sid {
        &self.key.sid
    }

    /// Reserves another id for the same session; `None` where another session has that.
    pub fn rename(&self, sid: Sid) -> Option<Self> {
        self.registry.reserve(&self.key.route, sid)
    }

    /// Enters the session, which can be found from now on.
    pub fn enter(&self, entry: Entry) {
        self.registry.0.sessions.insert(self.key.clone(), Some(entry));
    }

    /// Joins a session and its link, enters it, and starts it. The id is the session's until it leaves.
    pub fn begin(
        self,
        session: Session,
        info: BridgeInfo,
        link: Box<dyn Link>,
        front: Front,
        admission: Admission,
    ) -> Arc<Bridge> {
        let (registry, key) = (self.registry.clone(), self.key.clone());
        let leave = Entered { reservation: self, _admission: admission };
        let bridge = Bridge::new(session, info, link, front, Box::new(leave));
        // Entered first: what has not started can't have left.
        registry.0.sessions.insert(key, Some(Entry::Bridge(Arc::clone(&bridge))));
        bridge.start();
        bridge
    }

    /// The session has ended: its id leads nowhere.
    pub fn end(self, end: End) {
        if end == End::Cut {
            self.registry.0.losses.note();
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.registry.0.sessions.invalidate(&self.key);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reservation").field(&self.key).finish()
    }
}

/// Ids tell nearly all sessions apart: what their routes add would only cost each look-up.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sid.as_str().hash(state);
    }
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sid.hash(state);
    }
}

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.route == key.route && *self.sid == *key.sid.as_str()
    }
}

/// What nobody asks for any more is forgotten.
struct UntilToldLongEnough;

impl Expiry<Key, Remembered> for UntilToldLongEnough {
    fn expire_after_create(&self, _: &Key, ended: &Remembered, _: Instant) -> Option<Duration> {
        Some(ended.lasts)
    }

    fn expire_after_update(
        &self,
        _: &Key,
        ended: &Remembered,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(ended.lasts)
    }
}

/// A session's way out of the index.
struct Entered {
    reservation: Reservation,
    _admission: Admission,
}

impl Leave for Entered {
    fn losses(&self) -> Losses {
        self.reservation.registry.0.losses.clone()
    }

    fn leave(self: Box<Self>, end: End, ending: Option<Remembered>) -> Debt {
        let Self { reservation, _admission } = *self;
        if let Some(ending) = ending {
            // Before its id is free: in between, it would be unknown.
            reservation.registry.0.ended.insert(reservation.key.clone(), ending);
        }
        // Before the place is free: in between, everything would seem settled.
        let debt = reservation.registry.0.places.owe();
        reservation.end(end);
        debt
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.0.places).finish()
    }
}

/// How many ids at most say that their sessions have ended.
const REMEMBERED_MAX: u64 = 100_000;
const HOUSEKEEPING: Duration = Duration::from_secs(1);
