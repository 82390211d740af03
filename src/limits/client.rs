//! A client: an address, as far as one tells clients apart.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};

/// A client as limits know it: an address of IPv4, or a network of IPv6 that one site gets (a /64), or a process of this
/// host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Client(Option<IpNet>);

impl Client {
    /// Returns whose address it is; `None` is a Unix socket's.
    pub(super) fn of(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address {
            IpAddr::V4(_) => address.into(),
            IpAddr::V6(address) => Ipv6Net::new_assert(address, SITE_PREFIX).trunc().into(),
        }))
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(network) if network.prefix_len() == network.max_prefix_len() => network.addr().fmt(f),
            Some(network) => network.fmt(f),
            None => f.write_str(crate::address::UNIX),
        }
    }
}

/// Returns whether an address is of this host or of a private network, where a balancer may stand. That of a carrier
/// towards its customers is one, too (RFC 6598).
pub(super) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_carriers = first == 100 && second & 0xc0 == 64;
            address.is_loopback() || address.is_private() || address.is_link_local() || is_carriers
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

const SITE_PREFIX: u8 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_of_ipv6_is_one_client() {
        let of = |text: &str| Client::of(Some(text.parse().unwrap()));
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        let shown = [of("2001:db8:0:1::1"), of("192.0.2.1"), Client::of(None)].map(|one| one.to_string());
        assert_eq!(shown, ["2001:db8:0:1::/64", "192.0.2.1", "unix"]);
    }

    #[test]
    fn private_is_what_nobody_reaches_from_outside() {
        for (address, expected) in [
            ("127.0.0.9", true),
            ("10.1.2.3", true),
            ("172.31.0.1", true),
            ("172.32.0.1", false),
            ("192.168.1.1", true),
            ("169.254.0.1", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("192.0.2.1", false),
            ("::1", true),
            ("fd00::1", true),
            ("fe80::1", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_private(address.parse().unwrap()), expected, "{address}");
        }
    }
}
