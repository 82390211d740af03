//! What a node that owns a session knows of a WebSocket whose client is connected to another node.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::bridge::Bridge;

/// The session to whose WebSocket a 101 leads: if the way of that WebSocket ends, the session lets it go.
#[derive(Clone)]
pub(super) struct Moves(Weak<Bridge>);

impl Moves {
    /// Names a session.
    pub(super) fn of(bridge: &Arc<Bridge>) -> Self {
        Self(Arc::downgrade(bridge))
    }

    /// Has the session let its WebSocket go.
    pub(super) fn let_go(&self) {
        if let Some(bridge) = self.0.upgrade() {
            bridge.release_socket(LET_GO_WITHIN);
        }
    }
}

/// How long a WebSocket whose way ends may take to be closed at a quiet moment.
const LET_GO_WITHIN: Duration = Duration::from_secs(10);
