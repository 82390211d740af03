//! Where a backend is reached: at an address of IP, or by a Unix socket. Pure.

use std::net::SocketAddr;

/// Where a backend is reached.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum BackendAddress {
    /// At an address of IP.
    Ip(SocketAddr),
    /// By its server's Unix socket. This is the hash of the path, by which clients with a key find it.
    Unix(u64),
}

impl BackendAddress {
    /// Returns whether it is an address of IPv6.
    pub(super) const fn is_ipv6(self) -> bool {
        matches!(self, Self::Ip(SocketAddr::V6(_)))
    }
}

impl From<SocketAddr> for BackendAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}
