//! What a session does: all of it follows from the seed and its number.

use crate::random::Random;
use crate::session::Way;

/// What the client speaks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    EnginePolling(u8),
    EngineUpgrade(u8),
    EngineWebSocket(u8),
    SockJsPolling,
    SockJsStreaming,
    SockJsEventSource,
    SockJsWebSocket,
    LongPoll,
    LongPollLines,
    LongPollEvents,
    WebSocket,
}

impl Kind {
    pub(crate) const ALL: [Self; 14] = [
        Self::EnginePolling(4),
        Self::EnginePolling(3),
        Self::EngineUpgrade(4),
        Self::EngineUpgrade(3),
        Self::EngineWebSocket(4),
        Self::EngineWebSocket(3),
        Self::SockJsPolling,
        Self::SockJsStreaming,
        Self::SockJsEventSource,
        Self::SockJsWebSocket,
        Self::LongPoll,
        Self::LongPollLines,
        Self::LongPollEvents,
        Self::WebSocket,
    ];

    /// Returns whether its client acknowledges what it receives, and sends again what may be lost.
    pub(crate) fn acknowledges(self) -> bool {
        matches!(self, Self::LongPoll | Self::LongPollLines | Self::LongPollEvents)
    }

    /// Returns the route's first word.
    pub(crate) fn route(self) -> &'static str {
        match self {
            Self::EnginePolling(_) | Self::EngineUpgrade(_) | Self::EngineWebSocket(_) => "engine",
            Self::SockJsPolling | Self::SockJsStreaming | Self::SockJsEventSource | Self::SockJsWebSocket => {
                "sockjs"
            }
            Self::LongPoll | Self::LongPollLines | Self::LongPollEvents => "feed",
            Self::WebSocket => "socket",
        }
    }
}

/// What stands behind the route.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Behind {
    /// A plain WebSocket for each session.
    Own,
    /// An Engine.IO server.
    Engine,
    /// A connection that all sessions share, to another proxy.
    Shared,
}

impl Behind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Engine => "engine",
            Self::Shared => "shared",
        }
    }
}

/// Which end closes a session in which everything has arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Closer {
    Client,
    Backend,
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) behind: Behind,
    /// Whether each of its connections may come to another node.
    pub(crate) is_foreign: bool,
    pub(crate) closer: Closer,
    /// How many messages go to the backend.
    pub(crate) up: u64,
    /// How many messages go to the client.
    pub(crate) down: u64,
}

impl Plan {
    pub(crate) fn new(seed: u64, id: u64) -> Self {
        let mut random = Random::of(&[seed, id]);
        let kind = Kind::ALL[usize::try_from(id % 14).expect("below 14")];
        let behind = match random.below(10) {
            0..4 => Behind::Own,
            4..6 if kind.route() == "engine" => Behind::Engine,
            _ => Behind::Shared,
        };
        Self {
            kind,
            behind,
            is_foreign: random.percent(50),
            closer: if random.percent(50) { Closer::Client } else { Closer::Backend },
            up: 20 + random.below(160),
            down: 20 + random.below(160),
        }
    }

    pub(crate) fn messages(&self, way: Way) -> u64 {
        match way {
            Way::Up => self.up,
            Way::Down => self.down,
        }
    }

    /// Returns the path of its route.
    pub(crate) fn path(&self) -> String {
        format!("/{}-{}/", self.kind.route(), self.behind.name())
    }
}
