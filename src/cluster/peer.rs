//! The connection to another node: dialled at the first need, and shared by all requests.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::StatusCode;
use tokio::time::{Duration, Instant, sleep_until};

use super::channel::{Channel, Told};
use super::dial::{Unreached, Way};
use super::greeting::{Greeting, Me};
use super::pump::{self, Ended, Pump};
use super::question::{Prepared, Question};
use super::sight::Sight;
use crate::background::Background;
use crate::duplex::Duplex;
use crate::meter::{ClusterMeter, PeerState};
use crate::sid::{Node, Tag};
use crate::throttle::Throttle;

/// Another node.
#[derive(Debug)]
pub struct Peer {
    tag: Tag,
    address: String,
    shared: Arc<Shared>,
    state: Mutex<State>,
    /// Held by the one request that dials for all.
    dialling: tokio::sync::Mutex<()>,
    /// The log lines of a node that refuses this one.
    refused: Throttle,
    /// Whether the list of nodes has it, or had it lately.
    is_listed: AtomicBool,
    /// The requests that it was asked, and those that it asked here.
    asked: AtomicU64,
    answered: AtomicU64,
}

/// The node that an id names.
#[derive(Debug)]
pub struct Owner {
    /// Which start of which node.
    pub node: Node,
    /// `None` if the node is on no list yet, or is one of several with its name.
    pub peer: Option<Arc<Peer>>,
}

/// What the connections to all nodes have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) me: Me,
    pub(super) way: Box<dyn Way>,
    pub(super) connect_timeout: Duration,
    pub(super) silence_timeout: Duration,
    pub(super) background: Background,
    pub(super) meter: ClusterMeter,
}

#[derive(Debug)]
struct State {
    channel: Option<Arc<Channel>>,
    /// The start of the node that was connected last.
    last: Option<Node>,
    failure: Option<Failure>,
    /// How often the node was dialled.
    dials: u64,
    /// What it told of itself, and when.
    met: Option<(Greeting, Instant)>,
    standing: PeerState,
    /// Since when it is in that state.
    since: Instant,
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
        shared.meter.peer_moved(None, Some(PeerState::Idle));
        let state = State {
            channel: None,
            last: None,
            failure: None,
            dials: 0,
            met: None,
            standing: PeerState::Idle,
            since: Instant::now(),
        };
        Self {
            tag,
            address,
            shared,
            state: Mutex::new(state),
            dialling: tokio::sync::Mutex::default(),
            refused: Throttle::default(),
            is_listed: AtomicBool::new(true),
            asked: AtomicU64::new(0),
            answered: AtomicU64::new(0),
        }
    }

    /// Returns what an operator may see of it.
    pub(super) fn sight(&self) -> Sight {
        let mut state = self.lock();
        let told = self.told(&mut state);
        let met = state.met.as_ref();
        Sight {
            node: self.tag,
            address: self.address.clone(),
            is_self: false,
            state: state.standing,
            lasts: state.since.elapsed(),
            failure: state.failure.map(|failure| failure.why),
            version: met.map(|(greeting, _)| greeting.version.clone()),
            age: met.map(|(greeting, at)| greeting.age + at.elapsed()),
            routes_differ: met.is_some_and(|(greeting, _)| self.shared.me.differs_from(greeting)),
            sessions: told.load.map(|load| load.sessions),
            asked: self.asked.load(Ordering::Relaxed),
            answered: self.answered.load(Ordering::Relaxed),
            round_trip: told.round_trip,
        }
    }

    /// Returns whether it should be connected, and is not: its state shows at its connection alone.
    pub(super) fn wants_greeting(&self) -> bool {
        self.told(&mut self.lock());
        self.is_listed.load(Ordering::Relaxed) && !self.is_connected()
    }

    /// Returns what it has told, and notes whether it leaves.
    fn told(&self, state: &mut State) -> Told {
        let told = state.channel.as_ref().map(|channel| channel.told()).unwrap_or_default();
        if told.is_leaving {
            self.stand(state, PeerState::Leaving);
        }
        told
    }

    /// Notes whether the list of nodes has it.
    pub(super) fn list(&self, is_listed: bool) {
        self.is_listed.store(is_listed, Ordering::Relaxed);
    }

    /// Notes what the node tells of itself. It lives, whatever was known before.
    pub fn met(&self, greeting: Greeting) {
        let mut state = self.lock();
        state.failure = None;
        if state.standing == PeerState::Down {
            self.stand(&mut state, PeerState::Idle);
        }
        self.keep(&mut state, greeting);
    }

    /// Counts a request of the node for a session of this one.
    pub fn count_answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    fn keep(&self, state: &mut State, greeting: Greeting) {
        let me = &self.shared.me;
        let differed = state.met.as_ref().is_some_and(|(greeting, _)| me.differs_from(greeting));
        let differs = me.differs_from(&greeting);
        if differed != differs {
            self.shared.meter.config_differs(differs);
        }
        let is_new = state.met.as_ref().is_none_or(|(before, _)| before.node != greeting.node);
        if differs && is_new {
            tracing::warn!(node = %self.tag, "a node has other routes with sessions than this one: give all nodes the same");
        }
        state.met = Some((greeting, Instant::now()));
    }

    fn stand(&self, state: &mut State, standing: PeerState) {
        if state.standing != standing {
            self.shared.meter.peer_moved(Some(state.standing), Some(standing));
            (state.standing, state.since) = (standing, Instant::now());
        }
    }

    pub(super) fn address(&self) -> &String {
        &self.address
    }

    /// Returns whether it is this start of a node, as far as is known.
    pub(super) fn is(&self, node: Node) -> bool {
        self.lock().met.as_ref().is_some_and(|(greeting, _)| greeting.node == node)
    }

    pub(super) fn is_connected(&self) -> bool {
        self.channel().is_some()
    }

    /// Passes a request on at once, if the node is connected. `whole` is its body, if all of it is there.
    ///
    /// # Errors
    /// Why the node cannot be asked; with `None` it is not connected.
    pub fn ask(
        &self,
        node: Node,
        prepared: &Prepared,
        whole: Option<&Bytes>,
    ) -> Result<Question, Option<Unreached>> {
        // Another start of the node knows best whether it has taken over from the one that the id names.
        let channel = self.lock().channel.clone();
        let asked = channel.and_then(|channel| Question::ask(&channel, prepared, whole));
        let question = asked.ok_or_else(|| self.known_failure(Some(node)))?;
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(question)
    }

    /// Asks the node something that the status of its response answers, and returns which start of it has answered. `None` if
    /// it cannot be asked now.
    pub async fn consult(self: &Arc<Self>, prepared: &Prepared) -> Option<(Node, StatusCode)> {
        if self.channel().is_none() {
            self.connect(None).await.ok()?;
        }
        let channel = self.channel()?;
        let mut question = Question::ask(&channel, prepared, None)?;
        let head = poll_fn(|cx| question.poll_head(cx)).await.ok()?;
        Some((channel.node, head.status))
    }

    /// Connects the node, unless it is connected: this start of it, or any.
    ///
    /// # Errors
    /// It cannot be reached, or is not this start of the node any more.
    pub async fn connect(self: &Arc<Self>, node: Option<Node>) -> Result<(), Unreached> {
        if self.is_silent() {
            return Err(Unreached::Silent);
        }
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
        self.dial().await
    }

    /// Returns whether the node did not respond to the last dial. The next dial, once it is due, takes the whole timeout if
    /// the node still does not respond, so no request waits for it.
    fn is_silent(self: &Arc<Self>) -> bool {
        let mut state = self.lock();
        let Some(failure) = state.failure.as_mut().filter(|failure| failure.why == Unreached::Silent) else {
            return false;
        };
        let now = Instant::now();
        if now >= failure.until {
            failure.until = now + self.shared.connect_timeout;
            let (peer, background) = (Arc::clone(self), &self.shared.background);
            let stop = background.stop.clone();
            background.tracker.spawn(async move {
                let _stopped = stop.run_until_cancelled(peer.greet()).await;
            });
        }
        true
    }

    /// Connects the node if it is not connected, to learn about it.
    pub(super) fn greet(self: &Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let peer = Arc::clone(self);
        Box::pin(async move {
            let _dialling = peer.dialling.lock().await;
            if peer.channel().is_none() {
                // What failed is noted.
                let _noted = peer.dial().await;
            }
        })
    }

    /// Asks the node how many sessions it has, if it is connected. Its answer is seen later.
    pub(super) fn ask_load(&self) {
        self.channel().into_iter().for_each(|channel| channel.ping(Instant::now()));
    }

    async fn dial(self: &Arc<Self>) -> Result<(), Unreached> {
        self.lock().dials += 1;
        let dialled = self.shared.way.dial(&self.address, self.tag, &self.refused).await;
        let (stream, greeting) = match dialled {
            Ok(dialled) => dialled,
            Err(why) => {
                self.fail(why);
                return Err(why);
            }
        };
        let node = greeting.node;
        let traffic = self.shared.meter.traffic();
        let channel = Arc::new(Channel::to_owner(node, traffic, greeting.takes_read));
        // How many sessions it has is known from the start.
        channel.ping(Instant::now());
        {
            let mut state = self.lock();
            (state.channel, state.last, state.failure) = (Some(Arc::clone(&channel)), Some(node), None);
            self.stand(&mut state, PeerState::Up);
            self.keep(&mut state, greeting);
        }
        self.shared.background.tracker.spawn(Arc::clone(self).run(channel, stream));
        Ok(())
    }

    /// Notes that the node cannot be reached now.
    fn fail(&self, why: Unreached) {
        let mut state = self.lock();
        let count = state.failure.map_or(0, |failure| failure.count);
        let pause = BACKOFF[BACKOFF.len().min(count as usize + 1) - 1];
        state.failure = Some(Failure { why, until: Instant::now() + pause, count: count + 1 });
        self.stand(&mut state, PeerState::Down);
    }

    /// Runs a connection until it ends. If it was not this node that closed it, the other one is dialled once more, to learn
    /// whether it lives.
    async fn run(self: Arc<Self>, channel: Arc<Channel>, stream: Duplex) {
        let stop = &self.shared.background.stop;
        let mut pump = Pump::new(&channel, stream, self.shared.silence_timeout, || 0, |_, _| {});
        let ended = loop {
            match stop.run_until_cancelled(pump.run()).await {
                // Who is on the list stays connected, so that its end shows whether or not somebody needs it.
                Some(Ended::Idle) if self.is_listed.load(Ordering::Relaxed) => pump.stay(),
                ended => break ended,
            }
        };
        match ended {
            // Before the requests learn that the connection is over: they do not wait for the next dial.
            Some(Ended::Silent) => self.fail(Unreached::Silent),
            // What its clients have taken would count as lost with them.
            None => pump.write_rest().await,
            Some(Ended::Closed | Ended::Idle | Ended::Violated(_)) => {}
        }
        drop(pump);
        let Some(ended) = ended else { return };
        pump::note_end(&channel, ended);
        let is_planned = ended == Ended::Idle;
        {
            let mut state = self.lock();
            if state.channel.take_if(|now| Arc::ptr_eq(now, &channel)).is_some() {
                self.stand(&mut state, if is_planned { PeerState::Idle } else { PeerState::Down });
            }
        }
        if !is_planned {
            let _stopped = stop.run_until_cancelled(self.greet()).await;
        }
    }

    /// Returns what is known without a dial: why the node was not reached a moment ago.
    fn known_failure(&self, node: Option<Node>) -> Option<Unreached> {
        let state = self.lock();
        let failure = state.failure.filter(|failure| Instant::now() < failure.until)?;
        // A start of the node that has connected this one counts, too.
        let met = state.met.as_ref().map(|(greeting, _)| greeting.node);
        let is_known =
            failure.why != Unreached::Absent || node.is_none() || [state.last, met].contains(&node);
        is_known.then_some(failure.why)
    }

    pub(super) fn channel(&self) -> Option<Arc<Channel>> {
        self.lock().channel.clone().filter(|channel| !channel.is_over())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.shared.meter.peer_moved(Some(state.standing), None);
        if state.met.as_ref().is_some_and(|(greeting, _)| self.shared.me.differs_from(greeting)) {
            self.shared.meter.config_differs(false);
        }
    }
}

/// How soon after a failed dial the next may be, even for a request that nothing is known about.
const PACE: Duration = Duration::from_millis(100);
/// The pauses after failed dials.
const BACKOFF: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(5)];
