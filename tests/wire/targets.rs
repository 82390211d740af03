//! Hosts, paths and origins of requests, in every dialect with sessions; `tests/forward/headers.rs` has the same for
//! forwarded requests.

use crate::support::frames::Socket;
use crate::support::http::{Client, Response};
use crate::support::wire::Wire;
use crate::support::world::{Excluded, POLLING, WEBSOCKET};
use crate::support::{Setup, World};

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n";

/// Returns a setup for each dialect, a target on its route, and the headers of its WebSocket handshake.
fn dialects() -> Vec<(Setup, String, String)> {
    let handshake = format!("{UPGRADE}{KEY}{VERSION}");
    vec![
        (Setup::new(), POLLING.to_owned(), String::new()),
        (Setup::new(), WEBSOCKET.to_owned(), handshake.clone()),
        (Setup::new().relayed(), WEBSOCKET.to_owned(), handshake.clone()),
        (Setup::sockets(), "/engine.io/room".to_owned(), handshake.clone()),
        (Setup { dialect: "websocket", ..Setup::plain() }, "/engine.io/room".to_owned(), handshake),
    ]
}

fn world(setup: Setup) -> Option<World> {
    World::proxy_only(setup, Excluded::OnlyAProxyHasThis)
}

fn asked(world: &World, head: &str) -> Response {
    let mut client = world.http();
    client.wire.send(head.as_bytes());
    client.answer()
}

#[test]
fn a_request_that_names_no_single_host_is_refused_on_every_dialect() {
    for (setup, target, handshake) in dialects() {
        let Some(world) = world(setup) else { return };
        for hosts in [
            "",
            "Host: a\r\nHost: a\r\n",
            "Host: a\r\nHost: b\r\n",
            "Host: a/b@c?d\r\n",
            "Host: a, b\r\n",
            "Host:\r\n",
            "Host: a b\r\n",
            "Host: a:99999\r\n",
        ] {
            let answer = asked(&world, &format!("GET {target} HTTP/1.1\r\n{hosts}{handshake}\r\n"));
            assert_eq!(answer.status, 400, "{target} {hosts:?}");
        }
        let answer = asked(&world, &format!("GET http://a{target} HTTP/1.1\r\n{handshake}\r\n"));
        assert_eq!(answer.status, 400, "{target}");
    }
}

#[test]
fn an_upgrade_in_http_1_0_is_ignored_on_every_dialect() {
    for (setup, target, handshake) in dialects() {
        let Some(world) = world(setup) else { return };
        if !handshake.is_empty() {
            let answer = asked(&world, &format!("GET {target} HTTP/1.0\r\nHost: a\r\n{handshake}\r\n"));
            assert!([400, 426].contains(&answer.status), "{target}: {}", answer.status);
        }
    }
}

#[test]
fn the_host_is_the_targets_and_connection_cannot_take_it_away() {
    for (setup, target, handshake) in dialects() {
        let Some(world) = world(setup) else { return };
        let handshake =
            handshake.replace("Connection: Upgrade", "Connection: Upgrade, Host, X-Forwarded-For");
        let handshake = if handshake.is_empty() { "Connection: host\r\n".to_owned() } else { handshake };
        let mut client = world.http();
        let head =
            format!("GET http://me:pw@a.example:81{target} HTTP/1.1\r\nHost: other\r\n{handshake}\r\n");
        client.wire.send(head.as_bytes());
        let peer = world.accept();
        assert_eq!(peer.opening.headers_named("host"), ["a.example:81"], "{target}");
        assert_eq!(peer.opening.headers_named("x-forwarded-host"), ["a.example:81"], "{target}");
        assert_eq!(peer.opening.headers_named("x-forwarded-for"), ["127.0.0.1"], "{target}");
    }
}

#[test]
fn two_lines_of_a_websockets_key_or_version_are_refused() {
    for (setup, target, handshake) in dialects().into_iter().filter(|(.., handshake)| !handshake.is_empty()) {
        let Some(world) = world(setup) else { return };
        for more in
            [KEY, VERSION, "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n", "Sec-WebSocket-Version: 8\r\n"]
        {
            let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{handshake}{more}\r\n");
            assert_eq!(asked(&world, &head).status, 400, "{target} {more}");
        }
        world.assert_sessions(0);
    }
}

#[test]
fn a_path_whose_dots_leave_the_route_is_refused_on_every_dialect() {
    for (setup, target, handshake) in dialects() {
        let Some(world) = world(setup) else { return };
        for dots in [
            "../x",
            "%2e%2e/x",
            "../../x",
            "./../x",
            "a/..%2f..%2fx",
            "..%5cx",
            "..\\x",
            "a//../../x",
            ".%2E;a/x",
        ] {
            let bad = target.replacen("/engine.io/", &format!("/engine.io/{dots}"), 1);
            let answer = asked(&world, &format!("GET {bad} HTTP/1.1\r\nHost: a\r\n{handshake}\r\n"));
            assert_eq!(answer.status, 400, "{bad}");
            answer.assert(400, "the path leaves its route\n");
        }
        // A path that stays inside reaches the backend unchanged.
        let inside = target.replacen("/engine.io/", "/engine.io/a/../%2e/b%2fc//", 1);
        let mut client = Client::connect(world.addr);
        client.wire.send(format!("GET {inside} HTTP/1.1\r\nHost: a\r\n{handshake}\r\n").as_bytes());
        let path = inside.split('?').next().unwrap();
        assert_eq!(world.accept().opening.path(), path);
    }
}

#[test]
fn forged_headers_are_replaced_and_loops_refused_on_every_dialect() {
    for (setup, target, handshake) in dialects() {
        let setup =
            setup.route("request_headers = { X-Tenant = \"7\" }\nresponse_headers = { X-Own = \"1\" }");
        let Some(world) = world(setup) else { return };
        let lies = "X-Real-IP: 1\r\nX-Forwarded-Port: 1\r\nTrue-Client-IP: 1\r\nX_Real_IP: 1\r\nX-Original-URL: /\r\n";
        let mut client = world.http();
        client.wire.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{lies}{handshake}\r\n").as_bytes());
        let peer = world.accept();
        assert_eq!(peer.opening.headers_named("x-real-ip"), ["127.0.0.1"], "{target}");
        assert_eq!(peer.opening.headers_named("x-tenant"), ["7"], "{target}");
        for name in ["x-forwarded-port", "true-client-ip", "x_real_ip", "x-original-url"] {
            assert_eq!(peer.opening.header(name), None, "{target} {name}");
        }
        assert_eq!(client.answer().header("x-own"), Some("1"), "{target}");
        let via = peer.opening.header("via").unwrap().to_owned();
        let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\nVia: 1.1 x, {via}\r\n{handshake}\r\n");
        asked(&world, &head).assert(508, "request loop detected\n");
    }
}

#[test]
fn a_path_segment_between_two_slashes_keeps_both() {
    let Some(world) = world(Setup { path: "/", ..Setup::sockets() }) else { return };
    for target in ["//room", "/a//b/", "/", "///"] {
        let _socket = Socket::over(Wire::connect(world.addr), target, &[]).expect("accepted");
        assert_eq!(world.accept().opening.path(), target);
    }
}

#[test]
fn a_page_that_was_loaded_from_a_file_can_be_let_in() {
    for (listed, other) in [("file://", "null"), ("null", "file://")] {
        let Some(world) = world(Setup::new().route(&format!("allowed_origins = [\"{listed}\"]"))) else {
            return;
        };
        let ask = |origin: &str| world.http().request("GET", POLLING, &[("Origin", origin)], b"").status;
        assert_eq!((ask(listed), ask(other)), (200, 403), "{listed}");
    }
}

#[test]
fn a_hundred_and_more_header_lines_are_read_on_every_dialect() {
    for (setup, target, handshake) in dialects() {
        let Some(world) = world(setup) else { return };
        let lines: Vec<String> = (0..150).map(|line| format!("X-Line-{line}: {line}\r\n")).collect();
        let mut client = world.http();
        // A connection that may belong to another protocol after its first request is refused here.
        let refused = handshake.replace("Sec-WebSocket-Key", "Sec-WebSocket-Lock");
        client.wire.send(format!("GET {target} HTTP/1.1\r\nHost: a b\r\n{refused}\r\n").as_bytes());
        assert_eq!(client.answer().status, 400);
        let lines = lines.concat();
        client.wire.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{lines}{handshake}\r\n").as_bytes());
        assert_eq!(world.accept().opening.header("x-line-149"), Some("149"), "{target}");
        assert_eq!(client.answer().status, if handshake.is_empty() { 200 } else { 101 }, "{target}");
    }
}
