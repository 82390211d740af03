//! A key and its setter, side by side: what is declared is read.

use super::key::{Key, Only, Section, Shown, Type};
use super::table::Table;

/// A key, with what puts its value into the settings.
#[derive(Debug)]
pub(super) struct Row<S: 'static> {
    key: Key,
    read: Read<S>,
}

/// Reads the key of this name from its table into the settings, where the table has it.
type Read<S> = fn(&Table<'_>, &'static str, &mut S);

/// Returns a row of the section.
pub(super) const fn row<S>(
    section: Section,
    name: &'static str,
    takes: Type,
    shown: Shown,
    doc: &'static str,
    read: Read<S>,
) -> Row<S> {
    Row { key: Key { section, name, takes, shown, doc, only: None }, read }
}

/// Returns the row of a key that means something only to upstreams of these kinds.
pub(super) const fn only<S>(
    kinds: &'static [&'static str],
    why: &'static str,
    Row { key, read }: Row<S>,
) -> Row<S> {
    Row { key: Key { only: Some(Only { kinds, why }), ..key }, read }
}

/// Reads all keys of a section, in the order of its rows.
pub(super) fn read_rows<S>(rows: &[Row<S>], table: &Table<'_>, settings: &mut S) {
    for row in rows {
        (row.read)(table, row.key.name, settings);
    }
}

/// Returns the keys without their setters.
pub(super) fn keys_of<S>(rows: &[Row<S>]) -> impl Iterator<Item = Key> {
    rows.iter().map(|row| row.key)
}
