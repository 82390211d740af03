//! The session's back side: what the link brings, and what it takes.

use std::time::{Duration, Instant};

use super::End;
use super::Transport;
use super::policy::{Acks, Binary, Pinger};
use super::state::{Event, Leaving, Pause, Phase, PollSlot, PushOutcome, PushSlot, Session};
use crate::packet::{Closing, Message, Packet, Text};

impl Session {
    /// The backend sent a message; only to be read while [`wants_upstream`](Self::wants_upstream).
    pub fn handle_upstream(&mut self, message: Message, now: Instant) {
        if !self.is_linked() {
            return;
        }
        let Some(message) = self.fitting(message) else { return self.refuse_upstream(now) };
        self.outbox.push_from_upstream(Packet::Message(message), now);
        self.last_upstream = Some(now);
        self.unanswered = self.unanswered.saturating_sub(1);
        self.note_pressure(now);
    }

    /// The link is over: the client is told behind everything that came before.
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

    /// Returns a message as clients of the dialect can have it, if they can.
    fn fitting(&self, message: Message) -> Option<Message> {
        match (message, self.policy.binary) {
            (Message::Binary(bytes), Binary::AsText) => Text::new(bytes).ok().map(Message::Text),
            (message, _) => Some(message),
        }
    }

    /// The backend says what the client can't hear.
    fn refuse_upstream(&mut self, now: Instant) {
        self.events.push_back(Event::CloseLink(NOT_TEXT));
        self.handle_upstream_closed(NOT_TEXT, now);
    }

    /// The link took no more: what it was given last did not go. Its end follows by
    /// [`handle_upstream_closed`](Self::handle_upstream_closed).
    pub fn handle_link_broken(&mut self, now: Instant) {
        for event in &mut self.events {
            if let Event::PushDone(outcome @ PushOutcome::Accepted) = event {
                *outcome = PushOutcome::Refused;
            }
        }
        self.drop_inbox(now);
    }

    /// Returns the next message for the link; only to be asked when there is room for it.
    pub fn next_for_link(&mut self, now: Instant) -> Option<Message> {
        let message = self.inbox.ahead.take()?;
        if !self.policy.echoes.is_zero() {
            self.unanswered += 1;
        }
        self.inbox_since = Some(now);
        self.fill_inbox(now);
        Some(message)
    }

    /// The proxy is being stopped: both sides say what they have to say, and the client is told at the first quiet moment
    /// within `patience`.
    pub fn handle_drain(&mut self, patience: Duration, now: Instant) {
        self.leave(now);
        let until = now + patience;
        match &mut self.phase {
            Phase::Open => {
                self.paused = None;
                self.phase = Phase::Draining { calm_until: Some(now + patience / 2), deadline: until };
                if let Some(end) = self.pending_end(now) {
                    self.end(end, now);
                }
            }
            Phase::Closing { end, deadline, .. } if until < *deadline => {
                // It answers for what is left then.
                *deadline = until;
                *end = if self.outbox.has_waiting() { End::Drained } else { *end };
            }
            Phase::Closing { .. } | Phase::Draining { .. } | Phase::Departed { .. } | Phase::Over => {}
        }
    }

    /// Returns the end that a client can be told of now, which has taken all that was left for it.
    pub(super) fn pending_end(&self, now: Instant) -> Option<End> {
        match self.phase {
            Phase::Closing { end, .. } => Some(end),
            Phase::Draining { calm_until, .. } => {
                let quiet = calm_until.is_none() || self.quiet_at().is_none_or(|at| now >= at);
                (quiet && self.may_be_told()).then_some(End::Drained)
            }
            Phase::Open | Phase::Departed { .. } | Phase::Over => None,
        }
    }

    /// Returns whether a client can be told of a drain: nothing is on its way in either direction.
    pub(super) fn may_be_told(&self) -> bool {
        let listens = self.transport == Transport::WebSocket || self.is_parked();
        let sent = self.outbox.is_empty() && self.in_flight == 0;
        listens && sent && self.inbox.is_empty() && self.push == PushSlot::Idle
    }

    /// Returns when the last message of either side is an old one.
    pub(super) fn quiet_at(&self) -> Option<Instant> {
        self.last_push.max(self.last_upstream).map(|at| at + QUIET)
    }

    /// Returns how long the client has to fetch what is left: where it comes and goes, no less than it may be away at
    /// other times; and no more, where what it does not fetch is gone like a client that is away.
    fn close_patience(&self) -> Duration {
        match (self.policy.acks, self.policy.pinger) {
            (Acks::OnCursor, Pinger::Nobody(attendance)) => {
                self.settings.close_timeout.max(attendance.absence)
            }
            (Acks::OnWrite, Pinger::Nobody(attendance)) => {
                self.settings.close_timeout.min(attendance.absence)
            }
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

    /// Reads on in the inbox until a message for the link stands ahead, or the end is reached.
    pub(super) fn fill_inbox(&mut self, now: Instant) {
        while self.inbox.ahead.is_none() {
            match self.inbox.rest.as_mut().and_then(Iterator::next) {
                Some(Ok(packet)) => {
                    self.inbox.ahead = self.handle_client_packet(packet, Transport::Polling, now);
                }
                Some(Err(_)) => self.end(End::ParseError, now),
                // The POST that says goodbye is not answered before that is judged.
                None if self.leaving.is_some() => return,
                None => return self.finish_inbox(now),
            }
        }
    }

    /// The link has taken everything.
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

    /// Lets the backend go, once the client's side is over.
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
        self.pulse.release(now);
        if self.push == PushSlot::Waiting {
            self.push = PushSlot::Idle;
            self.events.push_back(Event::PushDone(PushOutcome::Refused));
        }
    }

    /// Returns what a client's packet means that came on `transport`, though the client may have moved since. A message
    /// is returned.
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
            // A heartbeat has one direction.
            Packet::Ping(_) if self.policy.pinger == Pinger::Server => self.end(End::ParseError, now),
            Packet::Pong(_) if self.policy.pinger == Pinger::Client => self.end(End::ParseError, now),
            Packet::Ping(_) if self.policy.pinger == Pinger::Client => self.answer_beat(now),
            // A WebSocket client closes the WebSocket itself; the reference ignores the packet there.
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

    /// A polling client says goodbye. It may have sent a poll before that, which then gets its answer, as from a server
    /// that takes one request after the other.
    fn handle_goodbye(&mut self, now: Instant) {
        self.inbox.rest = None;
        self.leaving = Some(Leaving { look_at: now + self.policy.crossing, looks: LOOKS });
        let may_poll = self.transport == Transport::Polling && !self.is_parked() && !self.is_ended();
        if !may_poll || self.policy.crossing.is_zero() {
            self.leave(now);
        }
    }

    /// The client that has said goodbye is gone.
    pub(super) fn leave(&mut self, now: Instant) {
        if self.leaving.take().is_some() {
            self.end(End::ClientClosed, now);
        }
    }

    /// Answers a client's ping, whose text is echoed for a probe only. One that fetches no answers gets no more of them.
    fn answer_beat(&mut self, now: Instant) {
        if !self.is_full() {
            self.outbox.push(Packet::Pong(Text::default()));
            self.note_pressure(now);
        }
    }

    /// Stops reading the backend while the client has all that it may keep waiting.
    pub(super) fn note_pressure(&mut self, now: Instant) {
        if self.phase == Phase::Open && !self.wants_upstream() && self.paused.is_none() {
            self.paused = Some(Pause { since: now, keep_alive_at: now + self.keep_alive });
        }
    }

    /// The client has taken something.
    pub(super) fn note_progress(&mut self, now: Instant) {
        if let Some(pause) = &mut self.paused {
            pause.since = now;
            if self.outbox.cost() < self.settings.outbox_max {
                self.paused = None;
            }
        }
    }

    /// Returns what ends a poll, with the reason where the dialect says it: the backend's own, if that is why.
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

    /// The client says that it is done.
    pub fn handle_leave(&mut self, now: Instant) {
        self.end(End::ClientClosed, now);
    }

    /// The client's side is over, for whatever reason: says goodbye to it, and lets the backend go.
    pub(super) fn end(&mut self, end: End, now: Instant) {
        self.end_with(end, end.closing(), now);
    }

    /// The same, with what the backend is told.
    pub(super) fn end_with(&mut self, end: End, to_backend: Closing, now: Instant) {
        // What follows a goodbye or a malformed packet in the same POST is ignored, even if the session had ended before.
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
                End::PingTimeout
                | End::ParseError
                | End::Overlap
                | End::TooLarge
                | End::ClientClosed
                | End::UpstreamClosed
                | End::Stalled
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
            // The backend's side was over first.
            Phase::Closing { .. } => self.phase = Phase::Over,
            Phase::Open | Phase::Draining { .. } if self.inbox.is_empty() => self.finish_inbox(now),
            Phase::Open | Phase::Draining { .. } | Phase::Departed { .. } | Phase::Over => {}
        }
    }
}

/// RFC 6455, section 7.4.1.
const NOT_TEXT: Closing = Closing::new(1003, "binary data");
/// More than a backend near by needs for its answer, and not the period of anything: what a client sends each 50 ms would
/// come just when 50 ms of quiet are over.
const QUIET: Duration = Duration::from_millis(70);
/// Behind the first.
const LOOKS: u8 = 2;
