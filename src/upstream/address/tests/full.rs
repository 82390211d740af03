//! Addresses that have all the sessions that they may have, and who waits for a place.

use futures_util::FutureExt as _;
use tokio::time::advance;

use super::*;
use crate::meter::Metrics;

/// Takes this many places.
fn fill(addresses: &Arc<Addresses>, count: usize) -> Vec<Place> {
    (0..count).map(|_| addresses.choose(Among::All, ANY).unwrap()).collect()
}

fn at(place: &Place) -> usize {
    place.endpoint().server
}

#[tokio::test(start_paused = true)]
async fn a_full_address_gets_nothing_but_requests() {
    let addresses = limited(2, Some(2));
    let places = fill(&addresses, 4);
    assert_eq!(addresses.choose(Among::All, ANY).unwrap_err(), Unchosen::Full);
    let request = addresses.choose(Among::All, Wish::new(Purpose::Other, None)).unwrap();
    // An address that is out is no alternative to one that is only full.
    addresses.failed(endpoint(1), false);
    let (out, working) = places.into_iter().partition::<Vec<_>, _>(|place| at(place) == 1);
    drop((out, request));
    assert_eq!(addresses.choose(Among::All, ANY).unwrap_err(), Unchosen::Full);
    drop(working);
    assert_eq!(at(&addresses.choose(Among::All, ANY).unwrap()), 0);
}

#[tokio::test(start_paused = true)]
async fn those_that_wait_get_places_in_their_order() {
    let addresses = limited(2, Some(1));
    let mut places = fill(&addresses, 2);
    let mut waits = [0; 2].map(|_| Box::pin(addresses.wait(ANY)));
    for wait in &mut waits {
        assert!(wait.as_mut().now_or_never().is_none());
    }
    assert!(matches!(addresses.wait(ANY).now_or_never(), Some(Err(Overfull))), "the line is full");
    let freed = at(&places.remove(1));
    let first = waits[0].as_mut().now_or_never().unwrap().unwrap().unwrap();
    assert_eq!(at(&first), freed);
    assert!(waits[1].as_mut().now_or_never().is_none());
    assert_eq!(addresses.choose(Among::All, ANY).unwrap_err(), Unchosen::Full);
    drop(first);
    // One that comes now has to wait behind the second, which has the place already.
    assert_eq!(addresses.choose(Among::All, ANY).unwrap_err(), Unchosen::Full);
    let second = waits[1].as_mut().now_or_never().unwrap().unwrap().unwrap();
    assert_eq!(at(&second), freed);
    drop(second);
    assert_eq!(fill(&addresses, 1).iter().map(at).collect::<Vec<_>>(), [freed]);
}

#[tokio::test(start_paused = true)]
async fn one_that_leaves_the_line_keeps_no_place() {
    let metrics = Metrics::new();
    let limits =
        Limits { max_sessions: Some(1), max_requests: None, queue: 9, queue_timeout: Duration::from_secs(5) };
    let addresses = Addresses::new(Balance::Least, Duration::ZERO, [endpoint(0)], limits, metrics.dials("b"));
    let has = |line: &str| metrics.render().lines().any(|rendered| rendered == line);
    let queued = |outcome: &str, count| {
        has(&format!(r#"polliwog_upstream_queued_total{{upstream="b",outcome="{outcome}"}} {count}"#))
    };
    let mut places = fill(&addresses, 1);
    let mut waits = [0; 3].map(|_| Some(Box::pin(addresses.wait(ANY))));
    for wait in waits.iter_mut().flatten() {
        assert!(wait.as_mut().now_or_never().is_none());
    }
    assert!(has(r#"polliwog_upstream_queue{upstream="b"} 3"#));
    // One before its turn, and one that had it and never noticed.
    waits[0] = None;
    assert!(queued("left", 1));
    places.clear();
    waits[1] = None;
    assert!(queued("left", 2));
    let last = waits[2].as_mut().unwrap().as_mut().now_or_never().unwrap();
    assert!(last.unwrap().is_some() && queued("served", 1));
    assert!(has(r#"polliwog_upstream_queue{upstream="b"} 0"#));
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_when_it_took_too_long_or_nothing_is_left_to_wait_for() {
    let addresses = limited(1, Some(1));
    let _places = fill(&addresses, 1);
    let mut slow = Box::pin(addresses.wait(ANY));
    assert!(slow.as_mut().now_or_never().is_none());
    advance(Duration::from_secs(6)).await;
    assert_eq!(slow.await.unwrap_err(), Overfull);
    let mut vain = Box::pin(addresses.wait(ANY));
    assert!(vain.as_mut().now_or_never().is_none());
    addresses.failed(endpoint(0), false);
    assert!(vain.await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_higher_limit_and_an_address_that_is_back_make_room() {
    let addresses = limited(2, Some(1));
    addresses.failed(endpoint(1), false);
    let _places = fill(&addresses, 1);
    let mut waits = [0; 2].map(|_| Box::pin(addresses.wait(ANY)));
    for wait in &mut waits {
        assert!(wait.as_mut().now_or_never().is_none());
    }
    addresses.reached(endpoint(1));
    let [first, mut second] = waits;
    assert_eq!(at(&first.await.unwrap().unwrap()), 1);
    assert!(second.as_mut().now_or_never().is_some_and(|turn| turn.unwrap().is_some()));
    let _places = fill(&addresses, 1);
    let mut third = Box::pin(addresses.wait(ANY));
    assert!(third.as_mut().now_or_never().is_none());
    addresses.limit(Limits {
        max_sessions: Some(2),
        max_requests: None,
        queue: 0,
        queue_timeout: Duration::ZERO,
    });
    assert!(third.await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn one_that_may_not_use_the_free_address_holds_nobody_up() {
    let addresses = limited(2, Some(1));
    let mut places = fill(&addresses, 2);
    let tried = [places[0].endpoint()];
    let mut picky = Box::pin(addresses.wait(tried_before(&tried)));
    let mut other = Box::pin(addresses.wait(ANY));
    assert!(picky.as_mut().now_or_never().is_none() && other.as_mut().now_or_never().is_none());
    drop(places.remove(0));
    assert!(picky.as_mut().now_or_never().is_none());
    assert_eq!(other.await.unwrap().map(|place| place.endpoint()), Some(tried[0]));
    drop(places.remove(0));
    assert_ne!(picky.await.unwrap().map(|place| place.endpoint()), Some(tried[0]));
}

#[tokio::test(start_paused = true)]
async fn sessions_on_shared_connections_are_spread_over_those_and_counted() {
    let addresses = limited(3, Some(2));
    let shared = Wish::new(Purpose::Shared, None);
    assert_eq!(addresses.choose(Among::All, shared).unwrap_err(), Unchosen::None);
    let (one, other) = (addresses.join(endpoint(0)), addresses.join(endpoint(2)));
    let places = (0..4).map(|_| addresses.choose(Among::All, shared).unwrap()).collect::<Vec<_>>();
    assert_eq!(places.iter().map(at).collect::<Vec<_>>(), [0, 2, 0, 2]);
    assert_eq!(addresses.choose(Among::All, shared).unwrap_err(), Unchosen::Full);
    let mut wait = Box::pin(addresses.wait(shared));
    assert!(wait.as_mut().now_or_never().is_none());
    // They are no connections.
    assert_eq!(at(&addresses.choose(Among::All, Wish::new(Purpose::Other, None)).unwrap()), 1);
    drop((one, other));
    assert!(wait.await.unwrap().is_none());
}

proptest! {
    /// Whatever happens in whatever order, no address has more sessions than it may, and nobody waits while there is room.
    #[test]
    fn places_are_neither_lost_nor_given_twice(steps in prop::collection::vec((0..5_u8, any::<prop::sample::Index>()), 1..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _in = runtime.enter();
        let limits = Limits { max_sessions: Some(2), max_requests: None, queue: 5, queue_timeout: Duration::from_mins(1) };
        let addresses =
            Addresses::new(Balance::Least, Duration::ZERO, (0..3).map(endpoint), limits, Dials::default());
        let mut places = Vec::new();
        let mut waits = Vec::new();
        for (step, index) in steps {
            match step {
                0 | 1 => match addresses.choose(Among::All, ANY) {
                    Ok(place) => places.push(place),
                    Err(Unchosen::Full) => {
                        let mut wait = Box::pin(addresses.wait(ANY));
                        match wait.as_mut().now_or_never() {
                            None => waits.push(wait),
                            Some(turn) => prop_assert!(turn.is_err() && waits.len() == 5),
                        }
                    }
                    Err(Unchosen::None) => prop_assert!(false, "nothing has failed"),
                },
                2 | 3 if !places.is_empty() => drop(places.swap_remove(index.index(places.len()))),
                4 if !waits.is_empty() => drop(waits.swap_remove(index.index(waits.len()))),
                _ => {}
            }
            waits.retain_mut(|wait| match wait.as_mut().now_or_never() {
                None => true,
                Some(turn) => {
                    places.push(turn.unwrap().unwrap());
                    false
                }
            });
            for server in 0..3 {
                prop_assert!(places.iter().filter(|place| at(place) == server).count() <= 2);
            }
            prop_assert!(waits.is_empty() || places.len() == 6, "{} places", places.len());
            prop_assert_eq!(addresses.lock().queue.len(), waits.len());
        }
        drop((places, waits));
        prop_assert_eq!(fill(&addresses, 6).len(), 6);
    }
}
