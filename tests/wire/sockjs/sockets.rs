//! The WebSocket of a SockJS session, and the raw one.

use crate::support::frames::{Frame, Op, Socket};
use crate::support::sockjs::{setup, target, world, world_of};
use crate::support::{Event, World, ms};

#[track_caller]
fn connect(world: &World, sid: &str) -> Socket {
    let mut socket = Socket::connect(world.addr, &target(sid, "websocket"));
    socket.assert_text("o");
    socket
}

#[test]
fn each_frame_is_an_array_and_each_message_a_frame() {
    let Some(world) = world("") else { return };
    let mut socket = connect(&world, "a");
    let peer = world.accept();
    socket.send("");
    socket.send("[]");
    socket.send("\"alone\"");
    socket.send("[\"a\",\"b\\n\"]");
    socket.send_binary(b"[\"bytes\"]");
    for text in ["alone", "a", "b\n", "bytes"] {
        peer.assert_text(text);
    }
    peer.send("x\u{2028}\"");
    socket.assert_text("a[\"x\\u2028\\\"\"]");
}

#[test]
fn two_websockets_with_one_id_are_two_sessions() {
    let Some(world) = world("") else { return };
    let (mut one, first) = (connect(&world, "a"), world.accept());
    let (mut other, second) = (connect(&world, "a"), world.accept());
    first.send("1");
    second.send("2");
    one.assert_text("a[\"1\"]");
    other.assert_text("a[\"2\"]");
    crate::support::sockjs::poll(&world, "a").assert(200, "o\n");
}

#[test]
fn a_frame_that_is_no_json_closes_with_3000() {
    let Some(world) = world("") else { return };
    let mut socket = connect(&world, "a");
    let peer = world.accept();
    socket.send("[\"a");
    socket.assert_closed(Some(3000));
    peer.assert_closed();
}

#[test]
fn the_backends_close_is_a_frame_before_the_close() {
    let Some(world) = world("") else { return };
    let mut socket = connect(&world, "a");
    let peer = world.accept();
    peer.send("last");
    peer.line().close(Some(4001));
    socket.assert_text("a[\"last\"]");
    socket.assert_text("c[4001,\"\"]");
    socket.assert_closed(Some(1000));
}

#[test]
fn a_clients_close_reaches_the_backend_with_its_code() {
    let Some(world) = world("") else { return };
    let mut socket = connect(&world, "a");
    let peer = world.accept();
    socket.send_frame(&Frame::close(Some(3001)));
    assert_eq!(peer.event(), Event::Closed(3001));
    socket.assert_closed(Some(3001));
}

#[test]
fn a_client_that_answers_no_ping_is_closed_with_a_reason() {
    let Some(world) = world("heartbeat = \"200ms\"") else { return };
    let mut socket = connect(&world, "a");
    let ping = socket.frame();
    assert_eq!((ping.op, ping.payload.len()), (Op::PING, 0));
}

#[test]
fn a_raw_websocket_reaches_the_application_unchanged() {
    let Some(world) = world_of(setup("").relayed()) else { return };
    let mut socket = Socket::connect(world.addr, "/echo/websocket?a=1");
    let peer = world.accept();
    assert_eq!(peer.opening.target, "/echo/?a=1");
    socket.send("[\"as it is\"]");
    peer.assert_text("[\"as it is\"]");
    peer.send("\u{ffff}");
    socket.assert_text("\u{ffff}");
    peer.send_binary(&[0, 255]);
    socket.assert_binary(&[0, 255]);
    peer.line().close(Some(3000));
    socket.assert_closed(Some(3000));
}

#[test]
fn what_a_raw_websocket_sends_before_it_hangs_up_arrives() {
    let Some(world) = world_of(setup("").relayed()) else { return };
    for turn in 0..200 {
        let mut socket = Socket::connect(world.addr, "/echo/websocket");
        let text = format!("last words {turn}");
        socket.send(&text);
        if turn % 2 == 0 {
            socket.wire.half_close();
        } else {
            socket.wire.close();
        }
        let peer = world.accept();
        peer.assert_text(&text);
        peer.assert_closed();
    }
}

#[test]
fn a_websocket_that_the_route_has_off_is_404() {
    let Some(world) = world("websocket = false") else { return };
    for path in ["/echo/0/a/websocket", "/echo/websocket"] {
        let answer = Socket::try_connect(world.addr, path, &[]).unwrap_err();
        answer.assert(404, "404 Error: Page not found\n");
    }
    assert!(world.get("/echo/info").text().starts_with("{\"websocket\":false,"));
    assert!(world.accept_within(ms(60)).is_none());
}
