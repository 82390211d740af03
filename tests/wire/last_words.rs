//! A Close frame arrives, though its receiver writes all it has before it reads anything: a reset never overtakes it.

use std::thread;

use crate::support::frames::{Op, Socket};
use crate::support::wire::Wire;
use crate::support::world::{Excluded, WEBSOCKET};
use crate::support::{Peer, Setup, World, ms};

/// More than the kernel takes without a reader.
const TOO_MUCH: usize = 16 << 20;

fn pair(setup: Setup, target: &str) -> Option<(World, Socket, Peer)> {
    let world = World::proxy_only(setup, Excluded::OnlyAProxyHasThis)?;
    let socket = Socket::over(Wire::connect_narrow(world.addr), target, &[]).expect("accepted");
    let peer = world.accept();
    Some((world, socket, peer))
}

/// A client for whom much is under way sends too much, and reads only then.
#[track_caller]
fn assert_told(setup: Setup, target: &str) {
    let Some((world, mut socket, peer)) = pair(setup, target) else { return };
    let sender = thread::spawn(move || {
        (0..32).for_each(|_| peer.send(&"f".repeat(500_000)));
        peer
    });
    thread::sleep(ms(300));
    assert!(!sender.is_finished(), "16 MB wait for a client that does not read");
    socket.send(&format!("4{}", "x".repeat(TOO_MUCH)));
    let close = std::iter::repeat_with(|| socket.frame()).find(|frame| frame.op == Op::CLOSE);
    assert_eq!(close.and_then(|frame| frame.code()), Some(1009));
    sender.join().unwrap().assert_closed();
    world.assert_sessions(0);
}

#[test]
fn an_engine_io_client_hears_that_it_said_too_much() {
    assert_told(Setup::new(), WEBSOCKET);
}

#[test]
fn a_plain_client_hears_that_it_said_too_much() {
    assert_told(Setup { relay: false, ..Setup::sockets() }, "/engine.io/");
}

#[test]
fn a_relayed_client_hears_that_it_said_too_much() {
    // Without a limit of the route's, only the backend's own would hold.
    assert_told(Setup::sockets().max_payload(TOO_MUCH - 1), "/engine.io/");
}
