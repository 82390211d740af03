//! A session's end, and what requests with its id get afterwards.

use std::thread;
use std::time::Instant;

use crate::support::frames::{Frame, Socket};
use crate::support::http::head;
use crate::support::sockjs::{begin, park, poll, send, setup, target, world, world_of};
use crate::support::wire::Wire;
use crate::support::{Event, SOON, World, ms};

const INTERRUPTED: &str = "c[1002,\"Connection interrupted\"]\n";

#[track_caller]
fn assert_unknown(world: &World, sid: &str) {
    let answer = world.http().request("POST", &target(sid, "xhr_send"), &[], b"[\"x\"]");
    answer.assert(404, "404 Error: Page not found\n");
}

/// Returns a Close frame with a code and a reason.
fn close(code: u16, reason: &str) -> Frame {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    Frame { payload, ..Frame::close(Some(code)) }
}

#[test]
fn the_backends_close_follows_its_messages_and_is_repeated() {
    let Some(world) = world("") else { return };
    let peer = begin(&world, "a");
    peer.send("last");
    peer.line().send_frame(&close(3000, "Go away!"));
    // The close must have come before the client asks.
    thread::sleep(ms(100));
    poll(&world, "a").assert(200, "a[\"last\"]\n");
    for _ in 0..4 {
        poll(&world, "a").assert(200, "c[3000,\"Go away!\"]\n");
    }
    assert_unknown(&world, "a");
}

#[test]
fn the_backends_close_reaches_a_parked_poll_at_once() {
    let Some(world) = world("") else { return };
    let peer = begin(&world, "a");
    let mut parked = park(&world, "a");
    peer.line().send_frame(&close(4001, "\"why\""));
    parked.answer().assert(200, "c[4001,\"\\\"why\\\"\"]\n");
    poll(&world, "a").assert(200, "c[4001,\"\\\"why\\\"\"]\n");
}

#[test]
fn a_close_without_a_code_and_a_lost_backend_have_codes_and_reasons() {
    let Some(world) = world("") else { return };
    let peer = begin(&world, "a");
    let mut parked = park(&world, "a");
    peer.line().close(None);
    parked.answer().assert(200, "c[1000,\"Normal closure\"]\n");
    let peer = begin(&world, "b");
    let mut parked = park(&world, "b");
    peer.line().kill();
    parked.answer().assert(200, "c[1006,\"Connection lost\"]\n");
}

#[test]
fn a_close_is_forgotten_disconnect_delay_after_it_was_last_sent() {
    let Some(world) = world("disconnect_delay = \"600ms\"") else { return };
    let peer = begin(&world, "a");
    peer.line().send_frame(&close(3000, "x"));
    // The close must have come before the client asks.
    thread::sleep(ms(100));
    // Each response with the close restarts the time.
    for _ in 0..4 {
        poll(&world, "a").assert(200, "c[3000,\"x\"]\n");
        // Shorter than `disconnect_delay` each, longer than it in all.
        thread::sleep(ms(300));
    }
    // Longer than `disconnect_delay`.
    thread::sleep(ms(900));
    poll(&world, "a").assert(200, "o\n");
}

#[test]
fn a_client_that_hangs_up_is_gone_at_once_and_no_new_session_begins_under_its_id() {
    let Some(world) = world("") else { return };
    for (at, half) in [false, true].into_iter().enumerate() {
        let sid = format!("s{at}");
        let peer = begin(&world, &sid);
        let parked = park(&world, &sid);
        let start = Instant::now();
        if half {
            parked.wire.half_close();
        } else {
            drop(parked);
        }
        assert_eq!(peer.event(), Event::Closed(1001), "half: {half}");
        assert!(start.elapsed() < ms(2000));
        assert_unknown(&world, &sid);
        poll(&world, &sid).assert(200, INTERRUPTED);
        poll(&world, &sid).assert(200, INTERRUPTED);
        assert!(world.accept_within(ms(50)).is_none(), "no backend was asked");
    }
}

#[test]
fn an_idle_connection_that_closes_between_polls_means_nothing() {
    let Some(world) = world("") else { return };
    let peer = begin(&world, "a");
    let mut client = world.http();
    peer.send("x");
    client.request("POST", &target("a", "xhr"), &[], b"").assert(200, "a[\"x\"]\n");
    drop(client);
    // The proxy reads the close meanwhile. A connection that closes between polls must change nothing.
    thread::sleep(ms(100));
    peer.send("y");
    poll(&world, "a").assert(200, "a[\"y\"]\n");
}

#[test]
fn a_client_without_a_receiver_is_gone_after_a_while() {
    let Some(world) = world("disconnect_delay = \"500ms\"") else { return };
    let peer = begin(&world, "a");
    // Part of `disconnect_delay` passes without a receiver.
    thread::sleep(ms(200));
    peer.send("x");
    poll(&world, "a").assert(200, "a[\"x\"]\n");
    // Sending does not show whether the client receives.
    let start = Instant::now();
    // Another part passes: a send does not restart the time.
    thread::sleep(ms(250));
    send(&world, "a", "[\"y\"]");
    peer.assert_text("y");
    assert_eq!(peer.event(), Event::Closed(1001));
    assert!(start.elapsed() >= ms(450), "{:?}", start.elapsed());
    assert_unknown(&world, "a");
    poll(&world, "a").assert(200, INTERRUPTED);
    world.assert_sessions(0);
}

#[test]
fn a_client_that_hangs_up_while_the_backend_is_asked_leaves_nothing_behind() {
    let Some(world) = world_of(setup("").script(|script| script.delay = ms(1000))) else { return };
    let mut client = world.http();
    client.send("POST", &target("a", "xhr"), &[], b"");
    // Nothing shows when the poll has arrived; well before the backend accepts, also on a busy machine.
    thread::sleep(ms(100));
    drop(client);
    // Longer than the backend takes to accept.
    thread::sleep(ms(1500));
    // The same id tries its next transport.
    poll(&world, "a").assert(200, "o\n");
    world.assert_sessions(1);
}

#[test]
fn a_client_that_hangs_up_while_the_backend_is_asked_may_come_again_at_once() {
    let Some(world) = world_of(setup("").script(|script| script.delay = ms(1000))) else { return };
    for turn in 0..4 {
        let sid = format!("s{turn}");
        let mut client = world.http();
        client.send("POST", &target(&sid, "xhr"), &[], b"");
        // Nothing shows when the poll has arrived; well before the backend accepts, also on a busy machine.
        thread::sleep(ms(100));
        let mut again = world.http();
        client.wire.reset();
        again.send("POST", &target(&sid, "xhr"), &[], b"");
        again.answer().assert(200, "o\n");
    }
}

#[test]
fn a_stall_is_not_told_as_a_protocol_error() {
    let setup = setup("stall_timeout = \"700ms\"").route("outbox_max = 20000");
    let Some(world) = world_of(setup) else { return };
    let mut socket = Socket::connect(world.addr, &target("ws", "websocket"));
    socket.assert_text("o");
    let peer = world.accept();
    // More than the kernels hold for a client that reads nothing.
    for _ in 0..200 {
        peer.send(&"x".repeat(100_000));
    }
    assert_eq!(peer.event_within(SOON), Some(Event::Closed(1001)), "the client is lost");
    world.assert_sessions(0);

    let peer = begin(&world, "a");
    peer.send("left");
    let mut reads_nothing = Wire::connect_narrow(world.addr);
    reads_nothing.send(head("POST", &target("a", "xhr_streaming"), &[("Content-Length", "0")]).as_bytes());
    for _ in 0..200 {
        peer.send(&"x".repeat(100_000));
    }
    assert_eq!(peer.event_within(SOON), Some(Event::Closed(1001)));
    world.assert_sessions(0);
    poll(&world, "a").assert(200, "c[1013,\"Connection stalled\"]\n");
}

#[test]
fn ids_are_the_routes_own() {
    let setup = setup("").route("\n[[routes]]\npath = \"/other/\"\ndialect = \"sockjs\"\nupstream = \"b\"");
    let Some(world) = world_of(setup) else { return };
    let peer = begin(&world, "a");
    let answer = world.http().request("POST", "/other/000/a/xhr_send", &[], b"[\"x\"]");
    answer.assert(404, "404 Error: Page not found\n");
    world.http().request("POST", "/other/000/a/xhr", &[], b"").assert(200, "o\n");
    let other = world.accept();
    other.send("other");
    peer.send("first");
    poll(&world, "a").assert(200, "a[\"first\"]\n");
    world.http().request("POST", "/other/000/a/xhr", &[], b"").assert(200, "a[\"other\"]\n");
}

#[test]
fn a_page_of_another_origin_may_read_when_a_full_proxy_wants_it_back() {
    let Some(world) = world_of(setup("").server("max_sessions = 1")) else { return };
    begin(&world, "a");
    let answer = world.http().request("POST", &target("b", "xhr"), &[("Origin", "http://a")], b"");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("http://a"));
}
