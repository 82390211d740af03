//! Clients that send on without end after they were refused, or were told of the end: they are read for as many bytes as
//! docs/security.md says, so that they get to see what they were told, and then reset.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;
use std::thread;

use crate::support::frames::{Frame, Masked, Op, Socket};
use crate::support::http::{Client, head};
use crate::support::poller::{Poller, WEBSOCKET};
use crate::support::sockjs;
use crate::support::target::Target;
use crate::support::world::{Excluded, proxy_is_asked};
use crate::support::{SOON, Setup, World};

/// How much is read.
const LINGERS: usize = 16 << 20;
/// What the kernel holds at most on the way, on both sides: it has left the client and was not read.
const BETWEEN: usize = 12 << 20;

/// Writes these bytes again and again in a thread of its own. Returns how many left before the connection broke, and how it
/// did.
fn pour(mut writer: TcpStream, bytes: Vec<u8>) -> thread::JoinHandle<(usize, ErrorKind)> {
    writer.set_write_timeout(Some(SOON * 3)).unwrap();
    thread::spawn(move || {
        let (mut sent, mut at) = (0, 0);
        loop {
            match writer.write(&bytes[at..]) {
                Ok(count) => (sent, at) = (sent + count, (at + count) % bytes.len()),
                Err(error) => return (sent, error.kind()),
            }
        }
    })
}

/// Fails unless so much was read, and the connection was reset then.
#[track_caller]
fn assert_read(what: &str, poured: thread::JoinHandle<(usize, ErrorKind)>, at_least: usize) {
    let (sent, end) = poured.join().unwrap();
    assert!(matches!(end, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{what}: {end:?}");
    assert!((at_least..=LINGERS + BETWEEN).contains(&sent), "{what}: {sent} bytes");
}

#[test]
fn an_endless_body_behind_a_413_is_read_for_so_many_bytes() {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    for (setup, begin) in
        [(Setup::new(), begin_engine_io as fn(&World) -> String), (sockjs::setup(""), begin_sockjs)]
    {
        let world = World::start_with(&setup.route("max_payload = 1000"), Target::proxy);
        let target = begin(&world);
        let headers = [("Transfer-Encoding", "chunked"), ("Content-Type", "text/plain")];
        let mut client = Client::connect(world.target.public);
        client.wire.send(head("POST", &target, &headers).as_bytes());
        let chunk = format!("{:x}\r\n{}\r\n", 50_000, "x".repeat(50_000));
        let poured = pour(client.wire.writer(), chunk.into_bytes());
        assert_eq!(client.answer().status, 413, "{target}");
        assert_read(&target, poured, LINGERS);
    }
}

/// Begins a session, and returns the target of its POSTs.
fn begin_engine_io(world: &World) -> String {
    Poller::handshake(world.target.public).target()
}

fn begin_sockjs(world: &World) -> String {
    sockjs::poll(world, "a").assert(200, "o\n");
    sockjs::target("a", "xhr_send")
}

#[test]
fn what_follows_a_close_frame_is_read_for_so_many_bytes() {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    let world = World::start_with(&Setup::new(), Target::proxy);
    let mut socket = Socket::connect(world.target.public, WEBSOCKET);
    let peer = world.accept();
    assert!(socket.text().starts_with('0'));
    // The client does not answer the Close.
    peer.close();
    assert_eq!(socket.frame().op, Op::CLOSE);
    let more = Frame::new(Op::BINARY, vec![7; 50_000]).encode(Masked::Yes);
    assert_read("it was told of the end", pour(socket.wire.writer(), more), LINGERS);
    // One that was refused in the middle of a message, which does not end. (What is relayed after a backend's Close is the
    // backend's to read.)
    for setup in [Setup::new(), Setup::new().relayed()] {
        let what = format!("a message too large, relay = {}", setup.relay);
        let world = World::start_with(&setup.route("max_payload = 1000"), Target::proxy);
        let mut socket = Socket::connect(world.target.public, WEBSOCKET);
        assert!(socket.text().starts_with('0'));
        socket.wire.send(&[0x82, 0xff, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]);
        let poured = pour(socket.wire.writer(), vec![7; 50_000]);
        assert_eq!(socket.frame().code(), Some(1009), "{what}");
        assert_read(&what, poured, LINGERS);
    }
}
