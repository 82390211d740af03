//! `[succession]`: how a new process takes over from the one before.

use std::path::PathBuf;
use std::time::Duration as Span;

use super::key::Section::Succession;
use super::key::Shown::Example;
use super::key::Type::{Duration, Text};
use super::row::{Row, read_rows, row};
use super::table::Table;
use super::tree::Node;
use super::values::{HOUR, Wrong, duration, text};
use crate::succession::{PATH_LEN_MAX, Settings};

/// The keys of the table.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const SUCCESSION: &[Row<Written>] = &[
    row(Succession, "directory", Text, Example("\"/run/polliwog\""), "folder where processes meet; nobody else may write there",
        |table, key, succession| succession.directory = table.required(key, folder)),
    row(Succession, "linger", Duration, Example("\"30s\""), "how long the old one keeps its sessions; unset: drain_timeout",
        |table, key, succession| succession.linger = table.value(key, duration(Span::ZERO..=LINGER_MAX))),
];

/// What the table says.
#[derive(Default, Debug)]
pub(super) struct Written {
    directory: Option<PathBuf>,
    linger: Option<Span>,
}

/// Reads `[succession]`, which is off where nobody wrote it.
pub(super) fn read(root: &Table<'_>, drain_timeout: Span) -> Option<Settings> {
    root.get("succession")?;
    let table = root.section("succession", Succession);
    let mut written = Written::default();
    read_rows(SUCCESSION, &table, &mut written);
    Some(Settings { directory: written.directory?, linger: written.linger.unwrap_or(drain_timeout) })
}

/// Returns a folder, whose sockets' names must fit.
fn folder(node: &Node) -> Result<PathBuf, Wrong> {
    let wrong = || Wrong::expected(format!("the path of a folder, of at most {PATH_LEN_MAX} bytes"));
    let text = text(node).map_err(|_| wrong())?;
    if (1..=PATH_LEN_MAX).contains(&text.len()) { Ok(PathBuf::from(text)) } else { Err(wrong()) }
}

/// A week: nobody knows any more what such a process is for.
const LINGER_MAX: Span = HOUR.saturating_mul(7 * 24);
