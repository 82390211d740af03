//! Engine.IO's own keys of the configuration.

use super::settings::Cookie;
use crate::dialect::keys::{Key, Value};
use crate::revision::Versions;

/// Every key, in the order of the shipped file.
pub(in crate::dialect) const KEYS: &[Key] = &[
    Key {
        name: "versions",
        default: "[3, 4]",
        doc: "Engine.IO versions to accept; 3 is Socket.IO 1 and 2",
        value: Value::Numbers(&[3, 4], |settings, numbers| {
            settings.engine_io.versions = Versions { v3: numbers.contains(&3), v4: numbers.contains(&4) };
        }),
    },
    Key {
        name: "utf8",
        default: "\"plain\"",
        doc: "\"1.x\" for clients of Socket.IO 1, which encode text twice",
        value: Value::Word(&[
            ("plain", |settings| settings.engine_io.utf8_twice = false),
            ("1.x", |settings| settings.engine_io.utf8_twice = true),
        ]),
    },
    Key {
        name: "cookie",
        default: "\"auto\"",
        doc: "cookie io with the session id: on, off, or as Socket.IO does",
        value: Value::Word(&[
            ("auto", |settings| settings.engine_io.cookie = Cookie::Auto),
            ("on", |settings| settings.engine_io.cookie = Cookie::On),
            ("off", |settings| settings.engine_io.cookie = Cookie::Off),
        ]),
    },
];
