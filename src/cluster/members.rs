//! Which nodes there are, and the connection to each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::{Duration, Instant, sleep_until};

use super::channel::{Channel, Side};
use super::dial::{Introduction, Unreached, dial};
use super::pump::{self, Pump};
use super::question::{Prepared, Question};
use super::settings::Settings;
use crate::background::Background;
use crate::sid::{Node, Sid, Tag};

/// The other nodes, as this one sees them.
#[derive(Debug)]
pub struct Cluster {
    peers: BTreeMap<Tag, Arc<Peer>>,
}

/// Another node.
#[derive(Debug)]
pub struct Peer {
    tag: Tag,
    address: String,
    introduction: Introduction,
    connect_timeout: Duration,
    silence_timeout: Duration,
    background: Background,
    state: Mutex<State>,
    /// Held by the one request that dials for all.
    dialling: tokio::sync::Mutex<()>,
}

#[derive(Default, Debug)]
struct State {
    channel: Option<Arc<Channel>>,
    /// The start of the node that was connected last.
    last: Option<Node>,
    failure: Option<Failure>,
    /// How often the node was dialled.
    dials: u64,
}

/// A dial that failed.
#[derive(Clone, Copy, Debug)]
struct Failure {
    why: Unreached,
    /// When the next dial may be.
    until: Instant,
    /// How many have failed in a row.
    count: u32,
}

impl Cluster {
    /// Creates the view of the node `me`. Nothing is dialled before it is needed.
    pub fn new(settings: &Settings, me: Node, background: &Background) -> Self {
        let peer = |(tag, address): (&Tag, &String)| {
            let peer = Peer {
                tag: *tag,
                address: address.clone(),
                introduction: Introduction { me, token: settings.token.clone() },
                connect_timeout: settings.connect_timeout,
                silence_timeout: settings.silence_timeout,
                background: background.clone(),
                state: Mutex::default(),
                dialling: tokio::sync::Mutex::default(),
            };
            (*tag, Arc::new(peer))
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

impl Peer {
    /// Passes a request on at once, if the node is connected.
    ///
    /// # Errors
    /// Why the node cannot be asked; with `None` it is not connected.
    pub fn ask(&self, node: Node, prepared: &Prepared) -> Result<Question, Option<Unreached>> {
        let Some(channel) = self.channel() else { return Err(self.known_failure(node)) };
        if channel.node != node {
            return Err(Some(Unreached::Absent));
        }
        Question::ask(&channel, prepared).ok_or(None)
    }

    /// Connects the node, unless it is connected.
    ///
    /// # Errors
    /// It cannot be reached, or is not this start of the node any more.
    pub async fn connect(self: &Arc<Self>, node: Node) -> Result<(), Unreached> {
        let dials = self.lock().dials;
        let _dialling = self.dialling.lock().await;
        if self.channel().is_some() {
            return Ok(());
        }
        // Another request has dialled while this one waited.
        let shared = Some(self.lock()).filter(|state| state.dials != dials);
        if let Some(failure) = shared.and_then(|state| state.failure) {
            return Err(failure.why);
        }
        if let Some(why) = self.known_failure(node) {
            return Err(why);
        }
        let pause = self.lock().failure.map(|failure| failure.until);
        if let Some(until) = pause {
            // A start of the node that nobody here has met: it may have begun since.
            sleep_until(until.min(Instant::now() + PACE)).await;
        }
        self.lock().dials += 1;
        let dialled = dial(&self.address, self.tag, &self.introduction, self.connect_timeout).await;
        let (stream, found) = match dialled {
            Ok(dialled) => dialled,
            Err(why) => {
                let mut state = self.lock();
                let count = state.failure.map_or(0, |failure| failure.count);
                let pause = BACKOFF[BACKOFF.len().min(count as usize + 1) - 1];
                state.failure = Some(Failure { why, until: Instant::now() + pause, count: count + 1 });
                return Err(why);
            }
        };
        let channel = Arc::new(Channel::new(Side::Asker, found));
        {
            let mut state = self.lock();
            (state.channel, state.last, state.failure) = (Some(Arc::clone(&channel)), Some(found), None);
        }
        let peer = Arc::clone(self);
        self.background.tracker.spawn(async move {
            let mut pump = Pump::new(&channel, stream, peer.silence_timeout, || 0, |_, _| {});
            let ended = tokio::select! {
                ended = pump.run() => Some(ended),
                () = peer.background.stop.cancelled() => None,
            };
            drop(pump);
            if let Some(ended) = ended {
                pump::note_end(&channel, ended);
            }
            peer.lock().channel.take_if(|now| Arc::ptr_eq(now, &channel));
        });
        Ok(())
    }

    /// Returns what is known without a dial: why the node was not reached a moment ago.
    fn known_failure(&self, node: Node) -> Option<Unreached> {
        let state = self.lock();
        let failure = state.failure.filter(|failure| Instant::now() < failure.until)?;
        let is_known = failure.why != Unreached::Absent || state.last == Some(node);
        is_known.then_some(failure.why)
    }

    fn channel(&self) -> Option<Arc<Channel>> {
        self.lock().channel.clone().filter(|channel| !channel.is_over())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How soon after a failed dial the next may be, even for a request that nothing is known about.
const PACE: Duration = Duration::from_millis(100);
/// The pauses after failed dials.
const BACKOFF: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(5)];
