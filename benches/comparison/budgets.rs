//! What Polliwog may cost, compared with a peer in the same run: times differ from machine to machine.

use crate::figures::{Figures, Spread};
use crate::operation::{FEW, MANY, MOST, Operation};
use crate::peer::Peer;
use crate::receiver::Receiver;

/// A goal.
pub(crate) struct Budget {
    pub(crate) operation: Operation,
    pub(crate) peer: Peer,
    pub(crate) against: Against,
    pub(crate) limit: f64,
    /// The goal after this one.
    pub(crate) stretch: Option<f64>,
}

/// What a figure is compared with.
#[derive(Clone, Copy)]
pub(crate) enum Against {
    /// A peer's figure for the same.
    Peer(Peer),
    /// The same peer's figure for what clients of Engine.IO do.
    EngineIo,
    /// The same, of which the difference counts.
    BeyondEngineIo,
    /// The difference between a peer's figure and the backend's own.
    Added(Peer),
    /// The growth of a peer's figure since there were few sessions.
    Growth(Peer),
    /// Nothing: the figure itself.
    Itself,
}

impl Budget {
    /// Returns what the goal is about.
    pub(crate) fn name(&self) -> String {
        let (operation, peer) = (self.operation.name(), self.peer.short());
        let operation = operation.split(':').next().unwrap_or_default();
        match self.against {
            Against::Peer(other) => format!("{operation}; {peer}, beside {}", other.short()),
            Against::EngineIo => format!("{operation}; {peer}, beside Engine.IO"),
            Against::BeyondEngineIo => format!("{operation}, kB; {peer}, beyond Engine.IO"),
            Against::Added(other) => {
                format!("{operation}; what {peer} adds, beside what {} adds", other.short())
            }
            Against::Growth(other) => {
                format!("{operation}, beside {FEW}; {peer}, beside {}", other.short())
            }
            Against::Itself => format!("{operation}, kB; {peer}"),
        }
    }

    /// Returns its position.
    pub(crate) fn spread(&self, figures: &Figures) -> Option<Spread> {
        let Self { operation, peer, .. } = *self;
        match self.against {
            Against::Peer(other) => figures.together([(operation, peer), (operation, other)], |[a, b]| a / b),
            Against::EngineIo => {
                let other = operation.of_engine_io()?;
                figures.together([(operation, peer), (other, peer)], |[a, b]| a / b)
            }
            Against::BeyondEngineIo => {
                let other = operation.of_engine_io()?;
                figures.together([(operation, peer), (other, peer)], |[a, b]| a - b)
            }
            Against::Added(other) => {
                let backend = (operation, Peer::Backend);
                let compute = |[a, b, backend]: [f64; 3]| (a - backend) / (b - backend);
                figures.together([(operation, peer), (operation, other), backend], compute)
            }
            Against::Growth(other) => {
                let few = Operation::Grown(FEW);
                let compute = |[a, a_few, b, b_few]: [f64; 4]| (a / a_few) / (b / b_few);
                figures.together([(operation, peer), (few, peer), (operation, other), (few, other)], compute)
            }
            Against::Itself => figures.spread(operation, peer),
        }
    }
}

const fn beside(operation: Operation, peer: Peer, other: Peer, limit: f64, stretch: Option<f64>) -> Budget {
    Budget { operation, peer, against: Against::Peer(other), limit, stretch }
}

const fn beside_engine_io(operation: Operation, peer: Peer, limit: f64) -> Budget {
    Budget { operation, peer, against: Against::EngineIo, limit, stretch: None }
}

/// All goals.
pub(crate) const BUDGETS: &[Budget] = &[
    beside(Operation::Push(Receiver::EngineIo), Peer::Mux, Peer::EngineIoxide, 0.85, Some(0.75)),
    beside(Operation::Push(Receiver::EngineIo), Peer::Mux, Peer::Node, 0.3, None),
    beside(Operation::Push(Receiver::EngineIo), Peer::Own, Peer::EngineIoxide, 1.2, Some(1.1)),
    beside(Operation::Push(Receiver::EngineIo), Peer::Own, Peer::Node, 0.4, None),
    beside(Operation::Post(Receiver::EngineIo), Peer::Mux, Peer::EngineIoxide, 1.05, Some(0.95)),
    beside(Operation::Post(Receiver::EngineIo), Peer::Mux, Peer::Node, 0.2, None),
    beside(Operation::Post(Receiver::EngineIo), Peer::Own, Peer::EngineIoxide, 1.3, Some(1.2)),
    beside(Operation::Post(Receiver::EngineIo), Peer::Own, Peer::Node, 0.25, None),
    // Three carry three times as much divided by this: 2.5.
    beside(Operation::Spread, Peer::Three, Peer::Own, 1.2, None),
    beside(Operation::Spread, Peer::ThreeMux, Peer::Mux, 1.2, None),
    beside(Operation::WebSocket(1), Peer::Own, Peer::Nginx, 1.0, Some(0.95)),
    beside(Operation::WebSocket(10), Peer::Own, Peer::Nginx, 1.0, Some(0.95)),
    beside(Operation::WebSocket(1), Peer::Framed, Peer::Nginx, 1.15, None),
    beside(Operation::WebSocket(10), Peer::Framed, Peer::Nginx, 1.3, None),
    beside(Operation::WebSocket(1), Peer::Mux, Peer::Nginx, 0.75, Some(0.7)),
    beside(Operation::WebSocket(10), Peer::Mux, Peer::Nginx, 1.1, None),
    beside_engine_io(PUSH_TO_POLL, Peer::Mux, 1.05),
    beside_engine_io(PUSH_TO_POLL, Peer::Own, 1.05),
    beside_engine_io(PUSH_TO_STREAM, Peer::Mux, 0.6),
    beside_engine_io(PUSH_TO_STREAM, Peer::Own, 0.6),
    beside(PUSH_TO_POLL, Peer::Mux, Peer::SockJsNode, 0.33, None),
    beside(PUSH_TO_POLL, Peer::Own, Peer::SockJsNode, 0.33, None),
    beside(PUSH_TO_STREAM, Peer::Mux, Peer::SockJsNode, 0.33, None),
    beside(PUSH_TO_STREAM, Peer::Own, Peer::SockJsNode, 0.33, None),
    beside(Operation::Post(Receiver::Xhr), Peer::Mux, Peer::SockJsNode, 0.33, None),
    beside(Operation::Post(Receiver::Xhr), Peer::Own, Peer::SockJsNode, 0.33, None),
    Budget {
        operation: Operation::Latency,
        peer: Peer::Own,
        against: Against::Added(Peer::Nginx),
        limit: 1.0,
        stretch: None,
    },
    Budget {
        operation: Operation::Held,
        peer: Peer::Mux,
        against: Against::Itself,
        limit: 5.5,
        stretch: Some(4.0),
    },
    Budget {
        operation: Operation::Held,
        peer: Peer::Own,
        against: Against::Itself,
        limit: 6.5,
        stretch: Some(4.0),
    },
    Budget {
        operation: Operation::Held,
        peer: Peer::Tls,
        against: Against::Itself,
        limit: 19.0,
        stretch: None,
    },
    Budget {
        operation: Operation::Connection,
        peer: Peer::Own,
        against: Against::Itself,
        limit: 1.2,
        stretch: None,
    },
    Budget {
        operation: Operation::Parked(Receiver::EngineIo),
        peer: Peer::Mux,
        against: Against::Itself,
        limit: 5.0,
        stretch: Some(2.0),
    },
    Budget {
        operation: Operation::Parked(Receiver::EngineIo),
        peer: Peer::Own,
        against: Against::Itself,
        limit: 6.3,
        stretch: Some(2.0),
    },
    Budget {
        operation: Operation::Parked(Receiver::Xhr),
        peer: Peer::Mux,
        against: Against::BeyondEngineIo,
        limit: 1.0,
        stretch: None,
    },
    Budget {
        operation: Operation::Parked(Receiver::Xhr),
        peer: Peer::Own,
        against: Against::BeyondEngineIo,
        limit: 1.0,
        stretch: None,
    },
    Budget {
        operation: Operation::Idle,
        peer: Peer::Own,
        against: Against::Itself,
        limit: 3.0,
        stretch: None,
    },
    Budget {
        operation: Operation::Grown(MANY),
        peer: Peer::Own,
        against: Against::Growth(Peer::Hyper),
        limit: 1.0,
        stretch: None,
    },
    Budget {
        operation: Operation::Grown(MOST),
        peer: Peer::Mux,
        against: Against::Growth(Peer::Hyper),
        limit: 1.0,
        stretch: None,
    },
];

const PUSH_TO_POLL: Operation = Operation::Push(Receiver::Xhr);
const PUSH_TO_STREAM: Operation = Operation::Push(Receiver::EventSource);
