//! `[log]`: what goes to the standard error.

use tracing::Level;

use super::key::{Section, Shown, Type};
use super::row::{Row, read_rows, row};
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

/// The keys of `[log]`.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const LOG: &[Row<Log>] = &[
    row(Section::Log, "level", Type::Word, Shown::Default("\"info\""), "error, warn, info, debug or trace",
        |table, key, log| table.set(key, &mut log.level, word(&LEVELS, &[]))),
    row(Section::Log, "format", Type::Word, Shown::Default("\"text\""), "text, or json: one object per line",
        |table, key, log| table.set(key, &mut log.json, word(&[("text", false), ("json", true)], &[]))),
];

/// Reads `[log]`.
pub(super) fn read(table: &Table<'_>) -> Log {
    let mut log = Log::default();
    read_rows(LOG, table, &mut log);
    log
}

const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];
