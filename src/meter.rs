//! One handle through which every floor counts. The set of metrics is closed; labels are routes and words of ours.
//!
//! [`Metrics`] owns all of them and renders them; [`Meter`] is what a route counts with. A meter has found its counters
//! once, when it was made: to count is an atomic add, without a lock and without a look-up.

mod family;
mod process;
mod route;
mod row;
mod sizes;
pub(crate) mod table;
mod words;

use std::borrow::Cow;
use std::sync::Arc;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use process::Process;
pub use route::Meter;
use table::{Routes, Whole};
pub use words::{Broken, Direction, Listener, Op, Outcome, UpgradeOutcome};

/// All metrics of the process.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    whole: Whole,
    routes: Routes,
}

impl Metrics {
    /// Creates the metrics of a process that has done nothing yet.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        table::register_build(&mut registry);
        let whole = Whole::register(&mut registry);
        let routes = Routes::register(&mut registry);
        registry.register_collector(Box::new(Process));
        Self(Arc::new(Inner { registry, whole, routes }))
    }

    /// The media type of what [`render`](Self::render) returns.
    pub const CONTENT_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Returns everything that was counted, in the `OpenMetrics` text format.
    pub fn render(&self) -> String {
        let mut rendered = String::new();
        // It fails where its writer fails, and a String takes whatever is written to it.
        let _ = text::encode(&mut rendered, &self.0.registry);
        rendered
    }

    /// Returns the meter of one route; asked for twice, both count together.
    pub fn route(&self, route: &str, upstream: &str) -> Meter {
        let labels =
            vec![("route", Cow::Owned(route.to_owned())), ("upstream", Cow::Owned(upstream.to_owned()))];
        Meter::new(&self.0.routes, labels)
    }

    /// Returns the meter of the connections that come in by one kind of listener.
    pub fn connections(&self, listener: Listener) -> Connections {
        let labels = || vec![("listener", Cow::Borrowed(listener.word()))];
        Connections {
            open: self.0.whole.connections.series(labels()),
            accepted: self.0.whole.accepted.series(labels()),
            accept_errors: self.0.whole.accept_errors.series(labels()),
            tls_failures: self.0.whole.tls_failures.series(labels()),
        }
    }

    /// Returns the meter of the ways to one upstream.
    pub fn dials(&self, upstream: &str) -> Dials {
        let labels = || vec![("upstream", Cow::Owned(upstream.to_owned()))];
        Dials {
            failures: self.0.whole.dial_failures.series(labels()),
            failed: self.0.whole.addresses_failed.series(labels()),
        }
    }

    /// Says how many sessions there may be at once.
    pub fn sessions_limit(&self, limit: usize) {
        self.0.whole.sessions_limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
    }

    /// Says that the proxy is about to stop.
    pub fn draining(&self) {
        self.0.whole.draining.set(1);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// A meter that nobody reads, for tests.
impl Default for Meter {
    fn default() -> Self {
        Metrics::new().route("", "")
    }
}

/// Counts for one kind of listener.
#[derive(Clone, Debug)]
pub struct Connections {
    open: Gauge,
    accepted: Counter,
    accept_errors: Counter,
    tls_failures: Counter,
}

impl Connections {
    /// A connection was accepted; it counts as open for as long as the answer lives.
    pub fn opened(&self) -> OpenConnection {
        self.accepted.inc();
        self.open.inc();
        OpenConnection(self.open.clone())
    }

    /// A connection could not be accepted, for want of descriptors or memory.
    pub fn accept_failed(&self) {
        self.accept_errors.inc();
    }

    /// A connection's TLS handshake failed.
    pub fn tls_failed(&self) {
        self.tls_failures.inc();
    }
}

/// Connections that nobody counts, for tests.
impl Default for Connections {
    fn default() -> Self {
        Metrics::new().connections(Listener::Public)
    }
}

/// Counts for the ways to one upstream.
#[derive(Clone, Debug)]
pub struct Dials {
    failures: Counter,
    failed: Gauge,
}

impl Dials {
    /// An address could not be reached.
    pub fn failed(&self) {
        self.failures.inc();
    }

    /// So many addresses could not be reached when they were last tried.
    pub fn addresses_failed(&self, count: usize) {
        self.failed.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

/// Dials that nobody counts, for tests.
impl Default for Dials {
    fn default() -> Self {
        Metrics::new().dials("")
    }
}

/// One open connection.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests;
