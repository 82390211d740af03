//! The part of the configuration for nodes (`[cluster]`).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderValue;

use crate::sid::Tag;

/// This node, and those that it asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Where other nodes ask.
    pub listen: SocketAddr,
    /// This node's name in session ids.
    pub node: Tag,
    /// The addresses of all nodes, as `host:port`.
    pub peers: BTreeMap<Tag, String>,
    /// What nodes prove themselves with: the value of `Authorization`.
    pub token: HeaderValue,
    /// The longest wait for a connection to another node.
    pub connect_timeout: Duration,
    /// How long a node may be silent until its connection is closed.
    pub silence_timeout: Duration,
}
