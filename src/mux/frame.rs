//! The protocol's frames (`docs/mux.md`).

use std::collections::HashMap;

use http::{HeaderMap, StatusCode};

use crate::packet::{Closing, Message};
use crate::revision::Revision;

/// A session's number within its epoch: from 1 to 2⁵³-1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Id(u64);

/// A map of sessions by their numbers.
pub type ById<T> = HashMap<Id, T, foldhash::fast::RandomState>;

impl Id {
    /// Returns `None` for 0 and for numbers that JavaScript can't represent.
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
    /// The first frame of each side.
    Hello(Hello),
    /// A client asks to come in.
    Open(Id, Box<Open>),
    /// It is accepted.
    Ok(Id, Box<Accepted>),
    /// It is denied.
    Deny(Id, Box<Denied>),
    /// A message and its `seq`.
    Message(Id, u64, Message),
    /// What was received, and how far the other side may send.
    Acks(Vec<Ack>),
    /// The session ends after this `seq`.
    Close(Id, u64, Closing),
    /// The client moved to this transport.
    Transport(Id, String),
    /// The sender stops within this many seconds.
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

/// How a side introduces itself.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Hello {
    /// Identifies the set of the proxy's sessions; empty from the backend.
    pub epoch: String,
    /// Payload bytes that the other side may send on each session at first; 0 turns credit off.
    pub credit: u64,
    /// The largest payload that its sender accepts, in bytes; `None` leaves it to the other side.
    pub max_message: Option<u64>,
    /// How long the proxy tries to reconnect after a break.
    pub resume_ms: u64,
    /// Whether the backend can resume after a break.
    pub resume: bool,
    /// Whether its sender understands intended closes, which follow a close packet.
    pub close_packets: bool,
}

impl Hello {
    /// Returns whether it can be a proxy's hello.
    pub fn names_an_epoch(&self) -> bool {
        (1..=EPOCH_LEN_MAX).contains(&self.epoch.len())
    }
}

/// What the backend learns about a client.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Open {
    /// Path and query.
    pub path: String,
    /// The client's dialect.
    pub dialect: String,
    /// Its revision of Engine.IO, if given.
    pub revision: Option<Revision>,
    /// Its transport.
    pub transport: String,
    /// Its address and port.
    pub client: String,
    /// Its first request's headers.
    pub headers: HeaderMap,
    /// The subprotocols that it offers.
    pub protocols: Vec<String>,
}

/// What the client learns about the backend.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Accepted {
    /// The session's id at the backend.
    pub sid: Option<String>,
    /// Headers for the response.
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
    /// The response's body.
    pub reason: String,
    /// The response's headers.
    pub headers: HeaderMap,
    /// Whether it comes from an Engine.IO server, whose bare texts have a meaning to its clients.
    pub engine_io: bool,
}

/// The acknowledgement of one session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ack {
    /// The session.
    pub id: Id,
    /// The last `seq` received.
    pub seq: u64,
    /// The other side may start a message while the bytes that it has sent are below this.
    pub limit: u64,
}

/// A session that has survived a break.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// The session.
    pub id: Id,
    /// The last `seq` received; `None` while the proxy waits for an `ok`.
    pub seq: Option<u64>,
    /// As in [`Ack`].
    pub limit: u64,
}

/// A malformed frame: the connection is closed with 1002 and this reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// The other side violated the protocol: the connection is closed with 1002 and this reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub &'static str);

/// The longest name of an epoch, in bytes.
const EPOCH_LEN_MAX: usize = 128;
