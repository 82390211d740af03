//! What differs between dialects, as data.

use std::time::Duration;

use crate::packet::Packet;

/// How a dialect wants its sessions treated.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// What a poll means whose client is gone before its answer was written.
    pub hang_up: HangUp,
    /// Who asks whether the other lives.
    pub pinger: Pinger,
    /// How long a client's goodbye waits, a few times, for the poll that it sent before it: two requests on two connections may
    /// be taken in the other order. Where it is not zero, a poll waits for what a candidate brought before it, too.
    pub crossing: Duration,
    /// What may stand behind the open packet in a handshake's answer; nothing else does.
    pub companion: Option<Companion>,
    /// What ends a poll when the session ends and the poll was waiting for it.
    pub goodbye_waiting: &'static [Packet],
    /// What ends a poll that comes after the session's end.
    pub goodbye_late: &'static [Packet],
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

/// Who asks whether the other lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pinger {
    /// The server pings, the client's pong is due in time (protocol 4, "Heartbeat").
    Server,
    /// The client pings, its next ping is due in time (protocol 3).
    Client,
}
