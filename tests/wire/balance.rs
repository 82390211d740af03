//! An upstream with several addresses: which of them gets the next session.

use std::time::{Duration, Instant};

use crate::honesty::{black_hole, world};
use crate::support::backend::Backend;
use crate::support::frames::Socket;
use crate::support::http::Client;
use crate::support::script::{Kind, Script};
use crate::support::world::{POLLING, WEBSOCKET};
use crate::support::{Setup, eventually, metrics, ms};

fn backends() -> Vec<Backend> {
    (0..3).map(|_| Backend::listen(Kind::EngineIo, Script::new(Kind::EngineIo))).collect()
}

fn before(backends: &[Backend]) -> Setup {
    let urls = backends.iter().map(|one| format!("ws://{}/engine.io/", one.addr)).collect::<Vec<_>>();
    Setup::new().urls(&urls.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Returns where the next sessions were accepted, of which there are so many.
fn accepted(backends: &[Backend], total: usize) -> Vec<usize> {
    let mut counts = vec![0; backends.len()];
    // A client may have its response before its session is noted here.
    let arrived = || {
        let each = counts.iter_mut().zip(backends);
        each.for_each(|(count, backend)| *count += backend.peers.try_iter().count());
        counts.iter().sum::<usize>() >= total
    };
    eventually(arrived, || format!("{total} sessions"));
    counts
}

#[test]
fn sessions_are_spread_over_all_addresses_of_an_upstream() {
    let backends = backends();
    let Some(world) = world(before(&backends)) else { return };
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(Socket::try_connect(world.addr, WEBSOCKET, &[]).unwrap());
        // Its kind makes no difference.
        assert_eq!(world.get(POLLING).status, 200);
        assert_eq!(world.get(POLLING).status, 200);
    }
    // On a busy machine, one that is slow to accept may be passed over.
    let counts = accepted(&backends, 9);
    assert!(counts.iter().all(|count| (2..=4).contains(count)), "{counts:?}");
    let labels = ["upstream=\"b\"", "state=\"up\""];
    metrics::assert_shown(world.target.admin, &[("polliwog_upstream_addresses", &labels, 3)]);
}

#[test]
fn all_sessions_go_to_the_first_address_that_can_be_reached_if_the_policy_is_first() {
    let mut backends = backends();
    let setup = before(&backends).upstream("balance = \"first\"");
    drop(backends.remove(0));
    let Some(world) = world(setup) else { return };
    for _ in 0..4 {
        assert_eq!(world.get(POLLING).status, 200);
    }
    assert_eq!(accepted(&backends, 4), [4, 0]);
}

/// Fails unless sessions that ask with the same target and headers share an address, and others use others too.
fn assert_shared(policy: &str, ask: impl Fn(usize) -> (String, [(&'static str, String); 1])) {
    let backends = backends();
    let setup = before(&backends).upstream(&format!("balance = \"{policy}\""));
    let Some(world) = world(setup) else { return };
    let mut used = [0; 3];
    for user in 0..12 {
        let (target, [(name, value)]) = ask(user);
        for number in 0..3 {
            // Sessions differ in the rest.
            let (target, headers) = (format!("{target}&number={number}"), [(name, &*value)]);
            let mut client = Client::connect(world.addr);
            if number == 0 {
                let socket = target.replace("transport=polling", "transport=websocket");
                assert!(Socket::try_connect(world.addr, &socket, &headers).is_ok());
            } else {
                assert_eq!(client.request("GET", &target, &headers, b"").status, 200);
            }
        }
        let at = accepted(&backends, 3);
        assert_eq!(at.iter().filter(|count| **count > 0).count(), 1, "{policy}: {at:?}");
        used.iter_mut().zip(at).for_each(|(used, count)| *used += count);
    }
    // Which of them, the ports decide, which are others each time: two at least, as good as certainly.
    assert!(used.iter().filter(|count| **count > 0).count() > 1, "{policy}: {used:?}");
}

#[test]
fn clients_with_the_same_cookie_share_an_address() {
    assert_shared("hash:cookie:user", |user| {
        (POLLING.to_owned(), [("cookie", format!("lang=en; user=u{user}"))])
    });
}

#[test]
fn clients_with_the_same_header_share_an_address() {
    assert_shared("hash:header:X-User", |user| (POLLING.to_owned(), [("x-user", format!("u{user}"))]));
}

#[test]
fn clients_with_the_same_parameter_share_an_address() {
    assert_shared("hash:query:user", |user| {
        (format!("{POLLING}&user=u{user}"), [("x-user", "all".to_owned())])
    });
}

#[test]
fn an_address_that_is_silent_costs_a_client_a_quarter_of_a_second() {
    let (_listener, hole, _queue) = black_hole();
    let backends = backends();
    let urls = [format!("ws://{hole}/engine.io/"), format!("ws://{}/engine.io/", backends[0].addr)];
    let Some(world) = world(Setup::new().urls(&[&urls[0], &urls[1]])) else { return };
    let start = Instant::now();
    for _ in 0..6 {
        assert_eq!(world.get(POLLING).status, 200);
    }
    // It takes `connect_timeout`, which is 5 s, to know that it is out; no client waits as long.
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert!(start.elapsed() > ms(200), "the first one is tried first");
}
