//! Sessions whose clients have not come back since their handshakes, the oldest first. While all places are taken, they are
//! the first to go, so that handshakes alone keep nobody out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::handle::Bridge;
use super::key::Key;

/// The sessions that began lately.
#[derive(Default, Debug)]
pub(super) struct Newcomers(Mutex<VecDeque<Newcomer>>);

/// A session by its id: its memory is not kept.
#[derive(Debug)]
struct Newcomer {
    key: Key,
    since: Instant,
}

impl Newcomers {
    /// Adds a session that has just begun, and forgets some that are over, or whose clients have come back.
    pub(super) fn add(&self, key: Key, now: Instant, find: impl Fn(&Key) -> Option<Arc<Bridge>>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // More are forgotten than come, so the rest is as many as a heartbeat lasts.
        for _ in 0..2 {
            let is_new = |one: &mut Newcomer| find(&one.key).is_some_and(|bridge| bridge.awaits_return());
            if all.len() < NEWCOMERS_MAX && all.front_mut().is_none_or(is_new) {
                break;
            }
            all.pop_front();
        }
        all.push_back(Newcomer { key, since: now });
    }

    /// Ends the oldest session whose client has not come back for a while. Returns whether there was one.
    pub(super) fn end_oldest(&self, now: Instant, find: impl Fn(&Key) -> Option<Arc<Bridge>>) -> bool {
        loop {
            let oldest = {
                let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                let is_due = |one: &mut Newcomer| now.saturating_duration_since(one.since) >= PATIENCE;
                all.pop_front_if(is_due)
            };
            let Some(Newcomer { key, .. }) = oldest else { return false };
            if find(&key).is_some_and(|bridge| bridge.end_forsaken()) {
                return true;
            }
        }
    }
}

/// A client polls as soon as it has read the response to its handshake; on a slow network that takes a second or two.
const PATIENCE: Duration = Duration::from_secs(5);
/// Some 10 MB.
const NEWCOMERS_MAX: usize = 100_000;
