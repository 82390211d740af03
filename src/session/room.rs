//! What a session holds for its two sides, and when it holds so much that its backend is not read.

use std::time::{Duration, Instant};

use super::End;
use super::state::{Pause, Phase, Session};
use crate::packet::Message;

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

    /// Sets how many bytes may wait for the client while others need memory, besides the session's own limit; without a
    /// need, `usize::MAX`. If nothing waits, the backend is read whatever the room is, or the session would stand still
    /// because of others.
    pub fn handle_room(&mut self, room: usize, now: Instant) {
        let room = room.max(1);
        if room == self.room {
            return;
        }
        self.room = room;
        if self.is_full() {
            self.note_pressure(now);
        } else {
            self.paused = None;
        }
    }

    /// Returns whether others need memory.
    #[inline]
    pub const fn is_short_of_room(&self) -> bool {
        self.room != usize::MAX
    }

    /// Returns whether the backend is not read only because others need memory.
    pub fn is_held_back(&self) -> bool {
        self.is_short_of_room() && self.paused.is_some() && self.outbox.cost() < self.settings.outbox_max
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
        self.outbox.cost() >= self.settings.outbox_max.min(self.room)
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
