//! The invariants of a session, which hold after every call.

use super::state::{Phase, PushSlot, Session};
use crate::packet::Transport;

impl Session {
    /// Checks the session's invariants, in debug builds only.
    pub(super) fn check(&self) {
        let (open, over) = (self.phase == Phase::Open, self.phase == Phase::Over);
        debug_assert!(self.in_flight <= 2, "a batch and the goodbye behind it");
        debug_assert!(!self.is_parked() || !self.is_ended(), "who waits is told of the end");
        debug_assert!(
            !self.is_parked() || self.transport == Transport::Polling || self.in_flight > 0,
            "a poll waits where the client is not"
        );
        debug_assert!(
            self.upgrade.is_none() || (self.transport == Transport::Polling && !self.is_ended()),
            "a candidate has nothing to become"
        );
        debug_assert!(self.leaving.is_none() || !self.is_ended(), "a goodbye is judged once");
        debug_assert!(self.paused.is_none() || open, "only an open session waits for its client to read");
        debug_assert!(
            self.push != PushSlot::Waiting || !self.inbox.is_empty() || self.leaving.is_some(),
            "a POST waits for nothing"
        );
        debug_assert!(self.inbox.is_empty() || self.inbox_since.is_some(), "the inbox waits without an end");
        debug_assert!(
            !over || (self.inbox.is_empty() && self.push == PushSlot::Idle),
            "something waits for nobody"
        );
        debug_assert!(
            over || self.is_parked() || self.poll_timeout().is_some(),
            "nothing would ever end it but its client"
        );
        debug_assert!(
            self.outbox.has_waiting() || !self.shortage.as_ref().is_some_and(|shortage| shortage.holds()),
            "nothing is too long"
        );
        self.outbox.check();
    }
}
