//! The conversation of one session: numbered messages, their answers, and the heartbeat. Pure: time is passed in.
//!
//! A transport passes it received packets ([`Conversation::handle_packet`]) and the time
//! ([`Conversation::handle_timeout`]), and sends the packets that it writes ([`Conversation::write`]). Messages are
//! numbers until they are written, so that a waiting message takes no memory.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::fault::Fault;
use super::order::{Arrival, Order};
use super::pace::Pace;
use super::payloads::{Meaning, Payloads};
use crate::codec::engineio::OpenPacket;
use crate::packet::{Packet, Text};

/// The state of one session.
#[derive(Debug)]
pub(super) struct Conversation {
    terms: Arc<Terms>,
    payloads: Payloads,
    heart: Heart,
    phase: Phase,
    /// The fraction of a period that its first message waits, so that sessions don't send in step.
    offset: Duration,
    /// When message 0 is, or was, due.
    first: Option<Instant>,
    /// The first number of the latest burst and when it was queued, if answers set the pace.
    burst: Option<(u64, Instant)>,
    /// When the first burst with abandoned messages was queued.
    stalled: Option<Instant>,
    /// The number of abandoned messages in earlier bursts.
    given_up: u64,
    /// Packets other than numbered messages.
    control: Vec<Packet>,
    /// The number of messages that were due.
    queued: u64,
    /// Messages that a transport has taken; never more than are queued.
    written: u64,
    /// How many of them the server has accepted.
    accepted: u64,
    order: Order,
    /// The maximum length of one request.
    payload_max: usize,
}

/// What all sessions have in common.
#[derive(Debug)]
pub(super) struct Terms {
    /// How fast they talk.
    pub(super) pace: Pace,
    /// What they say.
    pub(super) payloads: Payloads,
    /// How long the last answers may take, and each answer in a closed loop.
    pub(super) patience: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// The application has not sent its greeting yet.
    Greeting,
    Talking,
    /// Nothing more is queued; pending answers may arrive until then.
    Stopping(Instant),
}

/// Which side sends the heartbeat's pings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Heart {
    /// Nobody.
    Still,
    /// Protocol 4: the server, before this deadline.
    Server { interval: Duration, timeout: Duration, deadline: Instant },
    /// Protocol 3: the client, at the first; an answer is due at the second.
    Client { interval: Duration, timeout: Duration, ping: Instant, deadline: Option<Instant> },
}

/// The meaning of a received packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Received {
    /// Nothing that is counted.
    Nothing,
    /// The application listens: messages may go.
    Greeting,
    /// The answer to a message, and the time since that message was due.
    Answer(Duration, Arrival),
    /// An unexpected message.
    Unexpected,
}

/// Who begins a heartbeat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Beat {
    /// The server, as in protocol 4.
    Server,
    /// The client, as in protocol 3.
    Client,
}

impl Conversation {
    /// Creates a session that is not open yet; its first message waits for the fraction `share` of a period.
    pub(super) fn new(terms: &Arc<Terms>, share: f64) -> Self {
        Self {
            payloads: terms.payloads.clone(),
            heart: Heart::Still,
            phase: Phase::Greeting,
            offset: terms.pace.period().mul_f64(share.clamp(0.0, 1.0)),
            first: None,
            burst: None,
            stalled: None,
            given_up: 0,
            control: Vec::new(),
            queued: 0,
            written: 0,
            accepted: 0,
            order: Order::default(),
            payload_max: PAYLOAD_MAX,
            terms: Arc::clone(terms),
        }
    }

    /// Handles an open transport, on which an Engine.IO server has sent its open packet.
    pub(super) fn handle_open(
        &mut self,
        open: Option<(&OpenPacket, Beat)>,
        now: Instant,
    ) -> Result<Received, Fault> {
        if let Some((open, beat)) = open {
            let (interval, timeout) = (open.ping_interval, open.ping_timeout);
            self.heart = match beat {
                Beat::Server => Heart::Server { interval, timeout, deadline: now + interval + timeout },
                Beat::Client => Heart::Client { interval, timeout, ping: now + interval, deadline: None },
            };
            self.payload_max = open.max_payload.unwrap_or(PAYLOAD_MAX);
        }
        let longest = self.payloads.len() + PACKET_EXTRA;
        if longest > self.payload_max {
            return Err(Fault::TooLarge { payload_max: self.payload_max });
        }
        self.control.extend(self.payloads.greeting());
        Ok(if self.payloads.wait_for_greeting() { Received::Nothing } else { self.begin(now) })
    }

    /// Handles a received packet.
    pub(super) fn handle_packet(&mut self, packet: Packet, now: Instant) -> Result<Received, Fault> {
        match packet {
            Packet::Ping(data) => {
                if let Heart::Server { interval, timeout, deadline } = &mut self.heart {
                    *deadline = now + *interval + *timeout;
                    self.control.push(Packet::Pong(data));
                }
                Ok(Received::Nothing)
            }
            Packet::Pong(_) => {
                if let Heart::Client { deadline, .. } = &mut self.heart {
                    *deadline = None;
                }
                Ok(Received::Nothing)
            }
            Packet::Message(message) => match self.payloads.read(&message) {
                Meaning::Greeting if self.phase == Phase::Greeting => Ok(self.begin(now)),
                Meaning::Refusal => Err(Fault::Refused),
                Meaning::Answer(number) if number < self.written => Ok(self.answered(number, now)),
                Meaning::Greeting | Meaning::Answer(_) | Meaning::Unexpected => Ok(Received::Unexpected),
            },
            Packet::Close(_) => Err(Fault::Closed(None)),
            Packet::Open(_) | Packet::Upgrade | Packet::Noop => Ok(Received::Nothing),
        }
    }

    /// Queues the messages that are due, and drives the heartbeat.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), Fault> {
        match &mut self.heart {
            Heart::Still => {}
            Heart::Server { interval, timeout, deadline } => {
                if *deadline <= now {
                    return Err(Fault::Silent(*interval + *timeout));
                }
            }
            Heart::Client { interval, timeout, ping, deadline } => {
                if deadline.is_some_and(|deadline| deadline <= now) {
                    return Err(Fault::Silent(*timeout));
                }
                if *ping <= now {
                    *ping = now + *interval;
                    *deadline = deadline.or(Some(now + *timeout));
                    self.control.push(Packet::Ping(Text::default()));
                }
            }
        }
        if self.phase == Phase::Talking {
            self.queue(now);
        }
        Ok(())
    }

    /// Stops queueing messages, and waits for the pending answers.
    pub(super) fn handle_stop(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Stopping(_)) {
            let patience = if self.first.is_some() { self.terms.patience } else { Duration::ZERO };
            self.phase = Phase::Stopping(now + patience);
        }
    }

    /// Returns when to call [`Conversation::handle_timeout`] next.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let heart = match self.heart {
            Heart::Still => None,
            Heart::Server { deadline, .. } => Some(deadline),
            Heart::Client { ping, deadline, .. } => {
                Some(deadline.map_or(ping, |deadline| deadline.min(ping)))
            }
        };
        let own = match self.phase {
            Phase::Greeting => None,
            Phase::Talking if self.terms.pace.goes_on_answer() => {
                self.burst.map(|(_, at)| at + self.terms.patience)
            }
            Phase::Talking => self.intended(self.queued),
            Phase::Stopping(deadline) => Some(deadline),
        };
        heart.into_iter().chain(own).min()
    }

    /// Returns whether there is something to write.
    pub(super) fn wants_to_write(&self) -> bool {
        !self.control.is_empty() || self.written < self.queued
    }

    /// Writes pending packets, up to the length of one request and at most `max` messages. Returns the number of
    /// messages.
    pub(super) fn write(&mut self, packets: &mut Vec<Packet>, max: usize) -> u64 {
        packets.append(&mut self.control);
        let each = self.payloads.len() + PACKET_EXTRA;
        let room = self.payload_max.saturating_sub(packets.len() * PACKET_EXTRA) / each;
        let count = (self.queued - self.written).min(room.clamp(1, BATCH_MAX).min(max) as u64);
        self.payloads.write(self.written..self.written + count, packets);
        self.written += count;
        count
    }

    /// Returns whether only the goodbye is left.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let Phase::Stopping(deadline) = self.phase else { return false };
        let all_done = self.written == self.queued && self.order.received() == self.written;
        all_done || deadline <= now
    }

    /// Returns the last words.
    pub(super) fn goodbye(&self) -> impl Iterator<Item = Packet> {
        self.payloads.goodbye()
    }

    /// Returns how many messages a transport has taken.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// Marks everything written as accepted by the server: a WebSocket took it, or its POST succeeded.
    pub(super) fn handle_accepted(&mut self) {
        self.accepted = self.written;
    }

    /// Returns how many accepted messages follow the last answered one. Unanswered messages before that one were
    /// counted when they were skipped. A message in a refused POST is not lost, because its sender knows.
    pub(super) fn unanswered(&self) -> u64 {
        self.accepted.saturating_sub(self.order.next())
    }

    fn begin(&mut self, now: Instant) -> Received {
        self.phase = Phase::Talking;
        self.first = Some(now + self.offset);
        self.queue(now);
        Received::Greeting
    }

    fn queue(&mut self, now: Instant) {
        let pace = &self.terms.pace;
        if pace.goes_on_answer() {
            let unanswered = self.queued - self.order.received();
            let late = self.burst.filter(|(_, at)| *at + self.terms.patience <= now);
            if unanswered <= self.given_up || late.is_some() {
                // Lost messages would end the loop, so after a timeout it continues without them.
                self.given_up = unanswered;
                self.stalled = self.stalled.or(late.map(|(_, at)| at));
                self.burst = Some((self.queued, now));
                self.queued = pace.burst_end(self.queued);
            }
            return;
        }
        while self.intended(self.queued).is_some_and(|due| due <= now) {
            self.queued = pace.burst_end(self.queued);
        }
    }

    fn answered(&mut self, number: u64, now: Instant) -> Received {
        let arrival = self.order.handle(number);
        // With a rate, latency counts from the time when the message was due, however late it was sent. Otherwise a
        // stall would hide the messages that it delayed (coordinated omission).
        let queued = self.burst.and_then(|(first, at)| if number < first { self.stalled } else { Some(at) });
        let since = self.intended(number).or(queued).unwrap_or(now);
        if self.phase == Phase::Talking && self.terms.pace.goes_on_answer() {
            self.queue(now);
        }
        Received::Answer(now.saturating_duration_since(since), arrival)
    }

    fn intended(&self, number: u64) -> Option<Instant> {
        self.first?.checked_add(self.terms.pace.due(number)?)
    }
}

/// The maximum length of a request if the server announces none: the reference's default.
const PAYLOAD_MAX: usize = 1_000_000;
/// A type, a separator and a length.
const PACKET_EXTRA: usize = 16;
/// The maximum number of messages written at once; real clients are bounded only by the payload's length.
const BATCH_MAX: usize = 4096;

#[cfg(test)]
#[path = "conversation/tests.rs"]
mod tests;
