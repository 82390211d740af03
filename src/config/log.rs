//! `[log]`: what goes to the standard error.

use tracing::Level;

use super::table::Table;
use super::values::word;

/// `[log]`: what goes to the standard error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// The least severe level that is written: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: Level,
    /// One JSON object a line, for machines.
    pub json: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: Level::INFO, json: false }
    }
}

/// Reads `[log]`.
pub(super) fn read(table: &Table<'_>) -> Log {
    let mut log = Log::default();
    table.set("level", &mut log.level, word(&LEVELS, &[]));
    table.set("format", &mut log.json, word(&[("text", false), ("json", true)], &[]));
    log
}

const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];
