//! Polls and POSTs: one of each at a time (protocol 4, "HTTP long-polling").

use std::time::{Duration, Instant};

use super::End;
use super::Transport;
use super::inbox::Packets;
use super::outbox::CursorRefused;
use super::policy::{Acks, HangUp, Pinger, Pushes, Second};
use super::receiver::Terms;
use super::state::{Event, Phase, PollRefused, PollSlot, PushOutcome, PushRefused, PushSlot, Session};
use crate::packet::{Packet, Text};

impl Session {
    /// Handles a poll.
    ///
    /// # Errors
    /// Returns why the poll is not parked. After an overlap, the session has ended if the dialect demands that.
    pub fn handle_poll(&mut self, now: Instant) -> Result<(), PollRefused> {
        self.handle_poll_on(Terms::default(), now)
    }

    /// Handles a poll with these terms.
    ///
    /// # Errors
    /// As for [`handle_poll`](Self::handle_poll).
    pub fn handle_poll_on(&mut self, terms: Terms, now: Instant) -> Result<(), PollRefused> {
        self.admit_receiver(terms, now)?;
        // Behind a proxy an echo takes a further round trip; on the reference server it is ready when the POST is
        // answered.
        let linger = match self.settings.linger {
            linger if self.unanswered > 0 && !linger.is_zero() => linger.max(self.policy.echoes),
            linger => linger,
        };
        let echoes = self.last_push.map(|pushed| pushed + linger);
        let held_until = self.greets_by.take().or(echoes).filter(|until| now < *until);
        let held_until = held_until.filter(|_| !self.has_waited(now));
        self.poll = PollSlot::Parked { held_until };
        self.leave(now);
        self.release_held(now);
        Ok(())
    }

    /// Handles a stream, which accepts batches until its budget is used up.
    ///
    /// # Errors
    /// As for [`handle_poll`](Self::handle_poll).
    pub fn handle_stream(&mut self, terms: Terms, now: Instant) -> Result<(), PollRefused> {
        let unset = match self.policy.acks {
            Acks::OnWrite => usize::MAX,
            Acks::OnCursor => self.settings.outbox_max / 4,
        };
        let bytes = terms.bytes.min(terms.budget.unwrap_or(unset));
        self.admit_receiver(Terms { bytes, ..terms }, now)?;
        self.poll = PollSlot::Stream;
        self.leave(now);
        Ok(())
    }

    /// Handles the number that a client acknowledges with its next receiver; `None` if it acknowledges none. Call it
    /// before handling the receiver.
    ///
    /// # Errors
    /// Returns an error if the number is impossible; nothing has changed then.
    pub fn handle_cursor(&mut self, after: Option<u64>, now: Instant) -> Result<(), CursorRefused> {
        let Some(after) = after else {
            self.outbox.rewind();
            self.forget_unwritten();
            return Ok(());
        };
        self.outbox.acknowledge(after)?;
        self.forget_unwritten();
        self.note_progress(now);
        Ok(())
    }

    /// Admits a receiver, and handles an earlier one as the dialect demands.
    fn admit_receiver(&mut self, terms: Terms, now: Instant) -> Result<(), PollRefused> {
        self.admit(now)?;
        if self.is_parked() {
            match self.policy.second {
                // Its node may have died, and the same poll comes again by another.
                Second::Ends if self.is_received_by_peer() && !terms.insists => {
                    return Err(PollRefused::Occupied);
                }
                Second::Ends => {
                    self.end(End::Overlap, now);
                    return Err(PollRefused::Overlap);
                }
                Second::Refused => return Err(PollRefused::Occupied),
                Second::Replaces => self.answer(self.policy.replaced.to_vec(), now),
            }
        }
        self.receiver_room = terms.into();
        self.waits_until = terms.wait.map(|wait| now + wait);
        if self.policy.acks == Acks::OnCursor {
            // The client shows that it is alive, whatever happens to its previous receiver.
            self.pulse.handle_taken();
        }
        self.pulse.handle_receiver(now);
        Ok(())
    }

    /// Returns whether the client of the parked poll or the open stream is connected to another node.
    pub fn is_received_by_peer(&self) -> bool {
        self.is_parked() && self.receiver_room.by_peer
    }

    /// Handles a receiver whose budget is used up; its client will open another.
    pub fn handle_receiver_done(&mut self) {
        self.poll = PollSlot::Absent;
    }

    /// Handles the disconnect of a parked poll.
    pub fn handle_poll_gone(&mut self, now: Instant) {
        if self.is_parked() {
            self.poll = PollSlot::Absent;
            if self.policy.hang_up == HangUp::Ends {
                self.end(End::ClientGone, now);
            }
        }
    }

    /// Answers the parked poll at once, because the way of its client ends: the client is to come by another.
    pub fn handle_released(&mut self, now: Instant) {
        self.release_poll(self.nothing(), now);
    }

    /// Returns what has a poll's client ask again, at once and without any harm.
    pub(super) fn nothing(&self) -> Vec<Packet> {
        match (self.policy.acks, self.policy.pinger) {
            // Its wait is over.
            (Acks::OnCursor, _) => Vec::new(),
            (Acks::OnWrite, Pinger::Nobody(_)) => vec![Packet::Ping(Text::default())],
            (Acks::OnWrite, Pinger::Server | Pinger::Client) => vec![Packet::Noop],
        }
    }

    /// Ends the session for a reason that comes from neither side. Of [`End::TakenOver`] its client learns nothing: the
    /// session that it has begun at another node goes on.
    pub fn handle_ended(&mut self, end: End, now: Instant) {
        self.end(end, now);
    }

    /// Answers the parked poll with what there is for it, or else with `nothing`, which says that.
    pub(super) fn release_poll(&mut self, nothing: Vec<Packet>, now: Instant) {
        if let PollSlot::Parked { held_until } = &mut self.poll {
            *held_until = None;
            self.answer_poll(now);
            if self.is_parked() && self.in_flight == 0 && !self.is_ended() {
                self.answer(nothing, now);
            }
        }
    }

    /// Handles the head of a POST, whose body follows.
    ///
    /// # Errors
    /// Returns why the POST is not read; after an overlap the session has ended.
    pub fn handle_push_begun(&mut self, now: Instant) -> Result<(), PushRefused> {
        self.leave(now);
        self.admit(now)?;
        if self.push != PushSlot::Idle {
            self.end(End::Overlap, now);
            return Err(PushRefused::Overlap);
        }
        self.push = PushSlot::Reading;
        Ok(())
    }

    /// Handles a POST's complete body. [`Event::PushDone`] follows once the link has accepted its messages.
    pub fn handle_push(&mut self, packets: Packets, now: Instant) {
        if self.push != PushSlot::Reading {
            return;
        }
        if !self.is_linked() {
            return self.handle_late_push(packets, now);
        }
        // The backend will no longer answer what it has left unanswered for so long.
        if self.last_push.is_none_or(|pushed| now >= pushed + self.policy.echoes) {
            self.unanswered = 0;
        }
        self.push = PushSlot::Waiting;
        self.inbox.rest = Some(packets);
        self.inbox_since = Some(now);
        self.pulse.hold(now);
        self.fill_inbox(now);
    }

    /// Handles a POST to a session whose backend is gone. As on the reference server it is accepted and ignored, but
    /// only if that loses no message.
    fn handle_late_push(&mut self, mut packets: Packets, now: Instant) {
        if !packets.any(|packet| matches!(packet, Ok(Packet::Message(_)))) {
            self.push = PushSlot::Idle;
            self.events.push_back(Event::PushDone(PushOutcome::Accepted));
            return;
        }
        // A client whose POSTs are queued does not leave because one is refused.
        let is_left = self.policy.pushes == Pushes::One && (!self.outbox.is_empty() || self.in_flight > 0);
        self.push = PushSlot::Late { at: if is_left { now + LATE } else { now } };
        self.refuse_late_push(now);
    }

    /// Refuses a POST whose messages cannot be delivered, once it has waited long enough.
    pub(super) fn refuse_late_push(&mut self, now: Instant) {
        if matches!(self.push, PushSlot::Late { at } if now >= at) {
            self.push = PushSlot::Idle;
            self.events.push_back(Event::PushDone(PushOutcome::Refused));
        }
    }

    /// Records a sign of life that is not passed on, for example a repeated POST.
    pub fn handle_heard(&mut self, now: Instant) {
        self.pulse.handle_packet(now);
    }

    /// Handles a POST that was too large: it is refused, and the session continues.
    pub fn handle_push_too_large(&mut self) {
        self.push = PushSlot::Idle;
    }

    /// Handles a POST whose body was aborted.
    pub fn handle_push_broken(&mut self, now: Instant) {
        if self.push == PushSlot::Reading {
            self.push = PushSlot::Idle;
            self.end(End::ClientGone, now);
        }
    }

    /// Handles a POST of a kind that the dialect does not know.
    pub fn handle_push_invalid(&mut self, now: Instant) {
        if self.push == PushSlot::Reading {
            self.push = PushSlot::Idle;
            self.end(End::ParseError, now);
        }
    }

    /// Gives the parked receiver what is waiting for it.
    pub(super) fn answer_poll(&mut self, now: Instant) {
        // One batch at a time: the next would go out on another connection, and might overtake this one or follow it
        // although it is lost.
        if !self.is_parked() || self.in_flight > 0 || self.is_ended() {
            return;
        }
        if self.held_until().is_some_and(|until| now < until) {
            return;
        }
        if self.next_is_too_long(self.receiver_room.growth, now) {
            // The receiver goes on waiting for it, but no longer than it may.
            if self.has_waited(now) {
                self.answer(Vec::new(), now);
            }
        } else if self.outbox.has_waiting() {
            self.answered_since = self.outbox.oldest();
            let before = self.outbox.cost();
            let batch = if self.outbox.opens_next() {
                // A client may read no further than the first packet in a handshake's response.
                self.pulse.handle_greeted(now);
                self.outbox.take_greeting(self.policy.piggyback.map(|piggyback| piggyback.is_it))
            } else {
                // While others need memory no more than may wait: the response made of it takes as much again.
                let room = self.room() / usize::from(self.receiver_room.growth);
                let bytes = self.settings.batch_max.min(self.receiver_room.bytes).min(room);
                let measure = self.policy.encoded_len;
                let (batch, encoded) = self.outbox.take_batch(bytes, self.receiver_room.messages, measure);
                self.handed_len = u32::try_from(encoded).unwrap_or(u32::MAX);
                batch
            };
            self.forget_unwritten();
            self.lent = u32::try_from(before - self.outbox.cost()).unwrap_or(u32::MAX);
            self.give(batch, now);
            self.note_progress(now);
        } else if !self.outbox.is_empty() && (self.pending_end(now).is_some() || self.is_full()) {
            // What a stream has sent counts as delivered only once its client comes back and acknowledges it. Until
            // then the session cannot end, and a full one makes no progress, so the receiver is ended.
            self.answer(Vec::new(), now);
        } else if let Some(end) = self.pending_end(now) {
            self.answer(self.goodbye(self.policy.goodbye_late, end), now);
            self.end(end, now);
        } else if self.has_waited(now) {
            self.answer(Vec::new(), now);
        }
    }

    /// Returns whether there is nothing to do before the link or the client brings something, or a deadline passes:
    /// nothing is left for either side, and no receiver is parked.
    pub fn is_at_rest(&self) -> bool {
        let is_quiet = self.phase == Phase::Open && self.upgrade.is_none() && self.leaving.is_none();
        is_quiet
            && !self.is_parked()
            && self.outbox.is_empty()
            && self.inbox.is_empty()
            && self.events.is_empty()
    }

    /// Returns whether the receiver's wait is over.
    fn has_waited(&self, now: Instant) -> bool {
        self.waits_until.is_some_and(|until| now >= until)
    }

    /// Sends the receiver a ping that needs no answer, unless a batch is in flight or about to be.
    pub(super) fn beat_receiver(&mut self, now: Instant) {
        let has_nothing = self.in_flight == 0 && !self.outbox.has_waiting();
        if self.is_parked() && has_nothing && self.receiver_room.beats {
            self.give(vec![Packet::Ping(Text::default())], now);
        }
    }

    /// Gives the receiver a batch, which is its last unless it is a stream with some budget left.
    fn give(&mut self, batch: Vec<Packet>, now: Instant) {
        if self.poll == PollSlot::Stream && self.receiver_room.take(&batch, self.policy.encoded_len) {
            self.note_given(now);
            self.events.push_back(Event::Part(batch));
        } else {
            self.answer(batch, now);
        }
    }

    /// Ends the receiver with a batch.
    pub(super) fn answer(&mut self, batch: Vec<Packet>, now: Instant) {
        self.poll = PollSlot::Absent;
        self.note_given(now);
        self.events.push_back(Event::Answer(batch));
    }

    /// Returns until when the parked poll is held: the end of its window, or earlier if the backend has sent something
    /// and become quiet; for a handshake, until the backend has sent something. No poll is held once the session is
    /// closing.
    pub(super) fn held_until(&self) -> Option<Instant> {
        let PollSlot::Parked { held_until: Some(until) } = self.poll else { return None };
        if self.phase != Phase::Open {
            return None;
        }
        if self.outbox.opens_next() {
            return (self.outbox.len() == 1).then_some(until);
        }
        let spoke = self.last_upstream.filter(|at| self.last_push.is_none_or(|pushed| *at >= pushed));
        let spoke = spoke.filter(|_| self.unanswered == 0);
        Some(spoke.map_or(until, |at| until.min(at + self.settings.linger / 3)))
    }

    fn admit(&mut self, now: Instant) -> Result<(), PollRefused> {
        // Deadlines that passed before this request are handled first, however late the driver's timer is.
        self.handle_timeout(now);
        if self.is_ended() {
            return Err(PollRefused::Over);
        }
        match self.transport {
            Transport::Polling | Transport::Streaming => {
                // The receiver that tells of the session may be the handshake itself.
                self.has_returned |= !self.outbox.opens_next();
                Ok(())
            }
            Transport::WebSocket => Err(PollRefused::WrongTransport),
        }
    }

    /// Returns whether the client has not come back since its handshake, and is not there either.
    pub fn awaits_return(&self) -> bool {
        !self.has_returned && self.phase == Phase::Open && !self.is_parked()
    }

    /// Ends the session if its client has not come back since its handshake. Returns whether it does.
    pub fn handle_forsaken(&mut self, now: Instant) -> bool {
        let is_forsaken = self.awaits_return();
        if is_forsaken {
            self.end(End::ClientGone, now);
        }
        is_forsaken
    }
}

/// Time for a client to fetch what is left in a round trip, but short for a client that does so only after its POST.
const LATE: Duration = Duration::from_secs(1);
