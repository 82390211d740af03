//! What makes the connections to a backend.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use http::HeaderMap;

use crate::duplex::Duplex;
use crate::upstream::OpenError;
use crate::upstream::address::Place;
use crate::upstream::affinity::Key;
use crate::upstream::deadline::Deadline;
use crate::upstream::target::Target;

/// Connects to one upstream.
pub(super) trait Connector: fmt::Debug + Send + Sync {
    /// Chooses the address of the next request; `None` if there are none to choose from.
    fn place(&self, key: Option<Key>) -> Option<Place>;

    /// Returns the key of a request, if its address depends on one.
    fn key(&self, headers: &HeaderMap, query: &str, client: Option<IpAddr>) -> Option<Key>;

    /// Returns a connection to this address if it can be reached, otherwise to another one; its target, and its address.
    fn connection(self: Arc<Self>, place: Option<Place>, key: Option<Key>, deadline: Deadline) -> Connecting;
}

/// The future of [`Connector::connection`].
pub(super) type Connecting =
    Pin<Box<dyn Future<Output = Result<(Duplex, Target, Option<Place>), OpenError>> + Send>>;
