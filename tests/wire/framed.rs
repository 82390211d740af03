//! A plain WebSocket client whose messages pass through a session: they stay unchanged, and the session's rules hold.

use crate::support::frames::{Frame, Masked, Op, Socket};
use crate::support::world::Excluded;
use crate::support::{Peer, Setup, World, ms};

fn world(setup: Setup) -> Option<World> {
    World::proxy_only(Setup { relay: false, ..setup }, Excluded::OnlyAProxyHasThis)
}

fn pair(world: &World, headers: &[(&str, &str)]) -> (Socket, Peer) {
    let socket = Socket::try_connect(world.addr, "/engine.io/room?t=1&EIO=7", headers).expect("accepted");
    (socket, world.accept())
}

#[test]
fn messages_cross_both_ways_and_nothing_is_added() {
    let Some(world) = world(Setup::sockets()) else { return };
    let (mut socket, peer) = pair(&world, &[]);
    assert_eq!(peer.opening.query(), ["t=1", "EIO=7"], "the query is the application's");
    peer.send("first");
    socket.assert_text("first");
    peer.echo();
    for length in [0, 1, 125, 126, 65_536, 300_000] {
        let text = "4".repeat(length);
        socket.send(&text);
        socket.assert_text(&text);
        socket.send_binary(&vec![7; length]);
        socket.assert_binary(&vec![7; length]);
    }
    world.assert_sessions(1);
}

#[test]
fn the_backend_chooses_the_subprotocol_and_no_extension_is_spoken() {
    let Some(world) = world(
        Setup::sockets().script(|script| script.headers = "Sec-WebSocket-Protocol: superchat\r\n".into()),
    ) else {
        return;
    };
    let offer =
        [("Sec-WebSocket-Protocol", "chat, superchat"), ("Sec-WebSocket-Extensions", "permessage-deflate")];
    let (socket, peer) = pair(&world, &offer);
    assert_eq!(peer.opening.header("sec-websocket-extensions"), None);
    assert_eq!(socket.response.header("sec-websocket-protocol"), Some("superchat"));
    assert_eq!(socket.response.header("sec-websocket-extensions"), None);
}

#[test]
fn close_codes_cross_both_ways() {
    let Some(world) = world(Setup::sockets()) else { return };
    let (mut socket, peer) = pair(&world, &[]);
    socket.send_frame(&Frame::close(Some(4001)));
    assert_eq!(socket.frame().code(), Some(4001));
    peer.assert_closed();
    world.assert_sessions(0);
    let (mut socket, peer) = pair(&world, &[]);
    peer.line().send_raw(&Frame::close(Some(4002)).encode(Masked::No));
    assert_eq!(socket.frame().code(), Some(4002));
}

#[test]
fn a_client_that_answers_pings_lives_and_a_silent_one_is_closed_with_a_reason() {
    let Some(world) = world(Setup::sockets().heartbeat(200, 200)) else { return };
    let (mut socket, peer) = pair(&world, &[]);
    for _ in 0..3 {
        let ping = socket.frame();
        assert_eq!(ping.op, Op::PING);
        socket.send_frame(&Frame::new(Op::PONG, ping.payload));
    }
    socket.send("alive");
    peer.assert_text("alive");
    assert_eq!(socket.frame().op, Op::PING);
    assert_eq!(socket.frame().code(), Some(1001));
    peer.assert_closed();
    world.assert_sessions(0);
}

#[test]
fn a_message_over_the_limit_ends_both_ends() {
    let Some(world) = world(Setup::sockets().upstream("max_message = 1000").route("max_payload = 500"))
    else {
        return;
    };
    let (mut socket, peer) = pair(&world, &[]);
    socket.send(&"x".repeat(501));
    socket.assert_closed(Some(1009));
    peer.assert_closed();
    let (mut socket, peer) = pair(&world, &[]);
    peer.send(&"x".repeat(1001));
    socket.assert_closed(Some(1009));
    peer.assert_closed();
    world.assert_sessions(0);
}

#[test]
fn an_end_without_a_close_frame_ends_the_backends_side_at_once() {
    let Some(world) = world(Setup::sockets()) else { return };
    let (socket, peer) = pair(&world, &[]);
    socket.wire.reset();
    assert!(peer.ends_after() < ms(500));
    world.assert_sessions(0);
}
