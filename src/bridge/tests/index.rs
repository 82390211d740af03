//! An id belongs to one session, from its reservation to its end.

use super::*;
use crate::sid::{Node, Tag};

fn sid(text: &str) -> Sid {
    Sid::parse(text).expect("it is one")
}

fn is_here(registry: &Registry, route: &RouteId) -> bool {
    matches!(registry.find(route, "one"), Located::Here(_))
}

fn relay() -> Entry {
    Entry::Relay(Arc::new(relayed(&Budget::default())))
}

#[test]
fn two_sessions_never_have_one_id() {
    let registry = Registry::new(10);
    let first = registry.reserve(&route(), sid("one")).expect("it is free");
    assert!(registry.reserve(&route(), sid("one")).is_none(), "it is reserved");
    assert!(matches!(registry.find(&route(), "one"), Located::Opening), "it can be seen that it is");
    first.enter(relay());
    assert!(registry.reserve(&route(), sid("one")).is_none(), "it is another's");
    assert!(is_here(&registry, &route()));
    first.end(End::ClientClosed);
    assert!(matches!(registry.find(&route(), "one"), Located::Nowhere));
    let second = registry.reserve(&route(), sid("one")).expect("it is free again");
    second.enter(relay());
    assert!(is_here(&registry, &route()));
    assert_eq!(registry.all().len(), 1);
}

#[test]
fn a_session_is_found_by_an_id_that_happens_to_name_another_node() {
    let node = |name| Node::from_random(Tag::of_name(name).expect("it is one"), [0; 2]);
    let registry = Registry::of_node(10, Some(node("me")), Budget::default());
    let others = Sid::from_random([7; 15], Some(node("b")));
    assert!(matches!(registry.find(&route(), others.as_str()), Located::Nowhere));
    // Its backend is a node of a cluster, too.
    let reservation = registry.reserve(&route(), others.clone()).expect("it is free");
    reservation.enter(relay());
    assert!(matches!(registry.find(&route(), others.as_str()), Located::Here(_)));
}

#[test]
fn a_handshake_that_fails_leaves_its_id_to_others() {
    let registry = Registry::new(10);
    drop(registry.reserve(&route(), sid("one")).expect("it is free"));
    assert!(matches!(registry.find(&route(), "one"), Located::Nowhere));
    assert!(registry.all().is_empty());
    assert!(registry.reserve(&route(), sid("one")).is_some());
}

#[test]
fn the_end_of_one_session_leaves_the_other_of_that_id_on_another_route() {
    let registry = Registry::new(10);
    let (here, there) = (route(), RouteId::new(Some("other"), "/test/"));
    let first = registry.reserve(&here, sid("one")).expect("it is free");
    let second = registry.reserve(&there, sid("one")).expect("each route has ids of its own");
    first.enter(relay());
    second.enter(relay());
    first.end(End::ClientClosed);
    assert!(
        !is_here(&registry, &here) && is_here(&registry, &there),
        "the second can be found, and lives on"
    );
}

#[test]
fn a_session_that_gets_its_backends_id_gives_its_own_back() {
    let registry = Registry::new(10);
    let ours = registry.reserve_fresh(&route()).expect("the system has random bytes");
    let text = ours.sid().as_str().to_owned();
    let theirs = ours.rename(sid("one")).expect("it is free");
    assert!(ours.rename(sid("one")).is_none());
    theirs.enter(relay());
    drop(ours);
    assert!(matches!(registry.find(&route(), &text), Located::Nowhere));
    assert!(is_here(&registry, &route()));
}

#[test]
fn no_two_ids_are_alike() {
    let registry = Registry::new(10);
    let two = [(); 2].map(|()| registry.reserve_fresh(&route()).expect("the system has random bytes"));
    assert_ne!(two[0].sid(), two[1].sid());
}

#[test]
fn of_many_that_want_one_id_at_once_one_gets_it() {
    let registry = Registry::new(10);
    for round in 0..1000 {
        let id = sid(&format!("round-{round}"));
        let got: usize = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..4)
                .map(|_| {
                    let (registry, id) = (&registry, id.clone());
                    scope.spawn(move || registry.reserve(&route(), id))
                })
                .collect();
            let got: Vec<_> = tries.into_iter().map(|one| one.join().expect("no panic")).collect();
            got.iter().flatten().count()
        });
        assert_eq!(got, 1, "round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_come_back_gives_its_place_once_all_are_taken() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, link) = stage.polling();
    assert_eq!(fetch(&bridge).await, [open()]);
    late(4999 * MS).await;
    assert!(stage.registry.admit().is_none(), "it may be on its way");
    late(MS).await;
    let place = stage.registry.admit().expect("its place");
    assert!(bridge.poll().is_err() && stage.registry.admit().is_none());
    drop((place, link));
    stage.clear(&bridge, SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_come_back_keeps_its_place() {
    for returns in ["polls", "sends", "probes"] {
        let mut stage = Stage::new(HangUp::Ends);
        let (bridge, link) = stage.polling();
        assert_eq!(fetch(&bridge).await, [open()]);
        let (_client, probe) = wire();
        match returns {
            "polls" => {
                link.send(says("1"));
                fetch(&bridge).await;
            }
            "sends" => assert_eq!(post(&bridge, vec![message("1")]).await, PushOutcome::Accepted),
            _ => assert!(bridge.probe(probe).is_ok()),
        }
        late(20 * SECOND).await;
        assert!(stage.registry.admit().is_none(), "{returns}");
    }
}
