//! The addresses that connections come from: single ones, ranges and networks. Pure.
//!
//! One address has some 28,000 free ports towards one server, so a machine that is to hold more connections needs several.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4AddrRange, Ipv6AddrRange};

/// What one `--source` names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Sources(pub(super) Vec<IpAddr>);

/// `127.0.0.2`, `127.0.0.2-127.0.0.9` or `127.0.0.0/28`.
impl FromStr for Sources {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = |text: &str| text.trim().parse::<IpAddr>().map_err(|_| EXPECTED);
        let addresses: Vec<IpAddr> = if let Some((first, last)) = text.split_once('-') {
            match (address(first)?, address(last)?) {
                (IpAddr::V4(first), IpAddr::V4(last)) => bounded(Ipv4AddrRange::new(first, last)),
                (IpAddr::V6(first), IpAddr::V6(last)) => bounded(Ipv6AddrRange::new(first, last)),
                (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return Err(EXPECTED),
            }
        } else if text.contains('/') {
            bounded(text.parse::<IpNet>().map_err(|_| EXPECTED)?.hosts())
        } else {
            vec![address(text)?]
        };
        match addresses.len() {
            0 => Err("the range ends before it begins"),
            count if count > COUNT_MAX => Err("more than 65536 addresses"),
            _ => Ok(Self(addresses)),
        }
    }
}

fn bounded<A: Into<IpAddr>>(addresses: impl Iterator<Item = A>) -> Vec<IpAddr> {
    addresses.take(COUNT_MAX + 1).map(Into::into).collect()
}

const COUNT_MAX: usize = 1 << 16;
const EXPECTED: &str =
    "expected an address, a range such as 127.0.0.2-127.0.0.9, or a network such as 10.0.0.0/28";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, &'static str> {
        Ok(text.parse::<Sources>()?.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn addresses_ranges_and_networks_are_read() {
        assert_eq!(read("127.0.0.2").unwrap(), ["127.0.0.2"]);
        assert_eq!(read("127.0.0.2-127.0.0.4").unwrap(), ["127.0.0.2", "127.0.0.3", "127.0.0.4"]);
        assert_eq!(read("10.0.0.0/30").unwrap(), ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(read("::1-::2").unwrap(), ["::1", "::2"]);
    }

    #[test]
    fn what_names_no_address_or_too_many_is_refused() {
        for text in
            ["", "localhost", "127.0.0.1-::1", "127.0.0.9-127.0.0.2", "10.0.0.0/33", "::/0", "127.0.0.1-"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
