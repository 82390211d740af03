//! `versions`: revisions of Engine.IO, by their numbers.

use super::table::Table;
use super::tree::{Node, Value};
use super::values::Wrong;
use crate::revision::{Revision, Versions};

/// The versions in the table, at least one; `None` where it says nothing, or nothing sound.
pub(super) fn versions(table: &Table<'_>) -> Option<Versions> {
    let numbers = table.list("versions", version)?;
    let has = |revision| numbers.iter().any(|(_, number)| *number == revision);
    let versions = Versions { v3: has(Revision::V3), v4: has(Revision::V4) };
    if versions.v3 || versions.v4 {
        return Some(versions);
    }
    // A list of faulty numbers has had its faults.
    if table.get("versions").and_then(Node::items).is_none_or(<[_]>::is_empty) {
        table.report("versions", "an empty list".to_owned(), "3, 4 or both");
    }
    None
}

fn version(node: &Node) -> Result<Revision, Wrong> {
    match node.value {
        Value::Integer(3) => Ok(Revision::V3),
        Value::Integer(4) => Ok(Revision::V4),
        Value::Text(_)
        | Value::Integer(_)
        | Value::Flag(_)
        | Value::Useless(_)
        | Value::List(_)
        | Value::Table(_) => Err(Wrong::expected("3 or 4")),
    }
}
