//! What is measured, of which library, and which one it is compared with.

use clap::ValueEnum;

use crate::load::Work;
use crate::peer::Peer;

/// One table of the results.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Push,
    Post,
    Echo,
    WebSocket(u32),
    /// Half of all round trips are faster.
    Latency,
    Parked,
    Idle,
    /// A push, with so many sessions in turn.
    Grown(usize),
    PushInstructions,
    PostInstructions,
}

/// What `--only` can name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Section {
    Push,
    Post,
    Echo,
    Websocket,
    Latency,
    Memory,
    Growth,
    Instructions,
}

impl Section {
    pub(crate) const fn operations(self) -> &'static [Operation] {
        match self {
            Self::Push => &[Operation::Push],
            Self::Post => &[Operation::Post],
            Self::Echo => &[Operation::Echo],
            Self::Websocket => &[Operation::WebSocket(1), Operation::WebSocket(10)],
            Self::Latency => &[Operation::Latency],
            Self::Memory => &[Operation::Parked, Operation::Idle],
            Self::Growth => &[
                Operation::Grown(FEW),
                Operation::Grown(2048),
                Operation::Grown(MANY),
                Operation::Grown(MOST),
            ],
            Self::Instructions => &[Operation::PushInstructions, Operation::PostInstructions],
        }
    }
}

impl Operation {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Push => "push: a message answers a parked poll, the next poll parks".into(),
            Self::Post => "POST of one message".into(),
            Self::Echo => "POST, echo, GET".into(),
            Self::WebSocket(outstanding) => format!("WebSocket round trip, {outstanding} outstanding"),
            Self::Latency => "latency: WebSocket round trip of one client alone, p50".into(),
            Self::Parked => "memory of a parked poll".into(),
            Self::Idle => "memory of an idle WebSocket".into(),
            Self::Grown(sessions) => format!("push, {sessions} sessions in turn"),
            Self::PushInstructions => "instructions of a push".into(),
            Self::PostInstructions => "instructions of a POST".into(),
        }
    }

    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::Push | Self::Post | Self::Echo | Self::WebSocket(_) | Self::Grown(_) => "CPU, us",
            Self::Latency => "us",
            Self::Parked | Self::Idle => "kB",
            Self::PushInstructions | Self::PostInstructions => "instructions",
        }
    }

    /// Returns how many digits behind the point mean anything.
    pub(crate) const fn digits(self) -> usize {
        match self {
            Self::Push | Self::Post | Self::Echo | Self::WebSocket(_) | Self::Grown(_) => 2,
            Self::Latency | Self::Parked | Self::Idle => 1,
            Self::PushInstructions | Self::PostInstructions => 0,
        }
    }

    pub(crate) const fn work(self) -> Work {
        match self {
            Self::Push | Self::Parked | Self::Grown(_) | Self::PushInstructions => Work::Push,
            Self::Post | Self::PostInstructions => Work::Post,
            Self::Echo => Work::Echo,
            Self::WebSocket(outstanding) => Work::WebSocket(outstanding),
            Self::Latency | Self::Idle => Work::WebSocket(1),
        }
    }

    pub(crate) const fn peers(self) -> &'static [Peer] {
        match self {
            Self::Push | Self::Post | Self::Parked => {
                &[Peer::Mux, Peer::Own, Peer::Hyper, Peer::EngineIoxide, Peer::Node, Peer::NginxBeforeNode]
            }
            Self::Echo => &[Peer::Mux, Peer::Own, Peer::EngineIoxide, Peer::Node, Peer::NginxBeforeNode],
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
            Self::PushInstructions | Self::PostInstructions => {
                &[Peer::Mux, Peer::Own, Peer::Hyper, Peer::EngineIoxide]
            }
        }
    }

    /// Returns whose figures the others are divided by.
    pub(crate) const fn yardsticks(self) -> &'static [Peer] {
        match self {
            Self::Push | Self::Post | Self::Echo => &[Peer::EngineIoxide, Peer::Node],
            Self::WebSocket(_) => &[Peer::Nginx, Peer::Haproxy],
            Self::Latency => &[Peer::Nginx],
            Self::Idle => &[Peer::Nginx, Peer::EngineIoxide],
            Self::Grown(_) => &[Peer::Hyper],
            Self::Parked | Self::PushInstructions | Self::PostInstructions => {
                &[Peer::Hyper, Peer::EngineIoxide]
            }
        }
    }
}

/// Sessions at which growth begins, to which it goes with upstreams of their own, and without.
pub(crate) const FEW: usize = 128;
pub(crate) const MANY: usize = 8192;
pub(crate) const MOST: usize = 15_360;
