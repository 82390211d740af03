//! What an operator may see of a node.

use tokio::time::Duration;

use super::dial::Unreached;
use crate::meter::PeerState;
use crate::sid::Tag;

/// A node, as this one sees it. What is not known is `None`.
#[derive(Clone, Debug)]
pub struct Sight {
    /// Its name.
    pub node: Tag,
    /// Its address, as `host:port`.
    pub address: String,
    /// Whether it is this node.
    pub is_self: bool,
    /// What is known of it.
    pub state: PeerState,
    /// How long it has been in that state.
    pub lasts: Duration,
    /// Why it could not be reached.
    pub failure: Option<Unreached>,
    /// Its version of Polliwog.
    pub version: Option<String>,
    /// How long ago it started.
    pub age: Option<Duration>,
    /// Whether its routes with sessions are others than those of this node.
    pub routes_differ: bool,
    /// Its sessions, as it told last; not known of a node that is not connected.
    pub sessions: Option<u32>,
    /// How many requests this node has asked it.
    pub asked: u64,
    /// How many requests it has asked this node.
    pub answered: u64,
    /// The time of a frame there and back.
    pub round_trip: Option<Duration>,
}
