//! Promise 2: every queue has a bound and every wait a deadline, and a client that waits is not taken for dead.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::frames::{Frame, Masked, Op, Socket};
use crate::support::http::Client;
use crate::support::http2::is_wanted;
use crate::support::metrics;
use crate::support::peer::Peer;
use crate::support::wire::{Fill, Wire};
use crate::support::world::{Excluded, POLLING, WEBSOCKET};
use crate::support::{Event, Poller, SOON, Script, Setup, World, assert_took, eventually, ms, patiently};

fn world(setup: Setup) -> Option<World> {
    World::proxy_only(setup, Excluded::OnlyAProxyHasThis)
}

/// Sends until the other side stops reading.
fn flood(peer: &Peer) -> usize {
    let flood = peer.line().flood(0, |_| "f".repeat(1000), 64 << 20, ms(300));
    assert!(flood.stalled, "64 MB went into a queue of 64 kB");
    flood.bytes
}

/// Posts until the backend, which reads nothing, has taken all it can; the last POST is left unanswered.
fn fill(poller: &mut Poller) {
    let body = format!("4{}", "u".repeat(400_000));
    let start = Instant::now();
    while poller.post_within(&body, ms(300)).is_ok() {
        let took = start.elapsed();
        assert!(
            took < SOON * 2,
            "expected a POST to wait for the backend, but all were answered for {took:?}"
        );
    }
}

#[test]
fn a_client_that_fetches_nothing_stops_its_own_backend() {
    let Some(world) = world(Setup::new().route("outbox_max = 65536")) else { return };
    let (mut poller, peer) = world.poller();
    let before = world.target.resident();
    let sent = flood(&peer);
    assert!(sent < 24 << 20, "{sent} bytes left the backend: more than the kernel's buffers and 64 kB");
    let grown = world.target.resident().saturating_sub(before);
    assert!(grown < 8 << 20, "the proxy keeps {grown} bytes of a stalled client");
    // What the proxy has read is kept, and a poll makes room for more.
    assert!(poller.poll().starts_with("4ffff"));
}

#[test]
fn a_stalled_client_does_not_slow_another() {
    patiently(|| {
        let Some(world) = world(Setup::new().route("outbox_max = 65536")) else { return };
        let (_stalled, peer) = world.poller();
        flood(&peer);
        let (mut poller, peer) = world.poller();
        peer.echo();
        for turn in 0..20 {
            let start = Instant::now();
            poller.post_ok(format!("4{turn}"));
            assert_eq!(poller.poll(), format!("4{turn}"));
            assert!(start.elapsed() < ms(500), "{:?}", start.elapsed());
        }
    });
}

#[test]
fn a_backend_that_is_not_read_still_gets_its_pongs() {
    patiently(|| {
        let setup = Setup::new()
            .route("outbox_max = 65536")
            .heartbeat(10_000, 10_000)
            .script(|script| script.open = Some(Script::open_packet(200, 200, 1_000_000)));
        let Some(world) = world(setup) else { return };
        let (_poller, peer) = world.poller();
        flood(&peer);
        // Its own pings are stuck unread: without unsolicited pongs it would give up after 400 ms.
        for _ in 0..4 {
            assert_eq!(peer.event_within(ms(390)), Some(Event::Pong));
        }
    });
}

#[test]
fn a_flood_outlasts_a_stalled_poller_and_loses_nothing() {
    let setup = Setup::new()
        .route("outbox_max = 65536")
        .heartbeat(10_000, 10_000)
        .script(|script| script.open = Some(Script::open_packet(200, 200, 1_000_000)));
    let Some(world) = world(setup) else { return };
    let (mut poller, peer) = world.poller();
    let before = world.target.resident();
    let line = peer.line().clone();
    let sender = thread::spawn(move || line.flood(0, |number| format!("{number:>1000}"), 20 << 20, SOON));
    // Five times as long as its backend waits for a sign of life.
    thread::sleep(ms(2000));
    let grown = world.target.resident().saturating_sub(before);
    assert!(grown < 8 << 20, "the proxy keeps {grown} bytes of a stalled client");
    assert!(!sender.is_finished(), "20 MB are more than fits between the two");
    let mut next = 0;
    while !sender.is_finished() || next < 20_000 {
        for packet in poller.poll().split('\u{1e}').filter(|packet| packet.starts_with('4')) {
            assert_eq!(packet[1..].trim().parse(), Ok(next), "lost, duplicated or out of order");
            next += 1;
        }
    }
    assert!(!sender.join().unwrap().stalled, "the flood ends because it is over");
    let grown = world.target.resident().saturating_sub(before);
    assert!(grown < 16 << 20, "the proxy has kept {grown} bytes");
    poller.post_ok("4still here");
    while peer.event() != Event::Text("still here".into()) {}
}

#[test]
fn a_plain_backend_that_is_not_read_still_gets_its_pongs() {
    let setup = Setup::plain().route("outbox_max = 65536").heartbeat(300, 20_000);
    let Some(world) = world(setup) else { return };
    let (_poller, peer) = world.poller();
    flood(&peer);
    for _ in 0..2 {
        assert_eq!(peer.event_within(SOON), Some(Event::Pong));
    }
}

#[test]
fn a_backend_that_pings_and_reads_no_pong_loses_its_session() {
    for setup in [Setup::plain(), Setup::new()] {
        let setup = setup.route("stall_timeout = \"500ms\"").heartbeat(60_000, 60_000);
        let Some(world) = world(setup.script(|script| script.narrow = true)) else { return };
        let (_poller, peer) = world.poller();
        peer.line().pause();
        let ping = Frame::new(Op::PING, [7; 125]).encode(Masked::No).repeat(100);
        let start = Instant::now();
        while start.elapsed() < 4 * SOON && !peer.line().pour(&ping) {}
        world.assert_sessions(0);
        let closed = "polliwog_sessions_closed_total";
        assert!(metrics::has_counted(world.target.admin, closed, &["reason=\"stalled\""]));
        peer.line().resume();
        peer.ends_after();
    }
}

#[test]
fn a_backend_that_is_read_gets_an_answer_to_each_ping() {
    let Some(world) = world(Setup::new()) else { return };
    let (_poller, peer) = world.poller();
    for _ in 0..3 {
        peer.line().send_raw(b"\x81\x012");
        assert_eq!(peer.event_within(ms(500)), Some(Event::Pong));
        peer.assert_quiet();
    }
}

#[test]
fn a_slow_backend_delays_the_ok_to_a_post_and_suspends_the_clients_heartbeat() {
    patiently(|| {
        let setup = Setup::new().heartbeat(200, 200).script(|script| script.narrow = true);
        let Some(world) = world(setup) else { return };
        let (mut poller, peer) = world.poller();
        peer.line().pause();
        poller.poll_later();
        fill(&mut poller);
        // A ping and its deadline pass: no pong can be posted while the first POST waits.
        let silence = poller.posts.answer_within(ms(900));
        assert!(silence.is_err(), "{silence:?}");
        peer.line().resume();
        poller.posts.answer().assert(200, "ok");
        poller.post_ok("3");
        poller.post_ok("4still here");
        while peer.event() != Event::Text("still here".into()) {}
    });
}

#[test]
fn a_post_that_waits_too_long_for_its_backend_ends_the_session() {
    let setup = Setup::new().route("stall_timeout = \"700ms\"").script(|script| script.narrow = true);
    let Some(world) = world(setup) else { return };
    let (mut poller, peer) = world.poller();
    peer.line().pause();
    let start = Instant::now();
    fill(&mut poller);
    let _ = poller.posts.answer_within(SOON);
    world.assert_sessions(0);
    assert!(start.elapsed() >= ms(600), "{:?}", start.elapsed());
    poller.assert_gone();
    peer.line().resume();
    peer.ends_after();
}

#[test]
fn a_client_that_fetches_nothing_for_too_long_loses_its_session() {
    patiently(|| {
        let setup = Setup::new().route("outbox_max = 65536\nstall_timeout = \"500ms\"");
        let Some(world) = world(setup) else { return };
        let (poller, peer) = world.poller();
        let start = Instant::now();
        // Messages after the session's end are read and dropped until the backend has answered the close.
        let line = peer.line().clone();
        let sender = thread::spawn(move || line.flood(0, |_| "f".repeat(1000), 64 << 20, ms(300)));
        peer.ends_after();
        sender.join().unwrap();
        assert_took(start.elapsed(), 450, 3500);
        world.assert_sessions(0);
        poller.assert_gone();
    });
}

#[test]
fn a_client_that_is_slow_but_not_stalled_keeps_its_session() {
    patiently(|| {
        let setup = Setup::new().route("outbox_max = 65536\nbatch_max = 16384\nstall_timeout = \"500ms\"");
        let Some(world) = world(setup) else { return };
        let (mut poller, peer) = world.poller();
        let line = peer.line().clone();
        let sender = thread::spawn(move || line.flood(0, |_| "f".repeat(1000), 64 << 20, ms(400)));
        let start = Instant::now();
        while start.elapsed() < ms(1600) {
            assert!(poller.poll().starts_with("4f"));
            // It reads with pauses, each below the stall timeout.
            thread::sleep(ms(150));
        }
        assert!(sender.join().unwrap().stalled);
        poller.post_ok("4still here");
        peer.assert_text("still here");
    });
}

#[test]
fn a_client_that_reads_nothing_of_a_response_loses_its_connection() {
    patiently(|| {
        let Some(world) = world(Setup::new().route("stall_timeout = \"400ms\"")) else { return };
        let (poller, peer) = world.poller();
        peer.send(&"x".repeat(10 << 20));
        let mut client = Client { wire: Wire::connect_narrow(world.addr) };
        let start = Instant::now();
        client.send_get(&poller.target());
        // The client reads no byte until the proxy has given up.
        let gave_up = || world.log().contains("the other side read nothing for 400 ms");
        eventually(gave_up, || "it gave up".to_owned());
        assert_took(start.elapsed(), 380, 2000);
        assert_eq!(client.answer_within(SOON).map(|answer| answer.status), Err(Fill::Eof));
    });
}

#[test]
fn a_full_proxy_responds_with_503_and_retry_after() {
    let Some(world) = world(Setup::new().server("max_sessions = 2")) else { return };
    let (mut first, first_peer) = world.poller();
    let (_second, _second_peer) = world.websocket();
    let full = world.get(POLLING);
    assert_eq!(full.status, 503);
    let wait: u64 = full.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!(wait > 0);
    let full = Socket::try_connect(world.addr, WEBSOCKET, &[]).unwrap_err();
    assert_eq!(full.status, 503);
    assert!(full.header("retry-after").is_some());
    assert_eq!(world.sessions(), 2);
    first.post_ok("1");
    first_peer.assert_closed();
    world.assert_sessions(1);
    assert_eq!(world.get(POLLING).status, 200);
}

#[test]
fn failed_handshakes_do_not_count_towards_max_sessions() {
    let setup = Setup::new().server("max_sessions = 1").refusing("Forbidden");
    let Some(world) = world(setup) else { return };
    for _ in 0..3 {
        assert_eq!(world.get(POLLING).status, 403);
        assert!(Socket::try_connect(world.addr, WEBSOCKET, &[]).is_err());
    }
    world.backend().script(|script| script.refusal = None);
    assert_eq!(world.get(POLLING).status, 200);
}

#[test]
fn a_message_over_the_upstreams_limit_closes_the_session_with_1009() {
    let Some(world) = world(Setup::new().upstream("max_message = 10000")) else { return };
    let (mut poller, peer) = world.poller();
    peer.send(&"x".repeat(9_000));
    assert_eq!(poller.poll().len(), 9_001);
    poller.park();
    peer.send(&"x".repeat(20_000));
    poller.assert_parked_gets("1");
    let mut event = peer.event();
    while event == Event::Pong {
        event = peer.event();
    }
    assert_eq!(event, Event::Closed(1009));
    poller.assert_gone();
}

#[test]
fn a_silent_connection_is_closed_and_a_parked_poll_is_not() {
    patiently(|| {
        let Some(world) = world(Setup::new().server("idle_timeout = \"400ms\"")) else { return };
        if is_wanted() {
            // What ends is the test's own connection, which a translator to HTTP/2 has.
            return;
        }
        let (mut poller, peer) = world.poller();
        poller.park();
        let start = Instant::now();
        let mut silent = world.http();
        let mut halting = world.http();
        halting.wire.send(b"GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n");
        let mut idle = world.http();
        assert_eq!(idle.get("/nowhere").status, 404);
        for client in [&mut silent, &mut halting, &mut idle] {
            assert!(client.ends_within(SOON));
            assert_took(start.elapsed(), 300, 1500);
        }
        // Longer than any of the timeouts that ended the others.
        thread::sleep(ms(300));
        peer.send("late");
        poller.assert_parked_gets("4late");
    });
}

#[test]
fn a_request_header_that_trickles_in_times_out() {
    let Some(world) = world(Setup::new().server("idle_timeout = \"400ms\"")) else { return };
    if is_wanted() {
        // A translator to HTTP/2 waits for the whole header.
        return;
    }
    let mut client = world.http();
    let start = Instant::now();
    client.wire.send(b"GET / HTTP/1.1\r\n");
    while !client.ends_within(ms(50)) {
        client.wire.send(b"x-drip: 1\r\n");
        assert!(start.elapsed() < Duration::from_secs(4), "a drip keeps the connection open");
    }
}
