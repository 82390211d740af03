//! Requests that overlap, are cut off or come in an unexpected order (ENGINEIO.md, 2.8).

use std::thread;

use crate::support::http::Client;
use crate::support::world::Excluded;
use crate::support::{QUIET, SOON, Setup, World, ms, patiently};

#[test]
fn a_second_get_ends_the_session_and_frees_the_first() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    poller.park();
    poller.request("GET", &[], b"").assert(400, "");
    poller.assert_parked_gets("1");
    peer.assert_closed();
    poller.assert_gone();
}

#[test]
fn a_second_post_ends_the_session_and_the_firsts_connection() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n4lo", poller.target());
    poller.posts.wire.send(head.as_bytes());
    // The proxy reads the part meanwhile; nothing shows when it has.
    thread::sleep(QUIET);
    poller.request("POST", &[], b"4x").assert(400, "");
    assert!(poller.posts.ends_within(SOON), "the first POST's connection ends");
    peer.assert_closed();
    poller.assert_gone();
}

#[test]
fn a_get_and_a_post_do_not_overlap() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    for turn in 0..10 {
        poller.park();
        poller.post_ok(format!("4up {turn}"));
        peer.assert_text(&format!("up {turn}"));
        peer.send("down");
        poller.assert_parked_gets("4down");
    }
}

#[test]
fn a_poll_that_hangs_up_ends_the_session() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    poller.park();
    let gets = std::mem::replace(&mut poller.gets, world.http());
    gets.wire.close();
    peer.assert_closed();
    poller.assert_gone();
}

#[test]
fn a_poll_that_is_reset_ends_the_session() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    poller.park();
    let gets = std::mem::replace(&mut poller.gets, world.http());
    gets.wire.reset();
    peer.assert_closed();
    poller.assert_gone();
}

#[test]
fn a_poll_that_half_closes_ends_the_session() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    poller.park();
    poller.gets.wire.half_close();
    peer.assert_closed();
    poller.assert_gone();
}

#[test]
fn a_connection_that_ends_between_polls_ends_nothing() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    peer.send("one");
    assert_eq!(poller.poll(), "4one");
    let gets = std::mem::replace(&mut poller.gets, world.http());
    gets.wire.close();
    let posts = std::mem::replace(&mut poller.posts, world.http());
    posts.wire.reset();
    // The proxy reads both ends meanwhile; nothing shows it, since the session stays.
    thread::sleep(QUIET);
    peer.send("two");
    assert_eq!(poller.poll(), "4two");
    poller.post_ok("4three");
    peer.assert_text("three");
}

#[test]
fn a_post_that_is_cut_off_ends_the_session() {
    let world = World::new(Setup::new());
    for reset in [false, true] {
        let (mut poller, peer) = world.poller();
        let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n4cut", poller.target());
        let mut posts = std::mem::replace(&mut poller.posts, world.http());
        posts.wire.send(head.as_bytes());
        // The proxy reads the part meanwhile; nothing shows when it has.
        thread::sleep(QUIET);
        if reset {
            posts.wire.reset();
        } else {
            posts.wire.close();
        }
        peer.assert_closed();
        poller.assert_gone();
    }
}

#[test]
fn an_unreadable_post_is_answered_ok_and_ends_the_session() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    poller.park();
    poller.post_ok("nonsense");
    poller.assert_parked_gets("1");
    peer.assert_closed();
    poller.assert_gone();
}

#[test]
fn a_close_packet_frees_the_parked_poll_with_a_noop() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    poller.park();
    poller.post_ok("4last words\u{1e}1\u{1e}4too late");
    poller.assert_parked_gets("6");
    peer.assert_text("last words");
    peer.assert_closed();
    poller.assert_gone();
    world.assert_sessions(0);
}

#[test]
fn a_close_packet_without_a_parked_poll_ends_the_session() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    poller.post_ok("1");
    peer.assert_closed();
    poller.assert_gone();
}

#[test]
fn the_applications_close_reaches_a_parked_poll() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    poller.park();
    peer.close();
    poller.assert_parked_gets("1");
    peer.assert_closed();
    poller.assert_gone();
}

#[test]
fn the_applications_close_waits_for_the_next_poll() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    peer.close();
    // The proxy reads the end meanwhile; only the next poll shows that it has.
    thread::sleep(QUIET);
    poller.post_ok("3");
    assert_eq!(poller.poll(), "6\u{1e}1");
    poller.assert_gone();
    peer.assert_closed();
    world.assert_sessions(0);
}

#[test]
fn the_applications_last_messages_come_before_its_close() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    peer.send_all(&["last", "words"]);
    peer.close();
    // The proxy reads the end meanwhile; only the next poll shows that it has.
    thread::sleep(QUIET);
    assert_eq!(poller.poll(), "4last\u{1e}4words");
    assert_eq!(poller.poll(), "6\u{1e}1");
    poller.assert_gone();
}

/// The reference says `ok` and drops it.
#[test]
fn no_message_is_answered_ok_when_the_application_has_closed() {
    let Some(world) = World::proxy_only(Setup::new(), Excluded::OnlyAProxyHasThis) else { return };
    let (mut poller, peer) = world.poller();
    peer.close();
    // The proxy reads the end meanwhile; only the next poll shows that it has.
    thread::sleep(QUIET);
    for _ in 0..12 {
        poller.post("4lost").assert_unknown_sid();
    }
    assert_eq!(poller.poll(), "6\u{1e}1");
    poller.assert_gone();
    // A refusal must not lose the messages that wait for the client.
    let (mut poller, peer) = world.poller();
    peer.send("left");
    peer.close();
    // The proxy reads the end meanwhile; only the next poll shows that it has.
    thread::sleep(QUIET);
    let target = poller.target();
    poller.posts.send_post(&target, b"4lost");
    // The POST must wait, and have no effect before the poll.
    thread::sleep(QUIET);
    assert_eq!(poller.poll(), "4left");
    assert_eq!(poller.poll(), "6\u{1e}1");
    poller.posts.answer_within(SOON).expect("a response arrives in time").assert_unknown_sid();
}

#[test]
fn a_closed_session_that_is_never_fetched_is_removed() {
    patiently(|| {
        let setup = Setup::new().route("close_timeout = \"300ms\"");
        let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
        let (mut poller, peer) = world.poller();
        peer.send("never fetched");
        peer.close();
        // Half of the timeout, so that the POST would extend it if it could.
        thread::sleep(ms(150));
        poller.post_ok("3");
        // Longer than the rest of it.
        thread::sleep(ms(300));
        poller.assert_gone();
        world.assert_sessions(0);
    });
}

/// Sent on two connections without a pause, they often reach a session in the other order.
#[test]
fn a_goodbye_is_handled_after_the_poll_that_was_sent_before_it() {
    let world = World::new(Setup::new());
    for fresh in [false, true] {
        for _ in 0..100 {
            let (mut poller, peer) = world.poller();
            if fresh {
                (poller.gets, poller.posts) = (Client::connect(world.addr), Client::connect(world.addr));
            }
            let target = poller.target();
            poller.gets.send_get(&target);
            poller.posts.send_post(&target, b"1");
            poller.assert_parked_gets("6");
            poller.posts.answer().assert(200, "ok");
            peer.assert_closed();
        }
    }
}

#[test]
fn a_poll_is_handled_after_the_upgrade_that_was_sent_before_it() {
    let world = World::new(Setup::new());
    if !world.keeps_order() {
        return;
    }
    for _ in 0..100 {
        let (mut poller, _peer) = world.poller();
        let mut socket = poller.probe();
        socket.send("5");
        poller.get().assert(400, r#"{"code":3,"message":"Bad request"}"#);
    }
}

#[test]
fn polls_in_turn_on_fresh_connections_are_no_overlap() {
    let world = World::new(Setup::new());
    let (poller, peer) = world.poller();
    for turn in 0..20 {
        peer.send(&format!("{turn}"));
        poller.request("GET", &[("Connection", "close")], b"").assert(200, &format!("4{turn}"));
        poller.request("POST", &[("Connection", "close")], b"4x").assert(200, "ok");
        peer.assert_text("x");
    }
}

#[test]
fn requests_of_one_session_never_disturb_another() {
    let world = World::new(Setup::new());
    let (mut bystander, peer) = world.poller();
    bystander.park();
    for _ in 0..3 {
        let (mut victim, victims) = world.poller();
        victim.park();
        victim.request("GET", &[], b"").assert(400, "");
        victims.assert_closed();
    }
    bystander.gets.assert_parked();
    peer.send("unharmed");
    bystander.assert_parked_gets("4unharmed");
}
