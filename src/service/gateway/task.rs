//! What is done with a request.

use std::sync::Arc;

use http::Extensions;

use crate::access_log::Request;
use crate::bridge::Bridge;
use crate::dialect::{Answered, Beginning, Framing};
use crate::meter;
use crate::packet::{Closing, Transport};
use crate::service::sought::Passed;
use crate::session::Terms;

/// An [`Act`](crate::dialect::Act) together with its session.
pub(super) enum Task {
    /// With the id that the client chose for the session, if it did.
    Begin(Box<Beginning>, Option<String>),
    Poll(Arc<Bridge>, Arc<dyn Framing>, Terms),
    Stream(Arc<Bridge>, Arc<dyn Framing>, Terms),
    Push(Arc<Bridge>, Arc<dyn Framing>),
    Leave(Arc<Bridge>, Arc<dyn Framing>),
    Upgrade(Arc<Bridge>, Arc<dyn Framing>),
    TurnAway(Arc<dyn Framing>),
    ReportEnd(Arc<dyn Framing>, Closing),
}

impl Task {
    /// Notes for a request's line and span, if it has some, what the request does.
    pub(super) fn note(&self, extensions: &Extensions) {
        match self {
            Self::Poll(bridge, ..)
            | Self::Stream(bridge, ..)
            | Self::Push(bridge, _)
            | Self::Leave(bridge, _)
            | Self::Upgrade(bridge, _) => bridge.info().note_request(extensions),
            Self::Begin(..) => {
                if let Some(request) = Request::of(extensions) {
                    request.operate("handshake");
                }
            }
            Self::TurnAway(_) | Self::ReportEnd(..) => {}
        }
    }

    /// Returns what it is counted as.
    pub(super) const fn op(&self) -> meter::Op {
        match self {
            Self::Begin(beginning, _) => match beginning.transport {
                Transport::Polling => meter::Op::Handshake,
                Transport::Streaming => meter::Op::StreamHandshake,
                Transport::WebSocket => meter::Op::SocketHandshake,
            },
            Self::Poll(..) | Self::ReportEnd(..) => meter::Op::Poll,
            Self::Stream(..) => meter::Op::Stream,
            Self::Push(..) | Self::Leave(..) => meter::Op::Push,
            Self::Upgrade(..) | Self::TurnAway(_) => meter::Op::Upgrade,
        }
    }
}

/// What a request gets that does nothing with a session of this node.
pub(super) enum Elsewhere {
    /// A response.
    Answered(Box<Answered>),
    /// The response of another node.
    Passed(Passed),
}

impl From<Box<Answered>> for Elsewhere {
    fn from(answered: Box<Answered>) -> Self {
        Self::Answered(answered)
    }
}
