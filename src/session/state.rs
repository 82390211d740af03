//! The session itself: its state, what comes out of it, and when it wants to be called again.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::inbox::Inbox;
use super::outbox::Outbox;
use super::policy::Policy;
use super::pulse::Pulse;
use super::receiver::{Appetite, Terms};
use super::settings::Settings;
use super::upgrade::Upgrade;
use super::{End, Transport};
use crate::packet::{Closing, Heartbeat, Packet};

/// One client's session.
///
/// ```text
///            handle_upstream ─> outbox ─> Event::Answer (polling) | next_for_socket (WebSocket)
///   link                                                                                    client
///            next_for_link <─── inbox <── handle_push (polling) | handle_packet (WebSocket)
/// ```
pub struct Session {
    pub(super) policy: Policy,
    pub(super) settings: Arc<Settings>,
    pub(super) keep_alive: Duration,
    pub(super) transport: Transport,
    pub(super) phase: Phase,
    pub(super) outbox: Outbox,
    pub(super) inbox: Inbox,
    pub(super) pulse: Pulse,
    pub(super) poll: PollSlot,
    /// What the last receiver takes yet.
    pub(super) appetite: Appetite,
    /// Until when it waits, where it has an end of its own.
    pub(super) waits_until: Option<Instant>,
    pub(super) push: PushSlot,
    /// How many answers were handed out and are neither written nor lost yet; what follows them must wait. More than
    /// one only where the last is a goodbye.
    pub(super) in_flight: usize,
    /// Since when the oldest message of the last answer had waited.
    pub(super) answered_since: Option<Instant>,
    pub(super) upgrade: Option<Upgrade>,
    pub(super) paused: Option<Pause>,
    /// Since when the inbox waits for the link.
    pub(super) inbox_since: Option<Instant>,
    /// Until when the handshake is held, unless the backend speaks before.
    pub(super) greets_by: Option<Instant>,
    /// The client has said goodbye, and is gone unless a poll comes before.
    pub(super) leaving: Option<Leaving>,
    /// Its client knows of it: it has been told so, or there is nothing to tell.
    pub(super) is_known: bool,
    /// Why it ended, where it goes on saying so.
    pub(super) farewell: Option<Box<Closing>>,
    /// How many more messages the POSTs of late have brought than the backend has sent since, where that is counted.
    pub(super) unanswered: usize,
    pub(super) last_push: Option<Instant>,
    pub(super) last_upstream: Option<Instant>,
    pub(super) events: VecDeque<Event>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Both sides are there.
    Open,
    /// The proxy is being stopped. Both sides are there until a quiet moment in which the client can be told, so that
    /// what either has said arrives. Once `calm_until` is over, the backend is not read any more and no quiet is waited
    /// for.
    Draining { calm_until: Option<Instant>, deadline: Instant },
    /// The backend's side is over, and the client has not taken what is left, or does not know of the end.
    Closing { end: End, closing: Closing, deadline: Instant },
    /// The client is gone, and some of what was accepted from it has not gone to the backend yet.
    Departed { closing: Closing, deadline: Instant },
    /// Nothing is left to do.
    Over,
}

/// The one receiver that may wait: a poll, whose budget is one answer, or a stream, whose budget is bytes. (A WebSocket
/// has none, and is the transport itself.)
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PollSlot {
    Absent,
    /// Waiting; not answered before `held_until`, so that one answer carries all the echoes of a POST.
    Parked {
        held_until: Option<Instant>,
    },
    /// A stream, which takes one batch after another until it has had what it wants.
    Stream,
}

/// The one POST that may be under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PushSlot {
    Idle,
    /// Its body is still coming in.
    Reading,
    /// Its packets are in the inbox.
    Waiting,
    /// Nobody takes its messages any more: it is refused when the client has been told of the end, since a refusal
    /// before that makes the client leave without what is left for it. A client that fetches nothing meanwhile is
    /// refused at `at`.
    Late {
        at: Instant,
    },
}

/// A goodbye that has not been judged. It is looked at several times, not once when all that time is over: a process
/// that was put aside for so long wakes up to the end of the wait and to the poll together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    pub(super) look_at: Instant,
    /// How many looks follow that one.
    pub(super) looks: u8,
}

/// The backend is not being read, because the client is slower than the backend.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    /// Since when the client has taken nothing.
    pub(super) since: Instant,
    /// When the backend is told next that its peer lives.
    pub(super) keep_alive_at: Instant,
}

/// What the driver has to do.
#[derive(PartialEq, Eq, Debug)]
pub enum Event {
    /// Answer the parked poll with these packets, or end the stream that waits with them, and report what became of
    /// them with [`handle_delivered`](Session::handle_delivered) or [`handle_lost`](Session::handle_lost).
    Answer(Vec<Packet>),
    /// Write these packets to the stream that waits, which goes on; report as for an answer.
    Part(Vec<Packet>),
    /// Settle the POST that is under way.
    PushDone(PushOutcome),
    /// Write to the candidate WebSocket.
    Probe(Packet),
    /// Close the candidate; the session stays on polling.
    CloseProbe,
    /// The candidate is the client's socket from now on.
    Adopt,
    /// Close the client's WebSocket, behind what it was given.
    CloseSocket(End, Closing),
    /// Show the backend that its peer lives although nothing is read from it.
    KeepAlive,
    /// Close the link, behind what it was given.
    CloseLink(Closing),
    /// The client's side is over: its id is unknown from now on.
    Ended(End),
}

/// What becomes of a POST.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PushOutcome {
    /// The link has taken all its messages.
    Accepted,
    /// The link can't take them: the session is over.
    Refused,
    /// The client broke the rules: its connection is dropped without an answer.
    Destroyed,
}

/// Why a poll is not parked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PollRefused {
    /// Another poll was parked; the session is over.
    Overlap,
    /// Another receiver waits, and is not disturbed.
    Occupied,
    /// The client is on a WebSocket.
    WrongTransport,
    /// The session is over.
    Over,
}

/// Why a POST is not read.
pub type PushRefused = PollRefused;

impl Session {
    /// Begins a session whose client is told `open` first, if anything.
    ///
    /// `keep_alive` is how often a backend that isn't read is told that its peer lives.
    pub fn new(
        policy: Policy,
        settings: Arc<Settings>,
        transport: Transport,
        pace: Heartbeat,
        keep_alive: Duration,
        open: Option<Packet>,
        now: Instant,
    ) -> Self {
        let linger = settings.linger;
        let is_known = open.is_none();
        let mut outbox = Outbox::new(policy.acks);
        if let Some(open) = open {
            outbox.push(open);
        }
        Self {
            policy,
            settings,
            keep_alive,
            transport,
            phase: Phase::Open,
            outbox,
            inbox: Inbox::default(),
            pulse: Pulse::new(pace, policy.pinger, now),
            poll: PollSlot::Absent,
            appetite: Terms::default().into(),
            waits_until: None,
            push: PushSlot::Idle,
            in_flight: 0,
            answered_since: None,
            upgrade: None,
            paused: None,
            inbox_since: None,
            greets_by: policy
                .companion
                .filter(|_| !linger.is_zero())
                .map(|companion| now + companion.patience),
            leaving: None,
            is_known,
            farewell: None,
            unanswered: 0,
            last_push: None,
            last_upstream: None,
            // Mostly one at a time: the first push would make room for four.
            events: VecDeque::with_capacity(1),
        }
    }

    /// Ends a session that is in no state to be ended in good order: nobody is told anything.
    pub fn abandon(&mut self) {
        self.phase = Phase::Over;
        (self.poll, self.push, self.upgrade, self.leaving) = (PollSlot::Absent, PushSlot::Idle, None, None);
        (self.outbox, self.inbox) = (Outbox::new(self.policy.acks), Inbox::default());
        self.paused = None;
        self.inbox_since = None;
        self.events.clear();
    }

    /// Returns the transport that the client is on.
    pub const fn transport(&self) -> Transport {
        self.transport
    }

    /// Returns whether the backend should be read: there is room for what it sends.
    pub fn wants_upstream(&self) -> bool {
        let reads = match self.phase {
            Phase::Open => true,
            Phase::Draining { calm_until, .. } => calm_until.is_some(),
            Phase::Closing { .. } | Phase::Departed { .. } | Phase::Over => false,
        };
        reads && !self.is_full()
    }

    /// Returns whether there is as much for the client as may be kept.
    pub(super) fn is_full(&self) -> bool {
        self.outbox.cost() >= self.settings.outbox_max
    }

    /// Returns whether the client's WebSocket should be read: what came before has been taken.
    pub fn wants_client(&self) -> bool {
        self.transport == Transport::WebSocket && self.phase != Phase::Over && self.inbox.is_empty()
    }

    /// Returns whether there is a message for the link.
    pub fn has_for_link(&self) -> bool {
        self.inbox.ahead.is_some()
    }

    /// Returns whether there is a packet for the client's WebSocket.
    pub fn has_for_socket(&self) -> bool {
        self.transport == Transport::WebSocket
            && self.in_flight == 0
            && !self.is_ended()
            && self.outbox.has_waiting()
    }

    /// Returns when the oldest message that waits for the client came from the backend.
    pub fn oldest_message(&self) -> Option<Instant> {
        self.outbox.oldest()
    }

    /// Returns the number of the last message that was handed out, for a client that says how far it has come.
    pub const fn last_handed_out(&self) -> u64 {
        self.outbox.handed_out()
    }

    /// Returns when the oldest message of the last [`Event::Answer`] came from the backend.
    pub const fn oldest_answered(&self) -> Option<Instant> {
        self.answered_since
    }

    /// Returns whether what the candidate brought is to be read before a poll is judged: it may have come before it.
    pub fn reads_probe_first(&self) -> bool {
        self.upgrade.is_some() && !self.policy.crossing.is_zero()
    }

    /// Returns whether a poll is parked, or a stream waits.
    pub fn is_parked(&self) -> bool {
        self.poll != PollSlot::Absent
    }

    /// Returns whether there is a link that takes what the client says.
    pub(super) const fn is_linked(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Draining { .. })
    }

    /// Returns whether the client's side is over.
    pub const fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Departed { .. } | Phase::Over)
    }

    /// Returns whether nothing is left to do.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over && self.events.is_empty()
    }

    /// The next thing to do. To be emptied after every `handle_*`, or after a run of them.
    pub fn poll(&mut self, now: Instant) -> Option<Event> {
        self.check();
        if self.events.is_empty() {
            self.answer_poll(now);
            self.finish_socket(now);
            if !self.is_parked() && self.in_flight == 0 {
                self.pulse.handle_absence(now);
            }
        }
        self.events.pop_front()
    }

    /// Returns the next packet for the client's WebSocket; only to be asked when there is room for it.
    pub fn next_for_socket(&mut self, now: Instant) -> Option<Packet> {
        if !self.has_for_socket() {
            return None;
        }
        let packet = self.outbox.pop()?;
        if matches!(packet, Packet::Open(_)) {
            self.pulse.handle_greeted(now);
        }
        self.note_progress(now);
        Some(packet)
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Open => self.pulse.poll_timeout(),
            Phase::Draining { calm_until, deadline } => {
                let next = calm_until.unwrap_or(*deadline);
                Some(self.quiet_at().filter(|_| self.may_be_told()).map_or(next, |at| at.min(next)))
            }
            Phase::Closing { deadline, .. } | Phase::Departed { deadline, .. } => Some(*deadline),
            Phase::Over => return None,
        };
        let late = if let PushSlot::Late { at } = self.push { Some(at) } else { None };
        let leaving = self.leaving.map(|leaving| leaving.look_at);
        let upgrade = self.upgrade.as_ref().map(Upgrade::poll_timeout);
        let linger =
            self.held_until().or(self.waits_until.filter(|_| self.is_parked() && self.in_flight == 0));
        let stall = self.settings.stall_timeout;
        let paused = self.paused.map(|pause| pause.keep_alive_at.min(pause.since + stall));
        // A client that is gone has a deadline of its own for what it left.
        let inbox = self.inbox_since.filter(|_| self.phase == Phase::Open).map(|since| since + stall);
        // Most of them are not there, in each of a push's four turns: as an array they would be written and read all
        // the same.
        let next = earlier(earlier(phase, late), earlier(leaving, upgrade));
        earlier(next, earlier(linger, earlier(paused, inbox)))
    }
}

/// Returns the earlier of two deadlines that may not be there.
fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("transport", &self.transport)
            .field("phase", &self.phase)
            .field("poll", &self.poll)
            .field("push", &self.push)
            .field("outbox", &self.outbox.cost())
            .finish_non_exhaustive()
    }
}
