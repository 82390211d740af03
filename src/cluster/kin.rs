//! The other processes of this host that are other starts of the same node: predecessors that still hold sessions, and a
//! successor.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use http::HeaderValue;
use tokio::time::{Duration, sleep};

use super::dial::Introduction;
use super::greeting::Me;
use super::local::address_of;
use super::peer::{Owner, Peer, Shared};
use super::secured::Secured;
use super::sight::Sight;
use crate::background::Background;
use crate::meter::{ClusterMeter, SuccessionMeter};
use crate::sid::Node;
use crate::succession::{node_of, socket};

/// The other processes of a [folder](crate::succession::Folder). By default there is no folder.
#[derive(Clone, Default, Debug)]
pub struct Kin(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    shared: Arc<Shared>,
    /// Those that were asked for.
    peers: Mutex<HashMap<Node, Arc<Peer>>>,
    /// How many sessions all of them had when they were looked at last.
    held: AtomicU32,
}

impl Kin {
    /// Creates the view of the process `me`. Nothing is connected before it is needed.
    pub fn new(folder: PathBuf, me: Me, secured: Secured, background: &Background) -> Self {
        // Neither token nor certificate is shown: the socket shows whose process it is.
        let token = HeaderValue::from_static("");
        let way = Introduction { me: me.clone(), token, secured, within: CONNECT_TIMEOUT };
        let shared = Shared {
            me,
            way: Box::new(way),
            connect_timeout: CONNECT_TIMEOUT,
            silence_timeout: SILENCE_TIMEOUT,
            background: background.clone(),
            // They are no nodes, so they are counted beside the nodes.
            meter: ClusterMeter::default(),
        };
        Self(Some(Arc::new(Inner {
            folder,
            shared: Arc::new(shared),
            peers: Mutex::default(),
            held: AtomicU32::default(),
        })))
    }

    /// Returns another process by its name, if it has a socket in the folder.
    pub fn find(&self, node: Node) -> Option<Arc<Peer>> {
        self.0.as_ref()?.find(node)
    }

    /// Returns the process that an id names, if it is another one.
    pub fn owner_of(&self, node: Node) -> Option<Owner> {
        Some(Owner { node, peer: Some(self.find(node)?) })
    }

    /// Returns all other processes.
    pub fn all(&self) -> Vec<Arc<Peer>> {
        self.processes().into_iter().map(|(_, peer)| peer).collect()
    }

    /// Returns all other processes, each with what an operator may see of it.
    pub fn sights(&self) -> Vec<(Node, Sight)> {
        self.processes().into_iter().map(|(node, peer)| (node, peer.sight())).collect()
    }

    /// Returns how many sessions the other processes had a moment ago.
    pub fn held(&self) -> u32 {
        self.0.as_ref().map_or(0, |inner| inner.held.load(Ordering::Relaxed))
    }

    /// Keeps all other processes connected, which thereby tell how many sessions they hold, and counts both.
    pub async fn follow(self, meter: SuccessionMeter) {
        loop {
            let processes = self.processes();
            join_all(processes.iter().filter(|(_, peer)| !peer.is_connected()).map(|(_, peer)| peer.greet()))
                .await;
            // Between processes that pass no requests on, hardly anything would be said.
            for (_, peer) in &processes {
                peer.ask_load();
            }
            let sessions = processes.iter().filter_map(|(_, peer)| peer.sight().sessions);
            let held = sessions.fold(0_u32, u32::saturating_add);
            if let Some(inner) = &self.0 {
                inner.held.store(held, Ordering::Relaxed);
            }
            meter.set(processes.len(), held.into());
            sleep(LOOK).await;
        }
    }

    fn processes(&self) -> Vec<(Node, Arc<Peer>)> {
        self.0.as_ref().map(|inner| inner.all()).unwrap_or_default()
    }
}

impl Inner {
    fn find(&self, node: Node) -> Option<Arc<Peer>> {
        if node == self.shared.me.node {
            return None;
        }
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = peers.get(&node).filter(|peer| peer.is_connected()) {
            return Some(Arc::clone(peer));
        }
        // A client can name any process, so only one that is there gets an entry.
        let path = socket(&self.folder, node);
        if !path.exists() {
            peers.remove(&node);
            return None;
        }
        let address = || address_of(&path.to_string_lossy());
        let peer = peers
            .entry(node)
            .or_insert_with(|| Arc::new(Peer::new(node.tag, address(), Arc::clone(&self.shared))));
        Some(Arc::clone(peer))
    }

    fn all(&self) -> Vec<(Node, Arc<Peer>)> {
        // Without the folder there are none.
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let nodes = entries.filter_map(|entry| node_of(entry.file_name().to_str()?));
        let mut all: Vec<_> = nodes.filter_map(|node| Some((node, self.find(node)?))).collect();
        all.sort_unstable_by_key(|(node, _)| node.to_string());
        all
    }
}

/// A process of this host answers at once, or is stopped.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often those that come and go are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// How long it may be silent.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(3);
