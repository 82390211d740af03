//! Engine.IO clients before a backend that speaks plain WebSocket: one message is one message.

use crate::support::frames::{Frame, Masked, Op, Socket};
use crate::support::world::{Excluded, POLLING, WEBSOCKET};
use crate::support::{Poller, Setup, World};

fn world() -> Option<World> {
    World::proxy_only(Setup::plain(), Excluded::OnlyAProxyHasThis)
}

#[test]
fn text_stays_text_and_binary_stays_binary() {
    let Some(world) = world() else { return };
    let (mut poller, peer) = world.poller();
    poller.post_ok("4text\u{1e}bAAEC\u{1e}4");
    peer.assert_text("text");
    peer.assert_binary(&[0, 1, 2]);
    peer.assert_text("");
    peer.send("down");
    assert_eq!(poller.poll(), "4down");
    peer.send_binary(&[0, 1, 2]);
    assert_eq!(poller.poll(), "bAAEC");
    let (mut socket, peer) = world.websocket();
    socket.send("42looks like Socket.IO");
    peer.assert_text("2looks like Socket.IO");
    socket.send_binary(&[4, 0]);
    peer.assert_binary(&[4, 0]);
    peer.send("2probe");
    socket.assert_text("42probe");
    peer.send_binary(&[4, 0]);
    socket.assert_binary(&[4, 0]);
}

#[test]
fn the_heartbeat_is_socket_ios_own() {
    let Some(world) = world() else { return };
    let (poller, _peer) = world.poller();
    let rest = r#""pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
    assert!(poller.handshake.text().ends_with(rest), "{}", poller.handshake.text());
}

#[test]
fn the_transports_keys_are_dropped_and_the_applications_kept() {
    let Some(world) = world() else { return };
    let query = "&t=1&j=0&b64=1&sid=&token=a%20b&room=1&room=2&flag";
    world.get(&format!("{POLLING}{query}"));
    assert_eq!(world.accept().opening.query(), ["token=a%20b", "room=1", "room=2", "flag"]);
    world.get(POLLING);
    let opening = world.accept().opening;
    assert!(!opening.target.contains("EIO"), "{}", opening.target);
    let _socket = Socket::connect(world.addr, &format!("{WEBSOCKET}{query}"));
    assert_eq!(world.accept().opening.query(), ["token=a%20b", "room=1", "room=2", "flag"]);
}

#[test]
fn a_clients_heartbeat_stays_at_the_proxy() {
    let setup = Setup::plain().heartbeat(200, 200);
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let (mut poller, peer) = world.poller();
    for _ in 0..3 {
        assert_eq!(poller.poll(), "2");
        poller.post_ok("3");
    }
    poller.post_ok("4still here");
    peer.assert_text("still here");
}

#[test]
fn a_backends_ping_is_answered_by_the_link() {
    let Some(world) = world() else { return };
    let (mut poller, peer) = world.poller();
    peer.line().send_frame(&Frame::new(Op::PING, "alive?"));
    assert_eq!(peer.event(), crate::support::Event::Pong);
    poller.park();
    peer.send("and nothing else came");
    poller.assert_parked_gets("4and nothing else came");
}

#[test]
fn a_backends_fragments_are_one_message() {
    let Some(world) = world() else { return };
    let (mut poller, peer) = world.poller();
    let mut bytes = Frame { fin: false, ..Frame::new(Op::TEXT, "one ") }.encode(Masked::No);
    bytes.extend(Frame::new(Op::PING, "").encode(Masked::No));
    bytes.extend(Frame::new(Op::CONTINUATION, "message").encode(Masked::No));
    peer.line().send_raw(&bytes);
    assert_eq!(poller.poll(), "4one message");
}

#[test]
fn a_backends_close_is_the_sessions_end() {
    let Some(world) = world() else { return };
    for code in [None, Some(1000), Some(1001), Some(4000)] {
        let (mut poller, peer) = world.poller();
        poller.park();
        peer.line().close(code);
        poller.assert_parked_gets("1");
        poller.assert_gone();
        let (mut socket, peer) = world.websocket();
        peer.line().close(code);
        socket.assert_closed(None);
        peer.assert_closed();
    }
    world.assert_sessions(0);
}

#[test]
fn a_plain_backends_400_passes_unchanged() {
    let Some(world) = world() else { return };
    world
        .backend()
        .script(|script| script.refusal = Some(crate::support::setup::bare_refusal("Bad request")));
    world.get(POLLING).assert(400, "Bad request");
    Socket::try_connect(world.addr, WEBSOCKET, &[]).unwrap_err().assert(400, "Bad request");
}

#[test]
fn a_session_upgrades_before_a_plain_backend() {
    let Some(world) = world() else { return };
    let (poller, peer) = world.poller();
    let mut socket = poller.upgraded();
    peer.send("down");
    socket.assert_text("4down");
    socket.send("4up");
    peer.assert_text("up");
}

#[test]
fn each_client_has_a_connection_of_its_own() {
    let Some(world) = world() else { return };
    let sessions: Vec<_> = (0..5).map(|_| world.poller()).collect();
    for (number, (poller, peer)) in sessions.into_iter().enumerate() {
        let mut poller: Poller = poller;
        poller.post_ok(format!("4{number}"));
        peer.assert_text(&number.to_string());
        peer.assert_quiet();
    }
}
