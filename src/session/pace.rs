//! What goes from the inbox to the link, and how fast: a client that sends faster waits, and is not read meanwhile.

use std::time::Instant;

use super::rate::Rate;
use super::state::{Phase, Session};
use crate::packet::Message;

impl Session {
    /// Returns whether there is a message for the link.
    pub fn has_for_link(&self) -> bool {
        self.inbox.ahead.is_some() && !self.is_paced()
    }

    /// Returns whether the inbox waits because the client sends too fast. What an ending session has accepted goes at once.
    pub(super) fn is_paced(&self) -> bool {
        self.is_paced && self.phase == Phase::Open
    }

    /// Returns the next message for the link. Call it only when the link has room. `None` if there is none, or the client
    /// sends too fast: the next one follows after a while.
    pub fn next_for_link(&mut self, now: Instant) -> Option<Message> {
        let len = self.inbox.ahead.as_ref()?.len();
        if let Err(at) = self.pace(len, now) {
            // The link has not had to take it yet.
            (self.is_paced, self.inbox_since) = (true, Some(at));
            return None;
        }
        let message = self.inbox.ahead.take()?;
        if !self.policy.echoes.is_zero() {
            self.unanswered += 1;
        }
        self.inbox_since = Some(now);
        self.fill_inbox(now);
        Some(message)
    }

    /// Counts a message of a client against its rate. What an ending session has accepted goes at once.
    fn pace(&mut self, len: usize, now: Instant) -> Result<(), Instant> {
        let price = self.settings.rate.price(1, len as u64);
        if price.is_zero() || self.phase != Phase::Open {
            return Ok(());
        }
        self.sent.get_or_insert_default().take(price, Rate::DEPTH, now)
    }
}
