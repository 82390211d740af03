//! The keys that are a dialect's own: each dialect has its rows, and here they are read.

use super::table::Table;
use super::tree::show_text;
use super::values::{GB, HOUR, MS, duration, flag, size, text, word};
use super::versions::numbers;
use crate::dialect::Settings;
use crate::dialect::keys::{Key, Value};
use crate::dialect::table::DIALECTS;

/// Reads the keys of every dialect over what holds without them.
pub(super) fn read(table: &Table<'_>, settings: &mut Settings) {
    for key in DIALECTS.iter().flat_map(|kind| kind.keys) {
        read_key(table, key, settings);
    }
}

fn read_key(table: &Table<'_>, key: &Key, settings: &mut Settings) {
    match key.value {
        Value::Word(words) => {
            if let Some(set) = table.value(key.name, word(words, &[])) {
                set(settings);
            }
        }
        Value::Numbers(known, set) => {
            if let Some(numbers) = numbers(table, key.name, known) {
                set(settings, &numbers);
            }
        }
        Value::Flag(set) => give(table.value(key.name, flag), set, settings),
        Value::Time(set) => give(table.value(key.name, duration(MS..=HOUR)), set, settings),
        Value::Size(set) => give(table.value(key.name, size(0..=GB)), set, settings),
        Value::Text(set) => give(table.value(key.name, text), set, settings),
    }
}

fn give<T>(value: Option<T>, set: fn(&mut Settings, T), settings: &mut Settings) {
    if let Some(value) = value {
        set(settings, value);
    }
}

/// Reports each key of a route that means nothing beside its dialect.
pub(super) fn report_idle(route: &Table<'_>, dialect: &str) {
    let others = DIALECTS.iter().filter(|kind| kind.name != dialect);
    for (key, kind) in others.flat_map(|kind| kind.keys.iter().map(move |key| (key, kind))) {
        report(route, key.name, dialect, &format!("it only beside dialect {}", show_text(kind.name)));
    }
    let idle = IDLE.iter().find(|(name, _)| *name == dialect).map_or(&[][..], |(_, keys)| keys);
    for key in idle {
        report(route, key, dialect, "it only where it means something");
    }
}

fn report(route: &Table<'_>, key: &str, dialect: &str, expected: &str) {
    if let Some(node) = route.get(key) {
        route.report(key, format!("{} beside {}", node.show(), show_text(dialect)), expected);
    }
}

/// Keys of `[defaults]` that mean nothing to routes of a dialect.
pub(super) const IDLE: [(&str, &[&str]); 5] = [
    ("longpoll", &["ping_interval", "ping_timeout", "upgrade_timeout", "allow_upgrades", "relay"]),
    ("sockjs", &["ping_interval", "ping_timeout", "upgrade_timeout", "allow_upgrades"]),
    ("websocket", &["batch_max", "linger", "upgrade_timeout", "allow_upgrades", "compression"]),
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
            "allowed_origins",
            "cors",
            "compression",
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
            "allowed_origins",
            "cors",
            "compression",
        ],
    ),
];
