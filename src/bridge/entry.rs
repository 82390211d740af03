//! A live session, as the index has it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::burden::Burden;
use super::closing_line::log_end;
use super::handle::Bridge;
use super::info::RouteInfo;
use super::wishes::Wishes;
use crate::budget::Holder;
use crate::dialect::{Framing, Known};
use crate::end::End;
use crate::packet::Transport;
use crate::sid::Sid;
use crate::tally::Tally;

/// A live session in the index.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A session whose packets pass through this proxy's session layer.
    Bridge(Arc<Bridge>),
    /// A session whose WebSocket is relayed between its two ends.
    Relay(Arc<RelayHandle>),
}

impl Entry {
    /// Returns what a request needs to know of the session.
    pub fn known(&self) -> Known<'_> {
        match self {
            Self::Bridge(bridge) => {
                Known { transport: bridge.transport(), framing: &bridge.info().framing, is_relayed: false }
            }
            Self::Relay(relay) => {
                Known { transport: Transport::WebSocket, framing: &relay.framing, is_relayed: true }
            }
        }
    }

    /// Returns what the session has in common with others of its route, and what it has moved.
    pub(super) fn particulars(&self) -> (Option<&RouteInfo>, &Tally) {
        match self {
            Self::Bridge(bridge) => (bridge.info().route.as_deref(), &bridge.info().tally),
            Self::Relay(relay) => (relay.route.as_deref(), &relay.tally),
        }
    }

    /// Ends the session because its operator wishes so.
    pub fn end(&self) {
        match self {
            Self::Bridge(bridge) => bridge.end(End::Operator),
            Self::Relay(relay) => relay.wishes.end(),
        }
    }

    /// Returns what the session holds of its budget.
    pub(super) fn holder(&self, now: Instant) -> Holder<()> {
        match self {
            Self::Bridge(bridge) => bridge.holder(now),
            Self::Relay(relay) => relay.burden.holder(now),
        }
    }

    /// Ends the session because of the memory that it holds.
    pub(super) fn end_for_memory(&self) {
        match self {
            Self::Bridge(bridge) => bridge.end_for_memory(),
            Self::Relay(relay) => {
                relay.burden.leave();
                relay.wishes.relieve();
            }
        }
    }

    /// Logs the end of a session that is cut off with its process.
    pub(super) fn log_cut(&self, sid: &Sid) {
        match self {
            Self::Bridge(bridge) => bridge.log_cut(),
            Self::Relay(relay) => {
                log_end(None, (relay.route.as_deref(), sid), &relay.tally, Transport::WebSocket, End::Cut);
            }
        }
    }

    /// Drains the session: its client receives what is left within `patience`.
    pub fn drain(&self, patience: Duration) {
        match self {
            Self::Bridge(bridge) => bridge.drain(patience),
            Self::Relay(relay) => relay.wishes.drain(),
        }
    }
}

/// What the index needs to know of a relayed session.
#[derive(Debug)]
pub struct RelayHandle {
    /// The client's framing.
    pub framing: Arc<dyn Framing>,
    /// What it is asked to do.
    pub wishes: Wishes,
    /// What it has in common with the other sessions of its route.
    pub route: Option<Arc<RouteInfo>>,
    /// What it has moved so far.
    pub tally: Tally,
    /// What its buffers hold.
    pub burden: Burden,
}
