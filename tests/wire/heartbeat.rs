//! Which side pings when, and after which silence a client is gone (ENGINEIO.md, 2.7, EIO 4).

use std::thread;
use std::time::Instant;

use crate::support::{Setup, World, assert_took, ms, patiently};

fn world() -> World {
    World::new(Setup::new().heartbeat(300, 200))
}

#[test]
fn the_first_ping_comes_one_interval_after_the_handshake() {
    patiently(|| {
        let world = world();
        let (mut poller, _peer) = world.poller();
        assert_eq!(poller.poll(), "2");
        assert_took(poller.since.elapsed(), 280, 450);
        let start = Instant::now();
        let (mut socket, _peer) = world.websocket();
        socket.assert_text("2");
        assert_took(start.elapsed(), 290, 460);
    });
}

#[test]
fn the_next_ping_is_measured_from_the_pong() {
    patiently(|| {
        let world = World::new(Setup::new().heartbeat(900, 600));
        let (mut socket, _peer) = world.websocket();
        for _ in 0..2 {
            socket.assert_text("2");
            // The pong comes late, so that a fixed rate would show.
            thread::sleep(ms(300));
            socket.send("3");
            let pong = Instant::now();
            // Not 600 ms, as at a fixed rate.
            assert!(socket.frame_within(ms(780)).is_err(), "the interval starts again with the pong");
            let wait = socket.frame_within(ms(1000));
            assert!(wait.is_ok(), "no ping {:?} after the pong", pong.elapsed());
            socket.send("3");
        }
    });
}

#[test]
fn the_next_ping_is_measured_from_the_pong_on_polling() {
    patiently(|| {
        let world = world();
        let (mut poller, _peer) = world.poller();
        for _ in 0..2 {
            assert_eq!(poller.poll(), "2");
            // The pong comes late, so that a fixed rate would show.
            thread::sleep(ms(100));
            poller.post_ok("3");
            let pong = Instant::now();
            assert_eq!(poller.poll(), "2");
            assert_took(pong.elapsed(), 280, 450);
            poller.post_ok("3");
        }
    });
}

#[test]
fn a_client_that_answers_pings_lives() {
    patiently(|| {
        let world = world();
        let (mut poller, peer) = world.poller();
        for _ in 0..4 {
            assert_eq!(poller.poll(), "2");
            poller.post_ok("3");
        }
        poller.post_ok("4still here");
        peer.assert_text("still here");
    });
}

#[test]
fn a_client_that_never_answers_is_closed_when_its_pong_is_overdue() {
    patiently(|| {
        let world = world();
        let (mut poller, peer) = world.poller();
        assert_eq!(poller.poll(), "2");
        let ping = Instant::now();
        poller.park();
        poller.assert_parked_gets("1");
        assert_took(ping.elapsed(), 170, 350);
        peer.assert_closed();
        poller.assert_gone();

        let (mut socket, peer) = world.websocket();
        socket.assert_text("2");
        let ping = Instant::now();
        socket.assert_closed(None);
        assert_took(ping.elapsed(), 170, 350);
        peer.assert_closed();
        world.assert_sessions(0);
    });
}

#[test]
fn a_client_that_never_polls_is_gone_after_exactly_interval_and_timeout() {
    patiently(|| {
        let world = world();
        let (poller, peer) = world.poller();
        // A client may be silent so long and not a millisecond longer; its clock starts when it has read the response.
        thread::sleep(ms(500).saturating_sub(poller.since.elapsed()));
        poller.assert_gone();
        peer.assert_closed();
    });
}

#[test]
fn a_client_that_polls_just_before_its_deadline_lives() {
    patiently(|| {
        let world = world();
        let (mut poller, peer) = world.poller();
        // It is silent until shortly before its deadline.
        thread::sleep(ms(400));
        assert_eq!(poller.poll(), "2");
        poller.post_ok("3");
        // Longer than the rest of the first deadline.
        thread::sleep(ms(250));
        poller.post_ok("4still here");
        peer.assert_text("still here");
    });
}

#[test]
fn a_ping_from_a_client_ends_the_session() {
    patiently(|| {
        let world = World::new(Setup::new());
        let (mut poller, peer) = world.poller();
        poller.park();
        poller.post_ok("4before\u{1e}2\u{1e}4after");
        peer.assert_text("before");
        peer.assert_closed();
        poller.assert_parked_gets("1");
        poller.assert_gone();

        let (mut socket, peer) = world.websocket();
        socket.send("2probe");
        socket.assert_closed(None);
        peer.assert_closed();
    });
}

#[test]
fn an_unsolicited_pong_is_tolerated_and_delays_the_next_ping() {
    patiently(|| {
        let world = world();
        let (mut socket, peer) = world.websocket();
        // The middle of the interval.
        thread::sleep(ms(150));
        socket.send("3");
        let pong = Instant::now();
        socket.assert_text("2");
        assert_took(pong.elapsed(), 280, 450);
        socket.send("3");
        socket.send("3whatever");
        socket.send("4still here");
        peer.assert_text("still here");
    });
}

#[test]
fn another_packet_extends_the_deadline_once_for_each_ping() {
    patiently(|| {
        let world = world();
        let (mut socket, peer) = world.websocket();
        socket.assert_text("2");
        // More than half of the timeout: two such pauses are longer than it.
        thread::sleep(ms(120));
        socket.send("4a sign of life");
        let sign = Instant::now();
        peer.assert_text("a sign of life");
        // More than half of the timeout again.
        thread::sleep(ms(120));
        // 240 ms after the ping the client lives only by the extended deadline. This packet does not extend it again.
        socket.send("4another sign");
        peer.assert_text("another sign");
        socket.assert_closed(None);
        assert_took(sign.elapsed(), 170, 310);
        peer.assert_closed();
    });
}

#[test]
fn a_message_is_no_pong() {
    patiently(|| {
        let world = world();
        let (mut poller, peer) = world.poller();
        assert_eq!(poller.poll(), "2");
        let ping = Instant::now();
        poller.post_ok("4x");
        peer.assert_text("x");
        poller.park();
        poller.assert_parked_gets("1");
        assert_took(ping.elapsed(), 170, 350);
    });
}

#[test]
fn a_busy_client_is_pinged_too() {
    patiently(|| {
        let world = world();
        let (mut socket, peer) = world.websocket();
        peer.echo();
        let start = Instant::now();
        let mut pings = 0;
        while start.elapsed() < ms(800) {
            socket.send("4busy");
            match socket.text().as_str() {
                "2" => {
                    pings += 1;
                    socket.send("3");
                }
                text => assert_eq!(text, "4busy"),
            }
            // The pace of its messages.
            thread::sleep(ms(5));
        }
        assert!((2..=3).contains(&pings), "{pings} pings in 800 ms");
    });
}

#[test]
fn a_ping_that_waits_for_a_poll_counts_from_when_it_was_due() {
    patiently(|| {
        let world = world();
        let (mut poller, peer) = world.poller();
        // The ping is due by then, and most of its timeout is over.
        thread::sleep(ms(430));
        assert_eq!(poller.poll(), "2");
        let start = Instant::now();
        poller.poll_later();
        poller.assert_parked_gets("1");
        assert!(start.elapsed() < ms(170), "the deadline began with the ping, not with its delivery");
        peer.assert_closed();
    });
}

#[test]
fn pings_and_messages_share_a_response() {
    patiently(|| {
        let world = world();
        let (mut poller, peer) = world.poller();
        peer.send("before");
        // The ping is due by then.
        thread::sleep(ms(350));
        assert_eq!(poller.poll(), "4before\u{1e}2");
    });
}
