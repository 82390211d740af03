//! Which address clients with the same key share, by rendezvous hashing: without a table, and if an address comes or
//! goes, only the clients of that address move. All proxies make the same choice. Pure.

use std::net::IpAddr;

use http::header::{COOKIE, HeaderName};
use http::{HeaderMap, Uri};

use crate::upstream::backend_address::BackendAddress;

/// What of a client's request decides which address it gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HashBy {
    /// A header's value.
    Header(HeaderName),
    /// A cookie's value.
    Cookie(String),
    /// The value of a parameter of the query, as the client wrote it.
    Query(String),
    /// The client's address, without its port.
    Address,
}

impl HashBy {
    /// Reads `header:NAME`, `cookie:NAME`, `query:NAME` or `address`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "address" {
            return Some(Self::Address);
        }
        let (what, name) = text.split_once(':')?;
        match what {
            "header" => HeaderName::try_from(name).ok().map(Self::Header),
            "cookie" => HeaderName::try_from(name).ok().map(|_| Self::Cookie(name.to_owned())),
            "query" => {
                (!name.is_empty() && !name.contains(['&', '=', '#'])).then(|| Self::Query(name.to_owned()))
            }
            _ => None,
        }
    }

    /// Returns the key of a request; `None` if it has no such value.
    pub(super) fn key(&self, headers: &HeaderMap, query: &str, client: Option<IpAddr>) -> Option<Key> {
        let hash = match self {
            Self::Header(name) => hash(headers.get(name)?.as_bytes()),
            Self::Cookie(name) => hash(cookie(headers, name.as_bytes())?),
            Self::Query(name) => {
                let pair = |pair: &'_ str| {
                    pair.split_once('=')
                        .filter(|(key, _)| key == name)
                        .map(|(_, value)| hash(value.as_bytes()))
                };
                query.split('&').find_map(pair)?
            }
            Self::Address => match client?.to_canonical() {
                IpAddr::V4(address) => hash(&address.octets()),
                IpAddr::V6(address) => hash(&address.octets()),
            },
        };
        Some(Key(hash))
    }
}

/// What requests that belong together share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key(u64);

impl Key {
    /// Returns how well an address suits; the highest is the key's.
    pub(super) fn affinity(self, address: BackendAddress) -> u64 {
        let address = match address {
            BackendAddress::Ip(address) => address,
            BackendAddress::Unix(path) => return mix(self.0 ^ mix(path)),
        };
        let ip = match address.ip() {
            IpAddr::V4(address) => hash(&address.octets()),
            IpAddr::V6(address) => hash(&address.octets()),
        };
        mix(self.0 ^ mix(ip ^ u64::from(address.port())))
    }
}

impl Key {
    /// Returns a number below `whole` by which an address that takes only some of its clients tells which.
    pub(super) fn portion(self, address: BackendAddress, whole: u64) -> u64 {
        mix(self.affinity(address) ^ self.0) % whole
    }
}

/// Returns the query of a target.
pub(super) fn query(uri: &Uri) -> &str {
    uri.query().unwrap_or_default()
}

fn cookie<'h>(headers: &'h HeaderMap, name: &[u8]) -> Option<&'h [u8]> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
}

/// FNV-1a, whose result no version of a library changes: proxies of different versions agree.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let each = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, each))
}

/// The last step of `SplitMix64`: each bit of the result depends on each bit of `word`.
const fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use std::net::SocketAddr;

    use super::*;

    const CLIENT: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    fn key(by: &str, headers: &[(&'static str, &'static str)], query: &str) -> Option<Key> {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        HashBy::parse(by).unwrap().key(&headers.iter().map(pair).collect(), query, CLIENT)
    }

    #[test]
    fn what_decides_is_found_where_it_stands() {
        let same = key("header:x-user", &[("x-user", "a")], "");
        assert!(same.is_some());
        for (by, headers, query) in [
            ("cookie:user", &[("cookie", "x=1; user=a;y=2")][..], ""),
            ("cookie:user", &[("cookie", "xuser=b"), ("cookie", "user=a")], ""),
            ("query:user", &[], "x=user&user=a&user=b"),
        ] {
            assert_eq!(key(by, headers, query), same, "{by}");
        }
        for (by, headers, query) in [
            ("header:x-user", &[][..], "x-user=a"),
            ("cookie:user", &[("cookie", "users=a; User=a")], ""),
            ("query:user", &[], "users=a&user"),
        ] {
            assert_eq!(key(by, headers, query), None, "{by}");
        }
        let mapped = HashBy::Address.key(&HeaderMap::new(), "", "::ffff:127.0.0.1".parse().ok());
        assert_eq!(mapped, key("address", &[], ""));
    }

    #[test]
    fn another_word_decides_nothing() {
        for text in
            ["", "header", "header:", "cookie:a b", "query:", "query:a=b", "ip", "address:x", "Header:x"]
        {
            assert_eq!(HashBy::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_the_clients_of_an_address_that_goes_move() {
        let addresses = |count: u8| (1..=count).map(|last| SocketAddr::from(([10, 0, 0, last], 3000)));
        let best =
            |key: Key, count| addresses(count).max_by_key(|address| key.affinity((*address).into())).unwrap();
        let keys = (0..8000_u32).map(|number| Key(hash(&number.to_be_bytes())));
        let mut at_each = std::collections::BTreeMap::<_, usize>::new();
        let mut moved = 0;
        for key in keys {
            let (before, after) = (best(key, 8), best(key, 7));
            *at_each.entry(before).or_default() += 1;
            assert!(before == after || before == addresses(8).next_back().unwrap());
            moved += usize::from(before != after);
        }
        assert_eq!(moved, at_each[&addresses(8).next_back().unwrap()]);
        assert!(at_each.values().all(|count| (850..1150).contains(count)), "{at_each:?}");
    }
}
