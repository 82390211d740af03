//! JSON strings as SockJS writes and reads them: it escapes more than JSON requires, and accepts everything that JSON
//! allows.

use std::borrow::Cow;

/// Where a string that is written stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// In a frame.
    Frame,
    /// In a frame in an event, in which clients decode percent signs.
    Event,
    /// In a script of a page: nothing in it can end the script.
    Html,
}

impl Place {
    /// Returns what is escaped here besides what is escaped everywhere.
    const fn sign(self) -> u8 {
        match self {
            Self::Frame => b'"',
            Self::Event => b'%',
            Self::Html => b'<',
        }
    }
}

/// Appends text as a JSON string. Browsers and proxies lose or change some characters on the way, so these are escaped,
/// too. The text comes as bytes: to look at it as text would check it once more.
pub(super) fn quote(bytes: &[u8], place: Place, out: &mut Vec<u8>) {
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = find_suspect(&bytes[at..], place) {
        at += found;
        let (escape, width) = escape(&bytes[at..], place);
        if !escape.is_empty() {
            out.extend_from_slice(&bytes[copied..at]);
            out.extend_from_slice(escape.as_bytes());
            copied = at + width;
        }
        at += width;
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// Returns how many bytes [`quote`] appends in a frame.
pub(super) fn quoted_len(bytes: &[u8]) -> usize {
    let mut len = bytes.len() + 2;
    let mut at = 0;
    while let Some(found) = find_suspect(&bytes[at..], Place::Frame) {
        at += found;
        let (escape, width) = escape(&bytes[at..], Place::Frame);
        len += escape.len().saturating_sub(width);
        at += width;
    }
    len
}

/// Returns where the first character is that may be escaped.
fn find_suspect(bytes: &[u8], place: Place) -> Option<usize> {
    let is_suspect = |byte: &u8| match *byte {
        0..0x20 | b'"' | b'\\' | 0xe2 | 0xef | 0xf0.. => true,
        byte => byte == place.sign(),
    };
    let mut words = bytes.chunks_exact(8);
    let mut at = 0;
    for word in &mut words {
        // Most messages are ASCII without anything to escape.
        let letters = word_of(word);
        if (marks(letters, place.sign()) | letters) & HIGHEST != 0
            && let Some(found) = word.iter().position(is_suspect)
        {
            return Some(at + found);
        }
        at += 8;
    }
    words.remainder().iter().position(is_suspect).map(|found| at + found)
}

fn word_of(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

/// Sets the highest bit of each of eight bytes that a JSON string does not have as it is, or that is `sign`; the first
/// bit is right, later ones need not be.
const fn marks(word: u64, sign: u8) -> u64 {
    let (quote, backslash, sign) =
        (word ^ (LOWEST * b'"' as u64), word ^ (LOWEST * b'\\' as u64), word ^ (LOWEST * sign as u64));
    let control = word.wrapping_sub(LOWEST * 0x20) & !word;
    let quote = quote.wrapping_sub(LOWEST) & !quote;
    let backslash = backslash.wrapping_sub(LOWEST) & !backslash;
    let sign = sign.wrapping_sub(LOWEST) & !sign;
    (control | quote | backslash | sign) & HIGHEST
}

/// Returns the escape of the first character, empty where it needs none; and how many bytes that character has.
fn escape(text: &[u8], place: Place) -> (Escape, usize) {
    let Some(first) = first_char(text) else { return (Escape::default(), 1) };
    let mut escape = Escape::default();
    match first {
        '"' => escape.push(b"\\\""),
        '\\' => escape.push(b"\\\\"),
        '\u{8}' => escape.push(b"\\b"),
        '\t' => escape.push(b"\\t"),
        '\n' => escape.push(b"\\n"),
        '\u{c}' => escape.push(b"\\f"),
        '\r' => escape.push(b"\\r"),
        '<' if place == Place::Html => escape.unit(u16::from(b'<')),
        '%' if place == Place::Event => escape.push(b"%25"),
        '\0'..'\u{20}'
        | '\u{200c}'..='\u{200f}'
        | '\u{2028}'..='\u{202f}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fff0}'.. => first.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escape.unit(*unit)),
        _ => {}
    }
    (escape, first.len_utf8())
}

/// Returns the first character of a text.
fn first_char(text: &[u8]) -> Option<char> {
    let len = match text.first()? {
        0..0xc0 => 1,
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
    };
    std::str::from_utf8(text.get(..len)?).ok()?.chars().next()
}

/// What stands for one character: two units of UTF-16 at most.
#[derive(Default)]
struct Escape {
    bytes: [u8; 12],
    len: usize,
}

impl Escape {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn unit(&mut self, unit: u16) {
        self.push(b"\\u");
        for shift in [12, 8, 4, 0] {
            self.push(&[HEX[usize::from(unit >> shift & 0xf)]]);
        }
    }

    const fn len(&self) -> usize {
        self.len
    }

    const fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Returns the length of a JSON string up to its closing quote, if it is well-formed.
pub(super) fn string_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += find_end(bytes.get(at..)?)?;
        match bytes.get(at..)? {
            [b'"', ..] => return Some(at),
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => at += 2,
            [b'\\', b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => {
                at += 6;
            }
            _ => return None,
        }
    }
}

/// Returns where the first quote, backslash or control character is.
fn find_end(bytes: &[u8]) -> Option<usize> {
    let mut words = bytes.chunks_exact(8);
    let mut at = 0;
    for word in &mut words {
        let found = marks(word_of(word), b'"');
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let is_end = |byte: &u8| matches!(*byte, 0..0x20 | b'"' | b'\\');
    words.remainder().iter().position(is_end).map(|found| at + found)
}

/// Returns the text of a JSON string without its quotes. An unpaired surrogate is legal in `JavaScript` but not in
/// text, and becomes U+FFFD.
pub(super) fn unescape(inner: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', inner.as_bytes()) else { return Cow::Borrowed(inner) };
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    let mut next = Some(first);
    while let Some(at) = next {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(sign) = rest.bytes().next() else { break };
        rest = &rest[1..];
        match sign {
            b'b' => text.push('\u{8}'),
            b'f' => text.push('\u{c}'),
            b'n' => text.push('\n'),
            b'r' => text.push('\r'),
            b't' => text.push('\t'),
            b'u' => text.push(unicode(&mut rest)),
            // A quote, a backslash or a slash.
            other => text.push(char::from(other)),
        }
        next = memchr::memchr(b'\\', rest.as_bytes());
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// Returns the character of an escape whose digits come next; of two escapes, where they are a pair.
fn unicode(rest: &mut &str) -> char {
    let Some(first) = unit(rest) else { return char::REPLACEMENT_CHARACTER };
    let ahead = rest.strip_prefix("\\u");
    if let (0xd800..0xdc00, Some(mut behind)) = (first, ahead)
        && let Some(second @ 0xdc00..0xe000) = unit(&mut behind)
    {
        *rest = behind;
        return char::decode_utf16([first, second])
            .next()
            .and_then(Result::ok)
            .unwrap_or(char::REPLACEMENT_CHARACTER);
    }
    char::from_u32(u32::from(first)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn unit(rest: &mut &str) -> Option<u16> {
    let (digits, behind) = rest.split_at_checked(4)?;
    *rest = behind;
    u16::from_str_radix(digits, 16).ok()
}

const HEX: [u8; 16] = *b"0123456789abcdef";
/// The lowest bit of each byte, and the highest.
const LOWEST: u64 = 0x0101_0101_0101_0101;
const HIGHEST: u64 = LOWEST << 7;

#[cfg(test)]
mod tests;
