//! One handle through which every floor counts. The set of metrics is closed; labels are routes and words of ours.
//!
//! [`Metrics`] owns all of them and renders them; [`Meter`] is what a route counts with. A meter has found its counters
//! once, when it was made: to count is an atomic add, without a lock and without a look-up.

mod family;
mod process;
mod route;
mod sizes;
mod words;

use std::borrow::Cow;
use std::sync::Arc;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

use family::Family;
use process::Process;
pub use route::Meter;
use route::Routes;
pub use words::{Broken, Direction, Listener, Op, Outcome, UpgradeOutcome};

/// All metrics of the process.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    routes: Routes,
    connections: Family<Gauge>,
    dial_failures: Family<Counter>,
    addresses_failed: Family<Gauge>,
    accepted: Family<Counter>,
    accept_errors: Family<Counter>,
    tls_failures: Family<Counter>,
    sessions_limit: Gauge,
    draining: Gauge,
}

impl Metrics {
    /// The metrics of a process that has done nothing yet.
    pub fn new() -> Self {
        let mut names = Names(Registry::default());
        names.add(
            "polliwog_build",
            "The version that runs",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        let draining = names.gauge("polliwog_draining", "1 from the first signal to stop, else 0");
        let sessions_limit = names.gauge("polliwog_sessions_limit", "How many sessions there may be at once");
        let connections = names.family(
            "polliwog_connections",
            "Client connections that speak HTTP now; an upgraded one is no longer among them",
        );
        let accepted = names.family("polliwog_connections_accepted", "Client connections that were accepted");
        let accept_errors =
            names.family("polliwog_accept_errors", "Times the system could not hand over a connection");
        let tls_failures =
            names.family("polliwog_tls_failures", "Client connections whose TLS handshake failed");
        let dial_failures = names
            .family("polliwog_upstream_dial_failures", "Attempts to reach an upstream's address that failed");
        let addresses_failed = names.family(
            "polliwog_upstream_addresses_failed",
            "Addresses of an upstream that could not be reached when they were last tried",
        );
        let routes = names.routes();
        names.0.register_collector(Box::new(Process));
        Self(Arc::new(Inner {
            registry: names.0,
            routes,
            connections,
            dial_failures,
            addresses_failed,
            accepted,
            accept_errors,
            tls_failures,
            sessions_limit,
            draining,
        }))
    }

    /// The media type of what [`render`](Self::render) returns.
    pub const CONTENT_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Everything that was counted, in the `OpenMetrics` text format.
    pub fn render(&self) -> String {
        let mut rendered = String::new();
        // It fails where its writer fails, and a String takes whatever is written to it.
        let _ = text::encode(&mut rendered, &self.0.registry);
        rendered
    }

    /// The meter of one route; asked for twice, both count together.
    pub fn route(&self, route: &str, upstream: &str) -> Meter {
        let labels =
            vec![("route", Cow::Owned(route.to_owned())), ("upstream", Cow::Owned(upstream.to_owned()))];
        Meter::new(&self.0.routes, labels)
    }

    /// The meter of the connections that come in by one kind of listener.
    pub fn connections(&self, listener: Listener) -> Connections {
        let labels = || vec![("listener", Cow::Borrowed(listener.word()))];
        Connections {
            open: self.0.connections.series(labels()),
            accepted: self.0.accepted.series(labels()),
            accept_errors: self.0.accept_errors.series(labels()),
            tls_failures: self.0.tls_failures.series(labels()),
        }
    }

    /// The meter of the ways to one upstream.
    pub fn dials(&self, upstream: &str) -> Dials {
        let labels = || vec![("upstream", Cow::Owned(upstream.to_owned()))];
        Dials {
            failures: self.0.dial_failures.series(labels()),
            failed: self.0.addresses_failed.series(labels()),
        }
    }

    /// Says how many sessions there may be at once.
    pub fn sessions_limit(&self, limit: usize) {
        self.0.sessions_limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
    }

    /// Says that the proxy is about to stop.
    pub fn draining(&self) {
        self.0.draining.set(1);
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

/// Gives each metric its name and its help; the library adds `_total`, the unit and the full stop.
struct Names(Registry);

impl Names {
    fn add(&mut self, name: &'static str, help: &'static str, metric: impl Metric) {
        self.0.register(name, help, metric);
    }

    fn gauge(&mut self, name: &'static str, help: &'static str) -> Gauge {
        let gauge = Gauge::default();
        self.add(name, help, gauge.clone());
        gauge
    }

    fn family<M>(&mut self, name: &'static str, help: &'static str) -> Family<M>
    where
        Family<M>: Metric,
    {
        let family = Family::default();
        self.add(name, help, family.clone());
        family
    }

    fn bytes<M>(&mut self, name: &'static str, help: &'static str) -> Family<M>
    where
        Family<M>: Metric,
    {
        self.measured(name, help, Unit::Bytes)
    }

    fn seconds<M>(&mut self, name: &'static str, help: &'static str) -> Family<M>
    where
        Family<M>: Metric,
    {
        self.measured(name, help, Unit::Seconds)
    }

    fn measured<M>(&mut self, name: &'static str, help: &'static str, unit: Unit) -> Family<M>
    where
        Family<M>: Metric,
    {
        let family = Family::default();
        self.0.register_with_unit(name, help, unit, family.clone());
        family
    }

    fn routes(&mut self) -> Routes {
        Routes {
            handshakes: self.family("polliwog_handshakes", "Handshakes that were answered"),
            sessions: self.family("polliwog_sessions", "Sessions that are open"),
            opened: self.family("polliwog_sessions_opened", "Sessions that began, by their first transport"),
            closed: self.family("polliwog_sessions_closed", "Sessions that ended, by their last transport"),
            upgrades: self.family("polliwog_upgrades", "Clients on their way from polling to WebSocket"),
            requests: self.family("polliwog_requests", "Requests that were answered"),
            broken: self.family("polliwog_forwards_broken", "Forwarded answers and tunnels that broke off"),
            messages: self.family("polliwog_messages", "Messages of the application that crossed the proxy"),
            message_bytes: self.bytes("polliwog_message", "Payload of these messages"),
            overhead: self.bytes(
                "polliwog_overhead",
                "What bodies of polls and POSTs, and WebSocket frames, took beyond that payload, before compression",
            ),
            heads: self.bytes(
                "polliwog_head",
                "Heads of the HTTP requests of sessions and of their answers, as far as they are known",
            ),
            saved: self.bytes("polliwog_compression_saved", "What compression took off answers to polls"),
            waits: self.seconds(
                "polliwog_delivery_wait",
                "From a message's arrival from the upstream to its hand-over to the client's connection; in the answer to \
                 a poll the oldest message counts",
            ),
            polls_parked: self.family("polliwog_polls_parked", "Polls that wait for something to fetch"),
            batch_packets: self.family("polliwog_batch_packets", "Packets in the answer to one poll"),
            batch_bytes: self.bytes("polliwog_batch", "Size of the answer to one poll"),
        }
    }
}

#[cfg(test)]
mod tests;
