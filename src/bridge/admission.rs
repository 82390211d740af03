//! Limits the number of sessions, and records what each one releases when it ends.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use moka::Expiry;

use super::key::Key;
use crate::limits::HeldSession;
use crate::session::Ending;

/// The places for sessions.
#[derive(Clone)]
pub(super) struct Places {
    seats: Arc<Seats>,
    undelivered: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Seats {
    taken: AtomicUsize,
    max: AtomicUsize,
}

/// One of `max_sessions` places, released when dropped.
#[derive(Debug)]
pub struct Admission {
    seats: Arc<Seats>,
    /// What it counts as for its client.
    held: HeldSession,
}

/// Messages that were accepted from a client that is gone, but not yet taken by its backend. Dropped once they are.
#[derive(Debug)]
pub(super) struct Undelivered(Arc<AtomicUsize>);

/// How a session ended, kept under its id until it expires.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    pub(super) ending: Ending,
    pub(super) lasts: Duration,
    /// On the clock that tests can pause.
    pub(super) until: Instant,
}

/// Expires an ended session that is no longer asked for.
pub(super) struct EndingExpiry;

impl Expiry<Key, Remembered> for EndingExpiry {
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

/// A session's entry in the index, as seen by the session.
pub(super) trait Membership: Send {
    /// Returns the counter for messages that the session loses after its drain.
    fn losses(&self) -> Losses;

    /// Removes the session, whose client is gone, and releases its place. The registry is not settled until the
    /// returned value is dropped. If `ending` is given, the id keeps reporting it.
    fn leave(self: Box<Self>, ending: Option<Remembered>) -> Undelivered;
}

/// Counts the sessions that lost something in a drain, and the messages.
#[derive(Clone, Default, Debug)]
pub(super) struct Losses(Arc<Lost>);

#[derive(Default, Debug)]
struct Lost {
    sessions: AtomicUsize,
    messages: AtomicUsize,
}

impl Losses {
    /// Counts one more session, which has lost this many messages.
    pub(super) fn note(&self, messages: usize) {
        self.0.sessions.fetch_add(1, Ordering::Relaxed);
        self.0.messages.fetch_add(messages, Ordering::Relaxed);
    }

    /// Returns the number of sessions counted.
    pub(super) fn sessions(&self) -> usize {
        self.0.sessions.load(Ordering::Relaxed)
    }

    /// Returns the number of messages that they have lost.
    pub(super) fn messages(&self) -> usize {
        self.0.messages.load(Ordering::Relaxed)
    }
}

impl Places {
    /// Creates places for `max` sessions.
    pub(super) fn new(max: usize) -> Self {
        let seats = Seats { taken: AtomicUsize::new(0), max: AtomicUsize::new(max) };
        Self { seats: Arc::new(seats), undelivered: Arc::default() }
    }

    /// Sets how many there are. If more are taken, none is free until enough have been released.
    pub(super) fn resize(&self, max: usize) {
        self.seats.max.store(max, Ordering::Relaxed);
    }

    /// Returns a place for one more session, or `None` if all are taken.
    pub(super) fn admit(&self) -> Option<Admission> {
        let max = self.seats.max.load(Ordering::Relaxed);
        let one_more = |taken: usize| (taken < max).then_some(taken + 1);
        let taken = &self.seats.taken;
        let was = taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        was.ok().map(|_| Admission { seats: Arc::clone(&self.seats), held: HeldSession::default() })
    }

    /// Notes that an ended session still has messages of its client to deliver to its backend.
    pub(super) fn note_undelivered(&self) -> Undelivered {
        self.undelivered.fetch_add(1, Ordering::Relaxed);
        Undelivered(Arc::clone(&self.undelivered))
    }

    /// Returns how many are taken.
    pub(super) fn taken(&self) -> usize {
        self.seats.taken.load(Ordering::Acquire)
    }

    /// Returns whether every accepted message has been delivered to its backend.
    pub(super) fn all_delivered(&self) -> bool {
        self.undelivered.load(Ordering::Relaxed) == 0
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Places({:?})", self.seats)
    }
}

impl Admission {
    /// Has it count for its client, too.
    #[must_use]
    pub fn counted(mut self, held: HeldSession) -> Self {
        self.held = held;
        self
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.seats.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Undelivered {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
