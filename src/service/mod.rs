//! What becomes of a request: the stack, the router, the gateway of each route, and the admin listener's service.

pub mod admin;
mod arrivals;
mod cors;
mod demux;
mod forward;
mod gateway;
mod handshake;
mod headers;
mod new_session;
mod preflight;
mod readiness;
mod refusals;
mod relay;
mod router;
mod serving;
mod settings;
mod stack;
mod tally;
mod target;
mod via;

use std::net::SocketAddr;

use ipnet::IpNet;

pub use arrivals::Arrivals;
pub use demux::{Demux, Epochs};
pub use forward::{Forward, ForwardPath};
pub use gateway::Gateway;
pub use handshake::Handshake;
pub use refusals::Refusals;
pub use relay::RelayRoute;
pub use serving::{Parked, Serving};
pub use settings::{AdminSettings, Cookie, Cors, DemuxSettings, HeaderRules, OwnCors, Route};
pub use stack::{Handler, Shared, Stack};
pub use via::Via;

use crate::duplex::{Heads, Patience};
pub(crate) use crate::transport::Response;
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
    fn is_among(&self, networks: &[IpNet]) -> bool {
        let peer = self.peer.ip().to_canonical();
        networks.iter().any(|network| network.contains(&peer))
    }
}
