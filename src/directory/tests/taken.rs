//! Sessions whose ids other nodes take over, while their own is cut off.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use tokio::runtime;
use tokio::time::{Duration, sleep};

use super::memory::Memory;
use super::{TTL, grow_up, keep, key, node};
use crate::directory::{Directory, Hold, Id, Key, Loss, Sessions, Verdict};

const NODES: [&str; 3] = ["a", "b", "c"];
const IDS: [&str; 2] = ["one", "two"];

/// The sessions of one node. Dropped, a hold is released.
#[derive(Clone, Default)]
struct Live(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    holds: HashMap<String, Hold>,
    given_way: Vec<String>,
}

impl Sessions for Live {
    fn is_known(&self, key: &Key) -> bool {
        self.has(&key.sid)
    }

    fn give_way(&self, key: &Key, _: Loss) {
        let mut state = self.0.lock().unwrap();
        if let Some(hold) = state.holds.remove(&key.sid) {
            state.given_way.push(key.sid.clone());
            drop(state);
            drop(hold);
        }
    }
}

impl Live {
    fn has(&self, sid: &str) -> bool {
        self.0.lock().unwrap().holds.contains_key(sid)
    }

    fn insert(&self, sid: &str, hold: Hold) {
        self.0.lock().unwrap().holds.insert(sid.to_owned(), hold);
    }

    fn end(&self, sid: &str) {
        let hold = self.0.lock().unwrap().holds.remove(sid);
        drop(hold);
    }

    fn given_way(&self) -> Vec<String> {
        self.0.lock().unwrap().given_way.clone()
    }
}

/// Three nodes and their engine.
struct World {
    engine: Memory,
    nodes: Vec<(Directory, Live)>,
    cut: HashSet<usize>,
}

impl World {
    fn new() -> Self {
        let engine = Memory::default();
        let nodes = NODES.map(|name| {
            let live = Live::default();
            (keep(&engine, node(name), live.clone()), live)
        });
        Self { engine, nodes: nodes.into(), cut: HashSet::new() }
    }

    fn cut(&mut self, at: usize, is_cut: bool) {
        self.engine.set_cut(node(NODES[at]), is_cut);
        if is_cut {
            self.cut.insert(at);
        } else {
            self.cut.remove(&at);
        }
    }

    /// Returns the node that has a session, as node `at` finds it: nodes that are cut off reach nobody.
    fn find(&self, at: usize, sid: &str) -> Option<usize> {
        let is_reached = |other: usize| other == at || !self.cut.contains(&at) && !self.cut.contains(&other);
        (0..NODES.len()).find(|&other| is_reached(other) && self.nodes[other].1.has(sid))
    }

    /// Has a node asked for a session, which it begins unless it finds one, as `Locations::settle` does.
    async fn request(&self, at: usize, sid: &str) {
        let (directory, live) = &self.nodes[at];
        if live.has(sid) {
            return;
        }
        let (id, key): (Id, Key) = key(sid);
        let mut not = None;
        for _ in 0..3 {
            let hold = directory.hold(id, key.clone());
            let begins = match directory.claim(id, not).await {
                Verdict::Of(other) if other == node(NODES[at]) && not.is_none() => true,
                Verdict::Of(other) if other != node(NODES[at]) => {
                    let index = NODES.iter().position(|name| node(name) == other).unwrap();
                    if self.cut.contains(&index) || self.cut.contains(&at) {
                        // It cannot be reached: the client is told so.
                        return;
                    }
                    if self.nodes[index].1.has(sid) {
                        return;
                    }
                    not = Some(other);
                    continue;
                }
                Verdict::Of(_) | Verdict::Nobody | Verdict::Unsure => self.find(at, sid).is_none(),
            };
            if begins {
                live.insert(sid, hold);
            }
            return;
        }
    }

    fn owners(&self, sid: &str) -> Vec<&str> {
        (0..NODES.len()).filter(|&at| self.nodes[at].1.has(sid)).map(|at| NODES[at]).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_where_it_was_once_another_node_has_its_id() {
    let mut world = World::new();
    grow_up().await;
    world.request(0, "one").await;
    world.cut(0, true);
    sleep(Duration::from_mins(1)).await;
    world.request(1, "one").await;
    assert_eq!(world.owners("one"), ["a"], "its entry is there");
    world.engine.expire(key("one").0);
    world.request(1, "one").await;
    assert_eq!(world.owners("one"), ["a", "b"]);
    sleep(Duration::from_mins(1)).await;
    assert_eq!(world.owners("one"), ["a", "b"], "nothing is known of it there");
    world.cut(0, false);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(world.owners("one"), ["b"]);
    assert_eq!((world.nodes[0].1.given_way().len(), world.nodes[1].1.given_way().len()), (1, 0));
    world.request(2, "one").await;
    assert_eq!(world.nodes[2].0.find(key("one").0).await, Verdict::Of(node("b")));
}

#[tokio::test(start_paused = true)]
async fn a_session_lives_on_if_the_node_that_took_it_over_has_died() {
    let mut world = World::new();
    grow_up().await;
    world.request(0, "one").await;
    world.cut(0, true);
    world.engine.expire(key("one").0);
    world.request(1, "one").await;
    world.cut(1, true);
    sleep(Duration::from_mins(1)).await;
    world.cut(0, false);
    sleep(TTL / 2).await;
    assert_eq!(world.nodes[2].0.find(key("one").0).await, Verdict::Of(node("b")), "as it has left it");
    assert_eq!(world.nodes[0].1.given_way(), [""; 0]);
    sleep(TTL).await;
    assert_eq!(world.nodes[2].0.find(key("one").0).await, Verdict::Of(node("a")));
    assert!(world.nodes[0].1.has("one"));
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Request(usize, usize),
    End(usize, usize),
    Cut(usize, bool),
    Expire(usize),
    Empty,
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..3usize, 0..2usize).prop_map(|(at, id)| Op::Request(at, id)),
        1 => (0..3usize, 0..2usize).prop_map(|(at, id)| Op::End(at, id)),
        3 => (0..3usize, any::<bool>()).prop_map(|(at, is_cut)| Op::Cut(at, is_cut)),
        2 => (0..2usize).prop_map(Op::Expire),
        1 => Just(Op::Empty),
        6 => (1..40u64).prop_map(Op::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is cut off, emptied and begun meanwhile: once all nodes are there again, each id has one session at most, and
    /// none has ended for another node unless there was one.
    #[test]
    fn of_two_sessions_with_one_id_one_is_left(ops in proptest::collection::vec(op(), 1..60)) {
        let runtime = runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            // How often each id was begun.
            let mut begun = [0; 2];
            grow_up().await;
            for op in ops {
                match op {
                    Op::Request(at, id) => {
                        let before = world.owners(IDS[id]).len();
                        world.request(at, IDS[id]).await;
                        begun[id] += world.owners(IDS[id]).len() - before;
                    }
                    Op::End(at, id) => world.nodes[at].1.end(IDS[id]),
                    Op::Cut(at, is_cut) => world.cut(at, is_cut),
                    Op::Expire(id) => world.engine.expire(key(IDS[id]).0),
                    Op::Empty => world.engine.empty(),
                    Op::Wait(seconds) => sleep(Duration::from_secs(seconds)).await,
                }
            }
            (0..NODES.len()).for_each(|at| world.cut(at, false));
            sleep(TTL + Duration::from_mins(1)).await;
            for (id, sid) in IDS.into_iter().enumerate() {
                let given_way: usize = world
                    .nodes
                    .iter()
                    .map(|(_, live)| live.given_way().iter().filter(|one| *one == sid).count())
                    .sum();
                let owners = world.owners(sid);
                prop_assert!(owners.len() <= 1, "{} is at {:?}", sid, owners);
                prop_assert!(given_way == 0 || given_way < begun[id], "{} has ended for nobody", sid);
            }
            Ok(())
        })?;
    }
}
