//! The session's back side: messages from the link and to it.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::End;
use super::Transport;
use super::policy::{Acks, Binary, Pinger};
use super::state::{Event, Leaving, Phase, PollSlot, PushOutcome, PushSlot, Session};
use crate::packet::{Closing, Message, Packet, Text};

impl Session {
    /// Handles a message of the backend. Read one only while [`wants_upstream`](Self::wants_upstream).
    pub fn handle_upstream(&mut self, message: Message, now: Instant) {
        if !self.is_linked() {
            return;
        }
        let Some(message) = self.fitting(message) else { return self.refuse_upstream(now) };
        let message = message.behind(self.outbox.cost());
        self.outbox.push_from_upstream(Packet::Message(message), now);
        self.last_upstream = Some(now);
        self.unanswered = self.unanswered.saturating_sub(1);
        self.note_pressure(now);
    }

    /// Handles the end of the link. The client learns of it after everything that was sent before.
    pub fn handle_upstream_closed(&mut self, closing: Closing, now: Instant) {
        let leaves = self.leaving.is_some();
        match self.phase {
            Phase::Open => {
                let deadline = now + self.close_patience();
                self.begin_closing(End::UpstreamClosed, closing, deadline, now);
            }
            Phase::Draining { deadline, .. } => self.begin_closing(End::Drained, closing, deadline, now),
            Phase::Departed { .. } => {
                self.drop_inbox(now);
                self.phase = Phase::Over;
            }
            Phase::Closing { .. } | Phase::Over => {}
        }
        if leaves {
            self.end(End::ClientClosed, now);
        }
    }

    /// Handles the end of the link because the backend read nothing for too long.
    pub fn handle_upstream_stalled(&mut self, now: Instant) {
        self.drop_inbox(now);
        match self.phase {
            Phase::Open | Phase::Draining { .. } => self.end(End::Stalled, now),
            Phase::Departed { .. } => self.phase = Phase::Over,
            Phase::Closing { .. } | Phase::Over => {}
        }
    }

    /// Converts a message to what clients of the dialect can receive; returns `None` if it cannot.
    fn fitting(&self, message: Message) -> Option<Message> {
        match (message, self.policy.binary) {
            (Message::Binary(bytes), Binary::AsText) => Text::new(bytes).ok().map(Message::Text),
            (Message::Binary(bytes), Binary::AsBase64) => Some(Message::text(STANDARD.encode(bytes))),
            (message, _) => Some(message),
        }
    }

    /// Ends a session whose backend sent a message that the client cannot receive.
    fn refuse_upstream(&mut self, now: Instant) {
        self.events.push_back(Event::CloseLink(NOT_TEXT));
        self.handle_upstream_closed(NOT_TEXT, now);
    }

    /// Handles a failure to send on the link: what it was given last was not sent. Its end follows through
    /// [`handle_upstream_closed`](Self::handle_upstream_closed).
    pub fn handle_link_broken(&mut self, now: Instant) {
        for event in &mut self.events {
            if let Event::PushDone(outcome @ PushOutcome::Accepted) = event {
                *outcome = PushOutcome::Refused;
            }
        }
        self.drop_inbox(now);
    }

    /// Drains the session before the proxy stops: both sides finish what they are sending, and the client is
    /// disconnected at the first quiet moment within `patience`.
    pub fn handle_drain(&mut self, patience: Duration, now: Instant) {
        self.leave(now);
        let until = now + patience;
        self.absent_at.get_or_insert_with(|| Box::new(now + ABSENT.min(patience)));
        match &mut self.phase {
            Phase::Open => {
                self.paused = None;
                self.phase = Phase::Draining { calm_until: Some(now + patience / 2), deadline: until };
                if let Some(end) = self.pending_end(now) {
                    self.end(end, now);
                }
            }
            Phase::Closing { end, deadline, .. } if until < *deadline => {
                // Reports what is left now, since it may be lost at that deadline.
                *deadline = until;
                *end = if self.outbox.has_waiting() { End::Drained } else { *end };
            }
            Phase::Closing { .. } | Phase::Draining { .. } | Phase::Departed { .. } | Phase::Over => {}
        }
    }

    /// Returns the end to report to a client that has received everything, if the session is ending and the client can
    /// be told.
    pub(super) fn pending_end(&self, now: Instant) -> Option<End> {
        match self.phase {
            Phase::Closing { end, .. } => Some(end),
            Phase::Draining { calm_until, .. } => {
                let quiet = calm_until.is_none() || self.quiet_at().is_none_or(|at| now >= at);
                (quiet && self.may_disconnect()).then_some(End::Drained)
            }
            Phase::Open | Phase::Departed { .. } | Phase::Over => None,
        }
    }

    /// Returns whether the client can be disconnected for a drain: nothing is in flight in either direction.
    pub(super) fn may_disconnect(&self) -> bool {
        let listens = self.transport == Transport::WebSocket || self.is_parked();
        let sent = self.outbox.is_empty() && self.in_flight == 0;
        listens && sent && self.inbox.is_empty() && self.push == PushSlot::Idle
    }

    /// Returns when the last message of either side will be old enough to count as quiet.
    pub(super) fn quiet_at(&self) -> Option<Instant> {
        self.last_push.max(self.last_upstream).map(|at| at + QUIET)
    }

    /// Returns how long the client has to fetch what is left. A client that has receivers only at times has as long as
    /// it may be absent if it acknowledges messages itself, and at most that long if it does not.
    fn close_patience(&self) -> Duration {
        match (self.policy.acks, self.policy.pinger) {
            (Acks::OnCursor, Pinger::Nobody(liveness)) => liveness.absence,
            (Acks::OnWrite, Pinger::Nobody(liveness)) => self.settings.close_timeout.min(liveness.absence),
            (_, Pinger::Server | Pinger::Client) => self.settings.close_timeout,
        }
    }

    fn begin_closing(&mut self, end: End, closing: Closing, deadline: Instant, now: Instant) {
        self.drop_inbox(now);
        self.paused = None;
        self.phase = Phase::Closing { end, closing, deadline };
        let waits = self.transport == Transport::Polling && self.is_parked();
        if waits && self.outbox.is_empty() && self.in_flight == 0 {
            self.answer(self.goodbye(self.policy.goodbye_waiting, end), now);
            self.end(end, now);
        }
    }

    /// Ends a closing session that has no receiver once nothing is left for its client, if its id goes on reporting the
    /// end: it would only hold its place.
    pub(super) fn finish_spent(&mut self, now: Instant) {
        if let Phase::Closing { end, .. } = self.phase
            && self.outbox.is_empty()
            && self.transport == Transport::Polling
            && self.remembered().is_some()
        {
            self.end(end, now);
        }
    }

    /// Returns when a drain no longer waits for the client: everything was handed to its connections, and its id goes
    /// on reporting the end for as long as the proxy runs.
    pub(super) fn let_go_at(&self) -> Option<Instant> {
        let is_left = self.outbox.has_waiting() || self.in_flight > 0;
        let is_sending = !self.inbox.is_empty() || self.push != PushSlot::Idle;
        let is_told = self.transport == Transport::Polling && self.remembered().is_some();
        let at = self.absent_at.as_deref().copied().filter(|_| is_told && !is_left && !is_sending)?;
        let absent_at = self.pulse.absent_since().map(|since| since + ABSENT);
        Some(at).max(absent_at).max(self.quiet_at())
    }

    /// Reads the inbox until there is a message for the link, or to its end.
    pub(super) fn fill_inbox(&mut self, now: Instant) {
        while self.inbox.ahead.is_none() {
            match self.inbox.rest.as_mut().and_then(Iterator::next) {
                Some(Ok(packet)) => {
                    self.inbox.ahead = self.handle_client_packet(packet, Transport::Polling, now);
                }
                // `end` drops the rest, even if the session has ended already, or this would not terminate.
                Some(Err(_)) => self.end(End::ParseError, now),
                // The POST that says goodbye is answered only once the goodbye takes effect.
                None if self.leaving.is_some() => return,
                None => return self.finish_inbox(now),
            }
        }
    }

    /// Finishes the inbox once the link has accepted all of it.
    fn finish_inbox(&mut self, now: Instant) {
        self.inbox.rest = None;
        self.inbox_since = None;
        self.pulse.release(now);
        if self.push == PushSlot::Waiting {
            self.push = PushSlot::Idle;
            self.last_push = Some(now);
            self.events.push_back(Event::PushDone(PushOutcome::Accepted));
        }
        self.close_link();
    }

    /// Closes the link once the client's side has ended.
    pub(super) fn close_link(&mut self) {
        if let Phase::Departed { closing, .. } = &mut self.phase {
            self.events.push_back(Event::CloseLink(std::mem::take(closing)));
            self.phase = Phase::Over;
        }
    }

    /// Drops the inbox, which can no longer be delivered.
    pub(super) fn drop_inbox(&mut self, now: Instant) {
        self.inbox.ahead = None;
        self.inbox.rest = None;
        self.inbox_since = None;
        self.is_paced = false;
        self.pulse.release(now);
        if self.push == PushSlot::Waiting {
            self.push = PushSlot::Idle;
            self.events.push_back(Event::PushDone(PushOutcome::Refused));
        }
    }

    /// Handles a client's packet that arrived on `transport`, from which the client may have moved since. Returns the
    /// message, if it is one.
    pub(super) fn handle_client_packet(
        &mut self,
        packet: Packet,
        transport: Transport,
        now: Instant,
    ) -> Option<Message> {
        match (&packet, self.policy.pinger) {
            (Packet::Pong(_), Pinger::Server) | (Packet::Ping(_), Pinger::Client) => {
                self.pulse.handle_beat(now);
            }
            _ => self.pulse.handle_packet(now),
        }
        match packet {
            Packet::Message(message) => return Some(message),
            // Heartbeats go in one direction only.
            Packet::Ping(_) if self.policy.pinger == Pinger::Server => self.end(End::ParseError, now),
            Packet::Pong(_) if self.policy.pinger == Pinger::Client => self.end(End::ParseError, now),
            Packet::Ping(_) if self.policy.pinger == Pinger::Client => self.answer_beat(now),
            // A WebSocket client closes the WebSocket itself; the reference server ignores the packet there.
            Packet::Close(_) if transport == Transport::Polling => self.handle_goodbye(now),
            Packet::Close(_)
            | Packet::Open(_)
            | Packet::Ping(_)
            | Packet::Pong(_)
            | Packet::Upgrade
            | Packet::Noop => {}
        }
        None
    }

    /// Handles a polling client's goodbye. A poll that the client sent before it is still answered, as by a server that
    /// handles requests in order.
    fn handle_goodbye(&mut self, now: Instant) {
        self.inbox.rest = None;
        self.leaving = Some(Leaving { look_at: now + self.policy.crossing, looks: LOOKS }.into());
        let may_poll = self.transport == Transport::Polling && !self.is_parked() && !self.is_ended();
        if !may_poll || self.policy.crossing.is_zero() {
            self.leave(now);
        }
    }

    /// Ends the session if its client has said goodbye.
    pub(super) fn leave(&mut self, now: Instant) {
        if self.leaving.take().is_some() {
            self.end(End::ClientClosed, now);
        }
    }

    /// Answers a client's ping; only a probe's text is echoed. A client that does not fetch the answers gets no more of
    /// them.
    fn answer_beat(&mut self, now: Instant) {
        if !self.is_full() {
            self.outbox.push(Packet::Pong(Text::default()));
            self.note_pressure(now);
        }
    }

    /// Returns the packets that end a poll. If the dialect sends reasons, they include the reason: the backend's own,
    /// if it closed the session.
    pub(super) fn goodbye(&self, packets: &[Packet], end: End) -> Vec<Packet> {
        let mut packets = packets.to_vec();
        for packet in &mut packets {
            if let Packet::Close(why) = packet
                && let Some(reason) = self.reason(end)
            {
                *why = Some(Box::new(reason));
            }
        }
        packets
    }

    /// Ends the session at its client's request.
    pub fn handle_leave(&mut self, now: Instant) {
        self.end(End::ClientClosed, now);
    }

    /// Ends the client's side, for whatever reason: says goodbye to the client and closes the link.
    pub(super) fn end(&mut self, end: End, now: Instant) {
        self.end_with(end, end.closing(), now);
    }

    /// Does the same, with the code and reason to send the backend.
    pub(super) fn end_with(&mut self, end: End, to_backend: Closing, now: Instant) {
        // What follows a goodbye or a malformed packet in the same POST is ignored, even if the session had already
        // ended.
        if matches!(end, End::ClientClosed | End::ParseError) {
            self.inbox.rest = None;
        }
        if self.is_ended() {
            return;
        }
        self.leaving = None;
        self.farewell = self.reason(end).map(Box::new);
        if self.is_parked() {
            match end {
                End::ClientClosed if self.policy.why.is_none() => self.answer(vec![Packet::Noop], now),
                End::ClientGone => self.poll = PollSlot::Absent,
                // Its client's next one goes to the other node.
                End::TakenOver => self.answer(self.nothing(), now),
                End::PingTimeout
                | End::ParseError
                | End::Overlap
                | End::TooLarge
                | End::ClientClosed
                | End::UpstreamClosed
                | End::Stalled
                | End::Memory
                | End::Expired
                | End::Operator
                | End::Drained
                | End::Cut => self.answer(self.goodbye(self.policy.goodbye_waiting, end), now),
            }
        }
        let outcome = match self.push {
            PushSlot::Reading => Some(PushOutcome::Destroyed),
            PushSlot::Waiting | PushSlot::Late { .. } if end == End::Overlap => Some(PushOutcome::Destroyed),
            PushSlot::Late { .. } => Some(PushOutcome::Refused),
            PushSlot::Idle | PushSlot::Waiting => None,
        };
        if let Some(outcome) = outcome {
            self.push = PushSlot::Idle;
            self.events.push_back(Event::PushDone(outcome));
        }
        self.paused = None;
        self.forget_unwritten();
        let before = std::mem::replace(
            &mut self.phase,
            Phase::Departed { closing: to_backend, deadline: now + self.settings.stall_timeout },
        );
        let closing = match &before {
            Phase::Closing { closing, .. } => closing.clone(),
            Phase::Draining { .. } if matches!(end, End::Drained | End::Cut) => end.closing(),
            Phase::Draining { .. } | Phase::Open | Phase::Departed { .. } | Phase::Over => Closing::default(),
        };
        self.close_socket(end, closing);
        self.events.push_back(Event::Ended(end));
        match before {
            // The backend's side had ended before.
            Phase::Closing { .. } => self.phase = Phase::Over,
            Phase::Open | Phase::Draining { .. } if self.inbox.is_empty() => self.finish_inbox(now),
            Phase::Open | Phase::Draining { .. } | Phase::Departed { .. } | Phase::Over => {}
        }
    }
}

/// RFC 6455, section 7.4.1.
const NOT_TEXT: Closing = Closing::new(1003, "binary data");
/// Longer than a nearby backend needs to respond, and not a round number: a message sent every 50 ms would arrive just
/// after 50 ms of quiet.
const QUIET: Duration = Duration::from_millis(70);
/// Longer than a client that is still there takes from one poll to the next, so that it hears of a drain from the proxy
/// that stops.
const ABSENT: Duration = Duration::from_secs(1);
/// After the first.
const LOOKS: u8 = 2;
