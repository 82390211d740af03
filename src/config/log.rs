//! `[log]`: what goes to the standard error.

use tracing::Level;

use super::Log;
use super::table::Table;
use super::values::word;

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
