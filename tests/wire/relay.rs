//! A relayed WebSocket: everything passes unchanged, and the proxy still counts, limits and closes.

use std::io::Write as _;
use std::thread;
use std::time::Instant;

use crate::support::frames::{Frame, Masked, Op, Socket};
use crate::support::world::{Excluded, POLLING, WEBSOCKET};
use crate::support::{Event, Peer, SOON, Setup, World, assert_took, metrics, ms, patiently};

fn world(setup: Setup) -> Option<World> {
    World::proxy_only(setup, Excluded::OnlyAProxyHasThis)
}

fn pair(world: &World, target: &str, headers: &[(&str, &str)]) -> (Socket, Peer) {
    let socket = Socket::try_connect(world.addr, target, headers).expect("accepted");
    (socket, world.accept())
}

#[test]
fn the_handshake_reaches_the_backend_as_the_client_wrote_it() {
    let Some(world) = world(Setup::sockets().script(|script| {
        script.headers = "Sec-WebSocket-Protocol: superchat\r\nSec-WebSocket-Extensions: x-anything; a=1\r\n\
            Set-Cookie: a=b\r\nX-Backend: tea\r\n"
            .into();
    })) else {
        return;
    };
    let headers = [
        ("Sec-WebSocket-Protocol", "chat, superchat"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits, x-anything"),
        ("Cookie", "c=d"),
        ("Origin", "http://example.com"),
    ];
    let (socket, peer) = pair(&world, "/engine.io/chat/room?x=1&t=2&EIO=7", &headers);
    assert_eq!(peer.opening.path(), "/engine.io/chat/room");
    assert_eq!(peer.opening.query(), ["x=1", "t=2", "EIO=7"], "the query is the application's");
    for (name, value) in headers {
        assert_eq!(peer.opening.header(&name.to_lowercase()), Some(value), "{name}");
    }
    assert_eq!(peer.opening.header("x-forwarded-for"), Some("127.0.0.1"));
    let answer = &socket.response;
    assert_eq!(answer.header("sec-websocket-protocol"), Some("superchat"));
    assert_eq!(answer.header("sec-websocket-extensions"), Some("x-anything; a=1"));
    assert_eq!(answer.header("set-cookie"), Some("a=b"));
    assert_eq!(answer.header("x-backend"), Some("tea"));
}

#[test]
fn frames_pass_unchanged() {
    let Some(world) = world(Setup::sockets()) else { return };
    let (mut socket, peer) = pair(&world, "/engine.io/", &[]);
    peer.echo();
    for length in [0, 1, 125, 126, 127, 65_535, 65_536, 300_000] {
        let text = "x".repeat(length);
        socket.send(&text);
        socket.assert_text(&text);
        socket.send_binary(&vec![7; length]);
        socket.assert_binary(&vec![7; length]);
    }
    world.assert_sessions(1);
    drop(socket);
    world.assert_sessions(0);
}

#[test]
fn a_frame_that_no_library_would_send_reaches_the_other_end() {
    let Some(world) = world(Setup::sockets()) else { return };
    let (mut socket, peer) = pair(&world, "/engine.io/", &[]);
    peer.line()
        .send_raw(&Frame { fin: true, reserved: 0, op: Op(5), payload: b"?".to_vec() }.encode(Masked::No));
    let frame = socket.frame();
    assert_eq!((frame.fin, frame.op, &frame.payload[..]), (true, Op(5), &b"?"[..]));
}

#[test]
fn bytes_that_arrive_one_by_one_pass_too() {
    let Some(world) = world(Setup::sockets()) else { return };
    let (mut socket, peer) = pair(&world, "/engine.io/", &[]);
    for byte in Frame::new(Op::TEXT, "x".repeat(200)).encode(Masked::Yes) {
        socket.wire.send(&[byte]);
        // Each byte in a segment of its own.
        thread::sleep(ms(1));
    }
    peer.assert_text(&"x".repeat(200));
}

#[test]
fn close_codes_cross_both_ways() {
    let Some(world) = world(Setup::sockets()) else { return };
    let (mut socket, peer) = pair(&world, "/engine.io/", &[]);
    socket.send_frame(&Frame::close(Some(4001)));
    peer.assert_closed();
    world.assert_sessions(0);
    let (mut socket, peer) = pair(&world, "/engine.io/", &[]);
    peer.line().send_raw(&Frame::close(Some(4002)).encode(Masked::No));
    assert_eq!(socket.frame().code(), Some(4002));
}

#[test]
fn an_end_without_a_close_frame_reaches_the_other_side_at_once() {
    let Some(world) = world(Setup::sockets()) else { return };
    let (socket, peer) = pair(&world, "/engine.io/", &[]);
    socket.wire.close();
    assert!(peer.ends_after() < ms(500));
    let (socket, peer) = pair(&world, "/engine.io/", &[]);
    socket.wire.reset();
    assert!(peer.ends_after() < ms(500));
    world.assert_sessions(0);
}

#[test]
fn a_refusal_passes_unchanged() {
    let refusal = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 4\r\n\r\nwho?";
    let Some(world) = world(Setup::sockets().script(|script| script.refusal = Some(refusal.to_vec()))) else {
        return;
    };
    let refused = Socket::try_connect(world.addr, "/engine.io/", &[]).unwrap_err();
    assert_eq!((refused.status, refused.text()), (401, "who?"));
    assert_eq!(refused.header("www-authenticate"), Some("Basic"));
}

#[test]
fn what_is_neither_a_websocket_nor_a_refusal_is_502() {
    let answers: [(&str, u16); 5] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 502),
        ("HTTP/1.1 204 No Content\r\n\r\n", 502),
        ("HTTP/1.1 301 Moved Permanently\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 301),
        ("nonsense\r\n\r\n", 502),
        ("", 502),
    ];
    for (answer, status) in answers {
        for setup in [Setup::sockets(), Setup::new().relayed()] {
            let setup = setup.script(|script| script.refusal = Some(answer.as_bytes().to_vec()));
            let Some(world) = world(setup) else { return };
            let refused = Socket::try_connect(world.addr, WEBSOCKET, &[]).unwrap_err();
            assert_eq!(refused.status, status, "{answer}");
            assert_eq!(refused.header("location"), (status == 301).then_some("/x"), "{answer}");
            world.assert_sessions(0);
        }
    }
}

#[test]
fn a_plain_request_to_a_websocket_path_is_426() {
    let Some(world) = world(Setup::sockets()) else { return };
    let answer = world.get("/engine.io/");
    assert_eq!(answer.status, 426);
    assert_eq!(answer.header("upgrade"), Some("websocket"));
}

#[test]
fn a_drain_closes_with_1001_between_two_messages() {
    let Some(mut world) = world(Setup::sockets()) else { return };
    let (mut socket, peer) = pair(&world, "/engine.io/", &[]);
    let half = Frame { fin: false, ..Frame::new(Op::TEXT, "first half, ") };
    peer.line().send_raw(&half.encode(Masked::No));
    assert_eq!(socket.frame().payload, b"first half, ");
    world.target.signal("TERM");
    metrics::assert_readiness(world.target.admin, 503);
    peer.line().send_raw(&Frame::new(Op::CONTINUATION, "second half").encode(Masked::No));
    assert_eq!(socket.frame().payload, b"second half");
    socket.assert_closed(Some(1001));
    peer.assert_closed();
    assert_eq!(world.target.exit_within(SOON).and_then(|status| status.code()), Some(0));
}

#[test]
fn a_relayed_engine_io_session_is_known_by_the_backends_sid() {
    let Some(world) = world(Setup::new().relayed()) else { return };
    let mut socket = Socket::connect(world.addr, WEBSOCKET);
    let open = crate::support::poller::open_packet(&socket.text());
    let sid = open["sid"].as_str().expect("a sid").to_owned();
    let peer = world.accept();
    let target = format!("{POLLING}&sid={sid}");
    world.get(&target).assert(400, r#"{"code":3,"message":"Bad request"}"#);
    let mut second = Socket::connect(world.addr, &format!("{WEBSOCKET}&sid={sid}"));
    second.assert_closed(None);
    // The heartbeat is between client and backend: the proxy adds nothing.
    peer.line().send_raw(&Frame::new(Op::TEXT, "2").encode(Masked::No));
    socket.assert_text("2");
    socket.send("41");
    peer.assert_text("1");
    socket.wire.close();
    world.assert_sessions(0);
    world.get(&target).assert(400, r#"{"code":1,"message":"Session ID unknown"}"#);
}

#[test]
fn a_slow_reader_holds_up_the_other_end_and_loses_nothing() {
    let Some(world) = world(Setup::sockets()) else { return };
    let (mut socket, peer) = pair(&world, "/engine.io/", &[]);
    let line = peer.line().clone();
    let sender = thread::spawn(move || line.flood(0, |number| format!("{number:>1000}"), 64 << 20, ms(400)));
    let flood = sender.join().unwrap();
    assert!(flood.stalled, "expected the flood to stall, but 64 MB went into a socket that is not read");
    for number in 0..flood.next - 1 {
        socket.assert_text(&format!("{number:>1000}"));
    }
}

/// Fails unless the session's end is counted as a stall.
#[track_caller]
fn assert_stalled(world: &World) {
    world.assert_sessions(0);
    let counted = metrics::has_counted(
        world.target.admin,
        "polliwog_sessions_closed_total",
        &["reason=\"stalled\"", "transport=\"websocket\""],
    );
    assert!(counted, "the end is counted with its reason");
}

#[test]
fn a_client_that_reads_nothing_for_too_long_loses_its_session_and_its_backend_learns_why() {
    patiently(|| {
        let Some(world) = world(Setup::sockets().route("stall_timeout = \"500ms\"")) else { return };
        let (socket, peer) = pair(&world, "/engine.io/", &[]);
        let (line, start) = (peer.line().clone(), Instant::now());
        let flood = thread::spawn(move || line.flood(0, |_| "f".repeat(1000), 64 << 20, ms(700)));
        assert_eq!(peer.event(), Event::Closed(1013));
        assert_took(start.elapsed(), 480, 2500);
        flood.join().unwrap();
        assert_stalled(&world);
        drop(socket);
    });
}

#[test]
fn a_backend_that_reads_nothing_for_too_long_loses_its_session_and_its_client_learns_why() {
    patiently(|| {
        let setup = Setup::sockets().route("stall_timeout = \"500ms\"").script(|script| script.narrow = true);
        let Some(world) = world(setup) else { return };
        let (mut socket, peer) = pair(&world, "/engine.io/", &[]);
        peer.line().pause();
        let (mut writer, start) = (socket.wire.writer(), Instant::now());
        let frame = Frame::new(Op::TEXT, "f".repeat(1000)).encode(Masked::Yes);
        let pouring = thread::spawn(move || while writer.write_all(&frame).is_ok() {});
        assert_eq!(socket.frame().code(), Some(1013));
        assert_took(start.elapsed(), 480, 2500);
        socket.wire.close();
        pouring.join().unwrap();
        assert_stalled(&world);
    });
}

#[test]
fn relayed_ends_may_be_silent_and_slow() {
    let Some(world) = world(Setup::sockets().route("stall_timeout = \"1s\"")) else { return };
    let (mut socket, peer) = pair(&world, "/engine.io/", &[]);
    // Silent for longer than the stall timeout.
    thread::sleep(ms(1500));
    let line = peer.line().clone();
    let sender = thread::spawn(move || line.flood(0, |_| "f".repeat(1000), 20 << 20, SOON));
    for _ in 0..10 {
        // Slow: a client that reads with pauses, each far below the stall timeout.
        thread::sleep(ms(100));
        for _ in 0..2000 {
            socket.text();
        }
    }
    assert!(!sender.join().unwrap().stalled);
    socket.send("still here");
    peer.assert_text("still here");
}

#[test]
fn a_session_keeps_its_id_when_the_backend_gives_it_to_another_as_well() {
    let Some(world) = world(Setup::new().relayed()) else { return };
    let [(mut first, _first), (mut second, _second)] = [(); 2].map(|()| {
        let socket = Socket::connect(world.addr, WEBSOCKET);
        (socket, world.accept())
    });
    let sid = crate::support::poller::open_packet(&first.text())["sid"].clone();
    assert_eq!(crate::support::poller::open_packet(&second.text())["sid"], sid);
    second.wire.close();
    world.assert_sessions(1);
    let target = format!("{POLLING}&sid={}", sid.as_str().expect("a sid"));
    world.get(&target).assert(400, r#"{"code":3,"message":"Bad request"}"#);
}
