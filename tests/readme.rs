//! Holds the README and the changelog to the code: every key with its default, and examples that can be run.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

use std::fmt::Write as _;

use polliwog::config::Config;
use polliwog::config::keys::{KEYS, Key, Shown};

const README: &str = include_str!("../README.md");
const CHANGELOG: &str = include_str!("../CHANGELOG.md");

#[test]
fn the_table_shows_every_key_as_the_code_has_it() {
    let table = table();
    assert!(README.contains(&table), "the README's table of keys should be:\n\n{table}");
}

#[test]
fn every_example_is_a_valid_configuration() {
    let examples: Vec<&str> =
        README.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() >= 2);
    for example in examples {
        if let Err(faults) = Config::parse(example, "README.md", std::iter::empty()) {
            panic!("{faults}\n{example}");
        }
    }
}

#[test]
fn the_changelog_begins_with_what_comes_next() {
    let first = CHANGELOG.lines().find_map(|line| line.strip_prefix("## ")).unwrap();
    assert!(first.contains(env!("CARGO_PKG_VERSION")), "{first}");
}

fn table() -> String {
    let mut table = String::from("| key | default | what it decides |\n|---|---|---|\n");
    let mut section = None;
    for key in KEYS.iter() {
        if section != Some(key.section) {
            section = Some(key.section);
            writeln!(table, "| **`{}`** | | |", key.section.header()).unwrap();
        }
        writeln!(table, "| `{}` | {} | {} |", key.name, default_of(key), key.doc).unwrap();
    }
    table
}

fn default_of(key: &Key) -> String {
    match key.shown {
        Shown::Default(value) => format!("`{value}`"),
        Shown::Mirrored(value) => format!("the backend's, else `{value}`"),
        Shown::Example(value) => format!("none; such as `{value}`"),
    }
}
