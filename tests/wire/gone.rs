//! A side that disconnects is noticed at once: the backend learns of its client's end, and the client of its backend's.

use std::time::{Duration, Instant};

use crate::support::frames::{Frame, Op};
use crate::support::http2::is_wanted;
use crate::support::peer::Peer;
use crate::support::wire::Wire;
use crate::support::world::Excluded;
use crate::support::{AT_ONCE, Event, QUIET, SOON, Setup, World, patiently};

/// Runs `leave` up to three times, since the machine may be busy, until the application learns of it at once.
#[track_caller]
fn assert_noticed_at_once(leave: impl Fn(&World) -> (Peer, Instant)) {
    let world = World::new(Setup::new());
    let mut took = Duration::MAX;
    for _ in 0..3 {
        let (peer, left) = leave(&world);
        peer.assert_closed();
        took = left.elapsed();
        if took < AT_ONCE {
            world.assert_sessions(0);
            return;
        }
    }
    panic!("expected the application to learn of its client's end within {AT_ONCE:?}, but it took {took:?}");
}

#[test]
fn a_poll_that_hangs_up_is_noticed_at_once() {
    assert_noticed_at_once(|world| {
        let (mut poller, peer) = world.poller();
        poller.park();
        poller.gets.wire.close();
        (peer, Instant::now())
    });
}

#[test]
fn a_poll_that_is_reset_is_noticed_at_once() {
    assert_noticed_at_once(|world| {
        let (mut poller, peer) = world.poller();
        poller.park();
        poller.gets.wire.reset();
        (peer, Instant::now())
    });
}

#[test]
fn a_poll_that_leaves_bytes_behind_is_noticed_at_once() {
    if is_wanted() {
        // HTTP/2 has no bytes between requests.
        return;
    }
    for behind in ["G", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"] {
        for (at_once, later) in [(behind, ""), ("", behind)] {
            for resets in [false, true] {
                assert_noticed_at_once(|world| {
                    let (poller, peer) = world.poller();
                    let mut wire = Wire::connect(world.addr);
                    let request = format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", poller.target());
                    wire.send(format!("{request}{at_once}").as_bytes());
                    // The proxy reads the request and the extra bytes meanwhile; nothing shows when it has.
                    std::thread::sleep(QUIET);
                    wire.send(later.as_bytes());
                    // The proxy reads the later bytes meanwhile; nothing shows when it has.
                    std::thread::sleep(QUIET);
                    if resets {
                        wire.reset();
                    } else {
                        wire.close();
                    }
                    (peer, Instant::now())
                });
            }
        }
    }
}

#[test]
fn a_polling_client_that_says_goodbye_is_noticed_at_once() {
    assert_noticed_at_once(|world| {
        let (mut poller, peer) = world.poller();
        let left = Instant::now();
        poller.post_ok("1");
        (peer, left)
    });
}

#[test]
fn a_websocket_that_closes_is_noticed_at_once() {
    assert_noticed_at_once(|world| {
        let (mut socket, peer) = world.websocket();
        let left = Instant::now();
        socket.send_frame(&Frame::close(Some(1000)));
        assert_eq!(socket.frame().op, Op::CLOSE);
        (peer, left)
    });
}

#[test]
fn a_websocket_that_ends_without_a_close_frame_is_noticed_at_once() {
    assert_noticed_at_once(|world| {
        let (socket, peer) = world.websocket();
        socket.wire.close();
        (peer, Instant::now())
    });
}

#[test]
fn a_websocket_that_is_reset_is_noticed_at_once() {
    assert_noticed_at_once(|world| {
        let (socket, peer) = world.websocket();
        socket.wire.reset();
        (peer, Instant::now())
    });
}

#[test]
fn an_upgraded_websocket_that_is_reset_is_noticed_at_once() {
    assert_noticed_at_once(|world| {
        let (poller, peer) = world.poller();
        let mut socket = poller.upgraded();
        socket.send("4moved");
        peer.assert_text("moved");
        socket.wire.reset();
        (peer, Instant::now())
    });
}

#[test]
fn a_backend_that_dies_ends_a_poll_at_once() {
    patiently(|| {
        let Some(world) = World::proxy_only(Setup::new(), Excluded::OnlyAProxyHasThis) else { return };
        let (mut poller, peer) = world.poller();
        poller.park();
        let start = Instant::now();
        peer.line().kill();
        poller.assert_parked_gets("1");
        assert!(start.elapsed() < AT_ONCE * 3, "expected the end at once, it took {:?}", start.elapsed());
        poller.assert_gone();
    });
}

#[test]
fn a_backend_that_dies_ends_a_websocket_at_once() {
    patiently(|| {
        let Some(world) = World::proxy_only(Setup::new(), Excluded::OnlyAProxyHasThis) else { return };
        let (mut socket, peer) = world.websocket();
        let start = Instant::now();
        peer.line().kill();
        socket.assert_closed(None);
        assert!(start.elapsed() < AT_ONCE * 3, "expected the end at once, it took {:?}", start.elapsed());
    });
}

#[test]
fn a_host_that_vanishes_silently_is_probed_for_on_both_sides() {
    let setup = Setup::new().relayed();
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let (_socket, _peer) = world.websocket();
    let port = |addr: std::net::SocketAddr| format!(":{:04X}", addr.port());
    let (public, backend) = (port(world.target.public), port(world.backend().addr));
    let deadline = Instant::now() + SOON;
    loop {
        let table = std::fs::read_to_string("/proc/net/tcp").expect("it runs on Linux");
        // The columns: number, local address, remote address, state, queues, timer and when it is due.
        let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let ours =
            rows.filter(|row| (row[1].ends_with(&public) || row[2].ends_with(&backend)) && row[3] == "01");
        let timers: Vec<String> = ours.map(|row| row[5].to_owned()).collect();
        // A keepalive is due within a minute. While bytes are unacknowledged, another timer runs instead.
        let is_asked = |timer: &String| {
            timer.strip_prefix("02:").is_some_and(|due| u32::from_str_radix(due, 16).unwrap() <= 6000)
        };
        if timers.len() == 2 && timers.iter().all(is_asked) {
            return;
        }
        assert!(Instant::now() < deadline, "expected two connections with keepalive timers, got {timers:?}");
        // The interval between two checks.
        std::thread::sleep(QUIET);
    }
}

#[test]
fn what_a_backend_said_before_it_died_is_delivered() {
    let Some(world) = World::proxy_only(Setup::new(), Excluded::OnlyAProxyHasThis) else { return };
    let (mut poller, peer) = world.poller();
    peer.send("last words");
    peer.line().kill();
    // The proxy reads the end meanwhile; only the next poll shows that it has.
    std::thread::sleep(QUIET);
    assert_eq!(poller.poll(), "4last words");
    assert_eq!(poller.poll(), "6\u{1e}1");
    poller.assert_gone();
    let (mut socket, peer) = world.websocket();
    peer.send("last words");
    peer.line().kill();
    socket.assert_text("4last words");
    socket.assert_closed(None);
    world.assert_sessions(0);
}

#[test]
fn a_backend_that_talks_nonsense_ends_the_session() {
    let Some(world) = World::proxy_only(Setup::new(), Excluded::OnlyAProxyHasThis) else { return };
    let nonsense: [&[u8]; 4] = [b"\xc1\x01x", b"\x83\x00", b"\x81\x02\xff\xff", b"\x81\x85abcdefghi"];
    for bytes in nonsense {
        let (mut poller, peer) = world.poller();
        poller.park();
        peer.line().send_raw(bytes);
        poller.assert_parked_gets("1");
        assert!(peer.ends_after() < SOON);
    }
    world.assert_healthy();
}

#[test]
fn messages_in_flight_when_the_client_leaves_are_delivered_first() {
    let world = World::new(Setup::new());
    let (mut socket, peer) = world.websocket();
    for count in 0..50 {
        socket.send(&format!("4{count}"));
    }
    socket.wire.close();
    for count in 0..50 {
        assert_eq!(peer.event(), Event::Text(count.to_string()));
    }
    peer.assert_closed();
}

#[test]
fn every_way_to_leave_leaves_no_session_behind() {
    let world = World::new(Setup::new());
    let mut left = Vec::new();
    for _ in 0..5 {
        let (mut poller, peer) = world.poller();
        poller.post_ok("1");
        left.push(peer);
        let (mut poller, peer) = world.poller();
        poller.park();
        poller.gets.wire.close();
        left.push(peer);
        let (socket, peer) = world.websocket();
        socket.wire.reset();
        left.push(peer);
        let (poller, peer) = world.poller();
        poller.upgraded().wire.close();
        left.push(peer);
        let (mut poller, peer) = world.poller();
        poller.park();
        peer.close();
        poller.assert_parked_gets("1");
        left.push(peer);
        let (mut poller, peer) = world.poller();
        poller.post_ok("nonsense");
        left.push(peer);
    }
    for peer in left {
        while !matches!(peer.event(), Event::Closed(_)) {}
    }
    world.assert_sessions(0);
}
