//! Bad input gets a response, or ends its own session; it harms no other.

use std::thread;
use std::time::Instant;

use crate::support::frames::{Frame, Masked, Op, Socket};
use crate::support::wire::Wire;
use crate::support::world::{Excluded, POLLING, WEBSOCKET};
use crate::support::{Event, SOON, Setup, World, ms};

#[test]
fn bad_base64_harms_nobody_else() {
    let world = World::new(Setup::new());
    for bad in ["b!!!!", "bA", "b====", "bYW\u{fffd}J", "bYQ==YQ==", "b\u{0}\u{0}", "b YWJj\r\n"] {
        let (mut poller, _peer) = world.poller();
        // The reference delivers what it can read; ending the session is as good.
        poller.post_ok(bad);
    }
    world.assert_healthy();
}

#[test]
fn a_hundred_thousand_separators_end_one_session() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    let start = Instant::now();
    poller.post_ok("\u{1e}".repeat(100_000));
    assert!(start.elapsed() < ms(2000), "{:?}", start.elapsed());
    peer.assert_closed();
    poller.assert_gone();
    world.assert_healthy();
}

#[test]
fn twenty_thousand_empty_messages_all_arrive() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    let body = vec!["4"; 20_000].join("\u{1e}");
    poller.post_ok(body);
    for _ in 0..20_000 {
        assert_eq!(peer.event(), Event::Text(String::new()));
    }
}

#[test]
fn ignored_packets_cost_nothing() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    let start = Instant::now();
    poller.post_ok(format!("{}4done", "6\u{1e}".repeat(200_000)));
    peer.assert_text("done");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[test]
fn malformed_sids_are_unknown() {
    let world = World::new(Setup::new());
    let long = "x".repeat(5000);
    for sid in ["%00", "%F0%9F%98%80", "%ff", "..%2f", "%25", "a+b", "'", "1%0d%0aX-Evil:%201", long.as_str()]
    {
        world.get(&format!("{POLLING}&sid={sid}")).assert_unknown_sid();
    }
    world.assert_healthy();
}

#[test]
fn a_very_long_query_gets_an_answer() {
    let world = World::new(Setup::new());
    for length in [10_000, 60_000, 1_000_000] {
        let answer = world.get(&format!("{POLLING}&x={}", "x".repeat(length)));
        assert!(answer.status == 200 || (400..500).contains(&answer.status), "{length}: {}", answer.status);
    }
    world.assert_healthy();
}

#[test]
fn a_great_many_keys_get_an_answer() {
    let world = World::new(Setup::new());
    let answer = world.get(&format!("{POLLING}{}", "&a=b".repeat(1500)));
    assert_eq!(answer.status, 200);
    let answer = world.get(&format!("/engine.io/?{}EIO=4&transport=polling", "&&=&".repeat(1500)));
    assert_eq!(answer.status, 200);
    world.assert_healthy();
}

#[test]
fn bytes_that_are_no_http_get_a_400_or_a_close() {
    let world = World::new(Setup::new());
    let nonsense: [&[u8]; 9] = [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        b"POST /engine.io/?EIO=4 HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    ];
    for bytes in nonsense {
        let mut client = world.http();
        client.wire.send(bytes);
        match client.answer_within(SOON) {
            Ok(answer) => assert!((400..500).contains(&answer.status) || answer.status == 505, "{answer:?}"),
            Err(end) => {
                assert_eq!(end, crate::support::wire::Fill::Eof, "{}", String::from_utf8_lossy(bytes));
            }
        }
    }
    world.assert_healthy();
}

#[test]
fn too_many_headers_get_an_answer() {
    let world = World::new(Setup::new());
    let mut client = world.http();
    let lines = "X-Header: x\r\n".repeat(3000);
    client.wire.send(format!("GET {POLLING} HTTP/1.1\r\nHost: a\r\n{lines}\r\n").as_bytes());
    let answer = client.answer_within(SOON);
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 431 || answer.status == 400));
    world.assert_healthy();
}

#[test]
fn a_bad_chunk_ends_only_its_own_session() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    let head =
        format!("POST {} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", poller.target());
    poller.posts.wire.send(head.as_bytes());
    peer.assert_closed();
    poller.assert_gone();
    world.assert_healthy();
}

#[test]
fn a_length_that_is_never_sent_holds_up_one_session() {
    let world = World::new(Setup::new().heartbeat(300, 200));
    let (mut poller, peer) = world.poller();
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n4x", poller.target());
    poller.posts.wire.send(head.as_bytes());
    world.assert_healthy();
    // The heartbeat ends the session, since the POST waits for its client and not for the backend.
    peer.assert_closed();
    poller.assert_gone();
    world.assert_sessions(0);
}

#[test]
fn a_poll_with_a_body_is_a_poll() {
    let world = World::new(Setup::new());
    let (poller, peer) = world.poller();
    peer.send("x");
    poller.request("GET", &[], b"4ignored").assert(200, "4x");
    peer.assert_quiet();
}

#[test]
fn a_flood_of_websocket_pings_from_a_client_that_reads_nothing_is_bounded() {
    let world = World::new(Setup::new());
    let mut socket = Socket::over(Wire::connect_narrow(world.addr), WEBSOCKET, &[]).unwrap();
    assert!(socket.text().starts_with("0{"));
    let _peer = world.accept();
    let before = world.target.resident();
    let ping = Frame::new(Op::PING, [7; 125]).encode(Masked::Yes).repeat(100);
    let mut writer = socket.wire.writer();
    writer.set_write_timeout(Some(ms(300))).unwrap();
    for _ in 0..2000 {
        if std::io::Write::write_all(&mut writer, &ping).is_err() {
            break;
        }
    }
    if !world.is_oracle() {
        let grown = world.target.resident().saturating_sub(before);
        assert!(grown < 16 << 20, "{grown} bytes of pongs wait for a client that reads nothing");
    }
    world.assert_healthy();
}

#[test]
fn many_handshakes_at_once_are_all_served() {
    let world = World::new(Setup::new());
    let mut clients: Vec<_> = (0..100).map(|_| world.http()).collect();
    for client in &mut clients {
        client.send_get(POLLING);
    }
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
    world.assert_sessions(100);
}

#[test]
fn bytes_after_a_websocket_close_change_nothing() {
    let world = World::new(Setup::new());
    let (mut socket, peer) = world.websocket();
    let mut bytes = Frame::close(Some(1000)).encode(Masked::Yes);
    bytes.extend(Frame::new(Op::TEXT, "4too late").encode(Masked::Yes));
    socket.wire.send(&bytes);
    assert_eq!(socket.frame().op, Op::CLOSE);
    drop(socket);
    peer.assert_closed();
    world.assert_sessions(0);
}

#[test]
fn a_half_open_websocket_handshake_is_no_session() {
    let world = World::new(Setup::new());
    let mut client = world.http();
    client.wire.send(
        format!("GET {WEBSOCKET} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upg").as_bytes(),
    );
    // Half a request must open no session: the backend must stay silent for a while.
    thread::sleep(ms(50));
    assert_eq!(world.sessions(), 0);
    client.wire.reset();
    world.assert_healthy();
}

#[test]
fn a_client_that_pings_and_reads_nothing_ends_where_nothing_else_would_end_it() {
    // Neither heartbeats nor messages: only the pongs tell that it reads nothing.
    let framed = Setup { dialect: "websocket", ..Setup::plain() };
    let setup = framed.route("stall_timeout = \"500ms\"");
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let socket = Socket::over(Wire::connect_narrow(world.addr), WEBSOCKET, &[]).unwrap();
    let peer = world.accept();
    let mut writer = socket.wire.writer();
    writer.set_write_timeout(Some(ms(300))).unwrap();
    let ping = Frame::new(Op::PING, [7; 125]).encode(Masked::Yes).repeat(100);
    let start = Instant::now();
    while start.elapsed() < 4 * SOON {
        if std::io::Write::write_all(&mut writer, &ping)
            .is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock)
        {
            break;
        }
    }
    peer.ends_after();
    world.assert_sessions(0);
    drop(socket);
}
