//! What a WebSocket client reads when it is refused before the 101 (ENGINEIO.md, 2.3, upgrade).

use crate::support::frames::{HANDSHAKE, KEY, Socket};
use crate::support::http::{Response, head};
use crate::support::world::{Excluded, POLLING, WEBSOCKET};
use crate::support::{SOON, Setup, World};

/// Fails unless the upgrade is refused as by the reference: 400 for every reason, bare text, then a close.
#[track_caller]
fn assert_refused(world: &World, method: &str, target: &str, text: &str) {
    let mut client = world.http();
    client.wire.send(head(method, target, &HANDSHAKE).as_bytes());
    assert_bare(&client.answer(), text);
    assert!(client.ends_within(SOON), "the connection ends");
}

#[track_caller]
fn assert_bare(answer: &Response, text: &str) {
    answer.assert(400, text);
    assert_eq!(answer.line, "HTTP/1.1 400 Bad Request");
    assert!(
        answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
        "{answer:?}"
    );
    assert_eq!(answer.header("content-type"), Some("text/html"));
    assert_eq!(answer.header("content-length"), Some(text.len().to_string().as_str()));
}

#[test]
fn an_unknown_transport_is_refused_in_bare_text() {
    let world = World::new(Setup::new());
    assert_refused(&world, "GET", "/engine.io/?EIO=4&transport=nonsense", "Transport unknown");
    assert_refused(&world, "GET", "/engine.io/?EIO=4", "Transport unknown");
    assert_refused(&world, "GET", "/engine.io/?EIO=4&transport=webtransport", "Transport unknown");
}

#[test]
fn an_unknown_sid_is_refused_in_bare_text() {
    let world = World::new(Setup::new());
    assert_refused(&world, "GET", &format!("{WEBSOCKET}&sid=nobody"), "Session ID unknown");
    assert_refused(&world, "GET", &format!("{WEBSOCKET}&sid=__proto__"), "Session ID unknown");
}

#[test]
fn an_upgrade_in_another_protocol_than_the_sessions_is_refused_in_bare_text() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    let target = format!("/engine.io/?EIO=3&transport=websocket&sid={}", poller.sid);
    assert_refused(&world, "GET", &target, "Bad request");
    poller.post_ok("4still here");
    peer.assert_text("still here");
}

#[test]
fn an_upgrade_by_another_method_than_get_is_refused_in_bare_text() {
    let world = World::new(Setup::new());
    assert_refused(&world, "POST", WEBSOCKET, "Bad handshake method");
}

#[test]
fn an_application_that_refuses_is_400_for_a_websocket_never_403() {
    let world = World::new(Setup::new().refusing("Forbidden"));
    assert_refused(&world, "GET", WEBSOCKET, "Forbidden");
    let world = World::new(Setup::new().refusing("no such room"));
    assert_refused(&world, "GET", WEBSOCKET, "no such room");
}

#[test]
fn an_unsupported_protocol_is_refused_before_the_101() {
    let reason = Excluded::FaultOfTheReference;
    let Some(world) = World::proxy_only(Setup::new(), reason) else { return };
    for target in ["/engine.io/?EIO=3&transport=websocket", "/engine.io/?transport=websocket"] {
        assert_refused(&world, "GET", target, "Unsupported protocol version");
    }
}

#[test]
fn a_polling_request_with_an_upgrade_is_accepted_and_closed_without_a_code() {
    let world = World::new(Setup::new());
    Socket::connect(world.addr, POLLING).assert_closed(None);
    let (mut poller, peer) = world.poller();
    Socket::connect(world.addr, &poller.target()).assert_closed(None);
    poller.post_ok("4still here");
    peer.assert_text("still here");
}

#[test]
fn a_handshake_that_is_no_websockets_is_400() {
    let world = World::new(Setup::new());
    let broken: [&[(&str, &str)]; 5] = [
        &[("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")],
        &[("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", KEY)],
        &[
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "short"),
        ],
        &[
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "7"),
            ("Sec-WebSocket-Key", KEY),
        ],
        &[
            ("Connection", "Upgrade"),
            ("Upgrade", "nonsense"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", KEY),
        ],
    ];
    for headers in broken {
        let mut client = world.http();
        client.wire.send(head("GET", WEBSOCKET, headers).as_bytes());
        let answer = client.answer();
        assert_eq!(answer.status, 400, "{headers:?}");
    }
    world.assert_healthy();
}

#[test]
fn connection_and_upgrade_headers_are_read_in_any_case_and_among_other_tokens() {
    let world = World::new(Setup::new());
    let headers = [
        ("connection", "keep-alive, upgrade"),
        ("UPGRADE", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", KEY),
    ];
    let mut client = world.http();
    client.wire.send(head("GET", WEBSOCKET, &headers).as_bytes());
    assert_eq!(client.answer().status, 101);
}

#[test]
fn a_refused_upgrade_leaves_no_session_behind() {
    let world = World::new(Setup::new());
    for _ in 0..5 {
        assert!(Socket::try_connect(world.addr, "/engine.io/?EIO=4&transport=x", &[]).is_err());
        assert!(Socket::try_connect(world.addr, &format!("{WEBSOCKET}&sid=x"), &[]).is_err());
    }
    world.assert_sessions(0);
}
