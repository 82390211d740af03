//! The directory over an engine in memory, which is emptied, taken down and asked by several nodes.

mod memory;
mod taken;

use proptest::prelude::*;
use tokio::time::{Duration, advance, sleep};
use tokio_util::sync::CancellationToken;

use self::memory::{Leases, Memory};
use super::engine::Engine as _;
use super::*;
use crate::meter::DirectoryMeter;
use crate::route_id::RouteId;
use crate::sid::{Node, Tag};

const TTL: Duration = Duration::from_mins(10);

fn node(name: &str) -> Node {
    Node::from_random(Tag::of_name(name).unwrap(), [0; 2])
}

fn key(sid: &str) -> (Id, Key) {
    let key = Key { route: RouteId::new(None, "/"), sid: sid.to_owned() };
    (Id::of(&key.route, sid), key)
}

/// Knows sessions whose ids begin with `known`.
struct Known;

impl Sessions for Known {
    fn is_known(&self, key: &Key) -> bool {
        key.sid.starts_with("known")
    }

    fn give_way(&self, key: &Key, _: Loss) {
        panic!("{key:?} is no other node's");
    }
}

/// Returns the view of a node, which is kept until the test ends.
fn directory(engine: &Memory, name: &str) -> Directory {
    keep(engine, node(name), Known)
}

fn keep(engine: &Memory, me: Node, sessions: impl Sessions + 'static) -> Directory {
    let directory = Directory::new(me, TTL, Box::new(engine.of(me)), DirectoryMeter::default());
    #[expect(clippy::disallowed_methods, reason = "the test's runtime ends it")]
    tokio::spawn(directory.clone().run(sessions, CancellationToken::new()));
    directory
}

/// Lets contents become old enough to be believed.
async fn grow_up() {
    sleep(Duration::from_secs(13)).await;
}

#[tokio::test(start_paused = true)]
async fn of_two_nodes_that_claim_an_id_one_has_it() {
    let engine = Memory::default();
    let (a, b) = (directory(&engine, "a"), directory(&engine, "b"));
    let (id, key) = key("one");
    assert_eq!(a.find(id).await, Verdict::Unsure, "nothing is connected yet");
    grow_up().await;
    assert_eq!(a.find(id).await, Verdict::Nobody);
    let hold = b.hold(id, key.clone());
    assert_eq!(b.claim(id, None).await, Verdict::Of(node("b")));
    let other = a.hold(id, key);
    assert_eq!(a.claim(id, None).await, Verdict::Of(node("b")));
    assert_eq!(a.claim(id, Some(node("c"))).await, Verdict::Of(node("b")));
    assert_eq!(a.find(id).await, Verdict::Of(node("b")));
    drop(hold);
    drop(other);
    sleep(Duration::from_secs(3)).await;
    assert_eq!(a.find(id).await, Verdict::Nobody, "it is released with its session");
    let _hold = b.hold(id, self::key("one").1);
    assert_eq!(b.claim(id, None).await, Verdict::Of(node("b")));
    assert_eq!(
        a.claim(id, Some(node("b"))).await,
        Verdict::Of(node("a")),
        "its node is known not to have it"
    );
}

#[tokio::test(start_paused = true)]
async fn an_emptied_engine_is_unsure_and_gets_everything_again() {
    let engine = Memory::default();
    let (a, b) = (directory(&engine, "a"), directory(&engine, "b"));
    grow_up().await;
    let (id, key) = key("one");
    let _hold = a.hold(id, key.clone());
    assert_eq!(a.claim(id, None).await, Verdict::Of(node("a")));
    engine.empty();
    assert_eq!(b.find(id).await, Verdict::Unsure);
    engine.empty();
    let other = b.hold(id, key);
    assert_eq!(b.claim(id, None).await, Verdict::Unsure, "it has the entry, and may not have the session");
    drop(other);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(b.find(id).await, Verdict::Of(node("a")));
    grow_up().await;
    assert_eq!(b.find(self::key("two").0).await, Verdict::Nobody);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_down_harms_nothing_and_learns_later() {
    let engine = Memory::default();
    let (a, b) = (directory(&engine, "a"), directory(&engine, "b"));
    grow_up().await;
    assert_eq!(a.members().borrow().as_ref().map(|meeting| meeting.members.len()), Some(2));
    engine.set_down(true);
    let (id, key) = key("one");
    let _hold = a.hold(id, key);
    assert_eq!(a.claim(id, None).await, Verdict::Unsure);
    assert!(!a.is_up());
    sleep(Duration::from_mins(1)).await;
    assert_eq!(b.find(id).await, Verdict::Unsure);
    engine.empty();
    engine.set_down(false);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(b.find(id).await, Verdict::Of(node("a")));
    assert_eq!(
        a.members().borrow().as_ref().map(|meeting| meeting.members.len()),
        Some(2),
        "nodes that were known stay"
    );
    assert_eq!(b.find(self::key("two").0).await, Verdict::Unsure, "it is young");
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_renewed_until_its_end_is_forgotten() {
    let engine = Memory::default();
    let (a, b) = (directory(&engine, "a"), directory(&engine, "b"));
    grow_up().await;
    let (id, key) = key("known");
    let hold = a.hold(id, key);
    assert_eq!(a.claim(id, None).await, Verdict::Of(node("a")));
    sleep(3 * TTL).await;
    assert_eq!(b.find(id).await, Verdict::Of(node("a")));
    drop(hold);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(b.find(id).await, Verdict::Of(node("a")), "its end is remembered");
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Claim { by: usize, id: usize, instead_of: Option<usize> },
    Release { by: usize, id: usize },
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..3usize, 0..2usize, proptest::option::of(0..3usize))
            .prop_map(|(by, id, instead_of)| Op::Claim { by, id, instead_of }),
        2 => (0..3usize, 0..2usize).prop_map(|(by, id)| Op::Release { by, id }),
        3 => (1..400u64).prop_map(Op::Wait),
    ]
}

proptest! {
    /// Whatever order claims, releases and time come in: while a node's last claim is younger than the time to live, no other
    /// node is given the id, unless it says that this very node does not have it.
    #[test]
    fn a_lease_belongs_to_one_node_until_it_ends(ops in proptest::collection::vec(op(), 1..60)) {
        let ttl = TTL;
        let nodes = ["a", "b", "c"].map(node);
        let ids = ["one", "two"].map(|sid| key(sid).0);
        let mut leases = Leases::default();
        let mut now = Duration::ZERO;
        // What each node believes: until when it has the id.
        let mut believed = [[None::<Duration>; 3]; 2];
        for op in ops {
            match op {
                Op::Wait(seconds) => now += Duration::from_secs(seconds),
                Op::Release { by, id } => {
                    leases.release(ids[id], nodes[by], now);
                    believed[id][by] = None;
                }
                Op::Claim { by, id, instead_of } => {
                    let holder = (0..3).find(|&one| believed[id][one].is_some_and(|until| now < until));
                    let owner = leases.claim(ids[id], nodes[by], instead_of.map(|one| nodes[one]), now, ttl);
                    let expected = match holder {
                        Some(holder) if holder != by && instead_of != Some(holder) => holder,
                        Some(_) | None => by,
                    };
                    prop_assert_eq!(owner, nodes[expected]);
                    if expected == by {
                        believed[id] = [None; 3];
                        believed[id][by] = Some(now + ttl);
                    }
                }
            }
            for (at, id) in ids.into_iter().enumerate() {
                let holders: Vec<_> =
                    (0..3).filter(|&one| believed[at][one].is_some_and(|until| now < until)).collect();
                prop_assert!(holders.len() <= 1);
                prop_assert_eq!(leases.find(id, now), holders.first().map(|&one| nodes[one]));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_silent_is_no_member_any_more() {
    let engine = Memory::default();
    let a = directory(&engine, "a");
    engine.of(node("b")).connect().await.unwrap().meet().await.unwrap();
    advance(Duration::from_secs(1)).await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(a.members().borrow().as_ref().map(|meeting| meeting.members.len()), Some(2));
    grow_up().await;
    assert_eq!(a.members().borrow().as_ref().map(|meeting| meeting.members.len()), Some(1));
}
