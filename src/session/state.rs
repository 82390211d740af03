//! The session itself: its state, its output, and its next deadline.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::inbox::Inbox;
use super::outbox::Outbox;
use super::policy::Policy;
use super::pulse::Pulse;
use super::receiver::{ReceiverRoom, Terms};
use super::settings::Settings;
use super::shortage::Shortage;
use super::upgrade::Upgrade;
use super::{End, Transport};
use crate::bucket::Bucket;
use crate::packet::{Closing, Heartbeat, Packet};

/// One client's session.
///
/// ```text
///            handle_upstream ─> outbox ─> Event::Answer (polling) | next_for_socket (WebSocket)
///   link                                                                                    client
///            next_for_link <─── inbox <── handle_push (polling) | handle_packet (WebSocket)
/// ```
pub struct Session {
    /// Shared with the other sessions of its kind.
    pub(super) policy: Arc<Policy>,
    pub(super) settings: Arc<Settings>,
    pub(super) keep_alive: Duration,
    pub(super) transport: Transport,
    pub(super) phase: Phase,
    pub(super) outbox: Outbox,
    /// What it may take while others need memory; boxed, because they rarely do.
    pub(super) shortage: Option<Box<Shortage>>,
    pub(super) inbox: Inbox,
    pub(super) pulse: Pulse,
    pub(super) poll: PollSlot,
    /// What the last receiver still accepts.
    pub(super) receiver_room: ReceiverRoom,
    /// Until when it waits, if its wait is limited.
    pub(super) waits_until: Option<Instant>,
    pub(super) push: PushSlot,
    /// How many batches are on their way; what follows them must wait. Two only if the last is a goodbye.
    pub(super) in_flight: u32,
    /// What those take that may come back, in bytes.
    pub(super) lent: u32,
    /// The length of the last batch as it is written, in bytes, until the driver has asked for it.
    pub(super) handed_len: u32,
    /// When the oldest message of the last batch arrived from the backend.
    pub(super) answered_since: Option<Instant>,
    pub(super) upgrade: Option<Box<Upgrade>>,
    /// Boxed, like the next one, because few sessions have one.
    pub(super) paused: Option<Box<Pause>>,
    /// The time since which the inbox waits for the link.
    pub(super) inbox_since: Option<Instant>,
    /// Whether that wait begins later, because the client sends too fast.
    pub(super) is_paced: bool,
    /// How much the client has sent of late; boxed, because most clients never send.
    pub(super) sent: Option<Box<Bucket>>,
    /// Until when the handshake is held, unless the backend sends something before.
    pub(super) greets_by: Option<Instant>,
    /// Set once the client has said goodbye; it leaves unless a poll arrives before.
    pub(super) leaving: Option<Box<Leaving>>,
    /// When a drain stops waiting for a client that nothing is left for, unless it has been there since.
    pub(super) absent_at: Option<Box<Instant>>,
    /// When the client's permission expires; boxed, because most have none that does.
    pub(super) expires_at: Option<Box<Instant>>,
    /// Whether the client knows of the session: it has been told, or there is nothing to tell.
    pub(super) is_known: bool,
    /// Whether the client has come back since its handshake, or is on a WebSocket.
    pub(super) has_returned: bool,
    /// Why the session ended, if its dialect reports that.
    pub(super) farewell: Option<Box<Closing>>,
    /// How many more messages recent POSTs contained than the backend has sent since, if that is counted.
    pub(super) unanswered: usize,
    pub(super) last_push: Option<Instant>,
    pub(super) last_upstream: Option<Instant>,
    pub(super) events: VecDeque<Event>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Both sides are connected.
    Open,
    /// The proxy is stopping. Both sides stay connected until a quiet moment in which the client can be disconnected,
    /// so that what either has sent is delivered. Once `calm_until` has passed, the backend is no longer read, and the
    /// session no longer waits for quiet.
    Draining { calm_until: Option<Instant>, deadline: Instant },
    /// The backend's side has ended, but the client has not received everything yet, or does not know of the end.
    Closing { end: End, closing: Closing, deadline: Instant },
    /// The client is gone, but some of its accepted messages have not been sent to the backend yet.
    Departed { closing: Closing, deadline: Instant },
    /// Nothing is left to do.
    Over,
}

/// The one receiver that may be parked: a poll, whose budget is one batch, or a stream, whose budget is in bytes. A
/// WebSocket has no receiver; it is the transport itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PollSlot {
    Absent,
    /// A parked poll, which is not answered before `held_until`, so that one response carries all the echoes of a POST.
    Parked {
        held_until: Option<Instant>,
    },
    /// A stream, which takes one batch after another until its budget is used up.
    Stream,
}

/// The one POST that may be in progress.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PushSlot {
    Idle,
    /// Its body is still being read.
    Reading,
    /// Its packets are in the inbox.
    Waiting,
    /// Its messages can no longer be delivered. It is refused once the client has been told of the end, because a
    /// client that is refused before that leaves without fetching what is left for it. A client that fetches nothing
    /// meanwhile is refused at `at`.
    Late {
        at: Instant,
    },
}

/// A goodbye that has not taken effect. The wait is divided into several looks: a process that was suspended for the
/// whole wait would otherwise see its end and the poll at the same time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    pub(super) look_at: Instant,
    /// How many looks follow that one.
    pub(super) looks: u8,
}

/// The backend is not being read, because the client is slower than the backend.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    /// The time since which the client has accepted nothing.
    pub(super) since: Instant,
    /// When the backend next receives a sign that its peer is alive.
    pub(super) keep_alive_at: Instant,
}

/// What the driver has to do.
#[derive(PartialEq, Eq, Debug)]
pub enum Event {
    /// Answer the parked poll with these packets, or end the open stream with them. Report the outcome with
    /// [`handle_delivered`](Session::handle_delivered) or [`handle_lost`](Session::handle_lost).
    Answer(Vec<Packet>),
    /// Write these packets to the open stream, which continues. Report the outcome as for [`Answer`](Self::Answer).
    Part(Vec<Packet>),
    /// Settle the POST in progress.
    PushDone(PushOutcome),
    /// Write to the candidate WebSocket.
    Probe(Packet),
    /// Close the candidate; the session stays on polling.
    CloseProbe,
    /// Make the candidate the client's socket.
    Adopt,
    /// Close the client's WebSocket after what it was given.
    CloseSocket(End, Closing),
    /// Show the backend that its peer is alive although nothing is read from it.
    KeepAlive,
    /// Close the link after what it was given.
    CloseLink(Closing),
    /// The client's side has ended: forget its id.
    Ended(End),
}

/// The outcome of a POST.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PushOutcome {
    /// The link has accepted all its messages.
    Accepted,
    /// The link cannot accept them: the session has ended.
    Refused,
    /// The client violated the protocol: its connection is dropped without a response.
    Destroyed,
}

/// Why a poll is not parked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PollRefused {
    /// Another receiver was parked; the session has ended.
    Overlap,
    /// Another receiver is parked, and continues for now.
    Occupied,
    /// The client is on a WebSocket.
    WrongTransport,
    /// The session has ended.
    Over,
}

/// Why a POST is not read.
pub type PushRefused = PollRefused;

impl Session {
    /// Begins a session. `open` is the first packet for the client, if there is one.
    ///
    /// `keep_alive` is how often a backend that is not being read gets a sign that its peer is alive.
    pub fn new(
        policy: impl Into<Arc<Policy>>,
        settings: Arc<Settings>,
        transport: Transport,
        pace: Heartbeat,
        keep_alive: Duration,
        open: Option<Packet>,
        now: Instant,
    ) -> Self {
        let policy = policy.into();
        let piggyback = policy.piggyback.filter(|_| !settings.linger.is_zero());
        let greets_by = piggyback.map(|piggyback| now + piggyback.patience);
        let is_known = open.is_none();
        let mut outbox = Outbox::new(policy.acks);
        if let Some(open) = open {
            outbox.push(open);
        }
        Self {
            pulse: Pulse::new(pace, policy.pinger, now),
            policy,
            settings,
            keep_alive,
            transport,
            phase: Phase::Open,
            outbox,
            shortage: None,
            inbox: Inbox::default(),
            poll: PollSlot::Absent,
            receiver_room: Terms::default().into(),
            waits_until: None,
            push: PushSlot::Idle,
            in_flight: 0,
            lent: 0,
            handed_len: 0,
            answered_since: None,
            upgrade: None,
            paused: None,
            inbox_since: None,
            is_paced: false,
            sent: None,
            greets_by,
            leaving: None,
            absent_at: None,
            expires_at: None,
            is_known,
            has_returned: transport == Transport::WebSocket,
            farewell: None,
            unanswered: 0,
            last_push: None,
            last_upstream: None,
            // Usually there is one at a time; the first push would reserve space for four.
            events: VecDeque::with_capacity(1),
        }
    }

    /// Ends a session that cannot be ended properly: neither side is told.
    pub fn abandon(&mut self) {
        self.phase = Phase::Over;
        (self.poll, self.push, self.upgrade, self.leaving) = (PollSlot::Absent, PushSlot::Idle, None, None);
        (self.outbox, self.inbox) = (Outbox::new(self.policy.acks), Inbox::default());
        (self.paused, self.shortage) = (None, None);
        self.inbox_since = None;
        self.events.clear();
    }

    /// Returns the client's current transport.
    pub const fn transport(&self) -> Transport {
        self.transport
    }

    /// Returns whether the backend should be read: there is room for its messages.
    pub fn wants_upstream(&self) -> bool {
        let reads = match self.phase {
            Phase::Open => true,
            Phase::Draining { calm_until, .. } => calm_until.is_some(),
            Phase::Closing { .. } | Phase::Departed { .. } | Phase::Over => false,
        };
        reads && !self.is_full()
    }

    /// Returns whether the client's WebSocket should be read: everything before was accepted.
    pub fn wants_client(&self) -> bool {
        self.transport == Transport::WebSocket && self.phase != Phase::Over && self.inbox.is_empty()
    }

    /// Returns whether there is a packet for the client's WebSocket.
    pub fn has_for_socket(&self) -> bool {
        self.transport == Transport::WebSocket
            && self.in_flight == 0
            && !self.is_ended()
            && self.outbox.has_waiting()
    }

    /// Returns how many messages wait for the client, and how many bytes their payload has.
    pub fn waiting(&self) -> (usize, usize) {
        (self.outbox.messages_waiting(), self.outbox.payload())
    }

    /// Returns whether the client is moving to a WebSocket.
    pub const fn is_upgrading(&self) -> bool {
        self.upgrade.is_some()
    }

    /// Returns when the oldest message that waits for the client arrived from the backend.
    pub fn oldest_message(&self) -> Option<Instant> {
        self.outbox.oldest()
    }

    /// Returns the number of the last message that was handed out, for a client that acknowledges messages.
    pub const fn last_handed_out(&self) -> u64 {
        self.outbox.handed_out()
    }

    /// Returns when the oldest message of the last [`Event::Answer`] arrived from the backend.
    pub const fn oldest_answered(&self) -> Option<Instant> {
        self.answered_since
    }

    /// Returns whether a poll is parked or a stream is open.
    pub fn is_parked(&self) -> bool {
        self.poll != PollSlot::Absent
    }

    /// Returns whether there is a link for the client's messages.
    pub(super) const fn is_linked(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Draining { .. })
    }

    /// Returns whether the client's side has ended.
    pub const fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Departed { .. } | Phase::Over)
    }

    /// Returns whether nothing is left to do.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over && self.events.is_empty()
    }

    /// Returns the next event. Call it until it returns `None`, after each `handle_*` or after several of them.
    pub fn poll(&mut self, now: Instant) -> Option<Event> {
        self.check();
        if self.events.is_empty() {
            match self.transport {
                Transport::Polling | Transport::Streaming => self.answer_poll(now),
                Transport::WebSocket => self.finish_socket(now),
            }
            if !self.is_parked() && self.in_flight == 0 {
                self.pulse.handle_absence(now);
                self.finish_spent(now);
            }
        }
        self.events.pop_front()
    }

    /// Returns the next packet for the client's WebSocket. Call it only when the socket has room.
    pub fn next_for_socket(&mut self, now: Instant) -> Option<Packet> {
        if !self.has_for_socket() || self.next_is_too_long(1, now) {
            return None;
        }
        let packet = self.outbox.pop()?;
        self.forget_unwritten();
        if matches!(packet, Packet::Open(_)) {
            self.pulse.handle_greeted(now);
        }
        self.note_progress(now);
        Some(packet)
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
