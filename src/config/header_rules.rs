//! `request_headers` and `response_headers`: a table of names, each with the value to set, or empty to remove the header.

use http::{HeaderName, HeaderValue};

use super::tree::{Entry, Node, Value, show_text};
use super::values::{Wrong, text};
use crate::hop;
use crate::service::HeaderRules;

/// Reads the whole table.
pub(super) fn rules(node: &Node) -> Result<HeaderRules, Wrong> {
    let entries = node.entries().ok_or_else(|| Wrong::expected(EXPECTED))?;
    Ok(HeaderRules(entries.iter().map(rule).collect::<Result<_, _>>()?))
}

fn rule(entry: &Entry) -> Result<(HeaderName, Option<HeaderValue>), Wrong> {
    let wrong = |found, expected: &str| Wrong { found: Some(found), ..Wrong::expected(expected) };
    let shown = || show_text(&entry.name);
    let name: HeaderName = entry.name.parse().map_err(|_| wrong(shown(), "the names of headers"))?;
    if hop::is_framing(&name) {
        return Err(wrong(shown(), "headers that do not decide how a message is read"));
    }
    if matches!(entry.node.value, Value::Flag(false)) {
        return Ok((name, None));
    }
    let value = || HeaderValue::try_from(text(&entry.node).ok()?).ok();
    let value = value().ok_or_else(|| wrong(format!("{} for {}", entry.node.show(), shown()), EXPECTED))?;
    Ok((name, Some(value).filter(|value| !value.is_empty())))
}

const EXPECTED: &str = "a table such as { X-Tenant = \"7\", X-Debug = \"\" }, where an empty text removes";
