//! `cors`: a word, or a table with a list of our own.

use std::sync::Arc;
use std::time::Duration;

use super::key::Section;
use super::table::Table;
use super::tree::Node;
use super::values::{Wrong, duration, flag, origin, text, word};
use crate::service::{Cors, OwnCors};

/// Reads the key of a route or of `[defaults]` over what holds without it.
pub(super) fn read(table: &Table<'_>, cors: &mut Cors) {
    let Some(node) = table.get("cors") else { return };
    if node.entries().is_some() {
        *cors = Cors::Own(Arc::new(read_own(&table.section("cors", Section::Cors))));
    } else {
        table.set("cors", cors, mode);
    }
}

fn read_own(table: &Table<'_>) -> OwnCors {
    let mut own = OwnCors::default();
    if table.get("origins").is_none() {
        table.report_missing("origins");
    }
    if let Some(origins) = list(table, "origins", origin_or_all) {
        own.origins = origins;
    }
    table.set("credentials", &mut own.credentials, flag);
    own.headers = list(table, "headers", token);
    own.methods = list(table, "methods", token).unwrap_or(own.methods);
    own.max_age = table.value("max_age", duration(Duration::ZERO..=MAX_AGE_MAX));
    if own.max_age.is_some_and(|age| age.subsec_nanos() != 0) {
        let shown = table.get("max_age").map_or_else(String::new, Node::show);
        table.report("max_age", shown, "whole seconds");
    }
    own
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
