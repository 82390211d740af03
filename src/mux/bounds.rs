//! How large a frame may be besides its payload, before it is parsed: a value of JSON takes a hundred times what it is
//! written in.

use super::frame::Malformed;

/// Refuses a frame without a payload that is longer than any needs to be.
pub(super) const fn short(frame: &[u8]) -> Result<(), Malformed> {
    if frame.len() > LEN_MAX { Err(Malformed("a frame without a payload has at most 1 MiB")) } else { Ok(()) }
}

/// Refuses JSON with more values than this, whatever is in its strings.
pub(super) fn few_values(json: &[u8], max: usize) -> Result<(), Malformed> {
    let (mut values, mut at) = (0, 0);
    while let Some(&byte) = json.get(at) {
        match byte {
            b'"' => at += string_len(&json[at + 1..]) + 1,
            b',' | b'[' | b'{' => values += 1,
            _ => {}
        }
        at += 1;
    }
    if values > max { Err(Malformed("a frame with too many values")) } else { Ok(()) }
}

/// Returns the length of a string up to its closing quote.
fn string_len(rest: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &rest[at.min(rest.len())..]) {
        at += found;
        if rest[at] == b'"' {
            return at;
        }
        at += 2;
    }
    rest.len()
}

/// How many sessions one frame lists.
pub(super) const PART: usize = 4096;
/// An `open` has the client's header, of which control characters and quotes become longer.
const LEN_MAX: usize = 1 << 20;
/// A header of a thousand lines has four thousand.
pub(super) const VALUES_MAX: usize = 10_000;
/// A list has four for each session, of which another implementation may name more than this one does.
pub(super) const LIST_VALUES_MAX: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_strings() {
        let many = |one: &str| format!("[{}1]", one.repeat(VALUES_MAX));
        for json in [many("1,"), many("[],"), many("{\"\":0},"), many("\"\\\"\",")] {
            assert!(few_values(json.as_bytes(), VALUES_MAX).is_err(), "{}", &json[..20]);
        }
        for json in ["[\"", "[\"\\", ""] {
            assert!(few_values(json.as_bytes(), VALUES_MAX).is_ok());
        }
        let text = format!("[\"t\",\"s1\",1,\"{}\"]", ",[\\\"{".repeat(VALUES_MAX));
        assert!(few_values(text.as_bytes(), VALUES_MAX).is_ok());
    }
}
