//! The move from polling to a WebSocket: a candidate connects, probes, and is adopted or closed ("Upgrade").

use std::time::{Duration, Instant};

/// A candidate WebSocket that has not been adopted yet. Boxed, since that lasts for a moment only, and each session would
/// reserve room for it.
#[derive(Debug)]
pub(super) struct Upgrade {
    /// When the candidate is closed.
    pub(super) deadline: Instant,
    /// When a parked poll is released next; none is released before the probe.
    pub(super) release_at: Option<Instant>,
}

impl Upgrade {
    pub(super) fn new(now: Instant, timeout: Duration) -> Self {
        Self { deadline: now + timeout, release_at: None }
    }

    /// Handles the probe: from now on every poll is released, until the client has moved.
    pub(super) fn handle_probe(&mut self, now: Instant) {
        self.release_at = Some(now + RELEASE_INTERVAL);
    }

    /// Returns whether a parked poll is to be released now.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        match &mut self.release_at {
            Some(at) if now >= *at => {
                *at = now + RELEASE_INTERVAL;
                true
            }
            Some(_) | None => false,
        }
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.release_at.map_or(self.deadline, |at| at.min(self.deadline))
    }
}

/// The reference server's own interval, which is hard-coded there too.
const RELEASE_INTERVAL: Duration = Duration::from_millis(100);
