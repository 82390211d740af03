//! The keys by which a route deviates from sockjs-node.

use crate::support::Event;
use crate::support::frames::Socket;
use crate::support::script::answer as refusal;
use crate::support::sockjs::{Stream, begin, poll, send, setup, target, world, world_of};
use crate::support::world::World;

/// Returns the subprotocols that the next session's backend was offered.
#[track_caller]
fn offered(world: &World) -> Option<String> {
    world.accept().opening.header("sec-websocket-protocol").map(str::to_owned)
}

/// Connects a WebSocket that offers subprotocols, and returns what was chosen.
#[track_caller]
fn chosen(world: &World, path: &str) -> Option<String> {
    let offer = [("Sec-WebSocket-Protocol", "chat, superchat")];
    let socket = Socket::try_connect(world.addr, path, &offer).expect("accepted");
    socket.response.header("sec-websocket-protocol").map(str::to_owned)
}

#[test]
fn a_subprotocol_that_a_client_offers_ends_here_as_at_the_reference() {
    let Some(world) = world("") else { return };
    assert_eq!(chosen(&world, &target("a", "websocket")), None);
    assert_eq!(offered(&world), None);
    let headers = [("Sec-WebSocket-Protocol", "chat")];
    world.http().request("POST", &target("a", "xhr"), &headers, b"").assert(200, "o\n");
    assert_eq!(offered(&world), None);
}

#[test]
fn a_subprotocol_of_the_route_is_offered_for_each_transport_and_no_client_hears_of_it() {
    let Some(world) = world("subprotocol = \"v12.stomp\"") else { return };
    let peer = begin(&world, "a");
    assert_eq!(peer.opening.header("sec-websocket-protocol"), Some("v12.stomp"));
    assert_eq!(chosen(&world, &target("a", "websocket")), None);
    assert_eq!(offered(&world).as_deref(), Some("v12.stomp"));
}

#[test]
fn a_backend_that_chooses_another_subprotocol_than_the_routes_has_no_session() {
    let setup = setup("subprotocol = \"v12.stomp\"")
        .script(|script| script.headers = "Sec-WebSocket-Protocol: chat\r\n".into());
    let Some(world) = world_of(setup) else { return };
    let answer =
        world.http().request("POST", &target("a", "xhr"), &[("Sec-WebSocket-Protocol", "chat")], b"");
    assert_eq!(answer.status, 502);
}

#[test]
fn a_raw_web_socket_negotiates_its_subprotocol_with_the_backend() {
    for setup in [setup("subprotocol = \"v12.stomp\"").relayed(), setup("subprotocol = \"v12.stomp\"")] {
        let Some(world) = world_of(setup) else { return };
        assert_eq!(chosen(&world, "/echo/websocket").as_deref(), Some("chat"));
        assert_eq!(offered(&world).as_deref(), Some("chat, superchat"));
    }
}

#[test]
fn a_backends_binary_message_is_the_text_in_it_or_ends_the_session() {
    for line in ["", "binary = \"text\""] {
        let Some(world) = world(line) else { return };
        let peer = begin(&world, "a");
        peer.send_binary("é".as_bytes());
        poll(&world, "a").assert(200, "a[\"é\"]\n");
        peer.send_binary(&[0, 255]);
        assert_eq!(peer.event(), Event::Closed(1003));
        assert!(poll(&world, "a").text().starts_with("c[1003,"));
    }
}

#[test]
fn a_backends_binary_message_is_base64_where_the_route_says_so() {
    for line in ["binary = \"base64\"", "binary = \"base64-both\""] {
        let Some(world) = world(line) else { return };
        let peer = begin(&world, "a");
        for (bytes, text) in [(&[0, 255, 254][..], "AP/+"), (b"e", "ZQ=="), (b"", "")] {
            peer.send_binary(bytes);
            poll(&world, "a").assert(200, &format!("a[\"{text}\"]\n"));
        }
        peer.send("text");
        poll(&world, "a").assert(200, "a[\"text\"]\n");
        let mut socket = Socket::connect(world.addr, &target("b", "websocket"));
        socket.assert_text("o");
        world.accept().send_binary(&[0, 255, 254]);
        socket.assert_text("a[\"AP/+\"]");
    }
}

#[test]
fn a_clients_message_is_text_unless_base64_crosses_both_ways() {
    let Some(world) = world("binary = \"base64\"") else { return };
    let peer = begin(&world, "a");
    send(&world, "a", "[\"AP/+\"]");
    peer.assert_text("AP/+");
}

#[test]
fn base64_of_a_client_is_binary_for_its_backend_and_anything_else_is_refused() {
    let Some(world) = world("binary = \"base64-both\"") else { return };
    let peer = begin(&world, "a");
    send(&world, "a", "[\"AP/+\",\"\"]");
    peer.assert_binary(&[0, 255, 254]);
    peer.assert_binary(b"");
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let mut client = world.http();
    client.request("POST", &target("a", "jsonp_send"), &form, b"d=%5B%22AP/%2B%22%5D").assert(200, "ok");
    peer.assert_binary(&[0, 255, 254]);
    // All or nothing, as with broken JSON.
    for body in ["[\"AP/+\",\"not base64\"]", "[\"ZQ\"]", "[{}]"] {
        let answer = client.request("POST", &target("a", "xhr_send"), &[], body.as_bytes());
        answer.assert(500, "Broken base64 encoding.");
    }
    peer.assert_quiet();
    let mut socket = Socket::connect(world.addr, &target("b", "websocket"));
    socket.assert_text("o");
    let peer = world.accept();
    socket.send("[\"AP/+\"]");
    peer.assert_binary(&[0, 255, 254]);
    socket.send("[\"AP/+\",\"ZQ\"]");
    socket.assert_closed(Some(3000));
    peer.assert_closed();
}

/// Returns a route of SockJS whose backend refuses everybody so.
fn refusing(line: &str, status: &str, headers: &str, body: &str) -> Option<World> {
    world_of(setup(line).script(|script| script.refusal = Some(refusal(status, headers, body))))
}

#[test]
fn a_backends_refusal_is_its_status() {
    for line in ["", "refuse = \"status\""] {
        let Some(world) = refusing(line, "401 Unauthorized", "", "no") else { return };
        poll(&world, "a").assert(401, "no");
        let answer = Socket::try_connect(world.addr, &target("a", "websocket"), &[]).unwrap_err();
        answer.assert(401, "no");
    }
}

#[test]
fn a_backends_final_refusal_is_a_close_on_every_transport_where_the_route_says_so() {
    let headers = "Set-Cookie: seen=1\r\n";
    let Some(world) = refusing("refuse = \"close\"", "401 Unauthorized", headers, "no \"entry\"\n") else {
        return;
    };
    let closed = "c[4001,\"no \\\"entry\\\"\"]";
    let answer = world.http().request("POST", &target("a", "xhr"), &[("Origin", "http://a")], b"");
    answer.assert(200, &format!("{closed}\n"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("http://a"));
    assert_eq!(answer.header("set-cookie"), Some("seen=1"));
    let mut stream = Stream::open(&world, "POST", &target("a", "xhr_streaming"));
    assert_eq!(stream.chunk().len(), 2049);
    stream.assert(&format!("{closed}\n"));
    stream.assert_over();
    let mut stream = Stream::open(&world, "GET", &target("a", "eventsource"));
    stream.assert("\r\n");
    stream.assert(&format!("data: {closed}\r\n\r\n"));
    let jsonp = world.get(&target("a", "jsonp?c=f"));
    jsonp.assert(200, "/**/f(\"c[4001,\\\"no \\\\\\\"entry\\\\\\\"\\\"]\");\r\n");
    let mut socket = Socket::connect(world.addr, &target("a", "websocket"));
    assert_eq!(socket.response.header("set-cookie"), Some("seen=1"));
    socket.assert_text(closed);
    socket.assert_closed(Some(1000));
    assert_eq!(world.sessions(), 0);
}

#[test]
fn a_refusal_that_is_a_page_or_silent_is_told_by_its_status() {
    for (status, headers, body, told) in [
        ("403 Forbidden", "Content-Type: text/html\r\n", "<h1>no</h1>", "c[4003,\"Forbidden\"]\n"),
        ("404 Not Found", "", "", "c[4004,\"Not Found\"]\n"),
        ("499 Odd", "", "", "c[4099,\"\"]\n"),
        ("429 Slow Down", "Content-Type: text/plain; charset=utf-8\r\n", "later", "c[4029,\"later\"]\n"),
        ("400 Bad Request", "", &"x".repeat(124), "c[4000,\"Bad Request\"]\n"),
    ] {
        let Some(world) = refusing("refuse = \"close\"", status, headers, body) else { return };
        poll(&world, "a").assert(200, told);
    }
}

#[test]
fn a_refusal_that_may_pass_and_that_of_a_raw_web_socket_stay_a_status() {
    let Some(world) = refusing("refuse = \"close\"", "503 Later", "Retry-After: 7\r\n", "wait") else {
        return;
    };
    let answer = poll(&world, "a");
    answer.assert(503, "wait");
    assert_eq!(answer.header("retry-after"), Some("7"));
    world.backend().script(|script| script.refusal = Some(refusal("401 Unauthorized", "", "no")));
    let answer = Socket::try_connect(world.addr, "/echo/websocket", &[]).unwrap_err();
    answer.assert(401, "no");
}
