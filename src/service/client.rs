//! The client of a connection, and what belongs to the connection.

use std::num::NonZeroU32;
use std::sync::Arc;

use http::HeaderValue;

use crate::address::RemoteAddress;
use crate::duplex::{Patience, RawHeaders};
use crate::upstream::Pinned;

/// A client's connection and what belongs to it.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The client of its requests.
    pub client: Client,
    /// The listener at which its client came in; `None` if that is another node's and matters to no route.
    pub listener: Option<Arc<str>>,
    /// How long the client may stop reading.
    pub patience: Patience,
    /// The backend connections on which this client has logged in.
    pub pinned: Pinned,
    /// Shows the header of the current request.
    pub raw_headers: RawHeaders,
    /// How long the header of a request was that came by another node. In four bytes, as this is kept for each connection.
    pub head_len: Option<NonZeroU32>,
    /// How its requests come here.
    pub hop: Hop,
}

impl Connection {
    /// Creates what belongs to the connection of a client of this node.
    pub fn of_client(
        client: Client,
        listener: Option<Arc<str>>,
        patience: Patience,
        raw_headers: RawHeaders,
    ) -> Self {
        let (pinned, hop) = (Pinned::default(), Hop::Direct);
        Self { client, listener, patience, pinned, raw_headers, head_len: None, hop }
    }

    /// Returns how long the header of a request was that came by another node.
    pub(super) fn head_len_elsewhere(&self) -> Option<usize> {
        usize::try_from(self.head_len?.get()).ok()
    }
}

/// How a request came to this node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hop {
    /// From its client.
    Direct,
    /// From another node, which has the client. Only another process of this host is asked further.
    Peer,
    /// From another process of this host. It is asked nowhere else.
    Kin,
}

/// The client of a connection's requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Client {
    /// The other side of the socket: the client, or a proxy in front.
    pub peer: RemoteAddress,
    /// Whether TLS ends here.
    pub secure: bool,
    /// Whose certificate it has shown, if that was verified here.
    pub subject: Option<Arc<HeaderValue>>,
}
