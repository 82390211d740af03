//! From polling to WebSocket (ENGINEIO.md, 2.9).

use std::thread;
use std::time::Instant;

use crate::support::frames::{Frame, Masked, Op, Socket};
use crate::support::http;
use crate::support::world::{Excluded, WEBSOCKET};
use crate::support::{QUIET, SOON, Setup, World, assert_took, ms, patiently};

#[test]
fn a_probe_is_answered_and_the_session_moves() {
    let world = World::new(Setup::new());
    let (poller, peer) = world.poller();
    let mut socket = poller.upgraded();
    peer.send("down");
    socket.assert_text("4down");
    socket.send("4up");
    peer.assert_text("up");
    socket.send_binary(b"\x00\x01");
    peer.assert_binary(b"\x00\x01");
    assert!(world.accept_within(QUIET).is_none(), "the application sees one session");
    world.assert_sessions(1);
}

#[test]
fn every_poll_of_the_window_is_released_by_a_noop() {
    patiently(|| {
        let world = World::new(Setup::new());
        let (mut poller, _peer) = world.poller();
        poller.park();
        let mut socket = poller.probe();
        let mut since = Instant::now();
        for turn in 0..4 {
            poller.assert_parked_gets("6");
            // The first may have parked long before; each later one waits for the next tick of 100 ms.
            assert_took(since.elapsed(), if turn == 0 { 60 } else { 40 }, 250);
            since = Instant::now();
            let target = poller.target();
            poller.gets.send_get(&target);
        }
        poller.assert_parked_gets("6");
        socket.send("5");
        socket.assert_quiet();
    });
}

#[test]
fn no_poll_is_released_before_the_probe() {
    patiently(|| {
        let world = World::new(Setup::new());
        let (mut poller, _peer) = world.poller();
        poller.park();
        let _socket = poller.upgrade();
        assert!(poller.gets.answer_within(ms(250)).is_err(), "a connection without a probe changes nothing");
    });
}

#[test]
fn nothing_but_the_probes_answer_comes_before_the_upgrade() {
    let world = World::new(Setup::new());
    let (poller, peer) = world.poller();
    let mut socket = poller.probe();
    let texts: Vec<_> = (0..5).map(|number| format!("message {number}")).collect();
    for text in &texts {
        peer.send(text);
    }
    socket.assert_quiet();
    socket.send("5");
    for text in &texts {
        socket.assert_text(&format!("4{text}"));
    }
    socket.assert_quiet();
}

#[test]
fn messages_go_out_on_a_parked_poll_while_upgrading() {
    patiently(|| {
        let world = World::new(Setup::new());
        let (mut poller, peer) = world.poller();
        let mut socket = poller.probe();
        let target = poller.target();
        poller.gets.send_get(&target);
        // The proxy reads the poll first, and well before the noop that ends it.
        thread::sleep(ms(20));
        peer.send("on the poll");
        poller.assert_parked_gets("4on the poll");
        poller.post_ok("4by post");
        peer.assert_text("by post");
        socket.assert_quiet();
        peer.send("after the poll");
        // The message reaches the session first, and not a poll.
        thread::sleep(ms(20));
        socket.send("5");
        socket.assert_text("4after the poll");
    });
}

#[test]
fn polling_requests_after_the_upgrade_are_code_3() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    let mut socket = poller.upgraded();
    socket.send("4moved");
    peer.assert_text("moved");
    poller.get().assert_error(400, 3, "Bad request");
    poller.post("4x").assert_error(400, 3, "Bad request");
    socket.send("4still here");
    peer.assert_text("still here");
}

#[test]
fn a_poll_that_is_parked_at_the_upgrade_gets_a_close_at_once() {
    patiently(|| {
        let world = World::new(Setup::new());
        let (mut poller, peer) = world.poller();
        let mut socket = poller.probe();
        let target = poller.target();
        poller.gets.send_get(&target);
        // The proxy reads the poll first, and well before the noop that ends it.
        thread::sleep(ms(20));
        socket.send("5");
        let start = Instant::now();
        poller.assert_parked_gets("1");
        assert!(start.elapsed() < ms(80), "{:?}", start.elapsed());
        socket.send("4moved");
        peer.assert_text("moved");
    });
}

#[test]
fn an_upgrade_without_a_probe_is_accepted() {
    let world = World::new(Setup::new());
    let (poller, peer) = world.poller();
    let mut socket = poller.upgrade();
    socket.send("5");
    socket.send("4moved");
    peer.assert_text("moved");
    peer.send("down");
    socket.assert_text("4down");
}

#[test]
fn a_probe_that_comes_with_the_handshake_is_answered() {
    let world = World::new(Setup::new());
    let (poller, peer) = world.poller();
    let mut client = world.http();
    let mut bytes =
        http::head("GET", &poller.upgrade_target(), &crate::support::frames::HANDSHAKE).into_bytes();
    bytes.extend(Frame::new(Op::TEXT, "2probe").encode(Masked::Yes));
    client.wire.send(&bytes);
    let response = client.answer();
    assert_eq!(response.status, 101);
    let mut socket = Socket { wire: client.wire, response };
    socket.assert_text("3probe");
    socket.send("5");
    socket.send("4moved");
    peer.assert_text("moved");
}

#[test]
fn any_other_packet_before_the_upgrade_closes_the_websocket_alone() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    for packet in ["4too early", "2", "2other", "3", "6", "1", "nonsense", ""] {
        let mut socket = poller.upgrade();
        socket.send(packet);
        socket.assert_closed(None);
    }
    let mut socket = poller.probe();
    socket.send_binary(b"too early");
    socket.assert_closed(None);
    peer.assert_quiet();
    poller.post_ok("4still polling");
    peer.assert_text("still polling");
    peer.send("and back");
    assert_eq!(poller.poll(), "4and back");
}

#[test]
fn a_second_probe_is_answered_again() {
    let world = World::new(Setup::new());
    let (poller, peer) = world.poller();
    let mut socket = poller.probe();
    socket.send("2probe");
    socket.assert_text("3probe");
    socket.send("5");
    socket.send("4moved");
    peer.assert_text("moved");
}

#[test]
fn a_failed_upgrade_leaves_the_session_polling_and_another_may_follow() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    poller.park();
    poller.probe().wire.close();
    poller.repark();
    let mut socket = poller.probe();
    socket.send_frame(&Frame::close(Some(1000)));
    assert_eq!(socket.frame().op, Op::CLOSE);
    drop(socket);
    poller.repark();
    poller.probe().wire.reset();
    poller.repark();
    // Both probes are gone by then, and so is what their ends do.
    thread::sleep(QUIET);
    peer.send("still polling");
    let body = poller.parked().text().to_owned();
    assert!(body == "4still polling" || body == "6", "{body}");
    if body == "6" {
        assert_eq!(poller.poll(), "4still polling");
    }
    let mut socket = poller.upgraded();
    socket.send("4moved");
    peer.assert_text("moved");
}

#[test]
fn an_upgrade_that_takes_too_long_is_closed_and_the_session_polls_on() {
    patiently(|| {
        let world = World::new(Setup::new().upgrade_timeout(ms(400)));
        let (mut poller, peer) = world.poller();
        for probes in [false, true] {
            let start = Instant::now();
            let mut socket = if probes { poller.probe() } else { poller.upgrade() };
            socket.assert_closed(None);
            assert_took(start.elapsed(), 350, 700);
        }
        poller.post_ok("4still polling");
        peer.assert_text("still polling");
        let mut socket = poller.upgraded();
        socket.send("4moved");
        peer.assert_text("moved");
        // Longer than the time in which a client may be silent.
        thread::sleep(ms(450));
        socket.send("4and stays");
        peer.assert_text("and stays");
    });
}

#[test]
fn a_second_websocket_while_upgrading_is_closed_and_the_first_untouched() {
    let world = World::new(Setup::new());
    let (poller, peer) = world.poller();
    let mut socket = poller.probe();
    poller.upgrade().assert_closed(None);
    socket.send("5");
    socket.send("4moved");
    peer.assert_text("moved");
}

#[test]
fn a_second_websocket_after_the_upgrade_is_closed_and_the_first_untouched() {
    let world = World::new(Setup::new());
    let (poller, peer) = world.poller();
    let mut socket = poller.upgraded();
    socket.send("4moved");
    peer.assert_text("moved");
    poller.upgrade().assert_closed(None);
    socket.send("4still here");
    peer.assert_text("still here");
}

#[test]
fn a_second_websocket_never_takes_over_a_session_that_began_on_one() {
    let reason = Excluded::FaultOfTheReference;
    let Some(world) = World::proxy_only(Setup::new(), reason) else { return };
    let mut socket = Socket::connect(world.addr, WEBSOCKET);
    let sid = crate::support::poller::open_packet(&socket.text())["sid"].as_str().unwrap().to_owned();
    let peer = world.accept();
    let mut thief = Socket::connect(world.addr, &format!("{WEBSOCKET}&sid={sid}"));
    thief.assert_closed(None);
    socket.send("4still mine");
    peer.assert_text("still mine");
}

#[test]
fn pings_go_on_over_polling_while_upgrading() {
    patiently(|| {
        let world = World::new(Setup::new().heartbeat(300, 200));
        let (mut poller, peer) = world.poller();
        let mut socket = poller.probe();
        let start = Instant::now();
        loop {
            let body = poller.poll();
            if body == "2" {
                break;
            }
            assert_eq!(body, "6");
            assert!(start.elapsed() < SOON);
        }
        poller.post_ok("3");
        socket.send("5");
        // The session has moved; its heartbeat goes on over the WebSocket.
        socket.assert_text("2");
        socket.send("3");
        socket.assert_text("2");
        socket.send("4still here");
        peer.assert_text("still here");
    });
}

#[test]
fn a_client_that_dies_after_the_upgrade_is_noticed() {
    patiently(|| {
        let world = World::new(Setup::new().heartbeat(300, 200));
        let (poller, peer) = world.poller();
        let mut socket = poller.upgraded();
        socket.assert_text("2");
        let ping = Instant::now();
        socket.assert_closed(None);
        assert_took(ping.elapsed(), 170, 350);
        peer.assert_closed();
        world.assert_sessions(0);
    });
}

#[test]
fn the_end_of_an_upgraded_websocket_is_the_sessions() {
    let world = World::new(Setup::new());
    let (poller, peer) = world.poller();
    let mut socket = poller.upgraded();
    socket.send("4moved");
    peer.assert_text("moved");
    socket.wire.close();
    peer.assert_closed();
    poller.assert_gone();
}

#[test]
fn the_application_may_close_while_upgrading() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    let mut socket = poller.probe();
    poller.poll_later();
    peer.close();
    let body = poller.parked().text().to_owned();
    assert!(["1", "6", "6\u{1e}1"].contains(&body.as_str()), "{body}");
    if body == "6" {
        assert_eq!(poller.poll(), "6\u{1e}1");
    }
    socket.assert_closed(None);
    peer.assert_closed();
    poller.assert_gone();
    world.assert_sessions(0);
}

#[test]
fn the_applications_last_message_is_fetched_over_the_new_websocket() {
    let world = World::new(Setup::new());
    let (poller, peer) = world.poller();
    let mut socket = poller.probe();
    peer.send("last words");
    peer.close();
    // The proxy reads the end meanwhile; the client learns of it only with the upgrade.
    thread::sleep(QUIET);
    socket.send("5");
    socket.assert_text("4last words");
    socket.assert_closed(None);
    peer.assert_closed();
    world.assert_sessions(0);
}

#[test]
fn a_client_that_closes_over_polling_while_upgrading_closes_both() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    let mut socket = poller.probe();
    poller.post_ok("1");
    peer.assert_closed();
    socket.assert_closed(None);
    poller.assert_gone();
}

#[test]
fn a_probe_message_over_the_limit_closes_the_websocket_alone() {
    let world = World::new(Setup::new().max_payload(100));
    let (mut poller, peer) = world.poller();
    let mut socket = poller.upgrade();
    socket.send(&"2".repeat(101));
    let frame = socket.frame();
    assert_eq!((frame.op, frame.code()), (Op::CLOSE, Some(1009)));
    poller.post_ok("4still polling");
    peer.assert_text("still polling");
}
