//! Networks on which everything comes late: what comes so comes once and in order, and a session ends only where its
//! deadlines say so.

use std::fmt::Write as _;
use std::time::Duration;

use super::switched::Late;
use crate::support::feed::Feed;
use crate::support::frames::{Op, Socket};
use crate::support::http::Client;
use crate::support::poller::{Poller, WEBSOCKET};
use crate::support::sockjs;
use crate::support::target::Target;
use crate::support::world::{Excluded, proxy_is_asked};
use crate::support::{Event, Setup, World, metrics, ms};

/// Each way, on each side.
const LATE: Duration = ms(60);
const MESSAGES: usize = 40;

/// Returns the proxy between two such networks; its backend sends everything back.
fn between(setup: &Setup) -> (World, Late, Late) {
    let mut behind = None;
    let start = |setup: &Setup, backend| {
        let to = behind.insert(Late::to(backend, LATE));
        Target::proxy(setup, to.address)
    };
    let world = World::start_with(setup, start);
    let front = Late::to(world.target.public, LATE);
    (world, front, behind.unwrap())
}

/// Fails unless the session has ended, for this reason.
#[track_caller]
fn assert_ended(world: &World, reason: &str) {
    world.assert_sessions(0);
    let ends = metrics::counted(world.target.admin, "polliwog_sessions_closed_total", "reason");
    assert_eq!(ends, [reason]);
}

#[test]
fn a_polling_client_far_away_gets_everything_once_and_in_order() {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    let (world, front, _behind) = between(&Setup::new().heartbeat(400, 600));
    let mut poller = Poller::handshake(front.address);
    let peer = world.accept();
    peer.echo();
    let half = |from: usize| {
        (from..from + MESSAGES / 2).fold(String::new(), |mut body, number| {
            let separator = if body.is_empty() { "" } else { "\x1e" };
            write!(body, "{separator}4{number}").unwrap();
            body
        })
    };
    poller.post_ok(half(0));
    poller.post_ok(half(MESSAGES / 2));
    let (mut next, mut pings) = (0, 0);
    // For some of its heartbeats, too.
    while next < MESSAGES || pings < 2 {
        for packet in poller.poll().split('\u{1e}') {
            if packet == "2" {
                pings += 1;
                poller.post_ok("3");
            } else {
                assert_eq!(packet, format!("4{next}"));
                next += 1;
            }
        }
    }
    peer.close();
    // One of the two is first: a poll that comes after the end gets a noop before it, as from the reference server.
    let last = poller.poll();
    assert!(["1", "6\u{1e}1"].contains(&last.as_str()), "{last}");
    assert_ended(&world, "upstream_closed");
}

#[test]
fn websockets_far_away_get_everything_once_and_in_order() {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    for setup in [Setup::new().heartbeat(300, 600), Setup::new().relayed()] {
        let (world, front, _behind) = between(&setup);
        let mut socket = Socket::connect(front.address, WEBSOCKET);
        assert!(socket.text().starts_with('0'));
        let peer = world.accept();
        peer.echo();
        (0..MESSAGES).for_each(|number| socket.send(&format!("4{number}")));
        let (mut next, mut pings) = (0, 0);
        while next < MESSAGES || pings < 2 && !setup.relay {
            let packet = socket.text();
            if packet == "2" {
                pings += 1;
                socket.send("3");
            } else {
                assert_eq!(packet, format!("4{next}"));
                next += 1;
            }
        }
        peer.close();
        assert_eq!(socket.frame().op, Op::CLOSE);
        drop(socket);
        assert_ended(&world, "upstream_closed");
    }
}

#[test]
fn clients_of_sockjs_and_longpoll_far_away_get_everything_once_and_in_order() {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    let (world, front, _behind) = between(&sockjs::setup(""));
    let mut gets = Client::connect(front.address);
    gets.request("POST", &sockjs::target("a", "xhr"), &[], b"").assert(200, "o\n");
    let peer = world.accept();
    peer.echo();
    let texts: Vec<String> = (0..MESSAGES).map(|number| format!("\"{number}\"")).collect();
    let mut posts = Client::connect(front.address);
    for some in texts.chunks(MESSAGES / 2) {
        let body = format!("[{}]", some.join(","));
        posts.request("POST", &sockjs::target("a", "xhr_send"), &[], body.as_bytes()).assert(204, "");
    }
    let mut got = Vec::new();
    while got.len() < MESSAGES {
        let answer = gets.request("POST", &sockjs::target("a", "xhr"), &[], b"");
        let batch = answer.text().strip_prefix("a[").and_then(|rest| rest.strip_suffix("]\n"));
        got.extend(batch.unwrap_or_else(|| panic!("{answer:?}")).split(',').map(str::to_owned));
    }
    assert_eq!(got, texts);
    peer.close();
    let end = gets.request("POST", &sockjs::target("a", "xhr"), &[], b"");
    end.assert(200, "c[1000,\"Normal closure\"]\n");

    let (world, front, _behind) = between(&crate::abandoned::feed());
    let mut feed = Feed::begin(front.address);
    let peer = world.accept();
    peer.echo();
    let mut after = 0;
    for number in 1..=8 {
        assert_eq!(feed.post(&format!("id={number}"), number.to_string().as_bytes()).status, 204);
        let answer = feed.get(&format!("after={after}"));
        let expected = format!(r#"{{"after":{number},"messages":[{{"id":{number},"text":"{number}"}}]}}"#);
        answer.assert(200, &expected);
        after = number;
    }
}

#[test]
fn a_pong_that_comes_too_late_ends_its_session_and_both_ends_are_told() {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    let setup = Setup::new().heartbeat(200, 200);
    let world = World::start_with(&setup, Target::proxy);
    // The way there and back takes longer than a pong may.
    let front = Late::to(world.target.public, ms(300));
    let mut socket = Socket::connect(front.address, WEBSOCKET);
    let peer = world.accept();
    assert!(socket.text().starts_with('0'));
    socket.assert_text("2");
    socket.send("3");
    assert_eq!(peer.event(), Event::Closed(1005), "as a stock client closes");
    assert_eq!(socket.frame().op, Op::CLOSE);
    assert_ended(&world, "ping_timeout");
}
