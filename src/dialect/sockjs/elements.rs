//! The messages of a client: strings in a JSON array. It is checked whole, and then they are taken one by one: as many as a
//! megabyte may hold would take forty.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::json::{string_len, unescape};
use crate::packet::{Message, Text};

/// Why a body holds no messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unreadable {
    /// It is empty, or not an array.
    NoPayload,
    /// It is not JSON.
    Broken,
}

/// What is left of the messages in a text that is JSON. Elements that are no strings are passed on unchanged.
#[derive(Clone, Debug)]
pub(super) struct Elements {
    text: Text,
    /// Where the next one begins, or space before it.
    at: usize,
}

impl Elements {
    /// Returns the messages in a body, which is an array.
    ///
    /// # Errors
    /// It is not such an array.
    pub(super) fn of_body(body: Bytes) -> Result<Self, Unreadable> {
        let text = Text::lossy(body);
        if text.is_empty() {
            return Err(Unreadable::NoPayload);
        }
        // What is no array may be broken, too, and that counts first.
        check(&text)?;
        let at = inside_array(&text).ok_or(Unreadable::NoPayload)?;
        Ok(Self { text, at })
    }

    /// Returns the messages in a frame of a WebSocket: an array of them, or one alone, and none in an empty frame.
    ///
    /// # Errors
    /// It is not JSON.
    pub(super) fn of_frame(text: Text) -> Result<Self, Unreadable> {
        if !text.is_empty() {
            check(&text)?;
        }
        let at = inside_array(&text).unwrap_or(0);
        Ok(Self { text, at })
    }
}

impl Iterator for Elements {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        // As bytes: a string of all that is left would be checked again for each element.
        let rest = trim_start(self.text.as_bytes().get(self.at..)?);
        let (value, behind) = split_value(rest)?;
        let message = message(&self.text, std::str::from_utf8(value).ok()?);
        let next = trim_start(behind).strip_prefix(b",");
        self.at = self.text.len() - next.map_or(0, <[u8]>::len);
        Some(message)
    }
}

/// Checks that a text is JSON.
fn check(text: &Text) -> Result<(), Unreadable> {
    if has_only_strings(text.as_str()).is_some() {
        return Ok(());
    }
    serde_json::from_str::<&RawValue>(text.as_str()).map(|_| ()).map_err(|_| Unreadable::Broken)
}

/// Returns where the elements of an array begin.
fn inside_array(text: &Text) -> Option<usize> {
    let inside = text.as_str().trim_start_matches(SPACE).strip_prefix('[')?;
    Some(text.len() - inside.len())
}

/// Checks an array that has only strings, as the clients' have; `None` for any other text.
fn has_only_strings(text: &str) -> Option<()> {
    let mut rest = text.trim_start_matches(SPACE).strip_prefix('[')?;
    loop {
        let inner = rest.trim_start_matches(SPACE).strip_prefix('"')?;
        let behind = inner.get(string_len(inner.as_bytes())? + 1..)?.trim_start_matches(SPACE);
        if let Some(behind) = behind.strip_prefix(']') {
            return behind.trim_start_matches(SPACE).is_empty().then_some(());
        }
        rest = behind.strip_prefix(',')?;
    }
}

/// Divides what is left behind the first value; `None` if there is none. It is JSON.
fn split_value(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    if let Some(inner) = rest.strip_prefix(b"\"") {
        return rest.split_at_checked(string_len(inner)? + 2);
    }
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(sign) = rest.get(at) {
        match sign {
            b'"' => at += string_len(rest.get(at + 1..)?)? + 1,
            b'[' | b'{' => depth += 1,
            b',' | b']' if depth == 0 => break,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    let value = rest.get(..at)?;
    let len = value.iter().rposition(|&byte| !is_space(byte))? + 1;
    Some(rest.split_at(len))
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    bytes.iter().position(|&byte| !is_space(byte)).map_or(&[], |at| &bytes[at..])
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Returns a value of the text as a message, which shares the text's buffer where it can.
fn message(text: &Text, value: &str) -> Message {
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Message::text(match quoted.map_or(Cow::Borrowed(value), unescape) {
        Cow::Borrowed(part) => Text::from_checked(text.as_bytes().slice_ref(part.as_bytes())),
        Cow::Owned(own) => Text::from(own),
    })
}

/// What JSON allows between its signs.
const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

#[cfg(test)]
mod tests;
