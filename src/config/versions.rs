//! Lists of versions, by their numbers.

use super::table::Table;
use super::tree::{Node, Value};
use super::values::Wrong;
use crate::revision::Versions;

/// Returns the versions of Engine.IO in the table, at least one; `None` where it says nothing, or nothing sound.
pub(super) fn versions(table: &Table<'_>, key: &str) -> Option<Versions> {
    let numbers = numbers(table, key, &[3, 4])?;
    Some(Versions { v3: numbers.contains(&3), v4: numbers.contains(&4) })
}

/// Returns some of the known numbers, at least one; `None` where the table says nothing, or nothing sound.
pub(super) fn numbers(table: &Table<'_>, key: &str, known: &'static [u8]) -> Option<Vec<u8>> {
    let numbers: Vec<u8> =
        table.list(key, |node| number(node, known))?.into_iter().map(|(_, number)| number).collect();
    if !numbers.is_empty() {
        return Some(numbers);
    }
    let all = known.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    let all_of = if known.len() == 2 { "both" } else { "several" };
    table.report(key, "an empty list".to_owned(), &format!("{all} or {all_of}"));
    None
}

fn number(node: &Node, known: &[u8]) -> Result<u8, Wrong> {
    let wrong = || Wrong::expected(known.iter().map(u8::to_string).collect::<Vec<_>>().join(" or "));
    match node.value {
        Value::Integer(number) => {
            known.iter().copied().find(|known| i128::from(*known) == number).ok_or_else(wrong)
        }
        Value::Text(_) | Value::Flag(_) | Value::Useless(_) | Value::List(_) | Value::Table(_) => {
            Err(wrong())
        }
    }
}
