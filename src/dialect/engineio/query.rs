//! The query of a request: Engine.IO's own keys, and the application's pairs, which the backend must see.

use std::borrow::Cow;

use crate::dialect::urlencoded::decode;

/// Engine.IO's own keys. If a key is repeated, the last value counts.
#[derive(Default, PartialEq, Eq, Debug)]
pub(super) struct Query<'a> {
    pub(super) eio: Option<Cow<'a, str>>,
    pub(super) transport: Option<Cow<'a, str>>,
    pub(super) sid: Option<Cow<'a, str>>,
    pub(super) b64: Option<Cow<'a, str>>,
    pub(super) j: Option<Cow<'a, str>>,
}

impl<'a> Query<'a> {
    pub(super) fn parse(query: &'a str) -> Self {
        let mut found = Self::default();
        // Nearly no query has an escape.
        let has_escape = memchr::memchr2(b'%', b'+', query.as_bytes()).is_some();
        let mut pairs = Some(query);
        while let Some(rest) = pairs {
            let (pair, behind) = cut(rest, b'&');
            found.note(pair, has_escape);
            pairs = behind;
        }
        found
    }

    fn note(&mut self, pair: &'a str, has_escape: bool) {
        let decode = |text: &'a str| if has_escape { decode(text) } else { Cow::Borrowed(text) };
        let (key, value) = cut(pair, b'=');
        let key = decode(key);
        let slot = match key.as_ref() {
            "EIO" => &mut self.eio,
            "transport" => &mut self.transport,
            "sid" => &mut self.sid,
            "b64" => &mut self.b64,
            "j" => &mut self.j,
            _ => return,
        };
        *slot = Some(decode(value.unwrap_or_default()));
    }
}

/// Returns what is before the first of an ASCII sign, and what is behind it, if there is one.
fn cut(text: &str, sign: u8) -> (&str, Option<&str>) {
    match find(text.as_bytes(), sign) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// Finds the first of an ASCII sign, eight bytes at a time. In so short a text, a search in larger steps would take longer to
/// set up than this takes to finish.
fn find(text: &[u8], sign: u8) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let (chunks, rest) = text.as_chunks::<8>();
    for (index, chunk) in chunks.iter().enumerate() {
        // Zero where the sign is. The lowest of the marks is right, and others may not be.
        let differs = u64::from_le_bytes(*chunk) ^ (ONES * u64::from(sign));
        let marks = differs.wrapping_sub(ONES) & !differs & HIGHS;
        if marks != 0 {
            return Some(index * 8 + marks.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|byte| *byte == sign)?;
    Some(chunks.len() * 8 + at)
}

/// Returns the application's pairs, as the client wrote them: all except `EIO`, `transport`, `sid`, `t`, `j`, `b64`.
pub(super) fn application_query(query: &str) -> String {
    let own = |pair: &str| {
        let key = decode(pair.split_once('=').map_or(pair, |(key, _)| key));
        matches!(key.as_ref(), "EIO" | "transport" | "sid" | "t" | "j" | "b64" | "")
    };
    query.split('&').filter(|pair| !own(pair)).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_is_found_wherever_it_is() {
        let texts = ["", "a", "0123456", "01234567", "0123456789abcdef", "\u{80}é\u{7f}/.0123456789é-+1"];
        for text in texts {
            for sign in 0..128 {
                assert_eq!(find(text.as_bytes(), sign), text.bytes().position(|byte| byte == sign), "{text}");
            }
        }
    }

    #[test]
    fn the_last_of_two_keys_counts() {
        let query = Query::parse("EIO=3&transport=polling&EIO=4&sid=a%2Db&x=1&b64");
        assert_eq!(query.eio.as_deref(), Some("4"));
        assert_eq!(query.transport.as_deref(), Some("polling"));
        assert_eq!(query.sid.as_deref(), Some("a-b"));
        assert_eq!(query.b64.as_deref(), Some(""));
    }

    #[test]
    fn the_applications_pairs_stay_as_they_are() {
        assert_eq!(
            application_query("EIO=4&user=J%C3%BCrgen+M&t=abc&transport=polling&a=1&a=2&j=0&b64=1&flag"),
            "user=J%C3%BCrgen+M&a=1&a=2&flag"
        );
        assert_eq!(application_query("EIO=4&&transport=websocket"), "");
        assert_eq!(application_query("%73id=1&x=%"), "x=%");
    }
}
