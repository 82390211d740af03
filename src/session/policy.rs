//! What differs between dialects, as data.

use std::time::Duration;

use crate::end::End;
use crate::packet::{Closing, Packet};

/// How a dialect wants its sessions treated.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// What a poll means whose client is gone before its answer was written.
    pub hang_up: HangUp,
    /// What a second receiver means while one is there.
    pub second: Second,
    /// When a message is known to have arrived.
    pub acks: Acks,
    /// What a second POST means while one is under way.
    pub pushes: Pushes,
    /// Who asks whether the other lives.
    pub pinger: Pinger,
    /// How long a client's goodbye waits, a few times, for the poll that it sent before it: two requests on two connections may
    /// be taken in the other order. Where it is not zero, a poll waits for what a candidate brought before it, too.
    pub crossing: Duration,
    /// How long a poll right behind POSTs is held at most, while the backend has sent fewer messages than they brought: an
    /// application that answers each of them is a round trip away. Zero: no longer than the linger.
    pub echoes: Duration,
    /// What may stand behind the open packet in a handshake's answer; nothing else does.
    pub companion: Option<Companion>,
    /// What ends a poll when the session ends and the poll was waiting for it.
    pub goodbye_waiting: &'static [Packet],
    /// What ends a poll that comes after the session's end.
    pub goodbye_late: &'static [Packet],
    /// Returns the code and reason that a client is told when its session has ended so, its backend having said this, if
    /// what ends a poll says them.
    pub why: Option<fn(End, &Closing) -> Closing>,
    /// For how long a session that has ended says so, by its id; zero: it is unknown at once. So is one whose client has not
    /// been told that there is a session: it may come again under the same id.
    pub remembered: Duration,
    /// What becomes of the backend's binary messages.
    pub binary: Binary,
    /// What ends a receiver that a newer one replaces.
    pub replaced: &'static [Packet],
    /// A packet's length on the wire, in bytes, for cutting batches.
    pub encoded_len: fn(&Packet) -> usize,
}

/// What a server says with its open packet, in one answer.
#[derive(Clone, Copy, Debug)]
pub struct Companion {
    /// Returns whether this is it.
    pub is_it: fn(&Packet) -> bool,
    /// How long the handshake waits for it: until the backend has said anything, and not at all where `linger` is off.
    pub patience: Duration,
}

/// What a poll means whose client is gone before its answer was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HangUp {
    /// The session is over (Engine.IO's reference server: "poll connection closed prematurely").
    Ends,
    /// The batch goes back to the front of the outbox, and the next poll gets it.
    Returns,
}

/// What a second receiver means while one is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Second {
    /// The session is over (Engine.IO's reference server: "overlap from client").
    Ends,
    /// The second is refused, and the first is not disturbed.
    Refused,
    /// The first is ended, and the second takes its place.
    Replaces,
}

/// When a message is known to have arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acks {
    /// When the client's connection has taken it.
    OnWrite,
    /// When the client says so: until then it is kept, counts against `outbox_max`, and can be handed out again.
    OnCursor,
}

/// What a second POST means while one is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pushes {
    /// The session is over (Engine.IO's reference server: "overlap from client"), and so it is where the body of one breaks
    /// off.
    One,
    /// It stands behind it in a line. One whose body breaks off, is too large or can't be read was never there.
    Queued,
}

/// What becomes of a backend's binary messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binary {
    /// They cross as they are.
    Crosses,
    /// Clients have text alone: what is valid UTF-8 becomes text, and anything else is the backend's end, which hears 1003
    /// (RFC 6455, section 7.4.1: "data it cannot accept"). What it said before that still reaches the client.
    AsText,
}

/// Who asks whether the other lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pinger {
    /// The server pings, the client's pong is due in time (protocol 4, "Heartbeat").
    Server,
    /// The client pings, its next ping is due in time (protocol 3).
    Client,
    /// Neither: the client lives as long as it has a receiver, or comes back with one in time.
    Nobody(Attendance),
}

/// How a client lives that nobody pings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attendance {
    /// How often a receiver is given a ping that nobody answers, so that neither the client nor a proxy gives it up; zero: never.
    pub beat: Duration,
    /// How long the client may have no receiver.
    pub absence: Duration,
    /// Whether what it says shows that it lives, too.
    pub is_heard: bool,
}
