//! Which nodes there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::dial::Introduction;
use super::peer::{Peer, Shared};
use super::settings::Settings;
use crate::background::Background;
use crate::sid::{Node, Sid, Tag};

/// The other nodes, as this one sees them.
#[derive(Debug)]
pub struct Cluster {
    peers: BTreeMap<Tag, Arc<Peer>>,
}

impl Cluster {
    /// Creates the view of the node `me`. Nothing is dialled before it is needed.
    pub fn new(settings: &Settings, me: Node, background: &Background) -> Self {
        let shared = Arc::new(Shared {
            introduction: Introduction { me, token: settings.token.clone() },
            connect_timeout: settings.connect_timeout,
            silence_timeout: settings.silence_timeout,
            background: background.clone(),
        });
        let peer = |(tag, address): (&Tag, &String)| {
            (*tag, Arc::new(Peer::new(*tag, address.clone(), Arc::clone(&shared))))
        };
        let peers = settings.peers.iter().filter(|(tag, _)| **tag != me.tag).map(peer).collect();
        Self { peers }
    }

    /// Returns the node that an id names, if it is another one that is known.
    pub fn owner_of(&self, sid: &str) -> Option<(Node, &Arc<Peer>)> {
        let node = Sid::node(sid)?;
        Some((node, self.peers.get(&node.tag)?))
    }
}
