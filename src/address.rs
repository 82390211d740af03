//! Where a socket listens, who is at the other side of a connection, and which proxies are trusted: by IP, or on this host
//! by a Unix socket.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;

/// Where a socket listens.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ListenAddress {
    /// An address of IP, and a port of TCP.
    Ip(SocketAddr),
    /// A file of this host.
    Unix(Arc<Path>),
}

/// The other side of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RemoteAddress {
    /// An address of IP, and a port of TCP.
    Ip(SocketAddr),
    /// A process of this host, by a Unix socket. Nothing tells one from another.
    Unix,
}

/// A proxy in front whose `X-Forwarded-*` and `Forwarded` headers are trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrustedProxy {
    /// Each one in a network.
    Network(IpNet),
    /// Each process of this host that may open a Unix socket.
    Unix,
}

impl ListenAddress {
    /// Returns the address of IP, if it is one.
    pub const fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// Returns whether it is any free port, of which there may be several.
    pub fn is_any(&self) -> bool {
        self.ip().is_some_and(|address| address.port() == 0)
    }
}

impl RemoteAddress {
    /// Returns its address, if it has one. An IPv4 client of a dual-stack listener counts as an IPv4 client.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(address.ip().to_canonical()),
            Self::Unix => None,
        }
    }

    /// Returns whether it is one of these proxies.
    pub fn is_among(self, proxies: &[TrustedProxy]) -> bool {
        match self.ip() {
            Some(ip) => is_among(ip, proxies),
            None => proxies.contains(&TrustedProxy::Unix),
        }
    }
}

/// Returns whether this is the address of one of these proxies.
pub fn is_among(ip: IpAddr, proxies: &[TrustedProxy]) -> bool {
    proxies.iter().any(|proxy| match proxy {
        TrustedProxy::Network(network) => network.contains(&ip),
        TrustedProxy::Unix => false,
    })
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl From<SocketAddr> for RemoteAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{UNIX}:{}", path.display()),
        }
    }
}

impl fmt::Display for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => write!(f, "{address}"),
            Self::Unix => f.write_str(UNIX),
        }
    }
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => write!(f, "{network}"),
            Self::Unix => f.write_str(UNIX),
        }
    }
}

/// As it is displayed.
impl FromStr for RemoteAddress {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == UNIX { Ok(Self::Unix) } else { text.parse().map(Self::Ip) }
    }
}

/// A network, a single address as a network of one, or `unix`.
impl FromStr for TrustedProxy {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == UNIX {
            return Ok(Self::Unix);
        }
        let network = text.parse::<IpNet>().map(|network| network.trunc());
        network.or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map(Self::Network)
    }
}

/// What stands for a Unix socket in the configuration, and before its path.
pub const UNIX: &str = "unix";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_displayed() {
        for text in ["127.0.0.1:80", "[::1]:80", "unix"] {
            assert_eq!(text.parse::<RemoteAddress>().unwrap().to_string(), text);
        }
        assert!("unix:".parse::<RemoteAddress>().is_err());
        let path = ListenAddress::Unix(Path::new("/run/a b.sock").into());
        assert_eq!(path.to_string(), "unix:/run/a b.sock");
    }

    #[test]
    fn a_process_of_this_host_is_trusted_only_by_its_own_word() {
        let [all, unix] = ["0.0.0.0/0", "unix"].map(|text| text.parse().unwrap());
        let mapped = RemoteAddress::Ip("[::ffff:192.0.2.1]:1".parse().unwrap());
        for (remote, proxies, is_trusted) in [
            (mapped, &[all][..], true),
            (mapped, &[unix], false),
            (RemoteAddress::Unix, &[all], false),
            (RemoteAddress::Unix, &[all, unix], true),
            (RemoteAddress::Unix, &[], false),
        ] {
            assert_eq!(remote.is_among(proxies), is_trusted, "{remote} {proxies:?}");
        }
    }
}
