//! `cors`: a word, or a table with a list of our own.

use std::sync::Arc;
use std::time::Duration;

use super::key::{Section, Shown, Type};
use super::row::{Row, read_rows, row};
use super::table::Table;
use super::tree::Node;
use super::values::{Wrong, duration, flag, origin, text, word};
use crate::service::{Cors, OwnCors};

/// The keys of the table.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const CORS: &[Row<OwnCors>] = &[
    row(Section::Cors, "origins", Type::Texts, Shown::Example("[\"https://chat.example.org\"]"), "origins that may read responses; \"*\" is all",
        origins),
    row(Section::Cors, "credentials", Type::Flag, Shown::Default("false"), "whether to allow cookies; \"*\" then echoes the origin",
        |table, key, cors| table.set(key, &mut cors.credentials, flag)),
    row(Section::Cors, "headers", Type::Texts, Shown::Example("[\"x-token\"]"), "request headers to allow; unset: those requested",
        |table, key, cors| cors.headers = list(table, key, token)),
    row(Section::Cors, "methods", Type::Texts, Shown::Default("[\"GET\", \"HEAD\", \"PUT\", \"PATCH\", \"POST\", \"DELETE\"]"), "methods to allow",
        |table, key, cors| if let Some(methods) = list(table, key, token) { cors.methods = methods; }),
    row(Section::Cors, "max_age", Type::Duration, Shown::Example("\"2h\""), "how long browsers may cache a preflight",
        max_age),
];

/// Reads the key of a route or of `[defaults]` over what holds without it.
pub(super) fn read(table: &Table<'_>, key: &'static str, cors: &mut Cors) {
    let Some(node) = table.get(key) else { return };
    if node.entries().is_some() {
        let mut own = OwnCors::default();
        read_rows(CORS, &table.section(key, Section::Cors), &mut own);
        *cors = Cors::Own(Arc::new(own));
    } else {
        table.set(key, cors, mode);
    }
}

fn origins(table: &Table<'_>, key: &'static str, own: &mut OwnCors) {
    if table.get(key).is_none() {
        table.report_missing(key);
    }
    if let Some(origins) = list(table, key, origin_or_all) {
        own.origins = origins;
    }
}

fn max_age(table: &Table<'_>, key: &'static str, own: &mut OwnCors) {
    own.max_age = table.value(key, duration(Duration::ZERO..=MAX_AGE_MAX));
    if own.max_age.is_some_and(|age| age.subsec_nanos() != 0) {
        let shown = table.get(key).map_or_else(String::new, Node::show);
        table.report(key, shown, "whole seconds");
    }
}

fn list(table: &Table<'_>, name: &str, read: impl Fn(&Node) -> Result<String, Wrong>) -> Option<Vec<String>> {
    Some(table.list(name, read)?.into_iter().map(|(_, value)| value).collect())
}

fn mode(node: &Node) -> Result<Cors, Wrong> {
    let expected = "one of off, mirror, or a table such as { origins = [\"https://chat.example.org\"] }";
    word(&[("off", Mode::Off), ("mirror", Mode::Mirror)], &[])(node)
        .map(|mode| match mode {
            Mode::Off => Cors::Off,
            Mode::Mirror => Cors::Mirror,
        })
        .map_err(|wrong| Wrong { expected: expected.to_owned(), ..wrong })
}

#[derive(Clone, Copy)]
enum Mode {
    Off,
    Mirror,
}

fn origin_or_all(node: &Node) -> Result<String, Wrong> {
    if text(node).is_ok_and(|text| text == "*") { Ok("*".to_owned()) } else { origin(node) }
}

/// Returns the name of a header or of a method.
fn token(node: &Node) -> Result<String, Wrong> {
    // Both are tokens (RFC 9110, section 5.6.2).
    let fits = |text: &String| text.parse::<http::HeaderName>().is_ok();
    text(node).ok().filter(fits).ok_or_else(|| Wrong::expected("a name such as \"x-token\" or \"GET\""))
}

/// Longer than any browser remembers.
const MAX_AGE_MAX: Duration = Duration::from_hours(365 * 24);
