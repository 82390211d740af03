//! The constant properties of a session.

use std::sync::Arc;

use http::Extensions;
use tokio_util::task::TaskTracker;

use super::name::Names;
use super::owner::Owner;
use crate::access_log::{AccessLog, Request};
use crate::dialect::Framing;
use crate::limited::Limited;
use crate::meter::{Direction, Meter};
use crate::packet::Transport;
use crate::route_id::RouteId;
use crate::session::Pushes;
use crate::sid::Sid;
use crate::tally::Tally;
use crate::upstream::InUse;

/// The constant properties of a session.
#[derive(Debug)]
pub struct BridgeInfo {
    /// The session's id.
    pub sid: Sid,
    /// The transport on which the session began.
    pub transport: Transport,
    /// The framing of its first request and of its WebSocket.
    pub framing: Arc<dyn Framing>,
    /// The largest POST body and WebSocket message that its client may send, in bytes.
    pub max_payload: usize,
    /// How a second POST is handled while one is being read.
    pub pushes: Pushes,
    /// Headers that each response to its polls carries in addition to its own: the backend's CORS headers, and a
    /// cookie.
    pub headers: Option<Box<http::HeaderMap>>,
    /// What it has in common with the other sessions of its route.
    pub route: Option<Arc<RouteInfo>>,
    /// The meter of its route.
    pub meter: Meter,
    /// Counts that its client sends too fast.
    pub limited: Limited,
    /// What it has moved so far.
    pub tally: Tally,
    /// The span of its log lines, if these are written.
    pub span: Option<Box<tracing::Span>>,
    /// The client that it is bound to, if its id alone is not enough to use it.
    pub owner: Option<Owner>,
    /// The tracker of its tasks.
    pub tracker: TaskTracker,
}

/// What all sessions of a route have in common, as operators are shown it.
#[derive(Debug)]
pub struct RouteInfo {
    /// The route's identity.
    pub id: RouteId,
    /// Its dialect, by the name in the configuration.
    pub dialect: &'static str,
    /// The upstream that their links lead to, which is not retired before they have ended.
    pub upstream: Arc<InUse>,
    /// Where the ends of its sessions are written.
    pub access: AccessLog,
    /// What operators call its sessions.
    pub names: Names,
}

impl RouteInfo {
    /// Notes for a request's line, if it has one, that it is one of the session with this id.
    pub fn note_request(&self, extensions: &Extensions, sid: &Sid) {
        if let Some(request) = Request::of(extensions) {
            request.find_session(self.names.of(&self.id, sid).to_string(), self.upstream.name());
        }
    }
}

impl BridgeInfo {
    /// Notes for a request's line, if it has one, that it is one of this session.
    pub fn note_request(&self, extensions: &Extensions) {
        if let Some(route) = &self.route {
            route.note_request(extensions, &self.sid);
        }
    }

    /// Counts messages from the client, with the size of their payload, for the route and the session.
    #[expect(clippy::wrong_self_convention, reason = "a direction, as to_client is")]
    pub(super) fn from_client(&self, transport: Transport, messages: u64, bytes: u64) {
        self.meter.from_client(transport, messages, bytes);
        self.tally.count(Direction::FromClient, messages, bytes);
    }

    /// Counts messages to the client, with the size of their payload, for the route and the session.
    pub(super) fn to_client(&self, transport: Transport, messages: u64, bytes: u64) {
        self.meter.to_client(transport, messages, bytes);
        self.tally.count(Direction::ToClient, messages, bytes);
    }

    /// Returns the parent of its log lines.
    pub(super) fn span_id(&self) -> Option<tracing::Id> {
        self.span.as_ref()?.id()
    }
}

/// Returns a session's span if its lines are written, which most sessions have no memory for.
pub fn span_of(span: tracing::Span) -> Option<Box<tracing::Span>> {
    (!span.is_disabled()).then(|| Box::new(span))
}

/// With its counters, it fits a size class of the allocator. The next one takes 32 bytes more of each session.
const _: () = assert!(size_of::<BridgeInfo>() + size_of::<[usize; 2]>() <= 224, "a waiting session is small");
