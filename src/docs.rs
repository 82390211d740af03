//! The tables of the documentation, written from the tables in the code.
//!
//! `POLLIWOG_WRITE_DOCS=1 cargo test --test readme` puts them into `docs/`; without the variable that test fails where a
//! page is stale.

use std::fmt::Write as _;

use crate::config::keys::{KEYS, Key, Shown};
use crate::meter::table::rows;

/// Returns the table of keys, as Markdown.
pub fn keys() -> String {
    let mut table =
        String::from("| key | type | default | what it decides | only with |\n|---|---|---|---|---|\n");
    let mut section = None;
    for key in KEYS.iter() {
        if section != Some(key.section) {
            section = Some(key.section);
            line(&mut table, &[&format!("**`{}`**", key.section.header()), "", "", "", ""]);
        }
        let cells = [&*code(key.name), key.takes.shown(), &default_of(key), key.doc, &beside(key)];
        line(&mut table, &cells);
    }
    table
}

/// Returns the dialects or kinds with which a key has a meaning.
fn beside(key: &Key) -> String {
    let list = |words: &[&str]| words.iter().map(|word| code(word)).collect::<Vec<_>>().join(", ");
    match (key.dialects(), key.only) {
        (Some(dialects), _) => format!("dialect {}", list(&dialects)),
        (None, Some(only)) => format!("kind {}", list(only.kinds)),
        (None, None) => String::new(),
    }
}

/// Returns the table of metrics, as Markdown.
pub fn metrics() -> String {
    let mut table =
        String::from("| metric | kind | labels | what it counts | when it rises |\n|---|---|---|---|---|\n");
    for row in rows() {
        let labels: Vec<String> = row.labels.iter().map(|label| code(label)).collect();
        line(&mut table, &[&code(&row.queried()), row.kind(), &labels.join(", "), row.help, row.rises]);
    }
    table
}

fn line(table: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    // A String takes whatever is written to it.
    let _ = writeln!(table, "| {} |", cells.join(" | "));
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn default_of(key: &Key) -> String {
    match key.shown {
        Shown::Default(value) => code(value),
        Shown::Mirrored(value) => format!("the backend's, else {}", code(value)),
        Shown::Example(value) => format!("none; for example {}", code(value)),
    }
}
