//! Which nodes there are: the list that their source publishes, and a connection for each.
//!
//! The list says which nodes to ask, never which ones live: that shows at the connection. So a node that is missing from a list, which may be
//! incomplete or late, stays for as long as it is connected, and a while longer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{join, join_all};
use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep, timeout};

use super::askers::Askers;
use super::channel::Channel;
use super::dial::{Introduction, Way};
use super::entrance::Entrance;
use super::greeting::{Greeting, Me};
use super::kin::Kin;
use super::peer::{Owner, Peer, Shared};
use super::roster::{Look, Roster};
use super::secured::Secured;
use super::settings::Settings;
use super::sight::Sight;
use crate::background::Background;
use crate::meter::{ClusterMeter, PeerState};
use crate::sid::{Node, Tag};

/// The nodes, as this one sees them.
#[derive(Debug)]
pub struct Cluster {
    advertise: String,
    roster: Roster,
    /// The processes before and after this one, if they hand over.
    kin: Kin,
    members: watch::Sender<Members>,
    shared: Arc<Shared>,
    askers: Askers,
    /// Another node with this one's name.
    twin: Mutex<Option<Twin>>,
}

/// Another node with this one's name: a fault of the configuration.
#[derive(Clone, Copy, Debug)]
struct Twin {
    /// Whether this node started after it.
    is_older: bool,
    seen: Instant,
}

/// The other nodes.
#[derive(Default, Debug)]
struct Members {
    /// When the look began whose list was applied last.
    looked: Option<Instant>,
    /// The addresses under this node's own name.
    own: Vec<String>,
    /// Under each name, usually one. Names that are made of addresses may be the same by chance.
    nodes: BTreeMap<Tag, Vec<Member>>,
}

#[derive(Debug)]
struct Member {
    peer: Arc<Peer>,
    /// When the list had it last.
    listed: Instant,
}

impl Members {
    /// Returns this start of a node; `None` if it is not known which one of its name it is.
    fn find(&self, node: Node) -> Option<Arc<Peer>> {
        let member = match self.nodes.get(&node.tag)?.as_slice() {
            [one] => one,
            several => several.iter().find(|member| member.peer.is(node))?,
        };
        Some(Arc::clone(&member.peer))
    }

    /// Returns all nodes of this name.
    fn named(&self, tag: Tag) -> Vec<Arc<Peer>> {
        self.nodes.get(&tag).into_iter().flatten().map(|member| Arc::clone(&member.peer)).collect()
    }

    fn apply(&mut self, Look { nodes, begun }: &Look, me: Tag, now: Instant, shared: &Arc<Shared>) {
        self.looked = Some(*begun);
        self.own = nodes.get(&me).cloned().unwrap_or_default();
        for (tag, addresses) in nodes.iter().filter(|(tag, addresses)| **tag != me && !addresses.is_empty()) {
            let members = self.nodes.entry(*tag).or_default();
            // One that has moved is not asked where it was.
            members.retain(|member| addresses.contains(member.peer.address()) || member.peer.is_connected());
            for address in addresses {
                if let Some(known) = members.iter_mut().find(|member| member.peer.address() == address) {
                    known.listed = now;
                } else {
                    let peer = Arc::new(Peer::new(*tag, address.clone(), Arc::clone(shared)));
                    members.push(Member { peer, listed: now });
                }
            }
        }
        self.nodes.retain(|_, members| {
            members.retain(|member| {
                let is_listed = now < member.listed + FORGOTTEN_AFTER;
                member.peer.list(is_listed);
                is_listed || member.peer.is_connected()
            });
            !members.is_empty()
        });
    }
}

impl Cluster {
    /// Creates the view of the node `me`, and begins to greet the others.
    pub fn new(
        settings: &Settings,
        me: Me,
        secured: Secured,
        roster: Roster,
        kin: Option<Kin>,
        background: &Background,
        meter: ClusterMeter,
    ) -> Arc<Self> {
        let (token, within) = (settings.token.clone(), settings.connect_timeout);
        let way = Introduction { me: me.clone(), token, secured, within };
        Self::by(Box::new(way), settings, me, roster, kin, background, meter)
    }

    /// Creates the same, if nodes are connected in this way.
    pub fn by(
        way: Box<dyn Way>,
        settings: &Settings,
        me: Me,
        mut roster: Roster,
        kin: Option<Kin>,
        background: &Background,
        meter: ClusterMeter,
    ) -> Arc<Self> {
        let shared = Arc::new(Shared {
            me,
            way,
            connect_timeout: settings.connect_timeout,
            silence_timeout: settings.silence_timeout,
            background: background.clone(),
            meter,
        });
        let look = roster.look();
        let cluster = Arc::new(Self {
            advertise: settings.advertise.clone(),
            roster,
            kin: kin.unwrap_or_default(),
            members: watch::Sender::default(),
            shared,
            askers: Askers::default(),
            twin: Mutex::default(),
        });
        if let Some(look) = look {
            cluster.apply(&look);
        }
        let stop = &background.stop;
        let mut work = vec![("greeting nodes", Arc::clone(&cluster).greet_all().boxed())];
        if !cluster.roster.is_fixed() {
            work.push(("the list of nodes", Arc::clone(&cluster).follow().boxed()));
        }
        for (what, work) in work {
            let stop = stop.clone();
            background.spawn_vital(what, async move {
                let _stopped = stop.run_until_cancelled(work).await;
            });
        }
        cluster
    }

    /// Returns this node.
    pub fn me(&self) -> &Me {
        &self.shared.me
    }

    /// Returns the meter of what passes between nodes.
    pub fn meter(&self) -> &ClusterMeter {
        &self.shared.meter
    }

    /// Returns the end of a connection on which that node asks this one.
    pub fn entrance(&self, node: Node) -> Entrance {
        let entrance = Entrance::new(node, self.meter().traffic());
        self.askers.add(&entrance.channel);
        entrance
    }

    /// Waits until each node that asks this one has said that it is there, or is taken for silent. Returns whether none is silent.
    pub async fn askers_are_there(&self) -> bool {
        self.askers.are_there().await
    }

    /// Returns whether it is known which nodes there are.
    pub fn is_known(&self) -> bool {
        self.members.borrow().looked.is_some()
    }

    /// Returns whether another node has this one's name, and whether it started before this one.
    pub fn twin(&self) -> Option<bool> {
        let twin = *self.twin.lock().unwrap_or_else(PoisonError::into_inner);
        twin.filter(|twin| twin.seen.elapsed() < TWIN_LASTS).map(|twin| twin.is_older)
    }

    /// Returns all nodes, this one first. `sessions` are those of this node.
    pub fn sights(&self, sessions: usize) -> Vec<Sight> {
        let me = self.me();
        let own = Sight {
            node: me.node.tag,
            address: self.advertise.clone(),
            is_self: true,
            state: PeerState::Up,
            lasts: me.age(),
            failure: None,
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            age: Some(me.age()),
            routes_differ: false,
            sessions: u32::try_from(sessions).ok(),
            asked: 0,
            answered: 0,
            round_trip: None,
        };
        std::iter::once(own).chain(self.peers().iter().map(|peer| peer.sight())).collect()
    }

    /// Returns the node that greets this one, if it is on a list.
    pub fn greeted(&self, greeting: Greeting) -> Option<Arc<Peer>> {
        let peer = {
            let members = self.members.borrow();
            // Of several with its name, it is one that was not met, or a new start of one.
            let other = || members.named(greeting.node.tag).into_iter().find(|peer| !peer.is_connected());
            members.find(greeting.node).or_else(other)?
        };
        peer.met(greeting);
        Some(peer)
    }

    /// Notes another node with this one's name. It may as well be this node itself.
    pub fn greeted_by_twin(&self, greeting: &Greeting) {
        let me = self.me();
        if greeting.node.tag != me.node.tag
            || greeting.node == me.node
            || self.kin.find(greeting.node).is_some()
        {
            return;
        }
        let is_older = me.is_later_than(greeting);
        let twin = Twin { is_older, seen: Instant::now() };
        let before = self.twin.lock().unwrap_or_else(PoisonError::into_inner).replace(twin);
        if before.is_none_or(|before| before.seen.elapsed() >= TWIN_LASTS) {
            tracing::error!(node = %me.node.tag, is_older, "another node has this node's name: give each its own");
        }
    }

    /// Returns the node that an id names, if it is another one that may exist.
    pub fn owner_of(&self, node: Node) -> Option<Owner> {
        let (peer, is_listed) = {
            let members = self.members.borrow();
            (members.find(node), members.nodes.contains_key(&node.tag))
        };
        // First: a process of this host is looked for in a folder.
        if peer.is_some() {
            return Some(Owner { node, peer });
        }
        let may_exist = || is_listed || !self.roster.is_fixed() && node.tag != self.me().node.tag;
        self.kin.owner_of(node).or_else(|| may_exist().then_some(Owner { node, peer: None }))
    }

    /// Returns the processes before and after this one.
    pub const fn kin(&self) -> &Kin {
        &self.kin
    }

    /// Returns a node that is on no list, once a fresh look has found it, or that is one of several with its name.
    pub async fn look_for(&self, node: Node) -> Option<Arc<Peer>> {
        let mut members = self.members.subscribe();
        let asked = Instant::now();
        if !self.roster.is_fixed() && !members.borrow().nodes.contains_key(&node.tag) {
            self.roster.look_again();
            // A look that had begun before may have missed a node that has just joined.
            let has_looked = |members: &Members| {
                members.nodes.contains_key(&node.tag) || members.looked.is_some_and(|begun| begun >= asked)
            };
            let _in_time = timeout(LOOK_MAX, members.wait_for(has_looked)).await;
        }
        let peers = self.members.borrow().named(node.tag);
        if peers.len() > 1 && !peers.iter().any(|peer| peer.is(node)) {
            // Which one is which shows at their connections.
            join_all(peers.iter().map(|peer| peer.connect(None))).await;
        }
        peers.iter().find(|peer| peer.is(node)).or_else(|| peers.first()).cloned()
    }

    /// Returns all other nodes that are known, and the processes before and after this one.
    pub fn others(&self) -> Vec<Arc<Peer>> {
        self.peers().into_iter().chain(self.kin.all()).collect()
    }

    /// Returns the node of a session that is said to be there.
    pub fn owner(&self, node: Node) -> Owner {
        Owner { node, peer: self.kin.find(node).or_else(|| self.members.borrow().find(node)) }
    }

    /// Returns the connections to the other nodes and processes.
    pub(super) fn channels(&self) -> Vec<Arc<Channel>> {
        self.others().iter().filter_map(|peer| peer.channel()).collect()
    }

    /// Returns how many requests the tables of its connections have, and how many those of the nodes on the other side had when
    /// they were asked last.
    #[cfg(test)]
    pub(crate) fn tables(&self) -> (usize, u32) {
        let channels = self.channels();
        let theirs = channels.iter().filter_map(|channel| channel.told().load);
        (channels.iter().map(|channel| channel.len()).sum(), theirs.map(|load| load.asked).sum())
    }

    fn peers(&self) -> Vec<Arc<Peer>> {
        self.members.borrow().nodes.values().flatten().map(|member| Arc::clone(&member.peer)).collect()
    }

    /// Connects each node that is not connected, so that both know what the other tells, and whether it lives. Looks behind
    /// this node's own name as well: somebody else may have it.
    async fn greet_all(self: Arc<Self>) {
        loop {
            let silent: Vec<_> = self.peers().into_iter().filter(|peer| peer.wants_greeting()).collect();
            let own = self.members.borrow().own.clone();
            let look = async |address: &String| {
                if let Some(greeting) = self.shared.way.greet(address).await {
                    self.greeted_by_twin(&greeting);
                }
            };
            join(join_all(silent.iter().map(Peer::greet)), join_all(own.iter().map(look))).await;
            sleep(GREET_EVERY).await;
        }
    }

    /// Applies each list that is published.
    async fn follow(self: Arc<Self>) {
        let mut roster = self.roster.clone();
        while roster.looked().await {
            if let Some(look) = roster.look() {
                self.apply(&look);
            }
        }
    }

    fn apply(&self, look: &Look) {
        let (now, me) = (Instant::now(), self.me().node.tag);
        self.members.send_modify(|members| members.apply(look, me, now, &self.shared));
    }
}

/// How often nodes are greeted that are not connected.
const GREET_EVERY: Duration = Duration::from_secs(5);
/// How long another node with this one's name is remembered.
const TWIN_LASTS: Duration = Duration::from_secs(15);
/// How long a request waits for a fresh look at the list.
const LOOK_MAX: Duration = Duration::from_secs(2);
/// How long a node that is on no list any more is still asked. Its sessions may outlive its place there.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests;
