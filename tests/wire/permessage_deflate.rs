//! Messages that are compressed on a WebSocket that is not relayed: with clients, with the backend, and only where the
//! configuration says so.

use std::time::Instant;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::support::frames::{self, Frame, Masked, Op, Socket};
use crate::support::world::Excluded;
use crate::support::{Event, Peer, SOON, Setup, World, metrics};

const OFFER: (&str, &str) = ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits");
const AGREED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

fn world(setup: Setup) -> Option<World> {
    World::proxy_only(setup, Excluded::OnlyAProxyHasThis)
}

/// Returns a world in which plain clients' messages of 100 bytes or more are compressed.
fn compressing() -> Option<World> {
    world(Setup { relay: false, ..Setup::sockets() }.route("permessage_deflate = 100\nmax_payload = 50_000"))
}

fn pair(world: &World) -> (Socket, Peer) {
    let socket = Socket::try_connect(world.addr, "/engine.io/", &[OFFER]).expect("accepted");
    (socket, world.accept())
}

fn compressed(op: Op, content: &[u8]) -> Frame {
    let mut payload = Vec::with_capacity(content.len() + 100);
    let mut state = Compress::new(Compression::best(), false);
    state.compress_vec(content, &mut payload, FlushCompress::Sync).unwrap();
    payload.truncate(payload.len() - 4);
    Frame { reserved: 4, ..Frame::new(op, payload) }
}

fn inflated(payload: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(1 << 20);
    let bytes = [payload, &[0, 0, 0xff, 0xff]].concat();
    Decompress::new(false).decompress_vec(&bytes, &mut content, FlushDecompress::Sync).unwrap();
    content
}

#[track_caller]
fn next(socket: &mut Socket) -> Frame {
    frames::read(&mut socket.wire, Instant::now() + SOON).expect("a frame")
}

#[test]
fn long_messages_are_compressed_in_both_directions() {
    let Some(world) = compressing() else { return };
    let (mut socket, peer) = pair(&world);
    assert_eq!(socket.response.header("sec-websocket-extensions"), Some(AGREED));
    assert_eq!(peer.opening.header("sec-websocket-extensions"), None, "the backend is not asked");
    let long = "0123456789".repeat(1000);
    peer.send(&long);
    let frame = next(&mut socket);
    assert_eq!((frame.fin, frame.reserved, frame.op), (true, 4, Op::TEXT));
    assert!(frame.payload.len() < 100 && inflated(&frame.payload) == long.as_bytes());
    let mut saved = 4 + long.len() - (2 + frame.payload.len());
    peer.send("short");
    socket.assert_text("short");
    let frame = compressed(Op::TEXT, long.as_bytes());
    socket.send_frame(&frame);
    peer.assert_text(&long);
    saved += 8 + long.len() - (6 + frame.payload.len());
    let frame = compressed(Op::BINARY, long.as_bytes());
    let (first, second) = frame.payload.split_at(10);
    socket.send_frame(&Frame { fin: false, payload: first.to_vec(), ..frame.clone() });
    socket.send_frame(&Frame::new(Op::PING, "between"));
    socket.send_frame(&Frame::new(Op::CONTINUATION, second));
    assert_eq!(socket.frame(), Frame::new(Op::PONG, "between"));
    peer.assert_binary(long.as_bytes());
    saved += 8 + long.len() - (6 + 6 + frame.payload.len());
    socket.send(&long);
    peer.assert_text(&long);
    let name = "polliwog_compression_saved_bytes_total";
    assert_eq!(metrics::sum(world.target.admin, name), saved as u64);
    socket.send_frame(&Frame::close(Some(4001)));
    assert_eq!(socket.frame().code(), Some(4001));
    peer.assert_closed();
}

#[test]
fn faults_of_a_client_close_with_their_code() {
    let Some(world) = compressing() else { return };
    let message = compressed(Op::TEXT, b"Hello");
    // Empty stored blocks (RFC 1951, section 3.2.4): bytes without end, and nothing in them.
    let blocks = [0, 0, 0, 0xff, 0xff].repeat(20_000);
    let mut endless = vec![Frame { fin: false, payload: blocks.clone(), ..message.clone() }];
    endless.resize(10, Frame { fin: false, ..Frame::new(Op::CONTINUATION, blocks) });
    let cases = [
        ("blocks without content", endless, 1009),
        ("a bomb", vec![compressed(Op::BINARY, &vec![0; 1 << 20])], 1009),
        ("one byte too many", vec![compressed(Op::BINARY, &vec![0; 50_001])], 1009),
        ("what is no compression", vec![Frame { payload: vec![0xff; 20], ..message.clone() }], 1007),
        ("text that is no UTF-8", vec![compressed(Op::TEXT, &[0xff; 200])], 1007),
        (
            "RSV1 on a continuation",
            vec![
                Frame { fin: false, ..message.clone() },
                Frame { reserved: 4, ..Frame::new(Op::CONTINUATION, "") },
            ],
            1002,
        ),
        ("RSV1 on a ping", vec![Frame { reserved: 4, ..Frame::new(Op::PING, "") }], 1002),
    ];
    for (name, frames, code) in cases {
        let (mut socket, peer) = pair(&world);
        for frame in &frames {
            socket.send_frame(frame);
        }
        assert_eq!(socket.frame().code(), Some(code), "{name}");
        peer.assert_closed();
    }
    let (mut socket, peer) = pair(&world);
    socket.send_frame(&compressed(Op::BINARY, &vec![0; 50_000]));
    peer.assert_binary(&vec![0; 50_000]);
    world.assert_sessions(1);
}

#[test]
fn nothing_is_compressed_that_was_not_agreed_on() {
    let Some(world) = compressing() else { return };
    for offer in ["permessage-deflate; server_max_window_bits=8", "permessage-deflate; x", "x"] {
        let offer = [("Sec-WebSocket-Extensions", offer)];
        let mut socket = Socket::try_connect(world.addr, "/engine.io/", &offer).expect("accepted");
        let peer = world.accept();
        assert_eq!(socket.response.header("sec-websocket-extensions"), None);
        peer.send(&"x".repeat(1000));
        socket.assert_text(&"x".repeat(1000));
        socket.send_frame(&compressed(Op::TEXT, b"Hello"));
        assert_eq!(socket.frame().code(), Some(1002));
    }
}

#[test]
fn a_client_that_upgrades_may_have_it_and_one_that_is_relayed_has_its_own() {
    let Some(world) = world(Setup::new().route("permessage_deflate = 100")) else { return };
    let (poller, peer) = world.poller();
    let target = poller.upgrade_target();
    let mut socket = Socket::try_connect(world.addr, &target, &[OFFER]).expect("accepted");
    assert_eq!(socket.response.header("sec-websocket-extensions"), Some(AGREED));
    socket.send("2probe");
    socket.assert_text("3probe");
    socket.send("5");
    peer.send(&"x".repeat(1000));
    let mut frame = next(&mut socket);
    while frame.reserved == 0 {
        frame = next(&mut socket);
    }
    assert_eq!(inflated(&frame.payload), format!("4{}", "x".repeat(1000)).as_bytes());

    let theirs = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=10\r\n";
    let setup = Setup::sockets().script(|script| script.headers = theirs.into());
    let Some(world) = self::world(setup.route("permessage_deflate = 100")) else { return };
    let (mut socket, peer) = pair(&world);
    assert_eq!(peer.opening.header("sec-websocket-extensions"), Some(OFFER.1));
    let header = socket.response.header("sec-websocket-extensions");
    assert_eq!(header, Some("permessage-deflate; client_max_window_bits=10"));
    peer.send(&"x".repeat(1000));
    socket.assert_text(&"x".repeat(1000));
}

#[test]
fn a_backend_is_offered_compression_and_may_decline() {
    let agreed = format!("Sec-WebSocket-Extensions: {AGREED}\r\n");
    for (headers, is_compressed) in [(agreed, true), (String::new(), false)] {
        let setup = Setup { relay: false, ..Setup::sockets() }.upstream("permessage_deflate = 100");
        let Some(world) = world(setup.script(|script| script.headers = headers)) else { return };
        let (mut socket, peer) = pair(&world);
        assert_eq!(socket.response.header("sec-websocket-extensions"), None, "the client is not");
        assert_eq!(peer.opening.header("sec-websocket-extensions"), Some(AGREED));
        socket.send_binary(&[7; 1000]);
        let Event::Binary(bytes) = peer.event() else { panic!("no binary message") };
        assert_eq!(if is_compressed { inflated(&bytes) } else { bytes.clone() }, [7; 1000]);
        assert_eq!(bytes.len() < 100, is_compressed);
        socket.send_binary(&[7; 99]);
        peer.assert_binary(&[7; 99]);
        if is_compressed {
            peer.line().send_raw(&compressed(Op::TEXT, "x".repeat(5000).as_bytes()).encode(Masked::No));
            socket.assert_text(&"x".repeat(5000));
            let fault = Frame { payload: vec![0xff; 20], ..compressed(Op::TEXT, b"") };
            peer.line().send_raw(&fault.encode(Masked::No));
            assert_eq!(socket.frame().code(), Some(1007));
        } else {
            peer.line().send_raw(&compressed(Op::TEXT, b"Hello").encode(Masked::No));
            assert_eq!(socket.frame().code(), Some(1002));
        }
        peer.assert_closed();
    }
}

#[test]
fn a_backend_that_agrees_to_what_was_not_offered_is_not_spoken_to() {
    for header in [
        "permessage-deflate",
        "x",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits=9",
    ] {
        let setup = Setup { relay: false, ..Setup::sockets() }.upstream("permessage_deflate = 100");
        let header = format!("Sec-WebSocket-Extensions: {header}\r\n");
        let Some(world) = world(setup.script(|script| script.headers = header)) else { return };
        let refused = Socket::try_connect(world.addr, "/engine.io/", &[]).expect_err("a refusal");
        assert_eq!(refused.status, 502);
    }
}
