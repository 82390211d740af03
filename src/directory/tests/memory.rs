//! An engine in memory.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::time::{Duration, Instant};

use super::super::engine::{Answer, Answering, Connection, Contents, Down, Engine, Member, Verdict};
use super::super::id::Id;
use super::TTL;
use crate::sid::Node;

/// Who has which id until when. Pure: time is passed in.
#[derive(Default, Debug)]
pub(super) struct Leases(HashMap<Id, (Node, Duration)>);

impl Leases {
    pub(super) fn claim(
        &mut self,
        id: Id,
        me: Node,
        instead_of: Option<Node>,
        now: Duration,
        ttl: Duration,
    ) -> Node {
        match self.find(id, now) {
            Some(owner) if owner != me && Some(owner) != instead_of => owner,
            Some(_) | None => {
                self.0.insert(id, (me, now + ttl));
                me
            }
        }
    }

    pub(super) fn find(&self, id: Id, now: Duration) -> Option<Node> {
        self.0.get(&id).filter(|(_, until)| now < *until).map(|(node, _)| *node)
    }

    fn expire(&mut self, id: Id) {
        self.0.remove(&id);
    }

    pub(super) fn release(&mut self, id: Id, me: Node, now: Duration) {
        if self.find(id, now) == Some(me) {
            self.0.remove(&id);
        }
    }
}

/// The engine, as one node speaks to it.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    me: Option<Node>,
    server: Arc<Mutex<Server>>,
}

#[derive(Debug)]
struct Server {
    began: Instant,
    leases: Leases,
    members: HashMap<Node, Instant>,
    contents: u32,
    is_born: bool,
    is_down: bool,
    /// The nodes that do not reach it.
    cut: HashSet<Node>,
}

impl Default for Memory {
    fn default() -> Self {
        let server = Server {
            began: Instant::now(),
            leases: Leases::default(),
            members: HashMap::new(),
            contents: 0,
            is_born: false,
            is_down: false,
            cut: HashSet::new(),
        };
        Self { me: None, server: Arc::new(Mutex::new(server)) }
    }
}

impl Memory {
    pub(super) fn of(&self, me: Node) -> Self {
        Self { me: Some(me), server: Arc::clone(&self.server) }
    }

    pub(super) fn empty(&self) {
        let mut server = self.lock();
        (server.leases, server.members, server.is_born) = (Leases::default(), HashMap::new(), false);
        server.contents += 1;
    }

    pub(super) fn set_down(&self, is_down: bool) {
        self.lock().is_down = is_down;
    }

    /// Cuts a node off, or connects it again.
    pub(super) fn set_cut(&self, node: Node, is_cut: bool) {
        let mut server = self.lock();
        if is_cut {
            server.cut.insert(node);
        } else {
            server.cut.remove(&node);
        }
    }

    /// Lets the entry of an id expire.
    pub(super) fn expire(&self, id: Id) {
        self.lock().leases.expire(id);
    }

    fn lock(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap()
    }

    fn ask<T>(&self, ask: impl FnOnce(&mut Server, Node, Duration) -> T) -> Result<Answer<T>, Down> {
        let mut server = self.lock();
        if server.is_down || self.me.is_some_and(|me| server.cut.contains(&me)) {
            return Err(Down("it is down".to_owned()));
        }
        let now = server.began.elapsed();
        let value = ask(&mut server, self.me.unwrap(), now);
        let contents = if server.is_born { server.contents.to_string() } else { String::new() };
        Ok(Answer { value, contents: Contents(contents) })
    }
}

impl Server {
    fn members(&mut self) -> Vec<Member> {
        self.members.retain(|_, met| met.elapsed() < Duration::from_secs(6));
        let member = |node: &Node| Member { node: *node, address: node.to_string() };
        self.members.keys().map(member).collect()
    }
}

impl Engine for Memory {
    fn connect(&self) -> Answering<'_, Arc<dyn Connection>> {
        Box::pin(async {
            self.ask(|_, _, _| Arc::new(self.clone()) as Arc<dyn Connection>).map(|answer| answer.value)
        })
    }

    fn look(&self) -> Answering<'_, Vec<Member>> {
        Box::pin(async { self.ask(|server, _, _| server.members()).map(|answer| answer.value) })
    }

    fn address(&self) -> &'static str {
        "memory"
    }
}

impl Connection for Memory {
    fn claim<'c>(&'c self, ids: &'c [Id], instead_of: Option<Node>) -> Answering<'c, Answer<Vec<Verdict>>> {
        Box::pin(async move {
            self.ask(|server, me, now| {
                let claim = |id: &Id| server.leases.claim(*id, me, instead_of, now, TTL);
                ids.iter().map(claim).map(Verdict::Of).collect()
            })
        })
    }

    fn find(&self, id: Id) -> Answering<'_, Answer<Verdict>> {
        Box::pin(async move {
            self.ask(|server, _, now| server.leases.find(id, now).map_or(Verdict::Nobody, Verdict::Of))
        })
    }

    fn release<'c>(&'c self, ids: &'c [Id]) -> Answering<'c, ()> {
        Box::pin(async move {
            let release = |server: &mut Server, me, now| {
                for id in ids {
                    server.leases.release(*id, me, now);
                }
            };
            self.ask(release).map(|answer| answer.value)
        })
    }

    fn meet(&self) -> Answering<'_, Answer<Vec<Member>>> {
        Box::pin(async move {
            self.ask(|server, me, _| {
                server.is_born = true;
                server.members.insert(me, Instant::now());
                server.members()
            })
        })
    }

    fn leave(&self) -> Answering<'_, ()> {
        Box::pin(async move { self.ask(|server, me, _| server.members.remove(&me)).map(|_| ()) })
    }
}
