//! Finds the node of a session whose id does not name it, and lets one node alone begin the session of such an id.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use foldhash::quality::RandomState;
use http::{HeaderMap, StatusCode};
use moka::sync::Cache;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Hop;
use super::named::soon;
use crate::bridge::{Located, Registry, Reservation};
use crate::cluster::{Cluster, Peer, Prepared};
use crate::directory::{Directory, Id, Verdict};
use crate::reply::Reply;
use crate::route_id::RouteId;
use crate::sid::Node;
use crate::throttle::Throttle;

/// Where the sessions are that this node knows of.
pub struct Locations {
    me: Node,
    cluster: Arc<Cluster>,
    /// Where sessions were met. An entry that is wrong costs a hop.
    cache: Cache<Id, Node, RandomState>,
    undecided: Mutex<HashMap<Id, Undecided, RandomState>>,
    /// Without one, all nodes are asked.
    directory: Option<Directory>,
    /// The requests that may ask all nodes at once.
    searches: Semaphore,
    /// The log lines about more of them.
    crowded: Throttle,
}

/// Too many requests look for their sessions: nobody knows whether this one's exists.
pub(super) struct Crowded;

/// An id whose session this node begins unless another node has it, or begins it first.
#[derive(Default)]
struct Undecided {
    /// The node that begins it: it has asked, and goes first.
    yielded: Option<Node>,
}

/// Who begins a session under an id that its client made.
pub(super) enum Settled {
    /// This node does.
    Ours(Reservation),
    /// This node has another request that does.
    Taken,
    /// The session is there.
    At(Node),
    /// Nobody knows.
    Crowded,
}

impl Locations {
    /// Creates the view of the node `me`, which knows nothing yet.
    pub fn new(me: Node, cluster: Arc<Cluster>, directory: Option<Directory>) -> Self {
        let cache = Cache::builder()
            .max_capacity(REMEMBERED_MAX)
            .time_to_idle(REMEMBERED_FOR)
            .build_with_hasher(RandomState::default());
        Self {
            me,
            cluster,
            cache,
            undecided: Mutex::default(),
            directory,
            searches: Semaphore::new(SEARCHES_MAX),
            crowded: Throttle::default(),
        }
    }

    /// The other nodes.
    pub(super) const fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Returns whether a request that came by `hop` may go on to another node.
    pub(super) fn go_on(&self, hop: Hop) -> bool {
        match hop {
            Hop::Direct => true,
            Hop::Peer => !self.cluster.kin().all().is_empty(),
            Hop::Kin => false,
        }
    }

    /// Returns the node that has a session. `not` is one that was found not to have it.
    pub(super) async fn find(
        &self,
        id: Id,
        prepared: &Prepared,
        not: Option<Node>,
        hop: Hop,
    ) -> Result<Option<Node>, Crowded> {
        if hop != Hop::Direct {
            // The other node knows all nodes itself, but of this one only the process that it has connected.
            let kin = self.cluster.kin();
            let known = self.remembered(id, not).filter(|node| kin.find(*node).is_some());
            return Ok(match known {
                Some(node) => Some(node),
                None => find_at(kin.all(), prepared.search()).await,
            });
        }
        if let Some(node) = self.remembered(id, not) {
            return Ok(Some(node));
        }
        let found = match &self.directory {
            Some(directory) => directory.find(id).await,
            None => Verdict::Unsure,
        };
        match found {
            Verdict::Of(node) if node != self.me && Some(node) != not => Ok(Some(node)),
            Verdict::Nobody if not.is_none() => Ok(None),
            // The entry is wrong, so the nodes know better.
            Verdict::Of(_) | Verdict::Nobody | Verdict::Unsure => self.search(prepared).await,
        }
    }

    /// Decides who begins a session, unless it is somewhere already.
    pub(super) async fn settle(
        &self,
        registry: &Registry,
        route: &RouteId,
        name: &str,
        prepared: &Prepared,
        not: Option<Node>,
    ) -> Settled {
        let id = Id::of(route, name);
        if let Some(node) = self.remembered(id, not) {
            return Settled::At(node);
        }
        let reserve = || Deciding::begin(self, id, || registry.reserve_named(route, name));
        // The reservation is dropped first: without it, the id is undecided for nobody.
        let Some((deciding, reservation)) = soon(reserve).await else { return Settled::Taken };
        let reservation = self.hold(reservation);
        let claimed = match &self.directory {
            Some(directory) => directory.claim(id, not).await,
            None => Verdict::Unsure,
        };
        let other = match claimed {
            Verdict::Of(node) if node != self.me => Some(node),
            Verdict::Of(_) if not.is_none() => None,
            // A node that the entry named has just let the session go, perhaps to a third one.
            Verdict::Of(_) | Verdict::Nobody | Verdict::Unsure => match self.search(prepared).await {
                Ok(found) => found,
                Err(Crowded) => return Settled::Crowded,
            },
        };
        if let Some(node) = other.or_else(|| deciding.decide()) {
            drop(reservation);
            drop(deciding);
            return Settled::At(node);
        }
        Settled::Ours(reservation)
    }

    /// Enters a session into the directory that this node begins under the id of its backend.
    pub(super) async fn enter(&self, reservation: Reservation) -> Reservation {
        let Some(directory) = &self.directory else { return reservation };
        let (id, reservation) = (reservation.id(), self.hold(reservation));
        // If another node is said to have it, that will show.
        let _verdict = directory.claim(id, None).await;
        reservation
    }

    fn hold(&self, reservation: Reservation) -> Reservation {
        let Some(directory) = &self.directory else { return reservation };
        let (id, key) = (reservation.id(), reservation.directory_key());
        reservation.with_hold(directory.hold(id, key))
    }

    /// Decides, at a node that was asked for a session which it is opening, whether the session is its own. `asker` is set
    /// if that node would begin it; if both nodes would, the smaller one does.
    pub(super) fn is_ours(&self, id: Id, asker: Option<Node>) -> bool {
        match (self.undecided().get_mut(&id), asker) {
            (Some(undecided), Some(asker)) if asker < self.me => {
                undecided.yielded = Some(asker);
                false
            }
            // What cannot begin a session is for one that exists, which this node may be about to find.
            (Some(_), None) => false,
            (Some(_), Some(_)) | (None, _) => true,
        }
    }

    /// Returns whether another node may have a session whose id was found to be reserved here: this node's first receiver is
    /// still asking the others, or has learned since then which one has it.
    pub(super) fn may_be_elsewhere(&self, registry: &Registry, route: &RouteId, sid: &str) -> bool {
        self.undecided().contains_key(&Id::of(route, sid))
            || !matches!(registry.find(route, sid), Located::Opening)
    }

    /// Asks all other nodes which one has a session.
    ///
    /// Anyone can invent ids, each of which would cost every node a request. So only so many requests ask at once. The others
    /// wait for their turn, but not for long; and a "no" is not remembered, because the session may begin at any moment.
    async fn search(&self, prepared: &Prepared) -> Result<Option<Node>, Crowded> {
        let Ok(Ok(_turn)) = timeout(TURN_MAX, self.searches.acquire()).await else {
            if let Some(count) = self.crowded.count() {
                tracing::warn!(reason = "too many unknown ids at once", count, "refused");
            }
            return Err(Crowded);
        };
        Ok(find_at(self.cluster.others(), prepared.search()).await)
    }

    /// Notes which node has a session.
    pub(super) fn remember(&self, id: Id, node: Node) {
        self.cache.insert(id, node);
    }

    /// Notes that a node does not have a session.
    pub(super) fn forget(&self, id: Id) {
        self.cache.invalidate(&id);
    }

    fn remembered(&self, id: Id, not: Option<Node>) -> Option<Node> {
        self.cache.get(&id).filter(|node| not != Some(*node))
    }

    fn undecided(&self) -> MutexGuard<'_, HashMap<Id, Undecided, RandomState>> {
        self.undecided.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds an id undecided, from before its reservation can be seen until after it has gone or this node has decided for
/// itself: a request that meets the reservation learns what it is worth.
struct Deciding<'l> {
    locations: &'l Locations,
    id: Id,
}

impl<'l> Deciding<'l> {
    /// Reserves an id, if that can be.
    fn begin(
        locations: &'l Locations,
        id: Id,
        reserve: impl FnOnce() -> Option<Reservation>,
    ) -> Option<(Self, Reservation)> {
        let mut undecided = locations.undecided();
        let reservation = reserve()?;
        undecided.insert(id, Undecided::default());
        Some((Self { locations, id }, reservation))
    }

    /// Returns the node that begins the session, if it is another one; otherwise it is this node from now on, for all that
    /// ask.
    fn decide(&self) -> Option<Node> {
        let mut undecided = self.locations.undecided();
        let yielded = undecided.get(&self.id)?.yielded;
        if yielded.is_none() {
            undecided.remove(&self.id);
        }
        yielded
    }
}

impl Drop for Deciding<'_> {
    fn drop(&mut self) {
        self.locations.undecided().remove(&self.id);
    }
}

impl fmt::Debug for Locations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locations").field("me", &self.me).finish_non_exhaustive()
    }
}

/// Asks each of these nodes whether it has a session, and returns the one that has.
pub(super) async fn find_at(peers: Vec<Arc<Peer>>, search: Prepared) -> Option<Node> {
    let search = Arc::new(search);
    let mut asked = JoinSet::new();
    for peer in peers {
        let search = Arc::clone(&search);
        asked.spawn(async move { peer.consult(&search).await });
    }
    let answered = async {
        while let Some(answer) = asked.join_next().await {
            if let Ok(Some((node, status))) = answer
                && status == FOUND
            {
                return Some(node);
            }
        }
        None
    };
    timeout(SEARCH_MAX, answered).await.ok().flatten()
}

/// Returns the response of a node to a request for a session that it does not have, where its id does not name a node.
pub(super) fn elsewhere() -> Reply {
    Reply { status: ELSEWHERE, headers: HeaderMap::new(), body: Bytes::new() }
}

/// The answer to a search of a node that has the session, and of one that has not.
pub(super) const FOUND: StatusCode = StatusCode::NO_CONTENT;
pub(super) const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;
pub(super) const ELSEWHERE: StatusCode = StatusCode::MISDIRECTED_REQUEST;
/// The response if nobody knows whether a session exists.
pub(super) const CROWDED: &str = "too many requests for unknown sessions\n";
/// How many requests ask all nodes at once. If all nodes respond, a search takes a millisecond; a node that hangs delays all of
/// them until its connection is given up.
const SEARCHES_MAX: usize = 1024;
/// How long a request waits for its turn to ask them.
const TURN_MAX: Duration = Duration::from_secs(1);
/// How long nodes are asked. One that does not answer is soon not connected any more; a "no" before would end a living session,
/// or begin a second one.
const SEARCH_MAX: Duration = Duration::from_secs(10);
const REMEMBERED_MAX: u64 = 100_000;
/// Longer than any client leaves between two requests.
const REMEMBERED_FOR: Duration = Duration::from_mins(1);
