//! What makes the connections to a backend.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::duplex::Duplex;
use crate::upstream::OpenError;
use crate::upstream::deadline::Deadline;
use crate::upstream::target::Target;

/// Connects to one upstream.
pub(super) trait Connector: fmt::Debug + Send + Sync {
    /// Returns a connection and its target.
    fn connection(self: Arc<Self>, deadline: Deadline) -> Connecting;
}

/// The future of [`Connector::connection`].
pub(super) type Connecting = Pin<Box<dyn Future<Output = Result<(Duplex, Target), OpenError>> + Send>>;
