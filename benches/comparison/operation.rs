//! What is measured, of which library, and which one it is compared with.

use clap::ValueEnum;

use crate::load::Work;
use crate::peer::Peer;
use crate::receiver::Receiver;

/// One table of the results.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Push(Receiver),
    Post(Receiver),
    Echo,
    /// The same, each request at any node.
    Spread,
    WebSocket(u32),
    /// The median of round trips.
    Latency,
    Parked(Receiver),
    /// A polling session with both connections of its client.
    Held,
    /// A connection of a client that has no session.
    Connection,
    Idle,
    /// A push, with so many sessions in turn.
    Grown(usize),
    PushInstructions(Receiver),
    PostInstructions(Receiver),
}

/// What `--only` can name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Section {
    Push,
    Post,
    Echo,
    Nodes,
    Websocket,
    Latency,
    Memory,
    Growth,
    Instructions,
}

impl Section {
    pub(crate) const fn operations(self) -> &'static [Operation] {
        match self {
            Self::Push => &[
                Operation::Push(Receiver::EngineIo),
                Operation::Push(Receiver::Xhr),
                Operation::Push(Receiver::EventSource),
            ],
            Self::Post => &[Operation::Post(Receiver::EngineIo), Operation::Post(Receiver::Xhr)],
            Self::Echo => &[Operation::Echo],
            Self::Nodes => &[Operation::Spread],
            Self::Websocket => &[Operation::WebSocket(1), Operation::WebSocket(10)],
            Self::Latency => &[Operation::Latency],
            Self::Memory => &[
                Operation::Held,
                Operation::Parked(Receiver::EngineIo),
                Operation::Parked(Receiver::Xhr),
                Operation::Parked(Receiver::EventSource),
                Operation::Idle,
                Operation::Connection,
            ],
            Self::Growth => &[
                Operation::Grown(FEW),
                Operation::Grown(2048),
                Operation::Grown(MANY),
                Operation::Grown(MOST),
            ],
            Self::Instructions => &[
                Operation::PushInstructions(Receiver::EngineIo),
                Operation::PushInstructions(Receiver::Xhr),
                Operation::PushInstructions(Receiver::EventSource),
                Operation::PostInstructions(Receiver::EngineIo),
                Operation::PostInstructions(Receiver::Xhr),
            ],
        }
    }
}

impl Operation {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Push(Receiver::EngineIo) => {
                "push: a message answers a parked poll, the next poll parks".into()
            }
            Self::Push(receiver) => format!("push to {}", receiver.name()),
            Self::Post(Receiver::EngineIo) => "POST of one message".into(),
            Self::Post(_) => "POST of one message, by SockJS's xhr_send".into(),
            Self::Echo => "POST, echo, GET".into(),
            Self::Spread => "POST, echo, GET, with each request at any node".into(),
            Self::WebSocket(outstanding) => format!("WebSocket round trip, {outstanding} outstanding"),
            Self::Latency => "latency: WebSocket round trip of one client alone, p50".into(),
            Self::Held => "memory of a polling session: a parked poll, and the connection of a POST".into(),
            Self::Parked(Receiver::EngineIo) => "memory of a parked poll alone".into(),
            Self::Parked(receiver) => format!("memory of {}", receiver.name()),
            Self::Idle => "memory of an idle WebSocket".into(),
            Self::Connection => "memory of an idle connection without a session".into(),
            Self::Grown(sessions) => format!("push, {sessions} sessions in turn"),
            Self::PushInstructions(Receiver::EngineIo) => "instructions of a push".into(),
            Self::PushInstructions(receiver) => format!("instructions of a push to {}", receiver.name()),
            Self::PostInstructions(Receiver::EngineIo) => "instructions of a POST".into(),
            Self::PostInstructions(_) => "instructions of a POST by SockJS's xhr_send".into(),
        }
    }

    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::Push(_)
            | Self::Post(_)
            | Self::Echo
            | Self::Spread
            | Self::WebSocket(_)
            | Self::Grown(_) => "CPU, us",
            Self::Latency => "us",
            Self::Parked(_) | Self::Held | Self::Connection | Self::Idle => "kB",
            Self::PushInstructions(_) | Self::PostInstructions(_) => "instructions",
        }
    }

    /// Returns how many decimals are significant.
    pub(crate) const fn digits(self) -> usize {
        match self {
            Self::Push(_)
            | Self::Post(_)
            | Self::Echo
            | Self::Spread
            | Self::WebSocket(_)
            | Self::Grown(_)
            | Self::Connection => 2,
            Self::Latency | Self::Parked(_) | Self::Held | Self::Idle => 1,
            Self::PushInstructions(_) | Self::PostInstructions(_) => 0,
        }
    }

    pub(crate) const fn work(self) -> Work {
        match self {
            Self::Push(receiver) | Self::Parked(receiver) | Self::PushInstructions(receiver) => {
                Work::Push(receiver)
            }
            Self::Grown(_) | Self::Held | Self::Connection => Work::Push(Receiver::EngineIo),
            Self::Post(receiver) | Self::PostInstructions(receiver) => Work::Post(receiver),
            Self::Echo | Self::Spread => Work::Echo,
            Self::WebSocket(outstanding) => Work::WebSocket(outstanding),
            Self::Latency | Self::Idle => Work::WebSocket(1),
        }
    }

    pub(crate) const fn peers(self) -> &'static [Peer] {
        match self {
            Self::Push(Receiver::EngineIo)
            | Self::Post(Receiver::EngineIo)
            | Self::Parked(Receiver::EngineIo) => {
                &[Peer::Mux, Peer::Own, Peer::Hyper, Peer::EngineIoxide, Peer::Node, Peer::NginxBeforeNode]
            }
            Self::Held => &[
                Peer::Mux,
                Peer::Own,
                Peer::Tls,
                Peer::Hyper,
                Peer::EngineIoxide,
                Peer::Node,
                Peer::NginxBeforeNode,
            ],
            Self::Connection => &[Peer::Own],
            Self::Push(Receiver::Xhr) | Self::Post(_) | Self::Parked(Receiver::Xhr) => {
                &[Peer::Mux, Peer::Own, Peer::SockJsNode, Peer::Pushpin]
            }
            Self::Push(Receiver::EventSource) | Self::Parked(Receiver::EventSource) => {
                &[Peer::Mux, Peer::Own, Peer::SockJsNode]
            }
            Self::Echo => &[Peer::Mux, Peer::Own, Peer::EngineIoxide, Peer::Node, Peer::NginxBeforeNode],
            Self::Spread => &[Peer::Own, Peer::Three, Peer::Mux, Peer::ThreeMux],
            Self::WebSocket(_) | Self::Idle => &[
                Peer::Own,
                Peer::Framed,
                Peer::Mux,
                Peer::Nginx,
                Peer::Haproxy,
                Peer::Pushpin,
                Peer::EngineIoxide,
                Peer::Node,
            ],
            Self::Latency => &[
                Peer::Backend,
                Peer::Own,
                Peer::Framed,
                Peer::Mux,
                Peer::Nginx,
                Peer::Haproxy,
                Peer::Pushpin,
            ],
            // With upstreams of their own there are two descriptors to a session.
            Self::Grown(MOST) => &[Peer::Mux, Peer::Hyper],
            Self::Grown(_) => &[Peer::Mux, Peer::Own, Peer::Hyper],
            Self::PushInstructions(Receiver::EngineIo) | Self::PostInstructions(Receiver::EngineIo) => {
                &[Peer::Mux, Peer::Own, Peer::Hyper, Peer::EngineIoxide]
            }
            Self::PushInstructions(_) | Self::PostInstructions(_) => &[Peer::Mux, Peer::Own],
        }
    }

    /// Returns the peer by whose figures the others are divided.
    pub(crate) const fn yardsticks(self) -> &'static [Peer] {
        match self {
            Self::Push(Receiver::EngineIo) | Self::Post(Receiver::EngineIo) | Self::Echo => {
                &[Peer::EngineIoxide, Peer::Node]
            }
            Self::Push(_) | Self::Post(_) | Self::Parked(Receiver::Xhr | Receiver::EventSource) => {
                &[Peer::SockJsNode]
            }
            Self::WebSocket(_) => &[Peer::Nginx, Peer::Haproxy],
            Self::Spread => &[Peer::Own, Peer::Mux],
            Self::Latency => &[Peer::Nginx],
            Self::Idle => &[Peer::Nginx, Peer::EngineIoxide],
            Self::Grown(_) => &[Peer::Hyper],
            Self::Parked(Receiver::EngineIo)
            | Self::Held
            | Self::PushInstructions(Receiver::EngineIo)
            | Self::PostInstructions(Receiver::EngineIo) => &[Peer::Hyper, Peer::EngineIoxide],
            Self::Connection | Self::PushInstructions(_) | Self::PostInstructions(_) => &[],
        }
    }

    /// Returns the same for clients of Engine.IO, where these are of SockJS.
    pub(crate) fn of_engine_io(self) -> Option<Self> {
        let other = match self {
            Self::Push(_) => Self::Push(Receiver::EngineIo),
            Self::Post(_) => Self::Post(Receiver::EngineIo),
            Self::Parked(_) => Self::Parked(Receiver::EngineIo),
            Self::PushInstructions(_) => Self::PushInstructions(Receiver::EngineIo),
            Self::PostInstructions(_) => Self::PostInstructions(Receiver::EngineIo),
            Self::Echo
            | Self::Spread
            | Self::WebSocket(_)
            | Self::Latency
            | Self::Held
            | Self::Connection
            | Self::Idle
            | Self::Grown(_) => {
                return None;
            }
        };
        (other != self).then_some(other)
    }
}

/// Sessions at which growth begins, to which it goes with upstreams of their own, and without.
pub(crate) const FEW: usize = 128;
pub(crate) const MANY: usize = 8192;
pub(crate) const MOST: usize = 15_360;
