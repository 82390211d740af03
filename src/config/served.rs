//! Which keys mean something beside which of the words that a route's `dialect` can be.

use crate::dialect;
use crate::dialect::table::DIALECTS;

/// Returns what a route's `dialect` can be.
pub fn dialects() -> impl Iterator<Item = &'static str> {
    DIALECTS.iter().map(|kind| kind.name).chain(SERVED.iter().map(|(name, _)| *name))
}

/// Returns whether a key that a route may hold means nothing beside the dialect.
pub fn means_nothing(key: &str, dialect: &str) -> bool {
    let has = |keys: &[dialect::keys::Key]| keys.iter().any(|own| own.name == key);
    let (own, idle) = match DIALECTS.iter().find(|kind| kind.name == dialect) {
        Some(kind) => (has(kind.keys), kind.idle),
        None => (false, SERVED.iter().find(|(name, _)| *name == dialect).map_or(&[][..], |(_, idle)| *idle)),
    };
    let is_anothers = DIALECTS.iter().any(|kind| has(kind.keys))
        || key == "mux" && dialect != "mux"
        || FORWARDED.contains(&key) && dialect != "http";
    !own && (is_anothers || idle.contains(&key))
}

/// The keys of a route whose requests are forwarded.
const FORWARDED: [&str; 4] = ["max_requests", "queue", "queue_timeout", "max_body"];
/// What a route can say beside a dialect that makes sessions, with the keys that mean nothing there.
const SERVED: [(&str, &[&str]); 2] = [
    // Its sessions' clients are another proxy's; that none is relayed, a route may say.
    (
        "mux",
        &[
            "ping_interval",
            "ping_timeout",
            "batch_max",
            "linger",
            "upgrade_timeout",
            "allow_upgrades",
            "bind",
            "allowed_origins",
            "cors",
            "compression",
            "permessage_deflate",
            "min_body_rate",
            "body_timeout",
        ],
    ),
    // It has no sessions.
    (
        "http",
        &[
            "ping_interval",
            "ping_timeout",
            "max_payload",
            "outbox_max",
            "batch_max",
            "linger",
            "upgrade_timeout",
            "close_timeout",
            "allow_upgrades",
            "relay",
            "bind",
            "messages_per_second",
            "bytes_per_second",
            "allowed_origins",
            "cors",
            "compression",
            "permessage_deflate",
        ],
    ),
];
