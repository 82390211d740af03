//! What the buffers of a relayed session hold.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::clock::clock_now;
use crate::budget::{Budget, Holder, Holding};

/// What the buffers of a relayed session hold, counted against a budget.
pub struct Burden {
    budget: Budget,
    held: Mutex<Held>,
}

struct Held {
    holding: Holding,
    /// Since when it is something.
    since: Option<Instant>,
}

impl Burden {
    /// Counts a session, whose buffers are empty.
    pub fn new(budget: &Budget) -> Self {
        Self { budget: budget.clone(), held: Mutex::new(Held { holding: budget.hold(), since: None }) }
    }

    /// Sets what its buffers hold.
    pub fn set(&self, bytes: usize) {
        let mut held = self.held();
        held.holding.set(bytes);
        held.since = if bytes == 0 { None } else { held.since.or_else(|| Some(clock_now())) };
    }

    /// Returns how much they may hold, `usize::MAX` while there is enough memory.
    pub fn room(&self) -> usize {
        self.budget.room()
    }

    /// Notes that the session ends: what its buffers hold is about to be freed.
    pub fn leave(&self) {
        self.held().holding.leave();
    }

    pub(super) fn holder(&self, now: Instant) -> Holder<()> {
        let held = self.held();
        let age = held.since.map(|since| now.saturating_duration_since(since)).unwrap_or_default();
        Holder { id: (), bytes: held.holding.bytes(), age }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without a limit.
impl Default for Burden {
    fn default() -> Self {
        Self::new(&Budget::default())
    }
}

impl fmt::Debug for Burden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Burden({})", self.held().holding.bytes())
    }
}
