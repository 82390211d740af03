//! An id that belongs to one session, from before its begin until it has left.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Registry;
use crate::bridge::admission::{Admission, Losses, Membership, Remembered, Undelivered};
use crate::bridge::clock::clock_now;
use crate::bridge::entry::Entry;
use crate::bridge::handle::{Bridge, Front};
use crate::bridge::info::BridgeInfo;
use crate::bridge::key::Key;
use crate::directory::{self, Hold};
use crate::end::End;
use crate::session::Session;
use crate::sid::Sid;
use crate::upstream::Link;

/// A session's exclusive id on a route, which is free again when this is dropped.
#[must_use]
pub struct Reservation {
    pub(super) registry: Registry,
    pub(super) key: Key,
    /// Its entry in the directory of all nodes, which is dropped when the id is free.
    pub(super) hold: Option<Hold>,
}

impl Reservation {
    /// Returns the id.
    pub const fn sid(&self) -> &Sid {
        &self.key.sid
    }

    /// Returns the id as all nodes know it.
    pub fn id(&self) -> directory::Id {
        directory::Id::of(&self.key.route, self.key.sid.as_str())
    }

    /// Returns the session as the directory of all nodes knows it.
    pub fn directory_key(&self) -> directory::Key {
        directory::Key { route: self.key.route.clone(), sid: self.key.sid.as_str().to_owned() }
    }

    /// Keeps an entry in the directory of all nodes for as long as the session has the id.
    pub fn with_hold(mut self, hold: Hold) -> Self {
        self.hold = Some(hold);
        self
    }

    /// Reserves another id for the same session; returns `None` if another session has it.
    pub fn rename(&self, sid: Sid) -> Option<Self> {
        self.registry.reserve(&self.key.route, sid)
    }

    /// Adds the session to the index, where it can be found from now on.
    pub fn enter(&self, entry: Entry) {
        self.registry.0.sessions.insert(self.key.clone(), Some(entry));
    }

    /// Joins a session and its link, adds it to the index, and starts it. The id belongs to the session until it
    /// leaves.
    pub fn begin(
        self,
        session: Session,
        info: BridgeInfo,
        link: Box<dyn Link>,
        front: Front,
        admission: Admission,
    ) -> Arc<Bridge> {
        let (registry, key) = (self.registry.clone(), self.key.clone());
        let comes_back = matches!(front, Front::Polling);
        let leave = Entered { reservation: self, _admission: admission };
        let holding = registry.0.budget.hold();
        let bridge = Bridge::new(session, info, link, front, Box::new(leave), holding);
        // Added first: a session that has not started cannot have left.
        registry.0.sessions.insert(key.clone(), Some(Entry::Bridge(Arc::clone(&bridge))));
        bridge.start();
        if comes_back {
            registry.0.newcomers.add(key, clock_now(), |key| registry.bridge(key));
        }
        bridge
    }

    /// Ends a session that keeps no messages; its id becomes unknown.
    pub fn end(self, end: End) {
        if end == End::Cut {
            self.registry.0.losses.note(0);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.registry.0.sessions.invalidate(&self.key);
        drop(self.hold.take());
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reservation").field(&self.key).finish()
    }
}

/// A session's entry in the index, through which it leaves.
struct Entered {
    reservation: Reservation,
    _admission: Admission,
}

impl Membership for Entered {
    fn losses(&self) -> Losses {
        self.reservation.registry.0.losses.clone()
    }

    fn leave(self: Box<Self>, ending: Option<Remembered>) -> Undelivered {
        let Self { reservation, _admission } = *self;
        if let Some(ending) = ending {
            let index = &reservation.registry.0;
            index.has_remembered.store(true, Ordering::Relaxed);
            // Added before the id is free: in between, the id would be unknown.
            index.ended.insert(reservation.key.clone(), ending);
        }
        // Recorded before the place is free: in between, the registry would seem settled.
        let undelivered = reservation.registry.0.places.note_undelivered();
        drop(reservation);
        undelivered
    }
}
