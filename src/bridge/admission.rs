//! Limits the number of sessions, and records what each one releases when it ends.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::session::Ending;

/// The places for sessions.
#[derive(Clone)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    max: usize,
    undelivered: Arc<AtomicUsize>,
}

/// One of `max_sessions` places, released when dropped.
#[derive(Debug)]
pub struct Admission {
    _permit: OwnedSemaphorePermit,
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
        let max = max.min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(max)), max, undelivered: Arc::default() }
    }

    /// Returns a place for one more session, or `None` if all are taken.
    pub(super) fn admit(&self) -> Option<Admission> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(Admission { _permit: permit })
    }

    /// Notes that an ended session still has messages of its client to deliver to its backend.
    pub(super) fn note_undelivered(&self) -> Undelivered {
        self.undelivered.fetch_add(1, Ordering::Relaxed);
        Undelivered(Arc::clone(&self.undelivered))
    }

    /// Returns how many are taken.
    pub(super) fn taken(&self) -> usize {
        self.max - self.free.available_permits()
    }

    /// Returns whether every accepted message has been delivered to its backend.
    pub(super) fn all_delivered(&self) -> bool {
        self.undelivered.load(Ordering::Relaxed) == 0
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Places({} of {} left)", self.free.available_permits(), self.max)
    }
}

impl Drop for Undelivered {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
