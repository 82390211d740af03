//! The dialect's own keys of the configuration.

use crate::dialect::keys::{Key, Value};

/// The dialect's own keys.
pub(in crate::dialect) const KEYS: &[Key] = &[
    Key {
        name: "wait",
        default: "\"25s\"",
        doc: "longest wait of a longpoll request for messages",
        value: Value::Time(|settings, wait| settings.longpoll.wait = wait),
    },
    Key {
        name: "grace",
        default: "\"60s\"",
        doc: "how long a session lives, or is remembered, without requests",
        value: Value::Time(|settings, grace| settings.longpoll.grace = grace),
    },
    Key {
        name: "stream_budget",
        default: "\"0kB\"",
        doc: "bytes after which a stream ends; 0: a quarter of outbox_max",
        value: Value::Size(|settings, budget| {
            settings.longpoll.stream_budget = Some(budget).filter(|budget| *budget > 0);
        }),
    },
];
