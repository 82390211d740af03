//! The handle through which every floor counts. The set of metrics is fixed; label values are routes, upstreams and
//! fixed words.
//!
//! [`Metrics`] owns and renders all metrics; a route counts with its [`Meter`]. A meter looks up its counters once,
//! when it is created. Counting is then an atomic add, without a lock or a look-up.

mod admission;
mod cluster;
mod directory;
mod dropped;
mod family;
mod memory;
mod process;
mod readings;
mod route;
mod row;
mod shown;
mod sizes;
mod succession;
pub(crate) mod table;
mod tail;
mod words;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::budget::{Budget, Charge};
pub use admission::{AuthOutcome, TokenOutcome};
pub use cluster::{ClusterMeter, OpenAsk, Traffic};
pub use directory::DirectoryMeter;
use readings::Readings;
pub use route::Meter;
use route::Meters;
use sizes::Waits;
pub use succession::SuccessionMeter;
use table::{Directories, Nodes, Routes, Successions, Whole};
pub use tail::{Tail, Told, Watcher};
pub use words::{
    AddressState, Asked, Broken, CertificateOrder, Checked, Direction, DirectoryOp, DirectoryOutcome, Limit,
    LogName, Op, Outcome, PeerState, Protocol, Queued, Reload, Side, UpgradeOutcome,
};

/// All metrics of the process.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    whole: Whole,
    nodes: Nodes,
    directories: Directories,
    successions: Successions,
    routes: Routes,
    meters: Meters,
    budget: Budget,
}

impl Metrics {
    /// Creates the metrics of a process that has done nothing yet and whose buffers have no limit.
    pub fn new() -> Self {
        Self::of(Budget::default())
    }

    /// Creates the metrics of a process that has done nothing yet, and has this budget for its buffers.
    pub fn of(budget: Budget) -> Self {
        let mut registry = Registry::default();
        table::register_build(&mut registry);
        let whole = Whole::register(&mut registry);
        let nodes = Nodes::register(&mut registry);
        let directories = Directories::register(&mut registry);
        let successions = Successions::register(&mut registry);
        let routes = Routes::register(&mut registry);
        registry.register_collector(Box::new(Readings { source: budget.clone(), all: memory::READINGS }));
        registry.register_collector(Box::new(Readings { source: (), all: process::READINGS }));
        Self(Arc::new(Inner {
            registry,
            whole,
            nodes,
            directories,
            successions,
            routes,
            meters: Meters::default(),
            budget,
        }))
    }

    /// The media type of what [`render`](Self::render) returns.
    pub const CONTENT_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Returns everything that was counted, in the `OpenMetrics` text format.
    pub fn render(&self) -> String {
        let mut rendered = String::new();
        // Encoding fails only if its writer does, and writing to a String can't fail.
        let _ = text::encode(&mut rendered, &self.0.registry);
        rendered
    }

    /// Returns the meter of one route. Two meters of the same route share their counters; what the last one has counted
    /// is no longer rendered.
    pub fn route(&self, route: &str, upstream: &str) -> Meter {
        let labels =
            vec![("route", Cow::Owned(route.to_owned())), ("upstream", Cow::Owned(upstream.to_owned()))];
        self.0.meters.meter(&self.0.routes, labels)
    }

    /// Returns the meter of what passes between this node and others.
    pub fn cluster(&self) -> ClusterMeter {
        ClusterMeter::new(&self.0.nodes, self.0.budget.clone())
    }

    /// Returns the meter of the other processes of this host.
    pub fn succession(&self) -> SuccessionMeter {
        SuccessionMeter::new(&self.0.successions)
    }

    /// Returns the meter of what the directory is asked.
    pub fn directory(&self) -> DirectoryMeter {
        DirectoryMeter::new(&self.0.directories)
    }

    /// Returns the meter of the connections that come in by one listener.
    pub fn connections(&self, listener: &str) -> Connections {
        let labels = || vec![("listener", Cow::Owned(listener.to_owned()))];
        let of = |protocol: &Protocol| {
            let mut labels = labels();
            labels.push(("protocol", Cow::Borrowed(protocol.word())));
            self.0.whole.speaking.series(labels)
        };
        Connections {
            open: self.0.whole.connections.series(labels()),
            accepted: self.0.whole.accepted.series(labels()),
            speaking: Protocol::ALL.iter().map(of).collect(),
            accept_errors: self.0.whole.accept_errors.series(labels()),
            tls_failures: self.0.whole.tls_failures.series(labels()),
            budget: self.0.budget.clone(),
        }
    }

    /// Returns the meter of connection attempts to one upstream.
    pub fn dials(&self, upstream: &str) -> Dials {
        let labels = || vec![("upstream", Cow::Owned(upstream.to_owned()))];
        let of = |state: &AddressState| {
            let mut labels = labels();
            labels.push(("state", Cow::Borrowed(state.word())));
            self.0.whole.addresses.series(labels)
        };
        let check = |outcome: &Checked| {
            let mut labels = labels();
            labels.push(("outcome", Cow::Borrowed(outcome.word())));
            self.0.whole.checks.series(labels)
        };
        let queued = |outcome: &Queued| {
            let mut labels = labels();
            labels.push(("outcome", Cow::Borrowed(outcome.word())));
            self.0.whole.queued.series(labels)
        };
        Dials {
            failures: self.0.whole.dial_failures.series(labels()),
            addresses: AddressState::ALL.iter().map(of).collect(),
            checks: Checked::ALL.iter().map(check).collect(),
            queue: self.0.whole.queue.series(labels()),
            queued: Queued::ALL.iter().map(queued).collect(),
            queue_waits: self.0.whole.queue_waits.series(labels()),
            budget: self.0.budget.clone(),
        }
    }

    /// Returns the meter of the limits that are reached.
    pub fn limits(&self) -> LimitMeter {
        let of = |limit: &Limit| self.0.whole.limited.series(vec![("limit", Cow::Borrowed(limit.word()))]);
        LimitMeter(Limit::ALL.iter().map(of).collect())
    }

    /// Sets the maximum number of concurrent sessions.
    pub fn sessions_limit(&self, limit: usize) {
        self.0.whole.sessions_limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
    }

    /// Counts a reload of the configuration.
    pub fn reloaded(&self, outcome: Reload) {
        self.0.whole.reloads.series(vec![("outcome", Cow::Borrowed(outcome.word()))]).inc();
        self.loaded(matches!(outcome, Reload::Done));
    }

    /// Reports that the first configuration is in force.
    pub fn first_loaded(&self) {
        for outcome in Reload::ALL {
            self.0.whole.reloads.series(vec![("outcome", Cow::Borrowed(outcome.word()))]);
        }
        self.loaded(true);
    }

    fn loaded(&self, successful: bool) {
        self.0.whole.reload_successful.set(successful.into());
        if successful {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.0.whole.reloaded.set(now.as_secs().try_into().unwrap_or(i64::MAX));
        }
    }

    /// Reports when the certificates expire: the file of each, the name in it, and its end.
    pub fn certificates_expire(&self, all: impl Iterator<Item = (String, String, SystemTime)>) {
        self.0.whole.certificates_expire.replace(all.map(|(file, name, end)| {
            let gauge = Gauge::default();
            let since = end.duration_since(UNIX_EPOCH).unwrap_or_default();
            gauge.set(since.as_secs().try_into().unwrap_or(i64::MAX));
            (vec![("file", Cow::Owned(file)), ("name", Cow::Owned(name))], gauge)
        }));
    }

    /// Reports that certificates may be ordered.
    pub fn may_order(&self) {
        for outcome in CertificateOrder::ALL {
            self.0.whole.orders.series(vec![("outcome", Cow::Borrowed(outcome.word()))]);
        }
    }

    /// Counts the order of a certificate.
    pub fn ordered(&self, outcome: CertificateOrder) {
        self.0.whole.orders.series(vec![("outcome", Cow::Borrowed(outcome.word()))]).inc();
    }

    /// Reports that the proxy has begun to drain.
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

/// Counts connections of one listener.
#[derive(Clone, Debug)]
pub struct Connections {
    open: Gauge,
    accepted: Counter,
    /// By their protocol.
    speaking: Vec<Counter>,
    accept_errors: Counter,
    tls_failures: Counter,
    budget: Budget,
}

impl Connections {
    /// Creates the charge of what a connection holds.
    pub fn charge(&self) -> Charge {
        self.budget.charge()
    }

    /// Counts an accepted connection, which is open until the returned value is dropped.
    pub fn opened(&self) -> OpenConnection {
        self.accepted.inc();
        self.open.inc();
        OpenConnection(self.open.clone())
    }

    /// Counts a connection on which HTTP begins.
    pub fn began(&self, protocol: Protocol) {
        self.speaking[protocol as usize].inc();
    }

    /// Counts a connection that could not be accepted because descriptors or memory ran out.
    pub fn accept_failed(&self) {
        self.accept_errors.inc();
    }

    /// Counts a failed TLS handshake.
    pub fn tls_failed(&self) {
        self.tls_failures.inc();
    }
}

/// Connections that nobody counts, for tests.
impl Default for Connections {
    fn default() -> Self {
        Metrics::new().connections("")
    }
}

/// Counts how often each limit was reached.
#[derive(Clone, Debug)]
pub struct LimitMeter(Vec<Counter>);

impl LimitMeter {
    /// Counts that a limit was reached.
    pub fn reached(&self, limit: Limit) {
        self.0[limit as usize].inc();
    }
}

/// Counts connection attempts to one upstream.
#[derive(Clone, Debug)]
pub struct Dials {
    failures: Counter,
    /// By their state.
    addresses: Vec<Gauge>,
    /// By their outcome.
    checks: Vec<Counter>,
    queue: Gauge,
    /// By their outcome.
    queued: Vec<Counter>,
    queue_waits: Waits,
    budget: Budget,
}

impl Dials {
    /// Returns the budget for what its connections hold.
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Counts a failed attempt to reach an address.
    pub fn failed(&self) {
        self.failures.inc();
    }

    /// Counts a check of an address.
    pub fn checked(&self, passed: bool) {
        let outcome = if passed { Checked::Passed } else { Checked::Failed };
        self.checks[outcome as usize].inc();
    }

    /// Corrects the number of sessions that wait for a place.
    pub fn queued(&self, before: usize, now: usize) {
        if before != now {
            self.queue.inc_by(difference(before, now));
        }
    }

    /// Counts a wait for a place, which took so long.
    pub fn has_queued(&self, outcome: Queued, took: Duration) {
        self.queued[outcome as usize].inc();
        if outcome == Queued::Served {
            self.queue_waits.observe(took);
        }
    }

    /// Corrects the number of addresses in this state, of which another upstream with this name may count some too.
    pub fn addresses(&self, state: AddressState, before: usize, now: usize) {
        self.addresses[state as usize].inc_by(difference(before, now));
    }
}

fn difference(before: usize, now: usize) -> i64 {
    let count = |addresses| i64::try_from(addresses).unwrap_or(i64::MAX);
    count(now) - count(before)
}

/// Dials that nobody counts: of an upstream without addresses.
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
