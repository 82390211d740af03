//! The session id: a bearer secret, so it is random, compared by the index alone and never shown whole.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A session's id, the proxy's own or a backend's.
///
/// The proxy's own are 21 characters: the format's version (`1`) and 120 random bits in URL-safe base64. A later
/// version may name the node that owns the session. A backend's own id may be any run of 1 to 64 URL-safe characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sid(Arc<str>);

impl Sid {
    /// Makes a fresh id of 15 random bytes, which the caller has from the operating system.
    pub fn from_random(random: [u8; 15]) -> Self {
        let mut text = String::with_capacity(21);
        text.push(VERSION);
        URL_SAFE_NO_PAD.encode_string(random, &mut text);
        Self(text.into())
    }

    /// Takes an id that somebody else made.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=LEN_MAX).contains(&text.len());
        let safe = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~'));
        (fits && safe).then(|| Self(text.into()))
    }

    /// The whole id, for the wire alone.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What an operator may see: enough to tell sessions apart, too little to take one over.
    pub fn short(&self) -> &str {
        &self.0[..self.0.len().min(SHORT_LEN)]
    }
}

impl Borrow<str> for Sid {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sid({}…)", self.short())
    }
}

const VERSION: char = '1';
/// A UUID has 36 characters; nobody is known to use more than 64.
const LEN_MAX: usize = 64;
/// 30 random bits.
const SHORT_LEN: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_id_is_url_safe_and_versioned() {
        let sid = Sid::from_random([0xff; 15]);
        assert_eq!(sid.as_str(), "1____________________");
        assert_eq!(Sid::parse(sid.as_str()), Some(sid));
    }

    #[test]
    fn a_foreign_id_is_bounded_and_plain() {
        assert!(Sid::parse("4d3f0c1a-0c6e-4d53-9b4e-2f6d1a1f5c11").is_some());
        assert!(Sid::parse("").is_none());
        assert!(Sid::parse(&"a".repeat(65)).is_none());
        assert!(Sid::parse("a b").is_none());
        assert!(Sid::parse("é").is_none());
    }

    #[test]
    fn an_id_is_never_shown_whole() {
        let shown = format!("{:?}", Sid::from_random([7; 15]));
        assert!(shown.len() < 16, "{shown}");
    }
}
