//! The connection to another node: dialled at the first need, and shared by all requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::{Duration, Instant, sleep_until};

use super::channel::{Channel, Side};
use super::dial::{Introduction, Unreached, dial};
use super::pump::{self, Pump};
use super::question::{Prepared, Question};
use crate::background::Background;
use crate::sid::{Node, Tag};

/// Another node.
#[derive(Debug)]
pub struct Peer {
    tag: Tag,
    address: String,
    shared: Arc<Shared>,
    state: Mutex<State>,
    /// Held by the one request that dials for all.
    dialling: tokio::sync::Mutex<()>,
}

/// What the connections to all nodes have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) introduction: Introduction,
    pub(super) connect_timeout: Duration,
    pub(super) silence_timeout: Duration,
    pub(super) background: Background,
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

impl Peer {
    pub(super) fn new(tag: Tag, address: String, shared: Arc<Shared>) -> Self {
        Self { tag, address, shared, state: Mutex::default(), dialling: tokio::sync::Mutex::default() }
    }

    pub(super) fn address(&self) -> &String {
        &self.address
    }

    pub(super) fn is_connected(&self) -> bool {
        self.channel().is_some()
    }

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
        let dialled =
            dial(&self.address, self.tag, &self.shared.introduction, self.shared.connect_timeout).await;
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
        self.shared.background.tracker.spawn(async move {
            let mut pump = Pump::new(&channel, stream, peer.shared.silence_timeout, || 0, |_, _| {});
            let ended = tokio::select! {
                ended = pump.run() => Some(ended),
                () = peer.shared.background.stop.cancelled() => None,
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
