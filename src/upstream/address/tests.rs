//! The choice of an address against a model, and how failures are remembered.

mod full;
mod slow;

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, number], 1))
}

fn endpoint(server: usize) -> Endpoint {
    Endpoint { server, address: Some(address(1).into()) }
}

fn addresses(count: usize) -> Arc<Addresses> {
    limited(count, None)
}

fn limited(count: usize, max_sessions: Option<usize>) -> Arc<Addresses> {
    let limits = Limits { max_sessions, max_requests: None, queue: 2, queue_timeout: Duration::from_secs(5) };
    Addresses::new(Balance::Least, Duration::ZERO, (0..count).map(endpoint), limits, Dials::default())
}

/// A session that may be at any address.
const ANY: Wish<'_> = Wish::new(Purpose::Session, None);

fn tried_before(tried: &[Endpoint]) -> Wish<'_> {
    Wish { tried, ..ANY }
}

#[tokio::test(start_paused = true)]
async fn a_way_that_fails_again_and_again_is_tried_less_and_less_often() {
    let addresses = addresses(1);
    addresses.failed(endpoint(0), true);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let start = Instant::now();
        while addresses.due(false).is_empty() {
            tokio::time::advance(Duration::from_millis(500)).await;
        }
        pauses.push(start.elapsed().as_secs());
        addresses.postpone(endpoint(0));
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
    assert!(!addresses.reached(endpoint(0)) && !addresses.has_failed());
}

#[tokio::test(start_paused = true)]
async fn a_way_is_logged_once_and_the_slowest_come_last() {
    let addresses = addresses(4);
    assert_eq!([addresses.failed(endpoint(0), true), addresses.failed(endpoint(0), true)], [Some(1), None]);
    addresses.failed(endpoint(1), false);
    addresses.postpone(endpoint(1));
    addresses.failed(endpoint(2), false);
    let mut tried = Vec::new();
    while let Ok(place) = addresses.choose(Among::All, tried_before(&tried)) {
        tried.push(place.endpoint());
    }
    assert_eq!(tried, [endpoint(3), endpoint(2), endpoint(1), endpoint(0)]);
    let working = addresses.choose(Among::Working, ANY);
    assert_eq!(working.as_ref().map(Place::endpoint), Ok(endpoint(3)));
    assert!(addresses.choose(Among::Working, tried_before(&[endpoint(3)])).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_way_that_comes_and_goes_is_logged_once_a_minute() {
    let addresses = addresses(2);
    for (minute, count) in [(0, 1), (1, 60)] {
        for second in 0..60 {
            let expected = (second == 0).then_some(count);
            assert_eq!(addresses.failed(endpoint(0), false), expected, "{minute}:{second}");
            assert_eq!(addresses.reached(endpoint(0)), expected.is_some());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    }
    tokio::time::advance(Duration::from_mins(1)).await;
    addresses.failed(endpoint(1), false);
    assert_eq!(addresses.outages.lock().unwrap().len(), 1, "what was said long ago is forgotten");
}

#[tokio::test(start_paused = true)]
async fn an_operator_sees_for_how_long_an_address_is_in_its_state() {
    let addresses = addresses(2);
    let seen = || {
        let sight = addresses.sight(|_| String::new());
        sight.addresses.iter().map(|one| (one.state.word(), one.lasts.as_secs())).collect::<Vec<_>>()
    };
    tokio::time::advance(Duration::from_mins(1)).await;
    addresses.failed(endpoint(0), false);
    tokio::time::advance(Duration::from_secs(5)).await;
    // A probe that fails changes nothing.
    addresses.postpone(endpoint(0));
    assert_eq!(seen(), [("out", 5), ("up", 65)]);
    addresses.reached(endpoint(0));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(seen(), [("up", 1), ("up", 66)]);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_fails_handshakes_is_out_for_longer_each_time() {
    let addresses = addresses(2);
    let mut pauses = Vec::new();
    assert_eq!([addresses.struck(endpoint(0)), addresses.struck(endpoint(0))], [Struck::In; 2]);
    for _ in 0..7 {
        // The third in a row, and then the first after each pause.
        assert!(matches!(addresses.struck(endpoint(0)), Struck::Out(_)));
        // A connection proves nothing, and no probe is made.
        assert!(!addresses.reached(endpoint(0)) && addresses.due(true).is_empty());
        let start = Instant::now();
        while addresses.has_failed() {
            tokio::time::advance(Duration::from_millis(500)).await;
            addresses.forgive();
        }
        pauses.push(start.elapsed().as_secs());
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    assert!(addresses.served(endpoint(0)), "a line was written at the beginning");
    assert_eq!(addresses.struck(endpoint(0)), Struck::In, "it counts from the beginning again");
}

#[tokio::test(start_paused = true)]
async fn the_last_address_is_not_left_out_for_its_handshakes() {
    let addresses = addresses(2);
    addresses.failed(endpoint(1), false);
    assert_eq!([0; 5].map(|_| addresses.struck(endpoint(0))), [Struck::In; 5]);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_stops_is_left_out_until_then_unless_it_is_the_last() {
    let addresses = addresses(2);
    let (almost, rest) = (Duration::from_millis(29_999), Duration::from_millis(1));
    let patience = almost + rest;
    assert!(addresses.stopping(endpoint(0), patience));
    assert!(!addresses.stopping(endpoint(0), patience), "it is known");
    assert!(!addresses.stopping(endpoint(1), patience), "nothing else is left");
    assert_eq!(addresses.choose(Among::Working, ANY).as_ref().map(Place::endpoint), Ok(endpoint(1)));
    // If the other fails as well, it is asked all the same.
    assert_eq!(
        addresses.choose(Among::All, tried_before(&[endpoint(1)])).as_ref().map(Place::endpoint),
        Ok(endpoint(0))
    );
    assert!(!addresses.reached(endpoint(0)) && addresses.due(true).is_empty(), "a connection proves nothing");
    tokio::time::advance(almost).await;
    addresses.forgive();
    assert!(addresses.has_failed());
    tokio::time::advance(rest).await;
    addresses.forgive();
    assert!(!addresses.has_failed());
    assert_eq!(addresses.struck(endpoint(0)), Struck::In, "what is there now may be another process");
}

#[tokio::test(start_paused = true)]
async fn an_address_that_completes_a_handshake_stops_no_more() {
    let addresses = addresses(2);
    assert!(addresses.stopping(endpoint(0), Duration::from_secs(30)));
    assert!(!addresses.served(endpoint(0)) && !addresses.has_failed());
}

#[test]
fn after_an_ipv6_address_comes_an_ipv4_address() {
    let six = |number: u16| SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, number], 1));
    let resolved = [six(1), six(2), address(1), address(2)];
    let mut set = Set::new(Balance::First, Duration::ZERO, [Endpoint { server: 0, address: None }]);
    set.resolved(0, &resolved, Instant::now());
    let mut tried = Vec::new();
    while let Ok(endpoint) = set.choose(Among::All, tried_before(&tried), Instant::now()) {
        tried.push(endpoint);
    }
    let order = tried.into_iter().filter_map(|endpoint| endpoint.address).collect::<Vec<_>>();
    assert_eq!(
        order,
        [six(1), address(1), six(2), address(2)].map(crate::upstream::backend_address::BackendAddress::Ip)
    );
}

#[derive(Clone, Debug)]
enum Step {
    Choose,
    Leave(prop::sample::Index),
    Fail(u8),
    Reach(u8),
    Resolve(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Choose),
        3 => any::<prop::sample::Index>().prop_map(Step::Leave),
        1 => (0..6_u8).prop_map(Step::Fail),
        1 => (0..6_u8).prop_map(Step::Reach),
        1 => prop::collection::btree_set(0..6_u8, 1..6).prop_map(|set| set.into_iter().collect()).prop_map(Step::Resolve),
    ]
}

/// What is known of an address.
#[derive(Clone, Copy, Default)]
struct Known {
    load: usize,
    failed: bool,
    named: bool,
    chosen: usize,
}

proptest! {
    #[test]
    fn the_choice_is_that_of_a_model(
        balance in prop_oneof![Just(Balance::Least), Just(Balance::RoundRobin), Just(Balance::First)],
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let now = Instant::now();
        let at = |number| Endpoint { server: 0, address: Some(address(number).into()) };
        let mut set = Set::new(balance, Duration::ZERO, (0..3).map(at));
        let named = Known { named: true, ..Known::default() };
        let mut model = (0..3).map(|number| (number, named)).collect::<BTreeMap<u8, _>>();
        let mut uses = Vec::new();
        for (turn, step) in steps.into_iter().enumerate() {
            match step {
                Step::Choose => {
                    let chosen = set.choose(Among::All, ANY, now).unwrap();
                    let number = (0..6).find(|number| at(*number) == chosen).unwrap();
                    let it = model[&number];
                    prop_assert!(it.named, "it is gone");
                    let working = |known: &&Known| known.named && (it.failed || !known.failed);
                    for other in model.values().filter(working) {
                        prop_assert!(!it.failed || other.failed, "another one works");
                        match balance {
                            Balance::Least => prop_assert!((it.load, it.chosen) <= (other.load, other.chosen)),
                            Balance::RoundRobin => prop_assert!(it.chosen <= other.chosen),
                            Balance::First | Balance::Hash => {}
                        }
                    }
                    let known = model.get_mut(&number).unwrap();
                    (known.load, known.chosen) = (it.load + 1, turn + 1);
                    uses.push(number);
                }
                Step::Leave(_) if uses.is_empty() => {}
                Step::Leave(index) => {
                    let number = uses.swap_remove(index.index(uses.len()));
                    set.leave(at(number), Purpose::Session);
                    model.get_mut(&number).unwrap().load -= 1;
                }
                Step::Fail(number) => {
                    set.failed(at(number), false, now);
                    model.entry(number).and_modify(|known| known.failed = true);
                }
                Step::Reach(number) => {
                    let had_failed = set.reached(at(number));
                    let known = model.get_mut(&number);
                    prop_assert_eq!(had_failed, known.is_some_and(|known| std::mem::take(&mut known.failed)));
                }
                Step::Resolve(numbers) => {
                    let all_failed = model.values().filter(|known| known.named).all(|known| known.failed);
                    set.resolved(0, &numbers.iter().copied().map(address).collect::<Vec<_>>(), now);
                    for (number, known) in &mut model {
                        known.named = numbers.contains(number);
                    }
                    for number in numbers {
                        model.entry(number).or_insert(Known { failed: all_failed, ..named });
                    }
                }
            }
            model.retain(|_, known| known.named || known.load > 0);
            let count = |so: fn(&&Known) -> bool| model.values().filter(so).count();
            let expected = Counts {
                up: count(|known| known.named && !known.failed),
                out: count(|known| known.named && known.failed),
                draining: count(|known| !known.named),
            };
            prop_assert_eq!(set.count(now), expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_few_checks_in_a_row_decide_and_the_first_one_alone() {
    let addresses = addresses(2);
    let check = |passed| {
        assert!(addresses.due_checks().0.contains(&endpoint(0)));
        assert!(!addresses.due_checks().0.contains(&endpoint(0)), "it is pending");
        let thresholds = Thresholds { rise: 2, fall: 3 };
        addresses.checked(endpoint(0), Some(passed), thresholds, Instant::now()).0
    };
    assert_eq!(check(false), Change::Fails, "nothing better is known of it");
    let turns = [true, false, true, true, false, false, true, false, false, false, false, true, true];
    let changed = turns.map(check);
    let expected = [(3, Change::Passes), (9, Change::Fails), (12, Change::Passes)];
    for (turn, change) in changed.into_iter().enumerate() {
        let at_turn = expected.iter().find(|(at, _)| *at == turn).map_or(Change::None, |(_, change)| *change);
        assert_eq!(change, at_turn, "{turn}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_fails_its_checks_comes_before_those_that_cannot_be_reached() {
    let addresses = addresses(3);
    let thresholds = Thresholds { rise: 1, fall: 1 };
    let later = Instant::now() + Duration::from_secs(5);
    addresses.due_checks();
    let (change, line) = addresses.checked(endpoint(0), Some(false), thresholds, later);
    assert_eq!((change, line), (Change::Fails, Some(1)));
    addresses.failed(endpoint(1), true);
    let mut tried = Vec::new();
    while let Ok(place) = addresses.choose(Among::All, tried_before(&tried)) {
        tried.push(place.endpoint());
    }
    assert_eq!(tried, [endpoint(2), endpoint(0), endpoint(1)]);
    // A connection does not make it well.
    addresses.reached(endpoint(0));
    assert!(addresses.is_sick(endpoint(0)));
    // No outcome, and one that was reached: neither changes anything.
    assert_eq!(addresses.due_checks().1, Some(later));
    addresses.checked(endpoint(0), None, thresholds, later);
    assert!(addresses.is_sick(endpoint(0)));
    assert_eq!(addresses.checked(endpoint(0), Some(true), thresholds, later), (Change::Passes, Some(1)));
}
