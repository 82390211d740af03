//! What an operator writes.

use std::ffi::OsString;

use crate::config::Config;

/// TOML, and behind a line `---` the variables of the environment.
pub(super) fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (toml, variables) = text.split_once("\n---\n").unwrap_or((&text, ""));
    let env = variables.lines().filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        Some((OsString::from(format!("POLLIWOG_{name}")), OsString::from(value)))
    });
    match Config::parse(toml, "fuzzed.toml", env) {
        Ok(config) => drop(format!("{config:?} {:?}", config.asks_too_many())),
        Err(faults) => assert!(!faults.to_string().is_empty(), "it says what is wrong"),
    }
}
