//! The session id: a bearer secret, so it is random, compared only by the index and never shown whole.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A session's id: the proxy's own, a backend's, or its client's.
///
/// The proxy's own ids have 21 characters: the format's version (`1`) and 120 random bits in URL-safe base64. In a cluster
/// they have 27: the version is `2`, and the [`Node`] that owns the session stands between the two. A backend's id may be
/// 1 to 64 URL-safe characters. A client's may be 1 to 128 bytes of anything that can stand in a path, as it was written
/// there.
#[derive(Clone)]
pub struct Sid {
    text: Arc<str>,
    /// The visible part of a client's id: those are short, so a part of one would be most of it.
    hash: Option<u64>,
}

impl Sid {
    /// Makes a new id of 15 random bytes, which the caller has from the operating system; `node` owns its session.
    pub fn from_random(random: [u8; 15], node: Option<Node>) -> Self {
        let mut text = String::with_capacity(NODES_LEN);
        match node {
            None => text.push(VERSION),
            Some(Node { tag, generation }) => {
                text.push(NODES_VERSION);
                text.extend(tag.0.iter().chain(&generation).map(|&byte| char::from(byte)));
            }
        }
        URL_SAFE_NO_PAD.encode_string(random, &mut text);
        Self { text: text.into(), hash: None }
    }

    /// Returns the node that an id names as the owner of its session. Anybody can write such an id.
    pub fn node(text: &str) -> Option<Node> {
        let [version, node @ ..] = text.as_bytes() else { return None };
        let (tag, rest) = node.split_first_chunk::<4>()?;
        let (generation, random) = rest.split_first_chunk::<2>()?;
        let fits = char::from(*version) == NODES_VERSION && random.len() == RANDOM_LEN;
        (fits && is_plain(node)).then_some(Node { tag: Tag(*tag), generation: *generation })
    }

    /// Returns whether an id may name another node than this one: a quick look, which takes more for one than [`node`](Self::node).
    pub fn may_name_another(text: &str, me: Node) -> bool {
        let Some(([version, named @ ..], _)) = text.as_bytes().split_first_chunk::<7>() else { return false };
        let [tag @ .., first, second] = named;
        let is_me = *tag == me.tag.0 && [*first, *second] == me.generation;
        text.len() == NODES_LEN && char::from(*version) == NODES_VERSION && !is_me
    }

    /// Parses an id that a backend made.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=LEN_MAX).contains(&text.len());
        let is_safe = text.bytes().all(|byte| is_plain(&[byte]) || matches!(byte, b'.' | b'~'));
        (fits && is_safe).then(|| Self { text: text.into(), hash: None })
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

/// A node of a cluster: its name, and which start of that node it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Node {
    /// Its name.
    pub tag: Tag,
    /// Two characters, others than those of the node's last start.
    generation: [u8; 2],
}

/// A node's name as it stands in ids: four characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag([u8; 4]);

impl Node {
    /// Creates the node of this name that starts now; two random bytes tell it from its predecessors.
    pub fn from_random(tag: Tag, random: [u8; 2]) -> Self {
        let sign = |byte: u8| SIGNS[usize::from(byte) % SIGNS.len()];
        Self { tag, generation: random.map(sign) }
    }

    /// Parses a node as it introduces itself.
    pub fn parse(text: &str) -> Option<Self> {
        let (tag, generation) = text.as_bytes().split_first_chunk::<4>()?;
        let generation = generation.try_into().ok()?;
        is_plain(text.as_bytes()).then_some(Self { tag: Tag(*tag), generation })
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        write!(f, "{}{}", written(&self.tag.0), written(&self.generation))
    }
}

impl Tag {
    /// The tag of a process that belongs to no cluster.
    pub const NONE: Self = Self([FILLER; 4]);

    /// Returns the tag of a node with this name: 1 to 4 letters or digits.
    pub fn of_name(name: &str) -> Option<Self> {
        let fits = (1..=4).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let mut tag = [FILLER; 4];
        fits.then(|| {
            tag[..name.len()].copy_from_slice(name.as_bytes());
            Self(tag)
        })
    }

    /// Returns the tag of the node with this address. All nodes know it who know the address.
    pub fn of_address(address: &str) -> Self {
        let hash = digest::digest(&digest::SHA256, address.as_bytes());
        let mut left =
            hash.as_ref().iter().take(4).fold(0, |number: u32, byte| number << 8 | u32::from(*byte));
        Self([(); 4].map(|()| {
            let sign = SIGNS[(left % PLAIN_SIGNS) as usize];
            left /= PLAIN_SIGNS;
            sign
        }))
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}

/// The name that an operator gave.
impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(String::from_utf8_lossy(&self.0).trim_end_matches(char::from(FILLER)))
    }
}

/// Returns whether all of them can stand in an id of ours.
fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| PLAIN[usize::from(byte)])
}

/// A look at a table is quicker than four comparisons, and each request makes some fifty.
static PLAIN: [bool; 256] = {
    let (mut plain, mut byte) = ([false; 256], 0_u8);
    while byte < 128 {
        plain[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        byte += 1;
    }
    plain
};

struct Short<'s>(&'s Sid);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(hash) = self.0.hash {
            return write!(f, "#{:08x}", hash >> 32);
        }
        // Behind the node's name, which all of its sessions have in common.
        let start = Sid::node(&self.0.text).map_or(0, |_| NODES_LEN - RANDOM_LEN);
        f.write_str(&self.0.text[start..self.0.text.len().min(start + SHORT_LEN)])
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
/// The version of ids that name their session's node.
const NODES_VERSION: char = '2';
const NODES_LEN: usize = 27;
/// 120 bits.
const RANDOM_LEN: usize = 20;
const FILLER: u8 = b'-';
const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Letters and digits.
const PLAIN_SIGNS: u32 = 62;
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
        let sid = Sid::from_random([0xff; 15], None);
        assert_eq!(sid.as_str(), "1____________________");
        assert_eq!(Sid::parse(sid.as_str()), Some(sid));
    }

    #[test]
    fn an_id_names_its_node_and_shows_what_is_random() {
        let node = Node::from_random(Tag::of_name("b").unwrap(), [3, 200]);
        assert_eq!(node.to_string(), "b---DI");
        assert_eq!(Node::parse("b---DI"), Some(node));
        let sid = Sid::from_random([0xff; 15], Some(node));
        assert_eq!(sid.as_str(), "2b---DI____________________");
        assert_eq!(Sid::node(sid.as_str()), Some(node));
        assert_eq!(Sid::parse(sid.as_str()).as_ref(), Some(&sid));
        assert_eq!(sid.short().to_string(), "______");
        let others =
            [Tag::of_name("b"), Tag::of_name("c")].map(|tag| Node::from_random(tag.unwrap(), [4, 200]));
        assert!(others.iter().all(|&me| Sid::may_name_another(sid.as_str(), me)));
        for text in [sid.as_str(), "", "2", "1c---DI____________________", "2c---DI___________________"] {
            assert!(!Sid::may_name_another(text, node), "{text}");
        }
        for text in [
            "",
            "2",
            "1b---DI____________________",
            "2b---DI___________________",
            "2b---DI___________________é",
            "2b--.DI____________________",
        ] {
            assert_eq!(Sid::node(text), None, "{text}");
        }
    }

    #[test]
    fn a_nodes_name_is_short_and_plain() {
        for (name, shown) in
            [("a", Some("a")), ("Abc1", Some("Abc1")), ("", None), ("abcde", None), ("a-", None)]
        {
            assert_eq!(Tag::of_name(name).map(|tag| tag.to_string()).as_deref(), shown, "{name}");
        }
        for text in ["", "a---A", "a---ABC", "a--.AB"] {
            assert_eq!(Node::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_node_without_a_name_is_named_by_its_address_at_every_node() {
        let tag = |address: &str| Tag::of_address(address).to_string();
        // All versions must agree.
        assert_eq!(tag("10.0.0.1:7400"), "YA3s");
        assert_ne!(tag("10.0.0.1:7400"), tag("10.0.0.2:7400"));
        assert_ne!(tag("10.0.0.1:7400"), tag("10.0.0.1:7401"));
        let tags: std::collections::BTreeSet<_> =
            (0..200).map(|host| tag(&format!("10.1.0.{host}:7400"))).collect();
        assert_eq!(tags.len(), 200);
        assert!(tags.iter().all(|tag| Tag::of_name(tag).is_some()));
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
        let shown = format!("{:?}", Sid::from_random([7; 15], None));
        assert!(shown.len() < 16, "{shown}");
        let shown = format!("{:?}", Sid::of_client("é", 0x0123_4567_89ab_cdef).unwrap());
        assert_eq!(shown, "Sid(#01234567…)");
    }
}
