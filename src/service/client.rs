//! Who sends a connection's requests, and what belongs to the connection.

use std::net::SocketAddr;

use ipnet::IpNet;

use crate::duplex::{Heads, Patience};
use crate::upstream::Pinned;

/// A client's connection: who it is, and what belongs to it.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Who sends the requests.
    pub client: Client,
    /// How long the client may stop reading.
    pub patience: Patience,
    /// The backend connections on which it has logged in.
    pub pinned: Pinned,
    /// Shows the head of the request that has just come.
    pub heads: Heads,
}

/// Who sends the requests of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Client {
    /// The other end of the socket: the client, or a proxy in front.
    pub peer: SocketAddr,
    /// Whether TLS ends here.
    pub secure: bool,
}

impl Client {
    /// Returns whether the other end is in one of these networks. An IPv4 client of a dual-stack listener is an IPv4 client.
    pub(super) fn is_among(&self, networks: &[IpNet]) -> bool {
        let peer = self.peer.ip().to_canonical();
        networks.iter().any(|network| network.contains(&peer))
    }
}
