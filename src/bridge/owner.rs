//! Binds a session to its client, on routes that require more than the session's id.

use std::hash::BuildHasher as _;
use std::net::IpAddr;

use http::HeaderMap;
use http::header::COOKIE;

/// The client that a session belongs to.
#[derive(Clone, Debug)]
pub enum Owner {
    /// The client at this address, on any port; `None` is whatever comes by a Unix socket and has no other.
    Address(Option<IpAddr>),
    /// The client that sends at least these cookies, which are kept as keyed hashes.
    Cookies(std::hash::RandomState, Box<[u64]>),
}

impl Owner {
    /// Returns an owner: the client that sends these cookies.
    pub fn of_cookies(headers: &HeaderMap) -> Self {
        let key = std::hash::RandomState::new();
        let hashes = cookies(headers).map(|cookie| key.hash_one(cookie)).collect();
        Self::Cookies(key, hashes)
    }

    /// Returns whether a request from this address and with these headers was sent by the owner.
    pub fn sent(&self, address: impl FnOnce() -> Option<IpAddr>, headers: &HeaderMap) -> bool {
        match self {
            Self::Address(own) => *own == address(),
            Self::Cookies(key, own) => {
                let brought: Vec<u64> = cookies(headers).map(|cookie| key.hash_one(cookie)).collect();
                own.iter().all(|one| brought.contains(one))
            }
        }
    }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookies: &[&'static str]) -> HeaderMap {
        cookies.iter().map(|line| (COOKIE, http::HeaderValue::from_static(line))).collect()
    }

    #[test]
    fn cookies_may_be_added_but_none_may_be_missing_or_another() {
        let owner = Owner::of_cookies(&headers(&["a=1; b=2"]));
        let address = || None;
        for (sent, is_own) in [
            (&["a=1; b=2"][..], true),
            (&["b=2;c=3; a=1"], true),
            (&["c=3", "a=1", "b=2"], true),
            (&["a=1"], false),
            (&["a=1; b=3"], false),
            (&[], false),
        ] {
            assert_eq!(owner.sent(address, &headers(sent)), is_own, "{sent:?}");
        }
    }
}
