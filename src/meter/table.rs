//! The table of metrics: each row declares a metric's name, unit, labels and help, and what an operator does about it.
//!
//! A row also declares the field that counts, whose type determines the kind. So no metric is registered without a row,
//! and a row that nothing counts is a field that is never read, which does not compile.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Metric, Registry};

use super::family::{Family, Labels};
use super::row::{Measure, Row};
use super::sizes::{Sizes, Waits};
use super::{memory, process};

/// Returns every row, in the order in which they are rendered.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    let memory = memory::READINGS.iter().map(|(row, _)| row);
    let process = process::READINGS.iter().map(|(row, _)| row);
    std::iter::once(&BUILD)
        .chain(Whole::ROWS)
        .chain(Nodes::ROWS)
        .chain(Directories::ROWS)
        .chain(Successions::ROWS)
        .chain(Routes::ROWS)
        .chain(memory)
        .chain(process)
}

/// The version of the running proxy: a label without a number.
static BUILD: Row = Row::new(
    "polliwog_build",
    Measure::Count,
    MetricType::Info,
    &["version"],
    "Version of the running proxy",
    "",
);

/// Registers the version.
pub(super) fn register_build(registry: &mut Registry) {
    registry.register(BUILD.base(), BUILD.help, Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
}

/// The metric behind a row, which knows its kind and is created once.
trait Counts: Clone + Metric {
    const KIND: MetricType;

    fn of(row: &'static Row) -> Self;

    /// Takes out the series whose labels begin with these.
    fn forget(&self, _: &Labels) {}
}

/// A group of metrics.
pub(super) trait Group {
    /// Takes out each metric's series whose labels begin with these.
    fn forget(&self, labels: &Labels);
}

impl<M: Clone + Default + TypedMetric> Counts for Family<M>
where
    Self: Metric,
{
    const KIND: MetricType = M::TYPE;

    fn of(row: &'static Row) -> Self {
        Self::new(row.labels)
    }

    fn forget(&self, labels: &Labels) {
        Self::forget(self, labels);
    }
}

impl Counts for Gauge {
    const KIND: MetricType = Self::TYPE;

    fn of(_: &'static Row) -> Self {
        Self::default()
    }
}

impl Counts for Waits {
    const KIND: MetricType = Self::TYPE;

    fn of(_: &'static Row) -> Self {
        Self::default()
    }
}

/// Defines a struct of metrics with a row for each field.
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

            /// Creates and registers each metric as its row declares.
            pub(super) fn register(registry: &mut Registry) -> Self {
                let mut rows = Self::ROWS.iter();
                $(let $field: $type = register(&mut rows, registry);)+
                Self { $($field),+ }
            }
        }

        impl Group for $group {
            fn forget(&self, labels: &Labels) {
                $(Counts::forget(&self.$field, labels);)+
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
            "1 after the first stop signal, otherwise 0",
            "The process is stopping. If that was not intended, find out what sends the signal.";
        sessions_limit: Gauge = "polliwog_sessions_limit" in Count by [],
            "Maximum number of concurrent sessions",
            "";
        limited: Family<Counter> = "polliwog_limited" in Count by ["limit"],
            "What was refused or slowed down because a limit was reached, by the limit's key in the configuration",
            "The log's line `a limit was reached` names a client. One client: it has too much, or many users share its address. Many: raise the limit, or add a process.";
        log_lines_dropped: Family<Counter> = "polliwog_log_lines_dropped" in Count by ["log"],
            "Lines of the `log` or the `access` log that were dropped, because they were read or written too slowly",
            "What reads the log is too slow, or gone, or the disk is full. Nobody waits for it: what does not fit into the queue is dropped.";
        spans_dropped: Family<Counter> = "polliwog_spans_dropped" in Count by [],
            "Spans that `log.otlp` names a collector for and that were dropped, because it is slow or down",
            "Look at the collector, whose last refusal is in the log. Nobody waits for it: what does not fit into the queue is dropped, and nothing is sent twice.";
        reloads: Family<Counter> = "polliwog_config_reloads" in Count by ["outcome"],
            "Reloads of the configuration, `done` and `refused`",
            "`refused`: the log has each fault, and so does `polliwog check`. The configuration before stays in force.";
        reload_successful: Gauge = "polliwog_config_last_reload_successful" in Count by [],
            "1 if the last reload of the configuration was done, or none was asked for, otherwise 0",
            "The process runs with an earlier configuration than its file: run `polliwog check`.";
        reloaded: Gauge = "polliwog_config_last_reload_success_timestamp" in Seconds by [],
            "When the configuration was last loaded, in seconds since 1970",
            "";
        certificates_expire: Family<Gauge> = "polliwog_certificate_expiry_timestamp" in Seconds by ["file", "name"],
            "When a certificate that clients, nodes or backends are shown expires, in seconds since 1970; `name` is the first host in it",
            "Renew it before: clients refuse an expired one. The log warns from 21 days before.";
        orders: Family<Counter> = "polliwog_certificate_orders" in Count by ["outcome"],
            "Certificates ordered by ACME, `done` and `failed`",
            "`failed`: the log has the cause. The certificate before stays in use: a third of its life is left at the first attempt.";
        connections: Family<Gauge> = "polliwog_connections" in Count by ["listener"],
            "Client connections that are open and speak HTTP; upgraded connections are not counted. `listener` is its name: `default` for that of `[server]`, \
             and `admin.listen` and `cluster.listen` for the other two",
            "Compare with the open sessions: many more connections mean clients without a session, or idle connections. \
             A shorter `idle_timeout` closes idle ones.";
        accepted: Family<Counter> = "polliwog_connections_accepted" in Count by ["listener"],
            "Client connections accepted",
            "If it rises faster than requests, clients or a balancer in front do not keep connections alive.";
        speaking: Family<Counter> = "polliwog_http_connections" in Count by ["listener", "protocol"],
            "Client connections on which HTTP began, by its version, `http/1.1` or `http/2`",
            "Browsers that reach the proxy itself by TLS speak `http/2`. None of it: something in between ends TLS.";
        accept_errors: Family<Counter> = "polliwog_accept_errors" in Count by ["listener"],
            "Connections that the system failed to accept",
            "Descriptors or memory have run out: raise `ulimit -Hn`, or lower `max_sessions`.";
        tls_failures: Family<Counter> = "polliwog_tls_failures" in Count by ["listener"],
            "Client connections whose TLS handshake failed",
            "Clients reject the certificate, or lack one that `client_ca` accepts. Port scans count as well.";
        dial_failures: Family<Counter> = "polliwog_upstream_dial_failures" in Count by ["upstream"],
            "Failed attempts to connect to an address of an upstream",
            "The backend or the network in between is down. The log has the cause.";
        addresses: Family<Gauge> = "polliwog_upstream_addresses" in Count by ["upstream", "state"],
            "Addresses of an upstream: `up`, `out` after failures, and `draining` after their name lost them, or once they said that they stop (kind `mux`)",
            "`out`: some of the backend's addresses are down or fail their checks. They are probed in the background, at growing intervals.";
        checks: Family<Counter> = "polliwog_upstream_checks" in Count by ["upstream", "outcome"],
            "Checks of an upstream's addresses, `passed` and `failed`; none without `check`",
            "`failed`: the log says which address fails, and why.";
        queue: Family<Gauge> = "polliwog_upstream_queue" in Count by ["upstream"],
            "Handshakes that wait because each address of the upstream has `max_sessions`",
            "The backend needs more addresses, or a higher `max_sessions`.";
        queued: Family<Counter> = "polliwog_upstream_queued" in Count by ["upstream", "outcome"],
            "Handshakes that had to wait for a place: `served`, `refused` and `timed_out` with a 503, `left` by their clients",
            "`refused` beyond `queue`, `timed_out` after `queue_timeout`: the backend needs more addresses, or a higher `max_sessions`.";
        queue_waits: Family<Waits> = "polliwog_upstream_queue_wait" in Seconds by ["upstream"],
            "Time that handshakes waited until they were served",
            "";
    }
}

metrics! {
    /// The families about other nodes, which have series only in a cluster.
    Nodes {
        asks: Family<Counter> = "polliwog_cluster_asks" in Count by ["role", "outcome"],
            "Requests that crossed from one node to another: `asker` for clients of this node, `owner` for its sessions",
            "Many of role `asker` beside `polliwog_requests_total` mean that the balancer does not send requests home. \
             `unreachable`: a node is down, or the network in between. `lost`: connections between nodes break.";
        asks_open: Family<Gauge> = "polliwog_cluster_asks_open" in Count by ["role"],
            "Requests between nodes that have no response yet, such as parked polls",
            "";
        tunnels: Gauge = "polliwog_cluster_tunnels" in Count by [],
            "WebSockets of this node's clients whose sessions live at other nodes",
            "Every message on them costs two nodes work. A balancer that sends upgrades to the session's node avoids that.";
        peers: Family<Gauge> = "polliwog_cluster_peers" in Count by ["state"],
            "Other nodes, by what is known of them",
            "`down`: `GET /api/nodes` on the admin listener names the node.";
        bytes: Family<Counter> = "polliwog_cluster" in Bytes by ["direction"],
            "Bytes that nodes sent each other, before TLS",
            "";
        ask_waits: Waits = "polliwog_cluster_ask" in Seconds by [],
            "Time from a request with a body until the header of its response from another node",
            "Nodes lack CPU time, or the network between them is slow.";
        config_differs: Gauge = "polliwog_cluster_config_differs" in Count by [],
            "Other nodes whose routes with sessions differ from those of this one",
            "Give all nodes the same routes: a session whose route its owner lacks is answered 404. During a rolling change it passes by itself.";
    }
}

metrics! {
    /// The families about the directory, which have series only with one.
    Directories {
        up: Family<Gauge> = "polliwog_directory_up" in Count by [],
            "1 while the directory answers, otherwise 0",
            "0: no session ends, but all nodes are asked for each unknown id, and new nodes are not found. The log has the cause.";
        operations: Family<Counter> = "polliwog_directory_operations" in Count by ["op", "outcome"],
            "Questions to the directory: `find` and `claim` for a request, `keep` for what the nodes tell it anyway",
            "`failed`: the directory is down or slow. `unsure`: it was just connected or emptied, or another node is down; the nodes were asked as well.";
        waits: Family<Waits> = "polliwog_directory" in Seconds by [],
            "Time until the directory answered or failed",
            "The directory's server is overloaded, or the network in between is slow. After 250 ms the nodes are asked.";
    }
}

metrics! {
    /// The families about other processes of this host, which have series only with `[succession]`.
    Successions {
        processes: Family<Gauge> = "polliwog_succession_processes" in Count by [],
            "Other processes of this host that take part in its succession: predecessors with sessions left, or a successor",
            "One that stays holds sessions until `linger` is over. `GET /api/nodes` on the admin listener shows each.";
        sessions: Family<Gauge> = "polliwog_succession_sessions" in Count by [],
            "Sessions that those processes hold, as they told last",
            "";
    }
}

metrics! {
    /// The families whose series belong to a route.
    Routes {
        handshakes: Family<Counter> = "polliwog_handshakes" in Count by ["route", "upstream", "outcome"],
            "Handshakes completed or refused",
            "Look at `outcome`: `down` and `slow` are caused by the backend, `full` calls for a higher \
             `max_sessions` or another process, `limited` is told by `polliwog_limited_total`, `memory` calls for a higher `memory_max`, `refused`, `forbidden` and `unauthorized` are clients that may not connect, `auth_failed` by `polliwog_auth_total`.";
        authorized: Family<Counter> = "polliwog_auth" in Count by ["route", "upstream", "outcome"],
            "Clients that asked to come in where `auth` is set, by what was said of them",
            "`failed`: they got a 503, since the auth server was down or too slow; the log has the cause. `refused`: they may not come in.";
        tokens: Family<Counter> = "polliwog_tokens" in Count by ["route", "upstream", "outcome"],
            "Tokens of clients where `jwt` is set, by what became of them",
            "`no_keys`: they got a 503, since the keys have not been read yet; the log has the cause. `invalid`: look whether issuer, audience and clocks are right; the log says what is wrong.";
        sessions: Family<Gauge> = "polliwog_sessions" in Count by ["route", "upstream", "transport"],
            "Open sessions",
            "At `polliwog_sessions_limit`, new clients get 503.";
        opened: Family<Counter> = "polliwog_sessions_opened" in Count by ["route", "upstream", "transport"],
            "Sessions opened, by their first transport",
            "If it rises faster than open sessions, clients keep reconnecting. Look at `polliwog_sessions_closed_total`.";
        closed: Family<Counter> = "polliwog_sessions_closed" in Count by ["route", "upstream", "transport", "reason"],
            "Sessions closed, by their last transport",
            "Look at `reason`: `ping_timeout` are clients that disappeared, `stalled` are sides that stopped reading, `memory` are sessions that held most of `memory_max` when it was used up, `expired` are clients whose token has expired, `taken_over` are sessions that another node has begun anew while this one could not be reached, `operator` are sessions that were ended by the admin listener.";
        upgrades: Family<Counter> = "polliwog_upgrades" in Count by ["route", "upstream", "outcome"],
            "Upgrades from polling to WebSocket, tried, done and failed",
            "Many `failed` mean that something between client and proxy, such as a balancer, blocks WebSockets.";
        requests: Family<Counter> = "polliwog_requests" in Count by ["route", "upstream", "op", "transport", "status"],
            "Requests that got a response",
            "`status` 5xx points at the backend or at a limit, 4xx at clients; the log's `refused` lines have the reason.";
        broken: Family<Counter> = "polliwog_forwards_broken" in Count by ["route", "upstream", "reason"],
            "Forwarded responses and tunnels that ended early",
            "`upstream_closed`: the backend closes before its response is complete. `stalled`: one side reads nothing for `stall_timeout`. `expired`: the token of the client of a tunnel, or of a stream without a length, has expired.";
        messages: Family<Counter> = "polliwog_messages" in Count by ["route", "upstream", "direction", "transport"],
            "Application messages that passed through the proxy",
            "";
        message_bytes: Family<Counter> = "polliwog_message" in Bytes by ["route", "upstream", "direction", "transport"],
            "Payload bytes of these messages",
            "";
        overhead: Family<Counter> = "polliwog_overhead" in Bytes by ["route", "upstream", "direction", "transport"],
            "Bytes of poll and POST bodies and of WebSocket frames beyond that payload, before compression",
            "";
        heads: Family<Counter> = "polliwog_head" in Bytes by ["route", "upstream", "direction", "transport"],
            "Header bytes of the requests of sessions and of their responses, as far as they are known",
            "If it is large compared with the payload, clients poll often for little data. A larger `linger` may help.";
        saved: Family<Counter> = "polliwog_compression_saved" in Bytes by ["route", "upstream"],
            "Bytes that compression saved in responses to polls and on clients' WebSockets",
            "";
        waits: Family<Waits> = "polliwog_delivery_wait" in Seconds by ["route", "upstream", "transport"],
            "Time from a message's arrival from the upstream until it is handed to the client's connection; for the \
             response to a poll, that of its oldest message",
            "Clients fetch slowly, or the proxy lacks CPU time. With polling, a message may have to wait for the client's next poll.";
        polls_parked: Family<Gauge> = "polliwog_polls_parked" in Count by ["route", "upstream"],
            "Parked polls, which wait for a message",
            "";
        batch_packets: Family<Sizes> = "polliwog_batch_packets" in Count by ["route", "upstream"],
            "Packets in the response to one poll",
            "Large batches mean that messages wait for slow clients to poll; see `polliwog_delivery_wait_seconds`.";
        batch_bytes: Family<Sizes> = "polliwog_batch" in Bytes by ["route", "upstream"],
            "Size of the response to one poll",
            "";
    }
}
