//! Finds a session by its id, and says how many there may be.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use moka::sync::Cache;
use tokio_util::sync::CancellationToken;

use super::admission::{Admission, Debt, Leave, Losses, Places};
use super::handle::{Bridge, Front};
use super::info::BridgeInfo;
use crate::dialect::{Framing, Known};
use crate::end::End;
use crate::packet::Transport;
use crate::session::Session;
use crate::sid::Sid;
use crate::upstream::Link;

/// The index of living sessions.
///
/// The cache behind it has no capacity, since it would evict living sessions or refuse new ones: admission is the
/// semaphore's. Nor has it a time to live: only a look-up would count as life, and who is on a WebSocket is never looked
/// up. Sessions judge their own liveness and remove themselves, one whose task panicked included.
#[derive(Clone)]
pub struct Registry {
    sessions: Cache<Sid, Entry, RandomState>,
    places: Places,
    losses: Losses,
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
    /// Which route it came by.
    pub fn route(&self) -> usize {
        match self {
            Self::Bridge(bridge) => bridge.info().route,
            Self::Relay(relay) => relay.route,
        }
    }

    /// What a request may know of it.
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
    /// Which route it came by.
    pub route: usize,
    /// How its client speaks.
    pub framing: Arc<dyn Framing>,
    /// Cancelled when it is to end.
    pub drain: CancellationToken,
}

impl Registry {
    /// An empty index with room for `sessions_max` sessions.
    pub fn new(sessions_max: usize) -> Self {
        Self {
            sessions: Cache::builder().build_with_hasher(RandomState::default()),
            places: Places::new(sessions_max),
            losses: Losses::default(),
        }
    }

    /// A place for one more session; `None` when the proxy is full.
    pub fn admit(&self) -> Option<Admission> {
        self.places.admit()
    }

    /// The session with this id.
    pub fn find(&self, sid: &str) -> Option<Entry> {
        self.sessions.get(sid)
    }

    /// Joins a session and its link, enters it, and starts it.
    pub fn begin(
        &self,
        session: Session,
        info: BridgeInfo,
        link: Box<dyn Link>,
        front: Front,
        admission: Admission,
    ) -> Arc<Bridge> {
        let sid = info.sid.clone();
        let leave = Entered { registry: self.clone(), sid: sid.clone(), _admission: admission };
        let bridge = Bridge::new(session, info, link, front, Box::new(leave));
        // Entered first: what has not started can't have left.
        self.insert(sid, Entry::Bridge(Arc::clone(&bridge)));
        bridge.start();
        bridge
    }

    /// Enters a session.
    pub fn insert(&self, sid: Sid, entry: Entry) {
        self.sessions.insert(sid, entry);
    }

    /// Enters a session under an id that the backend gave it, unless another has that id. Whether it was entered.
    pub fn insert_new(&self, sid: &Sid, entry: Entry) -> bool {
        self.sessions.entry_by_ref(sid).or_insert(entry).is_fresh()
    }

    /// Forgets a session that has ended.
    pub fn remove(&self, sid: &Sid, end: End) {
        self.sessions.invalidate(sid);
        if end == End::Cut {
            self.losses.note();
        }
    }

    /// How many sessions a drain has cut, with something left for their clients, or with messages of theirs that nobody took.
    pub fn cut(&self) -> usize {
        self.losses.count()
    }

    /// Every living session, in no order.
    pub fn all(&self) -> Vec<Entry> {
        self.sessions.iter().map(|(_, entry)| entry).collect()
    }

    /// Whether no session holds a place.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether nothing is left of any session: none holds a place, and all that was accepted is with the backends.
    pub fn is_settled(&self) -> bool {
        self.places.is_empty() && self.places.owes_nothing()
    }

    /// Keeps house until `stop`: the cache has no thread of its own, and a removed session stays in memory until its
    /// maintenance runs.
    pub async fn keep_house(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(HOUSEKEEPING);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let sessions = self.sessions.clone();
            // Many removals at once can take long; no session waits for it.
            if let Err(error) = tokio::task::spawn_blocking(move || sessions.run_pending_tasks()).await
                && let Ok(panic) = error.try_into_panic()
            {
                resume_unwind(panic);
            }
        }
    }
}

/// A session's way out of the index.
struct Entered {
    registry: Registry,
    sid: Sid,
    _admission: Admission,
}

impl Leave for Entered {
    fn losses(&self) -> Losses {
        self.registry.losses.clone()
    }

    fn leave(self: Box<Self>, end: End) -> Debt {
        self.registry.remove(&self.sid, end);
        // Before the place is free: in between, everything would seem settled.
        self.registry.places.owe()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.places).finish()
    }
}

const HOUSEKEEPING: Duration = Duration::from_secs(1);
