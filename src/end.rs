//! Why a session ended.

use crate::packet::Closing;

/// Why a session ended: a closed set of words, for metrics, logs and the close frame to the backend.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum End {
    /// The client sent a close packet.
    ClientClosed,
    /// The client's connection broke, or it hung up a poll.
    ClientGone,
    /// The client's pong was overdue.
    PingTimeout,
    /// The client sent a malformed packet, or one that it must not send.
    ParseError,
    /// The client sent a second poll, or a second POST, while one was open.
    Overlap,
    /// The client sent a WebSocket message larger than `max_payload`, or a relayed backend one larger than
    /// `max_message`.
    TooLarge,
    /// The backend closed, or its connection broke.
    UpstreamClosed,
    /// One side stopped reading for `stall_timeout` while the other had sent something.
    Stalled,
    /// The proxy is draining.
    Drained,
    /// The drain is over, and the client has not fetched its last messages.
    Cut,
    /// Buffers took all of `memory_max`, and this session had held most of it for longest.
    Memory,
    /// What permitted the client to come in has expired.
    Expired,
    /// Another node has begun a session under the same id, while this one could not be reached.
    TakenOver,
    /// An operator has ended it.
    Operator,
}

impl End {
    /// Every variant, in the order of declaration.
    pub const ALL: &[Self] = &[
        Self::ClientClosed,
        Self::ClientGone,
        Self::PingTimeout,
        Self::ParseError,
        Self::Overlap,
        Self::TooLarge,
        Self::UpstreamClosed,
        Self::Stalled,
        Self::Drained,
        Self::Cut,
        Self::Memory,
        Self::Expired,
        Self::TakenOver,
        Self::Operator,
    ];

    /// Returns the word in metrics and logs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::ClientGone => "client_gone",
            Self::PingTimeout => "ping_timeout",
            Self::ParseError => "parse_error",
            Self::Overlap => "overlap",
            Self::TooLarge => "too_large",
            Self::UpstreamClosed => "upstream_closed",
            Self::Stalled => "stalled",
            Self::Drained => "drained",
            Self::Cut => "cut",
            Self::Memory => "memory",
            Self::Expired => "expired",
            Self::TakenOver => "taken_over",
            Self::Operator => "operator",
        }
    }

    /// Returns what a client may be told of it: what the backend said, if that is why.
    pub fn reason(self, said: &Closing) -> Closing {
        match self {
            Self::UpstreamClosed => said.clone(),
            // "Try again later", which only a server says.
            Self::Stalled => Closing::new(1013, "stalled"),
            Self::Memory => Closing::new(1013, "memory"),
            // "Policy violation": the same token would not do again.
            Self::Expired => Closing::new(1008, "expired"),
            // For want of a code that says so.
            Self::Operator => Closing::new(1008, "ended by an operator"),
            Self::ClientClosed
            | Self::ClientGone
            | Self::PingTimeout
            | Self::ParseError
            | Self::Overlap
            | Self::TooLarge
            | Self::Drained
            | Self::Cut
            | Self::TakenOver => self.closing(),
        }
    }

    /// Returns the close frame for the backend (RFC 6455, section 7.4.1).
    pub fn closing(self) -> Closing {
        match self {
            // The backend gets the content of the client's Close frame.
            Self::ClientClosed => Closing { by_packet: true, ..Closing::new(1000, "") },
            Self::UpstreamClosed => Closing::new(1000, ""),
            Self::ClientGone => Closing::new(1001, "client gone"),
            Self::PingTimeout => Closing::new(1001, "ping timeout"),
            Self::ParseError => Closing::new(1002, "parse error"),
            Self::Overlap => Closing::new(1002, "overlap from client"),
            Self::TooLarge => Closing::new(1009, "message too large"),
            Self::Stalled => Closing::new(1001, "stalled"),
            Self::Memory => Closing::new(1001, "memory"),
            Self::Expired => Closing::new(1001, "expired"),
            Self::Drained | Self::Cut => Closing::new(1001, "proxy is stopping"),
            Self::TakenOver => Closing::new(1001, "taken over"),
            Self::Operator => Closing::new(1001, "ended by an operator"),
        }
    }
}
