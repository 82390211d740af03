//! What all connections of a listener have in common.

use std::time::Duration;

use hyper::server::conn::http1::Builder;

/// What all connections of a listener share.
#[derive(Clone, Debug)]
pub(in crate::server) struct Http1Settings {
    pub(in crate::server) builder: Builder,
    pub(in crate::server) waits: Waits,
}

/// How long a connection waits.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Waits {
    /// Until it leaves hyper: before that, leaving costs more than it saves.
    pub(in crate::server) rest_after: Duration,
    /// For its next request, until it ends. Hyper has the same timeout.
    pub(in crate::server) idle_timeout: Duration,
}
