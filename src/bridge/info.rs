//! What does not change while a session lives.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::owner::Owner;
use crate::dialect::Framing;
use crate::meter::Meter;
use crate::packet::Transport;
use crate::session::Pushes;
use crate::sid::Sid;
use crate::upstream::InUse;

/// What does not change while a session lives.
#[derive(Debug)]
pub struct BridgeInfo {
    /// Its id.
    pub sid: Sid,
    /// The transport that it began on.
    pub transport: Transport,
    /// How its first request was written, and its WebSocket is.
    pub framing: Arc<dyn Framing>,
    /// The largest POST body and WebSocket message that its client may send, in bytes.
    pub max_payload: usize,
    /// What a second POST means while one is under way.
    pub pushes: Pushes,
    /// What each answer to its polls carries beside its own headers, if anything: CORS as its backend said it, and a cookie.
    pub headers: Option<Box<http::HeaderMap>>,
    /// The upstream that its link leads to, which does not retire before the session has left.
    #[expect(dead_code, reason = "held for its drop")]
    pub upstream: Option<Arc<InUse>>,
    /// Where its route counts.
    pub meter: Meter,
    /// What its log lines stand under.
    pub span: tracing::Span,
    /// Whose it is, where not all who know its id may use it.
    pub owner: Option<Owner>,
    /// The tracker of its tasks.
    pub tracker: TaskTracker,
}
