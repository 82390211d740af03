//! The signals by which the servers of a process end.

use tokio_util::sync::CancellationToken;

use crate::server;

/// How each server ends, and all of them leave.
pub(super) struct Endings {
    /// Cancelled once another process accepts.
    pub(super) left: CancellationToken,
    pub(super) public: server::Signals,
    pub(super) admin: server::Signals,
    pub(super) peers: server::Signals,
}

impl Default for Endings {
    fn default() -> Self {
        let left = CancellationToken::new();
        let signals = || server::Signals { leave: left.clone(), ..server::Signals::default() };
        Self { public: signals(), admin: signals(), peers: signals(), left: left.clone() }
    }
}
