//! What a session may take while others need memory.

use std::time::{Duration, Instant};

/// What a session may take while others need memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shortage {
    /// How many bytes may wait for the client.
    pub(super) room: usize,
    /// How long one message may become as it is written.
    pub(super) longest: usize,
    /// The next message for the client, if it was too long when it was measured.
    unwritten: Option<Unwritten>,
}

#[derive(Clone, Copy, Debug)]
struct Unwritten {
    /// Its length as it is written, in bytes.
    len: usize,
    since: Instant,
    again_at: Instant,
}

impl Shortage {
    /// Creates one in which the next message is still to be measured.
    pub(super) const fn new(room: usize, longest: usize) -> Self {
        Self { room, longest, unwritten: None }
    }

    /// Returns whether the next message is known, and whether it is too long.
    pub(super) fn judged(&self) -> Option<bool> {
        self.unwritten.map(|unwritten| unwritten.len > self.longest)
    }

    /// Returns whether the next message waits.
    pub(super) fn holds(&self) -> bool {
        self.judged() == Some(true)
    }

    /// Has the next message, which becomes so long, wait until it may.
    pub(super) fn hold(&mut self, len: usize, now: Instant) {
        self.unwritten = Some(Unwritten { len, since: now, again_at: now + AGAIN });
    }

    /// Forgets the message that waits, as another is the next.
    pub(super) fn forget(&mut self) {
        self.unwritten = None;
    }

    /// Returns when the message that waits is tried again.
    pub(super) fn again_at(&self) -> Option<Instant> {
        self.unwritten.filter(|_| self.holds()).map(|unwritten| unwritten.again_at)
    }

    /// Has the message that waits tried again, if its time has come. Returns since when it has waited then.
    pub(super) fn retry(&mut self, now: Instant) -> Option<Instant> {
        if !self.holds() {
            return None;
        }
        let unwritten = self.unwritten.as_mut().filter(|unwritten| now >= unwritten.again_at)?;
        unwritten.again_at = now + AGAIN;
        Some(unwritten.since)
    }
}

/// Until a message that was too long is tried again.
const AGAIN: Duration = Duration::from_millis(100);
