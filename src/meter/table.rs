//! The table of metrics: one row declares a metric's name, unit, labels, help and what an operator does about it.
//!
//! The field that counts stands in its row, and its type says the kind. So no metric is registered without a row, and a
//! row that nothing counts is a field that is never read, which does not compile.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Metric, Registry};

use super::family::Family;
use super::process;
use super::row::{Measure, Row};
use super::sizes::{Sizes, Waits};

/// Returns every row, in the order in which they are rendered.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    let process = process::READINGS.iter().map(|(row, _)| row);
    std::iter::once(&BUILD).chain(Whole::ROWS).chain(Routes::ROWS).chain(process)
}

/// The version that runs: a label, and no number.
static BUILD: Row =
    Row::new("polliwog_build", Measure::Count, MetricType::Info, &["version"], "The version that runs", "");

/// Registers the version.
pub(super) fn register_build(registry: &mut Registry) {
    registry.register(BUILD.base(), BUILD.help, Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
}

/// What counts for a row: it knows its kind, and is made once.
trait Counts: Clone + Metric {
    const KIND: MetricType;

    fn of(row: &'static Row) -> Self;
}

impl<M: Clone + Default + TypedMetric> Counts for Family<M>
where
    Self: Metric,
{
    const KIND: MetricType = M::TYPE;

    fn of(row: &'static Row) -> Self {
        Self::new(row.labels)
    }
}

impl Counts for Gauge {
    const KIND: MetricType = Self::TYPE;

    fn of(_: &'static Row) -> Self {
        Self::default()
    }
}

/// Makes a struct of metrics with a row for each field.
macro_rules! metrics {
    ($(#[$about:meta])* $group:ident { $(
        $field:ident: $type:ty = $name:literal in $measure:ident by [$($label:literal),*],
            $help:literal, $rises:literal;
    )+ }) => {
        $(#[$about])*
        #[derive(Clone, Debug)]
        #[deny(dead_code)] // A row that nothing counts.
        pub(super) struct $group {
            $(pub(super) $field: $type,)+
        }

        impl $group {
            /// The rows, in the order of the fields.
            const ROWS: &[Row] = {
                static ROWS: &[Row] = &[$(
                    Row::new($name, Measure::$measure, <$type as Counts>::KIND, &[$($label),*], $help, $rises),
                )+];
                ROWS
            };

            /// Makes and registers each metric as its row says.
            pub(super) fn register(registry: &mut Registry) -> Self {
                let mut rows = Self::ROWS.iter();
                $(let $field: $type = register(&mut rows, registry);)+
                Self { $($field),+ }
            }
        }
    };
}

/// Registers the metric of the next row; the macro makes as many rows as fields.
fn register<M: Counts>(rows: &mut std::slice::Iter<'static, Row>, registry: &mut Registry) -> M {
    let row = rows.next().expect("there is a row for each field");
    let metric = M::of(row);
    match row.unit() {
        Some(unit) => registry.register_with_unit(row.base(), row.help, unit, metric.clone()),
        None => registry.register(row.base(), row.help, metric.clone()),
    }
    metric
}

metrics! {
    /// The metrics that belong to no route.
    Whole {
        draining: Gauge = "polliwog_draining" in Count by [],
            "1 from the first signal to stop, else 0",
            "The process is stopping. If nobody asked for it, look for who sends the signal.";
        sessions_limit: Gauge = "polliwog_sessions_limit" in Count by [],
            "How many sessions there may be at once",
            "";
        connections: Family<Gauge> = "polliwog_connections" in Count by ["listener"],
            "Client connections that speak HTTP now; an upgraded one is no longer among them",
            "Compare with the open sessions: many more are clients without a session, or connections that idle. \
             A shorter `idle_timeout` closes those.";
        accepted: Family<Counter> = "polliwog_connections_accepted" in Count by ["listener"],
            "Client connections that were accepted",
            "Faster than requests: clients, or a balancer in front, do not keep connections alive.";
        accept_errors: Family<Counter> = "polliwog_accept_errors" in Count by ["listener"],
            "Times the system could not hand over a connection",
            "Descriptors or memory have run out: raise `ulimit -Hn`, or lower `max_sessions`.";
        tls_failures: Family<Counter> = "polliwog_tls_failures" in Count by ["listener"],
            "Client connections whose TLS handshake failed",
            "Clients do not accept the certificate, or lack one that `client_ca` accepts. Port scans count, too.";
        dial_failures: Family<Counter> = "polliwog_upstream_dial_failures" in Count by ["upstream"],
            "Attempts to reach an upstream's address that failed",
            "The backend is down, or the network between is. The log says why.";
        addresses_failed: Family<Gauge> = "polliwog_upstream_addresses_failed" in Count by ["upstream"],
            "Addresses of an upstream that could not be reached when they were last tried",
            "Some of the backend's addresses are down. They are tried again in the background.";
    }
}

metrics! {
    /// The families whose series belong to a route.
    Routes {
        handshakes: Family<Counter> = "polliwog_handshakes" in Count by ["route", "upstream", "outcome"],
            "Handshakes that were answered",
            "Look at `outcome`: `down` and `slow` are the backend's, `full` asks for more `max_sessions` or another \
             process, `refused` and `forbidden` are clients that may not connect.";
        sessions: Family<Gauge> = "polliwog_sessions" in Count by ["route", "upstream", "transport"],
            "Sessions that are open",
            "Near `polliwog_sessions_limit` new clients are answered 503.";
        opened: Family<Counter> = "polliwog_sessions_opened" in Count by ["route", "upstream", "transport"],
            "Sessions that began, by their first transport",
            "Faster than open sessions grow: clients reconnect all the time. Look at `polliwog_sessions_closed_total`.";
        closed: Family<Counter> = "polliwog_sessions_closed" in Count by ["route", "upstream", "transport", "reason"],
            "Sessions that ended, by their last transport",
            "Look at `reason`: `ping_timeout` are clients that vanished, `stalled` are sides that stop reading.";
        upgrades: Family<Counter> = "polliwog_upgrades" in Count by ["route", "upstream", "outcome"],
            "Clients on their way from polling to WebSocket",
            "Many `failed`: something between client and proxy, such as a balancer, does not pass WebSockets.";
        requests: Family<Counter> = "polliwog_requests" in Count by ["route", "upstream", "op", "transport", "status"],
            "Requests that were answered",
            "`status` 5xx points at the backend or at a limit, 4xx at clients; the log's `refused` lines say the reason.";
        broken: Family<Counter> = "polliwog_forwards_broken" in Count by ["route", "upstream", "reason"],
            "Forwarded answers and tunnels that broke off",
            "`upstream_closed`: the backend ends its responses early. `stalled`: one side stops reading for `stall_timeout`.";
        messages: Family<Counter> = "polliwog_messages" in Count by ["route", "upstream", "direction", "transport"],
            "Messages of the application that crossed the proxy",
            "";
        message_bytes: Family<Counter> = "polliwog_message" in Bytes by ["route", "upstream", "direction", "transport"],
            "Payload of these messages",
            "";
        overhead: Family<Counter> = "polliwog_overhead" in Bytes by ["route", "upstream", "direction", "transport"],
            "What bodies of polls and POSTs, and WebSocket frames, took beyond that payload, before compression",
            "";
        heads: Family<Counter> = "polliwog_head" in Bytes by ["route", "upstream", "direction", "transport"],
            "Heads of the HTTP requests of sessions and of their answers, as far as they are known",
            "Large beside the payload: clients poll often for little. A larger `linger` may help.";
        saved: Family<Counter> = "polliwog_compression_saved" in Bytes by ["route", "upstream"],
            "What compression took off answers to polls",
            "";
        waits: Family<Waits> = "polliwog_delivery_wait" in Seconds by ["route", "upstream", "transport"],
            "From a message's arrival from the upstream to its hand-over to the client's connection; in the answer to \
             a poll the oldest message counts",
            "Clients fetch slowly, or the proxy is short of CPU. Polling waits at least for the client's next poll.";
        polls_parked: Family<Gauge> = "polliwog_polls_parked" in Count by ["route", "upstream"],
            "Polls that wait for something to fetch",
            "";
        batch_packets: Family<Sizes> = "polliwog_batch_packets" in Count by ["route", "upstream"],
            "Packets in the answer to one poll",
            "Large batches mean that messages wait for slow polls; see `polliwog_delivery_wait_seconds`.";
        batch_bytes: Family<Sizes> = "polliwog_batch" in Bytes by ["route", "upstream"],
            "Size of the answer to one poll",
            "";
    }
}
