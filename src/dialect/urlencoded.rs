//! Text of queries and forms, decoded.

use std::borrow::Cow;

use crate::codec::urlencoded;

/// Decodes `+` and `%XX`; anything else stays unchanged, and ill-formed UTF-8 becomes U+FFFD.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    if !has_escape(text) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(String::from_utf8_lossy(&urlencoded::decode(text.as_bytes())).into_owned())
}

fn has_escape(text: &str) -> bool {
    memchr::memchr2(b'%', b'+', text.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_escapes_are_no_panic() {
        for text in ["%", "%4", "%zz", "%C3", "a%", "%%41", "+%2B"] {
            let _ = decode(text);
        }
        assert_eq!(decode("%%41+"), "%A ");
    }
}
