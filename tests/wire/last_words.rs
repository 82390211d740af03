//! A Close frame arrives even if its receiver writes everything before it reads: a reset never overtakes it.

use std::thread;

use crate::support::frames::{Frame, Op, Socket};
use crate::support::wire::Wire;
use crate::support::world::{Excluded, WEBSOCKET};
use crate::support::{Peer, Setup, World, ms};

/// More than the kernel buffers without a reader.
const TOO_MUCH: usize = 16 << 20;

fn pair(setup: Setup, target: &str) -> Option<(World, Socket, Peer)> {
    let world = World::proxy_only(setup, Excluded::OnlyAProxyHasThis)?;
    let socket = Socket::over(Wire::connect_narrow(world.addr), target, &[]).expect("accepted");
    let peer = world.accept();
    Some((world, socket, peer))
}

/// A client sends a message over the limit with much under way, and starts reading only then.
#[track_caller]
fn assert_told(setup: Setup, target: &str) {
    let Some((world, mut socket, peer)) = pair(setup, target) else { return };
    let sender = thread::spawn(move || {
        (0..32).for_each(|_| peer.send(&"f".repeat(500_000)));
        peer
    });
    // The sender fills all buffers meanwhile, and must not finish.
    thread::sleep(ms(300));
    assert!(!sender.is_finished(), "16 MB wait for a client that does not read");
    socket.send(&format!("4{}", "x".repeat(TOO_MUCH)));
    let close = std::iter::repeat_with(|| socket.frame()).find(|frame| frame.op == Op::CLOSE);
    assert_eq!(close.and_then(|frame| frame.code()), Some(1009));
    sender.join().unwrap().assert_closed();
    world.assert_sessions(0);
}

/// python-engineio sends `1` before it closes. Its clients, like others, take an end without it for a lost connection.
#[test]
fn a_backends_close_packet_reaches_clients_of_either_version_on_every_transport() {
    for (upstream, eio) in [("", 4), ("versions = [3]", 3)] {
        let Some(world) = World::proxy_only(Setup::new().upstream(upstream), Excluded::OnlyAProxyHasThis)
        else {
            return;
        };
        let part = |peer: &Peer| peer.line().send_frame(&Frame::new(Op::TEXT, "1"));
        let target = |transport| format!("/engine.io/?EIO={eio}&transport={transport}");
        let mut socket = Socket::connect(world.addr, &target("websocket"));
        let peer = world.accept();
        assert!(socket.text().starts_with("0{"));
        peer.send("last words");
        part(&peer);
        socket.assert_text("4last words");
        socket.assert_text("1");
        socket.assert_closed(None);
        peer.assert_closed();
        if eio == 3 {
            continue;
        }
        let (mut poller, peer) = world.poller();
        poller.park();
        part(&peer);
        poller.assert_parked_gets("1");
        let (poller, peer) = world.poller();
        let mut moved = poller.upgraded();
        moved.send("4moved");
        peer.assert_text("moved");
        part(&peer);
        moved.assert_text("1");
        moved.assert_closed(None);
    }
}

#[test]
fn a_backend_that_closes_without_a_close_packet_has_none_added() {
    let world = World::new(Setup::new());
    let (mut socket, peer) = world.websocket();
    peer.close();
    socket.assert_closed(None);
}

#[test]
fn an_engine_io_client_learns_that_its_message_was_too_large() {
    assert_told(Setup::new(), WEBSOCKET);
}

#[test]
fn a_plain_client_learns_that_its_message_was_too_large() {
    assert_told(Setup { relay: false, ..Setup::sockets() }, "/engine.io/");
}

#[test]
fn a_relayed_client_learns_that_its_message_was_too_large() {
    // Without a limit of the route, only the backend's own would hold.
    assert_told(Setup::sockets().max_payload(TOO_MUCH - 1), "/engine.io/");
}
