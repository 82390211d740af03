//! The protocol's words (`docs/mux.md`).

use std::collections::HashMap;

use http::{HeaderMap, StatusCode};

use crate::packet::{Closing, Message};
use crate::revision::Revision;

/// A session's number within its epoch: from 1 to 2⁵³-1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Id(u64);

/// What belongs to sessions, by their numbers.
pub type ById<T> = HashMap<Id, T, foldhash::fast::RandomState>;

impl Id {
    /// `None` for 0 and for what JavaScript can't count.
    pub const fn new(number: u64) -> Option<Self> {
        if number == 0 || number > NUMBER_MAX { None } else { Some(Self(number)) }
    }

    /// Returns the number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// The largest number that a frame may hold: 2⁵³-1.
pub(super) const NUMBER_MAX: u64 = (1 << 53) - 1;

/// One frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// The first of each side.
    Hello(Hello),
    /// A client wants in.
    Open(Id, Box<Open>),
    /// It may come in.
    Ok(Id, Box<Accepted>),
    /// It may not.
    Deny(Id, Box<Denied>),
    /// A message and its `seq`.
    Message(Id, u64, Message),
    /// What was got, and up to where the other side may send.
    Acks(Vec<Ack>),
    /// The session is over behind this `seq`.
    Close(Id, u64, Closing),
    /// The client moved to this transport.
    Transport(Id, String),
    /// The sender stops within as many seconds.
    Drain(u64),
    /// After a break: the sessions that the sender still has.
    Sync {
        /// The epoch, from the proxy's side.
        epoch: Option<String>,
        /// The sessions, or a part of them.
        sessions: Vec<Held>,
        /// Whether another part follows.
        more: bool,
    },
}

/// What a side says of itself.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Hello {
    /// Names the proxy's sessions as a whole; empty from the backend.
    pub epoch: String,
    /// Payload bytes that the other side may send on each session at first; 0 takes no part in credit.
    pub credit: u64,
    /// The largest payload that its sender takes, in bytes; `None` leaves it to the other.
    pub max_message: Option<u64>,
    /// For how long the proxy tries to come back after a break.
    pub resume_ms: u64,
    /// Whether the backend can take up where a break ended.
    pub resume: bool,
    /// Whether its sender knows ends that were meant: those behind a close packet.
    pub close_packets: bool,
}

impl Hello {
    /// Returns whether it can be a proxy's.
    pub fn names_an_epoch(&self) -> bool {
        (1..=EPOCH_LEN_MAX).contains(&self.epoch.len())
    }
}

/// What the backend learns of a client.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Open {
    /// Path and query.
    pub path: String,
    /// What the client speaks.
    pub dialect: String,
    /// Which revision of Engine.IO that is, where it is said.
    pub revision: Option<Revision>,
    /// What it came on.
    pub transport: String,
    /// Its address and port.
    pub client: String,
    /// Its first request's headers.
    pub headers: HeaderMap,
    /// The subprotocols that it offers.
    pub protocols: Vec<String>,
}

/// What the client learns of the backend.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Accepted {
    /// The session's id at the backend.
    pub sid: Option<String>,
    /// Headers for the answer.
    pub headers: HeaderMap,
    /// The subprotocol.
    pub protocol: Option<String>,
    /// From a pong to the next ping, in milliseconds.
    pub ping_interval: Option<u64>,
    /// From a ping to its pong, in milliseconds.
    pub ping_timeout: Option<u64>,
    /// The largest message that the client may send, in bytes.
    pub max_payload: Option<u64>,
}

/// A refusal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Denied {
    /// From 400 to 599.
    pub status: StatusCode,
    /// The answer's body.
    pub reason: String,
    /// The answer's headers.
    pub headers: HeaderMap,
    /// Whether an Engine.IO server speaks, whose bare words have a meaning to its clients.
    pub engine_io: bool,
}

/// News of one session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ack {
    /// The session.
    pub id: Id,
    /// The last `seq` that came.
    pub seq: u64,
    /// The other side may start a message while what it has sent is below.
    pub limit: u64,
}

/// A session that has lived through a break.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// The session.
    pub id: Id,
    /// The last `seq` that came; `None` while the proxy waits for an `ok`.
    pub seq: Option<u64>,
    /// As in [`Ack`].
    pub limit: u64,
}

/// No frame of the protocol: the connection is closed with 1002 and this reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// The other side does not keep to the protocol: the connection is closed with 1002 and this reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub &'static str);

/// The longest name of an epoch, in bytes.
const EPOCH_LEN_MAX: usize = 128;
