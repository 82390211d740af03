//! Faults of other implementations and of libraries: each test is named for a symptom, and fails if it occurs.

use std::thread;
use std::time::Instant;

use crate::support::frames::{Op, Socket};
use crate::support::http::Client;
use crate::support::poller::open_packet;
use crate::support::world::{Excluded, POLLING, WEBSOCKET};
use crate::support::{Event, Peer, Poller, QUIET, SOON, Setup, World, ms, patiently};

/// What a parked poll or an idle WebSocket may cost: far below a library's careless defaults (137 kB and more for
/// each side), far above what the budgets of a release build are.
const SESSION_BYTES_MAX: usize = 96 << 10;
/// Enough to measure, few enough for the usual limit of open files.
const CROWD: usize = 120;

/// Polling sessions with one connection each.
fn crowd(world: &World) -> Vec<(Client, String, Peer)> {
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        let mut client = world.http();
        let answer = client.get(POLLING);
        assert_eq!(answer.status, 200, "{answer:?}");
        let sid = open_packet(answer.text())["sid"].as_str().unwrap().to_owned();
        crowd.push((client, format!("{POLLING}&sid={sid}"), world.accept()));
    }
    crowd
}

#[test]
fn an_upgrade_hangs_while_polls_keep_coming() {
    patiently(|| {
        let world = World::new(Setup::new());
        let (mut poller, peer) = world.poller();
        poller.park();
        let start = Instant::now();
        let mut socket = poller.probe();
        poller.assert_parked_gets("6");
        // A client may send another poll, and a third, before it sees the probe's answer.
        assert_eq!(poller.poll(), "6");
        assert_eq!(poller.poll(), "6");
        socket.send("5");
        peer.send("moved");
        socket.assert_text("4moved");
        assert!(start.elapsed() < ms(1000), "{:?}", start.elapsed());
    });
}

#[test]
fn a_noop_ends_up_on_the_websocket() {
    patiently(|| {
        let world = World::new(Setup::new());
        for _ in 0..3 {
            let (mut poller, peer) = world.poller();
            poller.park();
            let mut socket = poller.probe();
            // Just before the noop that a probe brings the parked poll.
            thread::sleep(ms(95));
            socket.send("5");
            peer.send("first");
            if !world.keeps_order() {
                // The message may be faster than the upgrade; then the poll gets it.
                assert!(poller.parked().text() == "4first" || socket.text() == "4first");
                continue;
            }
            socket.assert_text("4first");
            // Longer than the time until that noop: none may follow the upgrade.
            thread::sleep(ms(120));
            socket.assert_quiet();
        }
    });
}

#[test]
fn noops_go_on_after_an_upgrade_that_failed() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    poller.probe().wire.close();
    // The proxy reads the probe's end meanwhile; nothing shows when it has.
    thread::sleep(QUIET);
    poller.poll_later();
    let answer = poller.gets.answer_within(ms(350));
    assert!(answer.is_err(), "{answer:?}");
    peer.send("x");
    poller.assert_parked_gets("4x");
}

#[test]
fn b64_true_is_not_understood() {
    let world = World::new(Setup::new());
    let (mut socket, peer) = world.websocket_with("&b64=true", &[]);
    peer.send_binary(&[0, 1, 2]);
    socket.assert_text("bAAEC");
}

#[test]
fn a_base64_payload_that_begins_with_4_is_taken_for_text() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    // "4AAA" in base64.
    let bytes = [0xe0, 0, 0];
    poller.post_ok("b4AAA");
    peer.assert_binary(&bytes);
    peer.send_binary(&bytes);
    assert_eq!(poller.poll(), "b4AAA");
    let (mut socket, peer) = world.websocket_with("&b64=1", &[]);
    socket.send("b4AAA");
    peer.assert_binary(&bytes);
    peer.send_binary(&bytes);
    socket.assert_text("b4AAA");
}

#[test]
fn separators_are_lost_when_a_parked_poll_is_fed() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    for _ in 0..10 {
        poller.park();
        peer.send_all(&["one", "two", "three"]);
        let mut packets: Vec<String> = poller.parked().text().split('\u{1e}').map(str::to_owned).collect();
        while packets.len() < 3 {
            packets.extend(poller.poll().split('\u{1e}').map(str::to_owned));
        }
        assert_eq!(packets, ["4one", "4two", "4three"]);
    }
}

#[test]
fn an_abandoned_polling_session_leaks() {
    patiently(|| {
        let world = World::new(Setup::new().heartbeat(300, 200));
        let crowd = crowd(&world);
        let start = Instant::now();
        // No request comes meanwhile that could remove them: the sessions' own timers must.
        for (_client, _target, peer) in &crowd {
            peer.assert_closed();
        }
        assert!(start.elapsed() < ms(2000), "{:?}", start.elapsed());
        world.assert_sessions(0);
    });
}

#[test]
fn the_end_of_many_sessions_at_once_stops_the_others() {
    patiently(|| {
        let world = World::new(Setup::new());
        let (mut socket, peer) = world.websocket();
        peer.echo();
        let crowd = crowd(&world);
        let reaper = thread::spawn(move || crowd.into_iter().for_each(|(client, _, _)| client.wire.reset()));
        let mut worst = ms(0);
        for _ in 0..100 {
            let start = Instant::now();
            socket.send("4x");
            socket.assert_text("4x");
            worst = worst.max(start.elapsed());
            // The pace of the echoes, which spreads them over all the ends.
            thread::sleep(ms(2));
        }
        reaper.join().unwrap();
        assert!(worst < ms(400), "an echo took {worst:?}");
    });
}

#[test]
fn a_newcomer_is_turned_away_while_there_is_room_or_evicts_a_living_session() {
    let setup = Setup::new().server(&format!("max_sessions = {CROWD}"));
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let crowd = crowd(&world);
    for _ in 0..20 {
        assert_eq!(world.get(POLLING).status, 503);
    }
    assert_eq!(world.sessions(), CROWD as u64);
    for (mut client, target, peer) in crowd {
        client.post(&target, "4still here").assert(200, "ok");
        peer.assert_text("still here");
    }
}

#[test]
fn a_busy_websocket_is_forgotten_because_nobody_looks_it_up() {
    patiently(|| {
        let world = World::new(Setup::new().heartbeat(200, 200));
        let (poller, peer) = world.poller();
        let mut socket = poller.upgraded();
        let start = Instant::now();
        while start.elapsed() < ms(1500) {
            assert_eq!(socket.text(), "2");
            socket.send("3");
        }
        poller.request("GET", &[], b"").assert_error(400, 3, "Bad request");
        socket.send("4still here");
        peer.assert_text("still here");
        world.assert_sessions(1);
    });
}

#[test]
fn pipelined_bytes_hide_that_a_parked_poll_hung_up() {
    let world = World::new(Setup::new().heartbeat(300, 200));
    let (mut poller, peer) = world.poller();
    poller.park();
    poller.gets.send_get("/nowhere");
    // The proxy reads the second request meanwhile; nothing shows it.
    thread::sleep(ms(20));
    poller.gets.wire.close();
    assert!(peer.ends_after() < ms(1500), "the heartbeat judges in the end");
    world.assert_sessions(0);
}

#[test]
fn a_message_is_lost_when_two_things_happen_at_once() {
    let world = World::new(Setup::new().heartbeat(20, 10_000));
    let (mut poller, peer) = world.poller();
    let sender = thread::spawn(move || {
        for count in 0..600 {
            peer.send(&count.to_string());
            if count % 7 == 0 {
                // The pace of the messages, which differs from that of the polls.
                thread::sleep(ms(1));
            }
        }
        peer
    });
    let (mut down, mut up) = (0, 0);
    while down < 600 {
        poller.poll_later();
        poller.post_ok(format!("4{up}\u{1e}3\u{1e}4{}", up + 1));
        up += 2;
        for packet in poller.parked().text().split('\u{1e}').filter(|packet| *packet != "2") {
            assert_eq!(packet, format!("4{down}"));
            down += 1;
        }
    }
    let peer = sender.join().unwrap();
    for count in 0..up {
        peer.assert_text(&count.to_string());
    }
}

#[test]
fn small_messages_wait_for_an_acknowledgement() {
    patiently(|| {
        let world = World::new(Setup::new());
        let (mut socket, peer) = world.websocket();
        peer.echo();
        let start = Instant::now();
        for _ in 0..20 {
            // Two small writes in a row: with Nagle's delay the second waits some 40 ms.
            socket.send("4a");
            socket.send("4b");
            socket.assert_text("4a");
            socket.assert_text("4b");
        }
        assert!(start.elapsed() < ms(600), "{:?}", start.elapsed());
    });
}

#[test]
fn a_parked_poll_costs_as_much_as_a_thread() {
    let Some(world) = World::proxy_only(Setup::new(), Excluded::OnlyAProxyHasThis) else { return };
    // What the first ones need once for all, as a worker's arena, is nobody's cost.
    let _first = crowd(&world);
    let before = world.target.resident();
    let mut crowd = crowd(&world);
    for (client, target, _peer) in &mut crowd {
        client.send_get(target);
    }
    crowd[CROWD - 1].0.assert_parked();
    assert_cost("a parked poll", world.target.resident().saturating_sub(before));
}

#[test]
fn an_idle_websocket_costs_137_kb() {
    let Some(world) = World::proxy_only(Setup::new(), Excluded::OnlyAProxyHasThis) else { return };
    let open = || (0..CROWD).map(|_| world.websocket()).collect::<Vec<_>>();
    let _first = open();
    let before = world.target.resident();
    let _crowd = open();
    assert_cost("an idle WebSocket", world.target.resident().saturating_sub(before));
}

fn assert_cost(what: &str, grown: usize) {
    let each = grown / CROWD;
    eprintln!("{what} costs {each} bytes");
    assert!(each < SESSION_BYTES_MAX, "{what} costs {each} bytes");
}

#[test]
fn a_parked_poll_stops_the_requests_of_its_session() {
    patiently(|| {
        let world = World::new(Setup::new());
        let (mut poller, peer) = world.poller();
        poller.park();
        for turn in 0..20 {
            let start = Instant::now();
            poller.post_ok(format!("4{turn}"));
            peer.assert_text(&turn.to_string());
            assert!(start.elapsed() < ms(500), "{:?}", start.elapsed());
        }
        poller.gets.assert_parked();
    });
}

#[test]
fn a_sid_of_a_dead_session_reaches_a_living_one() {
    let world = World::new(Setup::new());
    let (mut dead, peer) = world.poller();
    dead.post_ok("1");
    peer.assert_closed();
    let (_living, living_peer) = world.poller();
    dead.post("4ghost").assert_unknown_sid();
    let target = dead.upgrade_target();
    assert!(Socket::try_connect(world.addr, &target, &[]).is_err());
    living_peer.assert_quiet();
}

#[test]
fn a_websocket_message_larger_than_a_read_buffer_is_cut() {
    let world = World::new(Setup::new());
    let (mut socket, peer) = world.websocket();
    for length in [4 << 10, 16 << 10, 128 << 10, 900 << 10] {
        let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
        socket.send_binary(&bytes);
        assert!(peer.event() == Event::Binary(bytes.clone()), "{length} bytes up");
        peer.send_binary(&bytes);
        let frame = socket.frame_within(SOON).unwrap();
        assert!(frame.op == Op::BINARY && frame.payload == bytes, "{length} bytes down");
    }
}

#[test]
fn a_handshake_waits_for_another_ones_backend() {
    let Some(world) = World::proxy_only(Setup::new(), Excluded::OnlyAProxyHasThis) else { return };
    world.backend().script(|script| script.delay = ms(1500));
    let mut slow = world.http();
    slow.send_get(POLLING);
    // The first dial is under way, with the delay that was set before.
    thread::sleep(QUIET);
    world.backend().script(|script| script.delay = ms(0));
    let start = Instant::now();
    let (_quick, _peer) = (Poller::handshake(world.addr), world.accept());
    let _socket = Socket::connect(world.addr, WEBSOCKET);
    assert!(start.elapsed() < ms(1000), "{:?}", start.elapsed());
    assert_eq!(slow.answer().status, 200);
}
