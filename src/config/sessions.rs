//! `[defaults]`, and the same keys in a route: what sessions live by.

use std::time::Duration;

use super::cors;
use super::header_rules;
use super::key::{Section, Shown, Type};
use super::networks;
use super::row::{Row, read_rows, row};
use super::speech;
use super::table::Table;
use super::upstreams::{QUEUE_MAX, SESSIONS_MAX};
use super::values::{GB, HOUR, MS, count, duration, flag, origin, size, word};
use crate::dialect;
use crate::networks::Networks;
use crate::service::{Cors, HeaderRules};
use crate::session::{Bind, Settings};
use crate::upstream::{BodyLimits, RequestLimits};

/// The keys of `[defaults]` that are no dialect's own; a route may hold them as well.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const DEFAULTS: &[Row<Defaults>] = &[
    row(Section::Defaults, "ping_interval", Type::Duration, Shown::Mirrored("\"25s\""), "interval between a pong and the next ping; unset: the backend's",
        |table, key, defaults| if let Some(value) = table.value(key, duration(MS..=HOUR)) { defaults.session.ping_interval = Some(value); }),
    row(Section::Defaults, "ping_timeout", Type::Duration, Shown::Mirrored("\"20s\""), "timeout of a pong; unset: the backend's",
        |table, key, defaults| if let Some(value) = table.value(key, duration(MS..=HOUR)) { defaults.session.ping_timeout = Some(value); }),
    row(Section::Defaults, "max_payload", Type::Size, Shown::Mirrored("\"1MB\""), "largest POST or message of a client; unset: the backend's",
        |table, key, defaults| if let Some(value) = table.value(key, size(PAYLOAD_MIN..=GB)) { defaults.session.max_payload = Some(value); }),
    row(Section::Defaults, "outbox_max", Type::Size, Shown::Default("\"1MB\""), "queue limit per client; above it its backend is not read",
        |table, key, defaults| table.set(key, &mut defaults.session.outbox_max, size(1..=GB))),
    row(Section::Defaults, "batch_max", Type::Size, Shown::Default("\"1MB\""), "largest response to a poll; a larger message is sent alone",
        |table, key, defaults| table.set(key, &mut defaults.session.batch_max, size(1..=GB))),
    row(Section::Defaults, "linger", Type::Duration, Shown::Default("\"3ms\""), "how long a poll after a POST waits for its echoes; 0: off",
        |table, key, defaults| table.set(key, &mut defaults.session.linger, duration(Duration::ZERO..=LINGER_MAX))),
    row(Section::Defaults, "stall_timeout", Type::Duration, Shown::Default("\"60s\""), "how long a side may stop reading before it is disconnected",
        |table, key, defaults| table.set(key, &mut defaults.session.stall_timeout, duration(MS..=HOUR))),
    row(Section::Defaults, "upgrade_timeout", Type::Duration, Shown::Default("\"10s\""), "timeout of an upgrade to WebSocket",
        |table, key, defaults| table.set(key, &mut defaults.session.upgrade_timeout, duration(MS..=HOUR))),
    row(Section::Defaults, "close_timeout", Type::Duration, Shown::Default("\"30s\""), "timeout for what is left of an ended session",
        |table, key, defaults| table.set(key, &mut defaults.session.close_timeout, duration(MS..=HOUR))),
    row(Section::Defaults, "allow_upgrades", Type::Flag, Shown::Default("true"), "whether polling clients are offered an upgrade",
        |table, key, defaults| table.set(key, &mut defaults.session.allow_upgrades, flag)),
    row(Section::Defaults, "relay", Type::Flag, Shown::Default("true"), "relay WebSockets whose two ends speak the same protocol",
        |table, key, defaults| table.set(key, &mut defaults.session.relay, flag)),
    row(Section::Defaults, "bind", Type::Word, Shown::Default("\"none\""), "ties a session to its client's address or cookie; none: off",
        |table, key, defaults| table.set(key, &mut defaults.session.bind, word(&BINDS, &[]))),
    row(Section::Defaults, "messages_per_second", Type::Count, Shown::Default("10_000"), "messages that a client may send; faster ones wait; 0: no limit",
        |table, key, defaults| if let Some(value) = table.value(key, count(0..=RATE_MAX)) { defaults.session.rate.messages = rate(value); }),
    row(Section::Defaults, "bytes_per_second", Type::Size, Shown::Default("\"100MB\""), "bytes of messages that a client may send; 0: no limit",
        |table, key, defaults| if let Some(value) = table.value(key, size(0..=GB)) { defaults.session.rate.bytes = rate(value); }),
    row(Section::Defaults, "allow", Type::Texts, Shown::Default("[]"), "networks whose clients are served, others get 403; empty: all",
        |table, key, defaults| networks::read(table, key, &mut defaults.networks.allow)),
    row(Section::Defaults, "deny", Type::Texts, Shown::Default("[]"), "networks whose clients get 403, even if they are in allow",
        |table, key, defaults| networks::read(table, key, &mut defaults.networks.deny)),
    row(Section::Defaults, "allowed_origins", Type::Texts, Shown::Default("[]"), "origins that may connect; empty: all",
        |table, key, defaults| if let Some(origins) = table.list(key, origin) {
            defaults.allowed_origins = origins.into_iter().map(|(_, origin)| origin).collect();
        }),
    row(Section::Defaults, "cors", Type::WordOrTable, Shown::Default("\"mirror\""), "CORS: \"mirror\" the backend's, \"off\", or your own table:",
        |table, key, defaults| cors::read(table, key, &mut defaults.cors)),
    row(Section::Defaults, "compression", Type::Flag, Shown::Default("true"), "compress responses to polls from 1024 bytes",
        |table, key, defaults| table.set(key, &mut defaults.compression, flag)),
    row(Section::Defaults, "permessage_deflate", Type::Size, Shown::Default("\"0kB\""), "compress WebSocket messages of this size or more; 0: off",
        |table, key, defaults| if let Some(value) = table.value(key, size(0..=GB)) { defaults.permessage_deflate = (value > 0).then_some(value); }),
    row(Section::Defaults, "request_headers", Type::Table, Shown::Example("{ X-Tenant = \"7\", X-Debug = \"\" }"), "headers to set on requests; \"\" removes",
        |table, key, defaults| table.set(key, &mut defaults.request_headers, header_rules::rules)),
    row(Section::Defaults, "response_headers", Type::Table, Shown::Example("{ Server = \"\" }"), "headers to set on responses; \"\" removes",
        |table, key, defaults| table.set(key, &mut defaults.response_headers, header_rules::rules)),
    row(Section::Defaults, "max_requests", Type::Count, Shown::Default("4_000"), "most forwarded requests at once; 0: no limit",
        |table, key, defaults| if let Some(max) = table.value(key, count(0..=SESSIONS_MAX)) { defaults.requests.max = (max > 0).then_some(max); }),
    row(Section::Defaults, "queue", Type::Count, Shown::Default("100"), "most that wait beyond it; others get 503; 0: none wait",
        |table, key, defaults| table.set(key, &mut defaults.requests.queue, count(0..=QUEUE_MAX))),
    row(Section::Defaults, "queue_timeout", Type::Duration, Shown::Default("\"5s\""), "longest such wait; then clients get 503",
        |table, key, defaults| table.set(key, &mut defaults.requests.queue_timeout, duration(MS..=HOUR))),
    row(Section::Defaults, "max_body", Type::Size, Shown::Default("\"256MB\""), "largest body of a forwarded request; beyond it 413; 0: no limit",
        |table, key, defaults| if let Some(max) = table.value(key, size(0..=1000 * GB)) { defaults.body.max = (max > 0).then_some(max); }),
    row(Section::Defaults, "min_body_rate", Type::Size, Shown::Default("240"), "fewest bytes a second, over 10 s; below it 408; 0: no limit",
        |table, key, defaults| table.set(key, &mut defaults.body.min_rate, size(0..=GB))),
    row(Section::Defaults, "body_timeout", Type::Duration, Shown::Default("\"30m\""), "longest time of such a body until its response begins; then 408",
        |table, key, defaults| table.set(key, &mut defaults.body.timeout, duration(MS..=24 * HOUR))),
    row(Section::Defaults, "via", Type::Flag, Shown::Default("true"), "add Via to requests; some backends then do not compress",
        |table, key, defaults| table.set(key, &mut defaults.via, flag)),
];

/// What holds for every route that does not say otherwise.
#[derive(Clone, Debug)]
pub(super) struct Defaults {
    pub(super) session: Settings,
    pub(super) speech: dialect::Settings,
    pub(super) networks: Networks,
    pub(super) allowed_origins: Vec<String>,
    pub(super) cors: Cors,
    pub(super) compression: bool,
    pub(super) permessage_deflate: Option<usize>,
    pub(super) request_headers: HeaderRules,
    pub(super) response_headers: HeaderRules,
    pub(super) requests: RequestLimits,
    pub(super) body: BodyLimits,
    pub(super) via: bool,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            session: Settings::default(),
            speech: dialect::Settings::default(),
            networks: Networks::default(),
            allowed_origins: Vec::new(),
            cors: Cors::default(),
            compression: true,
            permessage_deflate: None,
            request_headers: HeaderRules::default(),
            response_headers: HeaderRules::default(),
            requests: RequestLimits { max: Some(4000), ..RequestLimits::default() },
            body: BodyLimits::default(),
            via: true,
        }
    }
}

impl Defaults {
    /// Returns what the table says, and `self` where it says nothing.
    pub(super) fn overridden_by(&self, table: &Table<'_>) -> Self {
        let mut defaults = self.clone();
        read_rows(DEFAULTS, table, &mut defaults);
        networks::judge(table, &defaults.networks);
        speech::read(table, &mut defaults.speech);
        defaults
    }
}

/// Returns a rate; zero is none.
fn rate(per_second: usize) -> Option<u32> {
    u32::try_from(per_second).ok().filter(|rate| *rate > 0)
}

/// No session is as fast.
const RATE_MAX: usize = 1_000_000;
/// A poll that waits longer for echoes is slower than the poll that would follow it.
const LINGER_MAX: Duration = Duration::from_secs(1);
/// An upgrade's probe must fit.
const PAYLOAD_MIN: usize = 6;
/// What may bind a session to who began it.
const BINDS: [(&str, Bind); 3] = [("none", Bind::None), ("address", Bind::Address), ("cookie", Bind::Cookie)];
