//! The exact responses to requests that cannot be served (ENGINEIO.md, 2.3, HTTP).

use crate::support::world::{POLLING, WEBSOCKET};
use crate::support::{Setup, World};

#[test]
fn an_unknown_or_missing_transport_is_code_0() {
    let world = World::new(Setup::new());
    for transport in
        ["&transport=nonsense", "&transport=webtransport", "&transport=", "", "&transport=POLLING"]
    {
        world.get(&format!("/engine.io/?EIO=4{transport}")).assert_error(400, 0, "Transport unknown");
    }
    world.get("/engine.io/").assert_error(400, 0, "Transport unknown");
}

#[test]
fn an_unknown_sid_is_code_1() {
    let world = World::new(Setup::new());
    let target = format!("{POLLING}&sid=nobody");
    world.get(&target).assert_unknown_sid();
    world.http().post(&target, "4x").assert_unknown_sid();
    world.http().request("OPTIONS", &target, &[], b"").assert_unknown_sid();
    world.get(&format!("{WEBSOCKET}&sid=nobody")).assert_unknown_sid();
}

#[test]
fn a_handshake_that_is_no_get_is_code_2() {
    let world = World::new(Setup::new());
    for method in ["POST", "PUT", "OPTIONS", "DELETE", "PATCH"] {
        world.http().request(method, POLLING, &[], b"").assert_error(400, 2, "Bad handshake method");
    }
    let answer = world.http().request("HEAD", POLLING, &[], b"");
    assert_eq!((answer.status, answer.header("content-type")), (400, Some("application/json")));
    assert!(
        world.accept_within(crate::support::QUIET).is_none(),
        "none of these requests reaches the application"
    );
}

#[test]
fn a_websocket_handshake_without_an_upgrade_is_code_3() {
    let world = World::new(Setup::new());
    world.get(WEBSOCKET).assert_error(400, 3, "Bad request");
    let half = [("Upgrade", "websocket")];
    world.http().request("GET", WEBSOCKET, &half, b"").assert_error(400, 3, "Bad request");
}

#[test]
fn another_transport_than_the_sessions_is_code_3_and_the_session_lives() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    world.get(&poller.upgrade_target()).assert_error(400, 3, "Bad request");
    poller.post_ok("4still here");
    peer.assert_text("still here");
}

#[test]
fn another_protocol_than_the_sessions_is_code_3_and_the_session_lives() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    for eio in ["EIO=3", "EIO=5", "x=y"] {
        let target = format!("/engine.io/?{eio}&transport=polling&sid={}", poller.sid);
        world.get(&target).assert_error(400, 3, "Bad request");
        world.http().post(&target, "4lost").assert_error(400, 3, "Bad request");
    }
    poller.post_ok("4still here");
    peer.assert_text("still here");
}

#[test]
fn an_application_that_refuses_is_code_4_with_its_own_message() {
    let world = World::new(Setup::new().refusing("Forbidden"));
    world.get(POLLING).assert_error(403, 4, "Forbidden");
    let world = World::new(Setup::new().refusing("no such room"));
    world.get(POLLING).assert_error(403, 4, "no such room");
}

#[test]
fn a_method_that_no_transport_has_is_500_and_the_session_lives() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    for method in ["PUT", "OPTIONS", "DELETE", "PATCH", "HEAD"] {
        let answer = poller.request(method, &[], b"");
        assert_eq!((answer.status, answer.body.len()), (500, 0), "{method}");
        assert_eq!(answer.header("cache-control"), None);
    }
    poller.post_ok("4still here");
    peer.assert_text("still here");
}

#[test]
fn a_post_of_exactly_octet_stream_is_400_and_ends_the_session() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    poller.park();
    let answer = poller.request("POST", &[("Content-Type", "application/octet-stream")], b"4x");
    answer.assert(400, "");
    poller.assert_parked_gets("1");
    peer.assert_closed();
    poller.assert_gone();
}

#[test]
fn a_post_of_almost_octet_stream_is_text() {
    let world = World::new(Setup::new());
    let (poller, peer) = world.poller();
    for kind in
        ["application/octet-stream; charset=UTF-8", "Application/Octet-Stream", "application/octet-stream;"]
    {
        poller.request("POST", &[("Content-Type", kind)], b"4x").assert(200, "ok");
        peer.assert_text("x");
    }
}

#[test]
fn a_post_over_the_limit_is_413_and_the_session_lives() {
    let world = World::new(Setup::new().max_payload(100));
    let (mut poller, peer) = world.poller();
    poller.request("POST", &[], format!("4{}", "x".repeat(100)).as_bytes()).assert(413, "");
    let chunked = format!("65\r\n4{}\r\n0\r\n\r\n", "x".repeat(100));
    let mut client = world.http();
    let target = poller.target();
    client.wire.send(
        format!("POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}")
            .as_bytes(),
    );
    client.answer().assert(413, "");
    let fits = "x".repeat(99);
    poller.post_ok(format!("4{fits}"));
    peer.assert_text(&fits);
}

#[test]
fn the_limit_counts_bytes_and_not_characters() {
    let world = World::new(Setup::new().max_payload(100));
    let (mut poller, peer) = world.poller();
    poller.request("POST", &[], format!("4{}", "é".repeat(50)).as_bytes()).assert(413, "");
    let fits = "é".repeat(49);
    poller.post_ok(format!("4{fits}"));
    peer.assert_text(&fits);
}

#[test]
fn an_error_leaves_the_connection_open() {
    let world = World::new(Setup::new());
    let mut client = world.http();
    client.get("/engine.io/?EIO=4&transport=nonsense").assert_error(400, 0, "Transport unknown");
    client.get(&format!("{POLLING}&sid=nobody")).assert_unknown_sid();
    assert_eq!(client.get(POLLING).status, 200);
}

#[test]
fn a_refused_body_is_read_to_its_end_so_that_the_response_arrives() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    let body = format!("4{}", "x".repeat(8 << 20));
    let gone = format!("{POLLING}&sid=nobody");
    for _ in 0..5 {
        let mut client = world.http();
        // A client that writes all of it before it reads must not get a reset.
        client.post(&poller.target(), &body).assert(413, "");
        client.post(&gone, &body).assert_unknown_sid();
        client.get(&gone).assert_unknown_sid();
    }
    poller.post_ok("4still here");
    peer.assert_text("still here");
}
