//! The constant properties of a session.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::owner::Owner;
use crate::dialect::Framing;
use crate::limited::Limited;
use crate::meter::Meter;
use crate::packet::Transport;
use crate::session::Pushes;
use crate::sid::Sid;
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
    /// The upstream that its link leads to, which is not retired before the session has ended.
    #[expect(dead_code, reason = "held for its drop")]
    pub upstream: Option<Arc<InUse>>,
    /// The meter of its route.
    pub meter: Meter,
    /// Counts that its client sends too fast.
    pub limited: Limited,
    /// The span of its log lines.
    pub span: tracing::Span,
    /// The client that it is bound to, if its id alone is not enough to use it.
    pub owner: Option<Owner>,
    /// The tracker of its tasks.
    pub tracker: TaskTracker,
}
