//! The keys of the configuration that are a dialect's own, as rows: the configuration reads them, and knows no dialect's.

use std::time::Duration;

use http::HeaderValue;

use super::settings::Settings;

/// A key that only one dialect knows; `[defaults]` and its routes may hold it.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What holds without it, as TOML.
    pub default: &'static str,
    /// What it decides, in one line, as the shipped file says it.
    pub doc: &'static str,
    /// What its value may be, and where that goes.
    pub value: Value,
}

/// A key whose value keeps every client of a route from its backend.
#[derive(Clone, Copy, Debug)]
pub struct Clash {
    /// Its name.
    pub key: &'static str,
    /// What would let some client through.
    pub expected: &'static str,
}

/// What a key's value may be, and where that goes.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// One of these words.
    Word(&'static [(&'static str, Set)]),
    /// Some of these numbers, at least one.
    Numbers(&'static [u8], fn(&mut Settings, &[u8])),
    /// `true` or `false`.
    Flag(fn(&mut Settings, bool)),
    /// A duration.
    Time(fn(&mut Settings, Duration)),
    /// A number of bytes, or of what is like them.
    Size(fn(&mut Settings, usize)),
    /// A text.
    Text(fn(&mut Settings, String)),
    /// A token (RFC 9110, section 5.6.2) such as this one, or an empty text for none.
    Token(&'static str, fn(&mut Settings, Option<HeaderValue>)),
}

/// Puts one value of a key into the settings.
pub type Set = fn(&mut Settings);
