//! What a session holds for its two sides, and when it holds so much that its backend is not read.

use std::time::{Duration, Instant};

use super::End;
use super::outbox::cost;
use super::shortage::Shortage;
use super::state::{Pause, Phase, Session};
use crate::packet::{Message, Packet};

impl Session {
    /// Returns how long a side may read nothing while something waits for it.
    pub fn stall_timeout(&self) -> Duration {
        self.settings.stall_timeout
    }

    /// Returns how many bytes wait for the client.
    #[inline]
    pub fn waiting_for_client(&self) -> usize {
        self.outbox.cost()
    }

    /// Returns the length of the message that waits for the link.
    #[inline]
    pub fn waiting_for_link(&self) -> Option<usize> {
        self.inbox.ahead.as_ref().map(Message::len)
    }

    /// Returns since when the oldest of all that waits for one of the sides does, as far as that is known.
    pub fn waiting_since(&self) -> Option<Instant> {
        let delivered = self.answered_since.filter(|_| self.in_flight > 0);
        [self.outbox.oldest(), delivered, self.inbox_since].into_iter().flatten().min()
    }

    /// Sets how many bytes may wait for the client while others need memory, besides the session's own limit, and how long
    /// one message may become as it is written; without a need, both are `usize::MAX`. If nothing waits, the backend is read
    /// whatever the room is, or the session would stand still because of others.
    pub fn handle_room(&mut self, room: usize, longest: usize, now: Instant) {
        let room = room.max(1);
        let before = self.room();
        if room == usize::MAX {
            self.shortage = None;
        } else {
            let longest = longest.max(room);
            let shortage = self.shortage.get_or_insert_with(|| Shortage::new(room, longest).into());
            (shortage.room, shortage.longest) = (room, longest);
        }
        if room == before {
            return;
        }
        if self.is_full() {
            self.note_pressure(now);
        } else {
            self.paused = None;
        }
    }

    /// Returns how many bytes may wait for the client while others need memory.
    pub(super) fn room(&self) -> usize {
        self.shortage.as_ref().map_or(usize::MAX, |shortage| shortage.room)
    }

    /// Returns whether others need memory.
    #[inline]
    pub const fn is_short_of_room(&self) -> bool {
        self.shortage.is_some()
    }

    /// Returns whether the backend is not read only because others need memory, or a message waits for some.
    pub fn is_held_back(&self) -> bool {
        let Some(shortage) = &self.shortage else { return false };
        shortage.holds() || self.paused.is_some() && self.outbox.cost() < self.settings.outbox_max
    }

    /// Returns whether the next message for the client has to wait, because others need memory and it takes far more as
    /// it is written than it does now: what grows little is counted as it should be from the start. It is tried again soon.
    pub(super) fn next_is_too_long(&mut self, growth: u8, now: Instant) -> bool {
        let Some(shortage) = &mut self.shortage else { return false };
        if let Some(is_too_long) = shortage.judged() {
            return is_too_long;
        }
        let Some(packet @ Packet::Message(_)) = self.outbox.next() else { return false };
        // Most messages are short, and need no look at each of their bytes.
        if packet.len().saturating_mul(GROWTH_MAX).saturating_mul(growth.into()) <= shortage.longest {
            return false;
        }
        let len = (self.policy.encoded_len)(packet).saturating_mul(growth.into());
        let is_too_long = len > shortage.longest && len > 2 * cost(packet);
        if is_too_long {
            shortage.hold(len, now);
        }
        is_too_long
    }

    /// Has a message that is too long tried again when its time has come. Returns whether it has waited for too long.
    pub(super) fn retry_unwritten(&mut self, now: Instant) -> bool {
        let since = self.shortage.as_mut().and_then(|shortage| shortage.retry(now));
        since.is_some_and(|since| now >= since + self.settings.stall_timeout)
    }

    /// Has the next message measured, as it may be another than before.
    pub(super) fn forget_unwritten(&mut self) {
        if let Some(shortage) = &mut self.shortage {
            shortage.forget();
        }
    }

    /// Ends the session because it holds memory that others need. What waits for its backend is dropped.
    pub fn handle_shortage(&mut self, now: Instant) {
        self.drop_inbox(now);
        self.end(End::Memory, now);
    }

    /// Drops what waits for a client that has been told of the end.
    pub fn drop_undelivered(&mut self) {
        debug_assert!(self.is_ended(), "it is still to be delivered");
        self.outbox.clear();
    }

    /// Returns whether no more messages for the client are to be read. A batch that is on its way may come back, again and
    /// again: with it there may be twice as much.
    pub(super) fn is_full(&self) -> bool {
        let max = self.settings.outbox_max;
        self.is_outbox_full() || self.outbox.cost() + self.lent as usize >= max.saturating_mul(2)
    }

    fn is_outbox_full(&self) -> bool {
        self.outbox.cost() >= self.settings.outbox_max.min(self.room())
    }

    /// Returns when a client that fetches nothing has kept its backend waiting for too long. How long it may take for a batch
    /// that is on its way is up to its connection, which knows whether it takes any of it.
    pub(super) fn stalls_at(&self) -> Option<Instant> {
        let pause = self.paused.as_ref()?;
        self.is_outbox_full().then(|| pause.since + self.settings.stall_timeout)
    }

    /// Stops reading the backend while the outbox is full.
    pub(super) fn note_pressure(&mut self, now: Instant) {
        if self.phase == Phase::Open && !self.wants_upstream() && self.paused.is_none() {
            self.paused = Some(Pause { since: now, keep_alive_at: now + self.keep_alive }.into());
        }
    }

    /// Records that the client has received something.
    pub(super) fn note_progress(&mut self, now: Instant) {
        if let Some(pause) = &mut self.paused {
            pause.since = now;
            if !self.is_full() {
                self.paused = None;
            }
        }
    }
}

/// How many bytes one of a message becomes at most as it is measured.
const GROWTH_MAX: usize = 8;
