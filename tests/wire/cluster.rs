//! Two nodes behind a balancer that is not sticky: sessions begin at one, and all else is asked at the other.

mod deaths;
mod drains;
mod forged;
mod hang_ups;
mod outcomes;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use bytes::BytesMut;
use polliwog::peer::{Frame, Number};

use super::support::http::{Client, Response};
use super::support::poller::POLLING;
use super::support::wire::{Fill, Wire};
use super::support::world::TOKEN;
use super::support::{AT_ONCE, SOON, Setup, World};

fn world() -> World {
    World::foreign(&Setup::new())
}

#[test]
fn a_session_is_polled_and_posted_to_at_another_node() {
    let world = world();
    let (mut poller, peer) = world.poller();
    poller.post_ok("4hello");
    peer.assert_text("hello");
    peer.send("hi");
    assert_eq!(poller.poll(), "4hi");
    poller.park();
    peer.send("again");
    poller.assert_parked_gets("4again");
    assert_eq!(world.sessions(), 1);
}

#[test]
fn many_messages_cross_whole_and_in_order() {
    let world = world();
    let (mut poller, peer) = world.poller();
    for round in 0..50 {
        let long = format!("{round}-{}", "x".repeat(round * 4000));
        poller.post_ok(format!("4{long}"));
        peer.assert_text(&long);
        peer.send(&long);
        assert_eq!(poller.poll(), format!("4{long}"));
    }
}

#[test]
fn a_page_of_another_origin_reads_what_the_other_node_says_itself() {
    let origin = ("Origin", "https://a.example");
    let allowed = |response: &Response| response.header("access-control-allow-origin") == Some(origin.1);
    let mut world = world();
    world.backend().script(|script| {
        script.headers = format!("Access-Control-Allow-Origin: {}\r\nVary: Origin\r\n", origin.1);
    });
    let (mut poller, _peer) = world.poller();
    poller.ask_at(world.other.as_ref().unwrap().public);
    assert!(allowed(&poller.request("POST", &[origin], b"4x")), "the session's node says it");
    let large = "x".repeat(17 << 10);
    let too_large = poller.request("GET", &[origin, ("Cookie", &large)], b"");
    assert!(too_large.status == 431 && allowed(&too_large), "{too_large:?}");
    world.target.kill();
    let unknown = poller.request("GET", &[origin], b"");
    unknown.assert_unknown_sid();
    assert!(allowed(&unknown), "{unknown:?}");
}

#[test]
fn a_client_that_hangs_up_at_another_node_ends_its_session_at_once() {
    let world = world();
    for what in ["a parked poll", "a part of a POST"] {
        let (mut poller, peer) = world.poller();
        if what == "a parked poll" {
            poller.park();
            drop(poller.gets);
        } else {
            let head =
                format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n4part", poller.target());
            let mut client = Client::connect(world.addr);
            client.wire.send(head.as_bytes());
            // The head is read by then.
            client.assert_parked();
            drop(client);
        }
        let since = Instant::now();
        peer.assert_closed();
        assert!(since.elapsed() < 5 * AT_ONCE, "{what}: {:?}", since.elapsed());
    }
    world.assert_sessions(0);
}

#[test]
fn a_batch_that_its_client_does_not_read_is_lost_with_its_connection() {
    let world = world();
    let (mut poller, peer) = world.poller();
    let mut client = Client { wire: Wire::connect_narrow(world.addr) };
    client.send_get(&poller.target());
    // More than all buffers on the way hold: the kernel takes up to 4 MiB of it before its client has read any.
    peer.send(&"x".repeat(6_000_000));
    assert_eq!(client.wire.fill(Instant::now() + SOON), Fill::Data);
    drop(client);
    peer.assert_closed();
    world.assert_sessions(0);
    poller.post("4late").assert_unknown_sid();
}

#[test]
fn a_node_that_dies_is_an_answer_and_not_a_wait() {
    let mut world = world();
    let (mut poller, _peer) = world.poller();
    poller.park();
    world.target.kill();
    let since = Instant::now();
    poller.parked().assert_unknown_sid();
    assert!(since.elapsed() < 5 * AT_ONCE, "{:?}", since.elapsed());
    let since = Instant::now();
    poller.post("4late").assert_unknown_sid();
    assert!(since.elapsed() < 5 * AT_ONCE, "{:?}", since.elapsed());
}

#[test]
fn an_id_that_nobody_has_is_unknown_at_each_node() {
    let world = world();
    let (poller, _peer) = world.poller();
    let other = world.other.as_ref().unwrap().public;
    let random = &poller.sid[7..];
    let start = &poller.sid[..7];
    for sid in [
        // Of the first node and its start.
        format!("{start}AAAAAAAAAAAAAAAAAAAA"),
        // Of another start of it, or of no node.
        format!("2a---..{random}").replace('.', "A"),
        format!("2zz--AA{random}"),
        format!("2b---AA{random}"),
        format!("1{random}"),
    ] {
        for addr in [world.addr, other] {
            let since = Instant::now();
            Client::connect(addr).get(&format!("{POLLING}&sid={sid}")).assert_unknown_sid();
            assert!(since.elapsed() < SOON / 2, "{sid}");
        }
    }
}

#[test]
fn a_session_moves_to_a_web_socket_at_another_node() {
    let world = world();
    let (poller, peer) = world.poller();
    let mut socket = poller.upgraded();
    for round in 0..20 {
        let text = "y".repeat(round * 7000);
        socket.send(&format!("4{text}"));
        peer.assert_text(&text);
        peer.send(&text);
        socket.assert_text(&format!("4{text}"));
    }
    peer.close();
    socket.assert_closed(None);
    drop(socket);
    world.assert_sessions(0);
    let (poller, peer) = world.poller();
    drop(poller.upgraded());
    peer.assert_closed();
}

#[test]
fn a_node_asks_only_with_the_token() {
    let world = world();
    let peers = world.peers[0];
    for (token, node, want, status) in [
        ("Bearer wrong-secret-of-all-nodes", "b---AA", "a", 401),
        ("", "b---AA", "a", 401),
        ("TOKEN", "b---AA", "b", 421),
        ("TOKEN", "b", "a", 400),
        ("TOKEN", "a---AA", "a", 409),
        ("TOKEN", "b---AA", "a", 101),
    ] {
        let token = token.replace("TOKEN", &format!("Bearer {TOKEN}"));
        let headers = [
            ("Connection", "upgrade"),
            ("Upgrade", "polliwog.peer.v1"),
            ("Authorization", &*token),
            ("Polliwog-Node", node),
            ("Polliwog-Want", want),
        ];
        let answer = Client::connect(peers).request("GET", "/", &headers, b"");
        assert_eq!(answer.status, status, "{token} {node} {want}");
    }
}

#[test]
fn clients_are_not_served_among_nodes_nor_nodes_among_clients() {
    let world = world();
    assert_eq!(Client::connect(world.peers[0]).get(POLLING).status, 426);
    let token = format!("Bearer {TOKEN}");
    let headers = [
        ("Connection", "upgrade"),
        ("Upgrade", "polliwog.peer.v1"),
        ("Authorization", &*token),
        ("Polliwog-Node", "b---AA"),
        ("Polliwog-Want", "a"),
    ];
    for (target, status) in [(POLLING, 200), ("/", 404)] {
        let answer = Client::connect(world.addr).request("GET", target, &headers, b"");
        assert_eq!(answer.status, status, "{answer:?}");
    }
    // Nor are frames without a handshake.
    let mut frames = BytesMut::new();
    Frame::Ping.write(&mut frames);
    Frame::Gone(Number::FIRST).write(&mut frames);
    for addr in [world.addr, world.peers[0]] {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.write_all(&frames).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer));
    }
}
