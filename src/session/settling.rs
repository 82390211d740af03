//! What becomes of a batch that was handed out: it is written, lost, or comes back because nobody was told of it.

use std::time::Instant;

use super::policy::{Acks, HangUp, Pinger};
use super::state::{PollSlot, Session};
use super::{End, Transport};
use crate::packet::Packet;

impl Session {
    /// Handles a batch that was handed to the client's connection.
    pub fn handle_delivered(&mut self) {
        self.is_known = true;
        self.note_settled();
    }

    /// Handles a batch that could not be handed to the client's connection.
    pub fn handle_lost(&mut self, batch: Vec<Packet>, now: Instant) {
        self.note_settled();
        // A client that acknowledges messages asks for them again.
        if self.is_ended() || self.policy.acks == Acks::OnCursor {
            return;
        }
        // A client that has moved no longer needs its last poll; packets that only end that poll are no loss.
        let moved = self.transport == Transport::WebSocket;
        if moved && batch.iter().all(ends_receiver) {
            return;
        }
        match self.policy.hang_up {
            HangUp::Ends => self.end(End::ClientGone, now),
            HangUp::Returns => self.restore(batch, now),
        }
    }

    /// Handles a batch that no client was told of: the next receiver gets it.
    pub fn handle_untold(&mut self, batch: Vec<Packet>, now: Instant) {
        self.note_settled();
        if self.is_ended() || self.policy.acks == Acks::OnCursor {
            return;
        }
        self.restore(batch, now);
    }

    /// Keeps a batch for the next receiver, but for what was meant for the last one alone.
    fn restore(&mut self, mut batch: Vec<Packet>, now: Instant) {
        let beats = matches!(self.policy.pinger, Pinger::Nobody(_));
        batch.retain(|packet| !(ends_receiver(packet) || beats && matches!(packet, Packet::Ping(_))));
        self.outbox.restore(batch);
        self.forget_unwritten();
        self.note_pressure(now);
    }

    /// Hands out again what follows this number, because it is not known to have reached a client that acknowledges
    /// messages, unless that client has opened another receiver since.
    pub fn handle_unread(&mut self, number: u64) {
        if self.policy.acks == Acks::OnCursor && !self.is_parked() && !self.is_ended() {
            self.outbox.rewind_to(number);
            self.forget_unwritten();
        }
    }

    /// Records that a batch was handed out. The next one waits until it is written, unless the client acknowledges
    /// messages itself: it may then fetch them again, but its stream must accept them in time.
    pub(super) fn note_given(&mut self, now: Instant) {
        let is_awaited = self.policy.acks == Acks::OnWrite;
        self.in_flight += u32::from(is_awaited);
        if is_awaited || self.poll == PollSlot::Stream {
            self.pulse.handle_given(self.settings.stall_timeout, now);
        }
    }

    /// Returns the length of the batch of the last [`Event::Answer`](super::Event::Answer) or of a part as it is written, in bytes, as far as
    /// that was measured. Call it once for each of them.
    pub fn take_handed_len(&mut self) -> usize {
        std::mem::take(&mut self.handed_len) as usize
    }

    /// Records that a batch is no longer in flight.
    fn note_settled(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.in_flight == 0 {
            self.pulse.handle_taken();
            self.lent = 0;
            if !self.is_full() {
                self.paused = None;
            }
        }
    }
}

/// Returns whether a packet of a session that goes on only ends the receiver that it was for.
const fn ends_receiver(packet: &Packet) -> bool {
    matches!(packet, Packet::Close(_) | Packet::Noop)
}
