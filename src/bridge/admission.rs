//! How many sessions there may be, and what each gives back at its end.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::end::End;
use crate::session::Ending;

/// The places for sessions.
#[derive(Clone)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    max: usize,
    debts: Arc<AtomicUsize>,
}

/// One of `max_sessions` places, given back when dropped.
#[derive(Debug)]
pub struct Admission {
    _permit: OwnedSemaphorePermit,
}

/// What was accepted from a client that is gone, and its backend has not taken; paid when dropped.
#[derive(Debug)]
pub(super) struct Debt(Arc<AtomicUsize>);

/// What an id goes on saying, and until when.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    pub(super) ending: Ending,
    pub(super) lasts: Duration,
    /// By the clock that tests can pause.
    pub(super) until: Instant,
}

/// A session's entry in the index, as the session knows it.
pub(super) trait Leave: Send {
    /// Returns where messages are noted that the session has lost after it was told of a drain.
    fn losses(&self) -> Losses;

    /// Forgets the session, whose client is gone, and gives its place back. Nothing is settled before the debt is paid.
    /// Its id goes on saying why it ended, if that is given.
    fn leave(self: Box<Self>, end: End, ending: Option<Remembered>) -> Debt;
}

/// Counts sessions of which a drain has lost something.
#[derive(Clone, Default, Debug)]
pub(super) struct Losses(Arc<AtomicUsize>);

impl Losses {
    /// Notes one more.
    pub(super) fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many there are.
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Places {
    /// Room for `max` sessions.
    pub(super) fn new(max: usize) -> Self {
        let max = max.min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(max)), max, debts: Arc::default() }
    }

    /// Returns a place for one more session; `None` when there is none.
    pub(super) fn admit(&self) -> Option<Admission> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(Admission { _permit: permit })
    }

    /// Notes that a session which has ended still hands its backend what was accepted from its client.
    pub(super) fn owe(&self) -> Debt {
        self.debts.fetch_add(1, Ordering::Relaxed);
        Debt(Arc::clone(&self.debts))
    }

    /// Returns whether no session holds a place.
    pub(super) fn is_empty(&self) -> bool {
        self.free.available_permits() == self.max
    }

    /// Returns whether nothing is owed to a backend.
    pub(super) fn owes_nothing(&self) -> bool {
        self.debts.load(Ordering::Relaxed) == 0
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Places({} of {} left)", self.free.available_permits(), self.max)
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
