//! `[defaults]`, and the same keys in a route: what sessions live by.

use std::time::Duration;

use super::cors;
use super::header_rules;
use super::speech;
use super::table::Table;
use super::values::{GB, HOUR, MS, duration, flag, origin, size, word};
use crate::dialect;
use crate::service::{Cors, HeaderRules};
use crate::session::{Bind, Settings};

/// What holds for every route that does not say otherwise.
#[derive(Clone, Debug)]
pub(super) struct Defaults {
    pub(super) session: Settings,
    pub(super) speech: dialect::Settings,
    pub(super) allowed_origins: Vec<String>,
    pub(super) cors: Cors,
    pub(super) compression: bool,
    pub(super) request_headers: HeaderRules,
    pub(super) response_headers: HeaderRules,
    pub(super) via: bool,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            session: Settings::default(),
            speech: dialect::Settings::default(),
            allowed_origins: Vec::new(),
            cors: Cors::default(),
            compression: true,
            request_headers: HeaderRules::default(),
            response_headers: HeaderRules::default(),
            via: true,
        }
    }
}

impl Defaults {
    /// Returns what the table says, and `self` where it says nothing.
    pub(super) fn overridden_by(&self, table: &Table<'_>) -> Self {
        let mut defaults = self.clone();
        let session = &mut defaults.session;
        let timeout = || duration(MS..=HOUR);
        session.ping_interval = table.value("ping_interval", timeout()).or(session.ping_interval);
        session.ping_timeout = table.value("ping_timeout", timeout()).or(session.ping_timeout);
        session.max_payload = table.value("max_payload", size(PAYLOAD_MIN..=GB)).or(session.max_payload);
        table.set("outbox_max", &mut session.outbox_max, size(1..=GB));
        table.set("batch_max", &mut session.batch_max, size(1..=GB));
        table.set("linger", &mut session.linger, duration(Duration::ZERO..=LINGER_MAX));
        table.set("stall_timeout", &mut session.stall_timeout, timeout());
        table.set("upgrade_timeout", &mut session.upgrade_timeout, timeout());
        table.set("close_timeout", &mut session.close_timeout, timeout());
        table.set("allow_upgrades", &mut session.allow_upgrades, flag);
        table.set("relay", &mut session.relay, flag);
        table.set("bind", &mut session.bind, word(&BINDS, &[]));
        speech::read(table, &mut defaults.speech);
        if let Some(origins) = table.list("allowed_origins", origin) {
            defaults.allowed_origins = origins.into_iter().map(|(_, origin)| origin).collect();
        }
        cors::read(table, &mut defaults.cors);
        table.set("compression", &mut defaults.compression, flag);
        table.set("request_headers", &mut defaults.request_headers, header_rules::rules);
        table.set("response_headers", &mut defaults.response_headers, header_rules::rules);
        table.set("via", &mut defaults.via, flag);
        defaults
    }
}

/// A poll that waits longer for echoes is slower than the poll that would follow it.
const LINGER_MAX: Duration = Duration::from_secs(1);
/// An upgrade's probe must fit.
const PAYLOAD_MIN: usize = 6;
/// What may bind a session to who began it.
const BINDS: [(&str, Bind); 3] = [("none", Bind::None), ("address", Bind::Address), ("cookie", Bind::Cookie)];
