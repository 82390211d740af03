//! The keys that are a dialect's own: each dialect has its rows, and here they are read.

use super::served::means_nothing;
use super::table::Table;
use super::tree::show_text;
use super::values::{GB, HOUR, MS, duration, flag, size, text, token, word};
use super::versions::numbers;
use crate::dialect::Settings;
use crate::dialect::keys::{Key, Value};
use crate::dialect::table::DIALECTS;

/// Reads the keys of every dialect over what holds without them.
pub(super) fn read(table: &Table<'_>, settings: &mut Settings) {
    for key in DIALECTS.iter().flat_map(|kind| kind.keys) {
        read_key(table, key, settings);
    }
}

fn read_key(table: &Table<'_>, key: &Key, settings: &mut Settings) {
    match key.value {
        Value::Word(words) => {
            if let Some(set) = table.value(key.name, word(words, &[])) {
                set(settings);
            }
        }
        Value::Numbers(known, set) => {
            if let Some(numbers) = numbers(table, key.name, known) {
                set(settings, &numbers);
            }
        }
        Value::Flag(set) => give(table.value(key.name, flag), set, settings),
        Value::Time(set) => give(table.value(key.name, duration(MS..=HOUR)), set, settings),
        Value::Size(set) => give(table.value(key.name, size(0..=GB)), set, settings),
        Value::Text(set) => give(table.value(key.name, text), set, settings),
        Value::Token(example, set) => give(table.value(key.name, token(example)), set, settings),
    }
}

fn give<T>(value: Option<T>, set: fn(&mut Settings, T), settings: &mut Settings) {
    if let Some(value) = value {
        set(settings, value);
    }
}

/// Reports each key of a route that means nothing beside its dialect.
pub(super) fn report_idle(route: &Table<'_>, dialect: &str) {
    for key in route.names().filter(|key| means_nothing(key, dialect)) {
        let owner = match DIALECTS.iter().find(|kind| kind.keys.iter().any(|own| own.name == key)) {
            Some(kind) => format!(", only with {}", show_text(kind.name)),
            None if key == "mux" => ", only with \"mux\"".to_owned(),
            None => String::new(),
        };
        route.report_idle(key, format!("with dialect {}{owner}", show_text(dialect)));
    }
}
