//! How sessions end, and what their requests get afterwards.

use std::thread;
use std::time::Instant;

use super::{answer, closed, session, setup, world_of};
use crate::support::{Event, Frame, Op, Peer, QUIET, SOON, assert_took, ms, patiently};

fn close(peer: &Peer, code: u16, reason: &str) {
    peer.line().send_frame(&Frame::new(Op::CLOSE, [&code.to_be_bytes(), reason.as_bytes()].concat()));
}

#[test]
fn the_remaining_messages_come_first_and_then_the_reason_of_the_end() {
    let Some(world) = world_of(setup().route("grace = \"1s\"")) else { return };
    let (mut feed, peer) = session(&world);
    peer.send_all(&["a", "b"]);
    close(&peer, 4001, "enough");
    // The close must have come before the client asks.
    thread::sleep(ms(50));
    feed.get("after=0").assert(200, &answer(1, &["a", "b"]));
    // What the client has not acknowledged may still be lost.
    feed.get("after=1").assert(200, &answer(2, &["b"]));
    feed.request("POST", "", &[], b"late").assert(410, &closed(4001, "enough", 1));
    let gone = feed.get("after=2");
    gone.assert(410, &closed(4001, "enough", 2));
    assert_eq!(gone.header("content-type"), Some("application/json"));
    assert_eq!(gone.header("cache-control"), Some("no-store"));
    for (method, query) in [("GET", ""), ("GET", "after=2"), ("POST", "id=7"), ("DELETE", "")] {
        let after = query.strip_prefix("after=").map_or(2, |after| after.parse().unwrap());
        feed.request(method, query, &[], b"").assert(410, &closed(4001, "enough", after));
    }
    let bounds = r#"{"acknowledged":2,"sent":2}"#;
    feed.request("GET", "after=9", &[], b"").assert(400, bounds);
    feed.request("GET", "after=1", &[], b"").assert(409, bounds);
    // Longer than the ending is remembered.
    thread::sleep(ms(1100));
    feed.get("after=2").assert(404, r#"{"error":"no such session"}"#);
    assert_eq!(world.sessions(), 0);
}

#[test]
fn a_waiting_get_learns_of_the_end_at_once() {
    let Some(world) = world_of(setup()) else { return };
    let (mut feed, peer) = session(&world);
    feed.park("after=0");
    peer.close();
    feed.gets.answer().assert(410, &closed(1005, "", 0));
    let (mut feed, peer) = session(&world);
    feed.park("after=0");
    peer.line().kill();
    feed.gets.answer().assert(410, &closed(1006, "upstream connection lost", 0));
}

#[test]
fn a_stream_of_an_ended_session_says_so_as_its_last_event() {
    let Some(world) = world_of(setup()) else { return };
    let (feed, peer) = session(&world);
    let mut events = feed.events(None);
    peer.send("a");
    events.assert("retry: 0\n\nid: 1\ndata: a\n\n");
    close(&peer, 1000, "bye");
    // It has to poll again, so that the proxy knows that the last message arrived.
    events.assert_end();
    let mut events = feed.events(Some(1));
    events.assert("retry: 0\n\nevent: close\nretry: 86400000\ndata: {\"code\":1000,\"reason\":\"bye\"}\n\n");
    events.assert_end();
    let gone = feed.request("GET", "", &[("Accept", "text/event-stream")], b"");
    gone.assert(410, &closed(1000, "bye", 1));
}

#[test]
fn a_delete_ends_the_session_and_its_parked_get() {
    let Some(world) = world_of(setup()) else { return };
    let (mut feed, peer) = session(&world);
    feed.park("after=0");
    let done = feed.request("DELETE", "", &[], b"");
    assert_eq!(done.line, "HTTP/1.1 204 No Content");
    feed.gets.answer().assert(410, &closed(1000, "", 0));
    assert_eq!(peer.event(), Event::Closed(1000));
    feed.request("DELETE", "", &[], b"").assert(410, &closed(1000, "", 0));
    world.assert_sessions(0);
}

#[test]
fn a_session_without_requests_ends_and_a_waiting_get_is_one() {
    patiently(|| {
        let Some(world) = world_of(setup().route("grace = \"400ms\"")) else { return };
        let (mut feed, peer) = session(&world);
        for _ in 0..3 {
            // Shorter than `grace` each, longer than it in all.
            thread::sleep(ms(250));
            feed.post("", b"x");
            peer.assert_text("x");
        }
        feed.park("after=0&wait=1");
        // Longer than `grace`, while a request waits.
        thread::sleep(ms(600));
        feed.gets.answer().assert(200, r#"{"after":0,"messages":[]}"#);
        let start = Instant::now();
        assert_eq!(peer.event_within(SOON), Some(Event::Closed(1001)));
        assert_took(start.elapsed(), 350, 1000);
        feed.get("").assert(410, &closed(1001, "client gone", 0));
    });
}

#[test]
fn a_client_that_leaves_before_it_has_its_id_leaves_no_session_behind() {
    let Some(world) = world_of(setup().route("grace = \"200ms\"")) else { return };
    let mut lost = world.http();
    lost.send("POST", "/feed/", &[], b"");
    lost.wire.reset();
    // Its backend may not even have been asked.
    if let Some(peer) = world.accept_within(ms(500)) {
        assert_eq!(peer.event_within(SOON), Some(Event::Closed(1001)));
    }
    world.assert_sessions(0);
}

#[test]
fn a_drain_lets_clients_fetch_the_remaining_messages_and_the_reason() {
    let Some(mut world) = world_of(setup()) else { return };
    let (mut waiting, first) = session(&world);
    let (mut away, second) = session(&world);
    waiting.park("after=0");
    second.send("last words");
    // Nothing shows when both requests and the message have arrived.
    thread::sleep(QUIET);
    world.target.signal("TERM");
    waiting.gets.answer().assert(410, &closed(1001, "proxy is stopping", 0));
    assert_eq!(first.event(), Event::Closed(1001));
    // The ending is remembered only after the session has left, which nothing shows.
    thread::sleep(ms(200));
    assert_eq!(world.http().request("POST", "/feed/", &[], b"").status, 503);
    away.get("after=0").assert(200, &answer(1, &["last words"]));
    away.get("after=1").assert(410, &closed(1001, "proxy is stopping", 1));
    assert_eq!(second.event(), Event::Closed(1001));
    assert_eq!(world.target.exit_within(SOON).expect("it ends").code(), Some(0));
}

#[test]
fn a_drain_counts_what_a_connection_took_as_delivered_and_what_nobody_fetched_as_lost() {
    for (fetches, code) in [(true, 0), (false, 1)] {
        let Some(mut world) = world_of(setup().server("drain_timeout = \"1s\"")) else { return };
        let (mut feed, peer) = session(&world);
        peer.send("a");
        // Nothing shows when the message is in the outbox.
        thread::sleep(QUIET);
        if fetches {
            feed.get("after=0").assert(200, &answer(1, &["a"]));
        }
        world.target.signal("TERM");
        let status = world.target.exit_within(SOON).expect("it ends");
        assert_eq!(status.code(), Some(code), "fetched: {fetches}");
    }
}

#[test]
fn a_drain_waits_neither_for_an_idle_client_nor_silently_drops_what_an_ended_session_kept() {
    patiently(|| {
        let Some(mut world) = world_of(setup().server("drain_timeout = \"20s\"")) else { return };
        let (_idle, peer) = session(&world);
        let start = Instant::now();
        world.target.signal("TERM");
        assert_eq!(peer.event_within(SOON), Some(Event::Closed(1001)));
        assert_eq!(world.target.exit_within(SOON).expect("it ends").code(), Some(0));
        // A second for a client that is between two requests.
        assert_took(start.elapsed(), 900, 4000);
    });
    let Some(mut world) = world_of(setup().server("drain_timeout = \"1s\"")) else { return };
    let (_feed, peer) = session(&world);
    peer.send_all(&["a", "b"]);
    close(&peer, 4001, "enough");
    peer.assert_closed();
    world.target.signal("TERM");
    assert_eq!(world.target.exit_within(SOON).expect("it ends").code(), Some(1));
    let log = world.target.log();
    assert!(log.contains("everything was delivered cut_sessions=1 lost_messages=2"), "{log}");
}

#[test]
fn an_ended_session_that_keeps_nothing_gives_its_place_back_at_once() {
    let Some(world) = world_of(setup().server("max_sessions = 1")) else { return };
    let (mut feed, peer) = session(&world);
    peer.send("a");
    feed.get("after=0").assert(200, &answer(1, &["a"]));
    close(&peer, 4001, "enough");
    peer.assert_closed();
    assert_eq!(world.http().request("POST", "/feed/", &[], b"").status, 503, "it keeps a message");
    feed.get("after=1").assert(410, &closed(4001, "enough", 1));
    world.assert_sessions(0);

    let (mut feed, peer) = session(&world);
    close(&peer, 4001, "enough");
    peer.assert_closed();
    world.assert_sessions(0);
    feed.get("after=0").assert(410, &closed(4001, "enough", 0));
    assert_eq!(world.http().request("POST", "/feed/", &[], b"").status, 201);
}

#[test]
fn what_an_ended_session_keeps_is_offered_for_grace_and_not_for_close_timeout() {
    let lines = "grace = \"1s\"\nclose_timeout = \"20s\"";
    let Some(world) = world_of(setup().route(lines)) else { return };
    let (mut feed, peer) = session(&world);
    peer.send("a");
    close(&peer, 4001, "enough");
    peer.assert_closed();
    world.assert_sessions(0);
    let gone = r#"{"closed":{"code":4001,"reason":"enough"},"after":0,"unacknowledged":1}"#;
    feed.get("after=0").assert(410, gone);
}

#[test]
fn a_full_proxy_responds_with_retry_after() {
    let Some(world) = world_of(setup().server("max_sessions = 1")) else { return };
    let (feed, peer) = session(&world);
    let full = world.http().request("POST", "/feed/", &[], b"");
    assert_eq!(full.status, 503);
    assert!(full.header("retry-after").is_some());
    assert_eq!(full.header("cache-control"), Some("no-store"));
    feed.request("DELETE", "", &[], b"");
    peer.assert_closed();
    world.assert_sessions(0);
    assert_eq!(world.http().request("POST", "/feed/", &[], b"").status, 201);
}
