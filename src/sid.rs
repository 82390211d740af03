//! The session id: a bearer secret, so it is random, compared only by the index and never shown whole.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A session's id: the proxy's own, a backend's, or its client's.
///
/// The proxy's own ids have 21 characters: the format's version (`1`) and 120 random bits in URL-safe base64. A later
/// version may name the node that owns the session. A backend's id may be 1 to 64 URL-safe characters. A client's may
/// be 1 to 128 bytes of anything that can stand in a path, as it was written there.
#[derive(Clone)]
pub struct Sid {
    text: Arc<str>,
    /// The visible part of a client's id: those are short, so a part of one would be most of it.
    hash: Option<u64>,
}

impl Sid {
    /// Makes a new id of 15 random bytes, which the caller has from the operating system.
    pub fn from_random(random: [u8; 15]) -> Self {
        let mut text = String::with_capacity(21);
        text.push(VERSION);
        URL_SAFE_NO_PAD.encode_string(random, &mut text);
        Self { text: text.into(), hash: None }
    }

    /// Parses an id that a backend made.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=LEN_MAX).contains(&text.len());
        let safe = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~'));
        (fits && safe).then(|| Self { text: text.into(), hash: None })
    }

    /// Parses an id that a client made. `hash` is its hash under a secret key.
    pub fn of_client(text: &str, hash: u64) -> Option<Self> {
        let fits = (1..=CLIENTS_LEN_MAX).contains(&text.len()) && !text.contains('/');
        fits.then(|| Self { text: text.into(), hash: Some(hash) })
    }

    /// Returns the whole id, only for the wire.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the part that operators may see: enough to tell sessions apart, too little to take one over.
    pub fn short(&self) -> impl fmt::Display {
        Short(self)
    }
}

struct Short<'s>(&'s Sid);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.hash {
            Some(hash) => write!(f, "#{:08x}", hash >> 32),
            None => f.write_str(&self.0.text[..self.0.text.len().min(SHORT_LEN)]),
        }
    }
}

impl PartialEq for Sid {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Sid {}

impl PartialOrd for Sid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sid {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for Sid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Borrow<str> for Sid {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sid({}…)", self.short())
    }
}

const VERSION: char = '1';
/// A UUID has 36 characters; no server is known to use more than 64.
const LEN_MAX: usize = 64;
/// Clients make ids of 8 characters, or of 32.
const CLIENTS_LEN_MAX: usize = 128;
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
    fn a_clients_id_is_whatever_stands_in_a_segment() {
        for text in ["a", "b%2ec", "b%2fc%20", "__proto__", "é", &"x".repeat(128)] {
            assert_eq!(Sid::of_client(text, 0).map(|sid| sid.as_str().to_owned()).as_deref(), Some(text));
        }
        for text in ["", "a/b", &"x".repeat(129)] {
            assert!(Sid::of_client(text, 0).is_none(), "{text}");
        }
        assert_ne!(Sid::of_client("a%20", 0), Sid::of_client("a+", 0));
    }

    #[test]
    fn an_id_is_never_shown_whole() {
        let shown = format!("{:?}", Sid::from_random([7; 15]));
        assert!(shown.len() < 16, "{shown}");
        let shown = format!("{:?}", Sid::of_client("é", 0x0123_4567_89ab_cdef).unwrap());
        assert_eq!(shown, "Sid(#01234567…)");
    }
}
