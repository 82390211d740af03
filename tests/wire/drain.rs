//! A graceful end: handshakes are refused, pollers fetch their last batch, and a second signal disconnects all.

use std::thread;
use std::time::Instant;

use crate::support::frames::Socket;
use crate::support::http::Client;
use crate::support::world::{Excluded, POLLING, WEBSOCKET};
use crate::support::{QUIET, SOON, Setup, World, eventually, metrics, ms, patiently};

fn world(setup: Setup) -> Option<World> {
    World::proxy_only(setup, Excluded::OnlyAProxyHasThis)
}

#[test]
fn an_idle_proxy_ends_cleanly_at_once() {
    for signal in ["TERM", "INT", "QUIT"] {
        let Some(mut world) = world(Setup::new()) else { return };
        assert_eq!(metrics::readyz(world.target.admin).status, 200);
        assert_eq!(metrics::livez(world.target.admin).status, 200);
        let start = Instant::now();
        world.target.signal(signal);
        let status = world.target.exit_within(SOON).expect("the proxy ends in time");
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(start.elapsed() < ms(2000), "{:?}", start.elapsed());
    }
}

#[test]
fn a_signal_that_means_nothing_here_ends_nothing() {
    let Some(mut world) = world(Setup::new()) else { return };
    let (mut poller, peer) = world.poller();
    for signal in ["HUP", "USR1", "USR2"] {
        poller.park();
        for _ in 0..2 {
            world.target.signal(signal);
            assert!(world.target.exit_within(QUIET).is_none(), "{signal} ended the proxy");
        }
        peer.send(signal);
        poller.assert_parked_gets(&format!("4{signal}"));
        assert_eq!(metrics::readyz(world.target.admin).status, 200, "{signal}");
    }
    world.target.signal("TERM");
    // With a noop if the poll came after the end of the session.
    let last = poller.poll();
    assert!(["1", "6\u{1e}1"].contains(&last.as_str()), "{last:?}");
    assert_eq!(world.target.exit_within(SOON).expect("the proxy ends in time").code(), Some(0));
}

#[test]
fn a_draining_proxy_is_alive_not_ready_and_takes_no_new_sessions() {
    let Some(world) = world(Setup::new()) else { return };
    let (_poller, peer) = world.poller();
    peer.send("not fetched yet");
    peer.settle();
    unready(&world);
    // `/readyz` is first, for the balancer; handshakes are refused from here on.
    let drains = || metrics::has_counted(world.target.admin, "polliwog_draining", &[]);
    eventually(drains, || world.target.log());
    assert_eq!(metrics::readyz(world.target.admin).status, 503);
    assert_eq!(metrics::livez(world.target.admin).status, 200);
    let refused = world.get(POLLING);
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());
    let refused = Socket::try_connect(world.addr, WEBSOCKET, &[]).unwrap_err();
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());
}

#[test]
fn a_poller_fetches_its_last_batch_from_a_draining_proxy() {
    let Some(mut world) = world(Setup::new()) else { return };
    let (mut poller, peer) = world.poller();
    peer.send_all(&["last", "words"]);
    peer.settle();
    world.target.signal("TERM");
    // It polls late, since nothing tells it of the drain.
    thread::sleep(ms(200));
    // On a new connection too: the listener is still open.
    poller.request("GET", &[], b"").assert(200, "4last\u{1e}4words");
    assert_eq!(poller.poll(), "6\u{1e}1");
    peer.assert_closed();
    assert_eq!(world.target.exit_within(SOON).expect("the proxy ends in time").code(), Some(0));
}

#[test]
fn a_parked_poll_gets_the_close_of_a_drain() {
    let Some(mut world) = world(Setup::new()) else { return };
    let (mut poller, peer) = world.poller();
    poller.park();
    world.target.signal("TERM");
    poller.assert_parked_gets("1");
    peer.assert_closed();
    assert_eq!(world.target.exit_within(SOON).expect("the proxy ends in time").code(), Some(0));
}

#[test]
fn a_websocket_is_flushed_and_closed_by_a_drain() {
    let Some(mut world) = world(Setup::new().server("drain_timeout = \"4s\"")) else { return };
    let (mut socket, peer) = world.websocket();
    let (poller, upgraded) = world.poller();
    let mut moved = poller.upgraded();
    moved.send("4moved");
    upgraded.assert_text("moved");
    peer.send("last words");
    upgraded.send("last words");
    peer.settle();
    upgraded.settle();
    world.target.signal("TERM");
    socket.assert_text("4last words");
    moved.assert_text("4last words");
    assert_eq!(socket.frame().op, crate::support::Op::CLOSE);
    assert_eq!(moved.frame().op, crate::support::Op::CLOSE);
    drop((socket, moved));
    peer.assert_closed();
    upgraded.assert_closed();
    assert_eq!(world.target.exit_within(SOON).expect("the proxy ends in time").code(), Some(0));
}

#[test]
fn a_message_that_was_posted_before_the_drain_reaches_the_backend() {
    let Some(mut world) = world(Setup::new()) else { return };
    let (mut poller, peer) = world.poller();
    poller.post_ok("4before");
    world.target.signal("TERM");
    peer.assert_text("before");
    // A drain that did not wait for the client would end the session meanwhile.
    thread::sleep(ms(200));
    assert_eq!(poller.poll(), "6\u{1e}1");
    peer.assert_closed();
    assert_eq!(world.target.exit_within(SOON).expect("the proxy ends in time").code(), Some(0));
}

#[test]
fn a_message_that_is_posted_in_the_drain_reaches_the_backend() {
    let Some(mut world) = world(Setup::new()) else { return };
    let (mut poller, peer) = world.poller();
    peer.send("not fetched yet");
    peer.settle();
    world.target.signal("TERM");
    // Each connection learns of the drain by itself; nothing shows when it has.
    thread::sleep(QUIET);
    for turn in 0..12 {
        poller.post_ok(format!("4{turn}"));
        peer.assert_text(&turn.to_string());
    }
    // The echo of the last one is under way to the client, too.
    peer.send("echo");
    peer.settle();
    assert_eq!(poller.poll(), "4not fetched yet\u{1e}4echo");
    // It does not poll for a while; the drain waits for it.
    thread::sleep(QUIET);
    assert_eq!(poller.poll(), "6\u{1e}1");
    poller.post("4late").assert_unknown_sid();
    peer.assert_closed();
    assert_eq!(world.target.exit_within(SOON).expect("the proxy ends in time").code(), Some(0));
}

#[test]
fn a_second_signal_disconnects_everyone() {
    let Some(mut world) = world(Setup::new()) else { return };
    let (_poller, peer) = world.poller();
    peer.send("never fetched");
    peer.settle();
    world.target.signal("TERM");
    assert!(world.target.exit_within(ms(400)).is_none(), "the drain waits for the poller");
    world.target.signal("TERM");
    let start = Instant::now();
    let status = world.target.exit_within(SOON).expect("the proxy ends in time");
    assert!(start.elapsed() < ms(2000), "{:?}", start.elapsed());
    assert_eq!(status.code(), Some(1), "a drain that had to disconnect sessions is no clean end");
    peer.assert_closed();
}

#[test]
fn a_drain_that_takes_too_long_disconnects_the_rest() {
    patiently(|| {
        let Some(mut world) = world(Setup::new().server("drain_timeout = \"600ms\"")) else { return };
        let (_poller, peer) = world.poller();
        peer.send("never fetched");
        peer.settle();
        let start = Instant::now();
        world.target.signal("TERM");
        let status = world.target.exit_within(SOON).expect("the proxy ends in time");
        // Half of the time is the client's, the rest is for connections to end.
        assert!(start.elapsed() >= ms(290) && start.elapsed() < ms(3000), "{:?}", start.elapsed());
        assert_eq!(status.code(), Some(1), "a batch that was never fetched is lost: that is no clean end");
        let log = world.target.log();
        let told = "everything was delivered cut_sessions=1 lost_messages=1 open_sessions=0 open_forwards=0";
        assert!(log.contains(told), "{log}");
        peer.assert_closed();
    });
}

#[test]
fn the_sessions_end_over_a_quarter_of_drain_timeout() {
    for setup in [Setup::new(), Setup::new().relayed()] {
        let Some(mut world) = world(setup.server("drain_timeout = \"4s\"")) else { return };
        let mut sessions: Vec<_> = (0..20).map(|_| world.websocket()).collect();
        let start = Instant::now();
        world.target.signal("TERM");
        for (socket, _) in &mut sessions {
            assert_eq!(socket.frame().op, crate::support::Op::CLOSE);
        }
        // The last of 20 begins to end after 0.95 s.
        assert!(start.elapsed() >= ms(900), "{:?}", start.elapsed());
        drop(sessions);
        assert_eq!(world.target.exit_within(SOON).expect("the proxy ends in time").code(), Some(0));
    }
}

#[test]
fn a_proxy_serves_on_unready_for_its_drain_delay() {
    for setup in [Setup::new(), Setup::new().relayed()] {
        let Some(mut world) = world(setup.server("drain_delay = \"60s\"")) else { return };
        let (mut before, peer) = world.poller();
        unready(&world);
        before.post_ok("4still here");
        peer.assert_text("still here");
        world.assert_healthy();
        let (mut socket, peer) = world.websocket();
        peer.send("welcome");
        socket.assert_text("4welcome");
        world.target.signal("TERM");
        let status = world.target.exit_within(SOON).expect("a second signal ends the proxy");
        assert_eq!(status.code(), Some(1), "two sessions were disconnected");
    }
}

#[test]
fn sessions_end_after_the_drain_delay() {
    let Some(mut world) = world(Setup::new().server("drain_delay = \"600ms\"")) else { return };
    let (mut poller, peer) = world.poller();
    poller.park();
    let start = Instant::now();
    unready(&world);
    poller.assert_parked_gets("1");
    assert!(start.elapsed() >= ms(600), "{:?}", start.elapsed());
    peer.assert_closed();
    assert_eq!(world.target.exit_within(SOON).expect("the proxy ends in time").code(), Some(0));
}

#[test]
fn a_second_signal_in_the_drain_delay_of_an_idle_proxy_is_a_clean_end() {
    let Some(mut world) = world(Setup::new().server("drain_delay = \"60s\"")) else { return };
    unready(&world);
    world.target.signal("INT");
    assert_eq!(world.target.exit_within(SOON).expect("the proxy ends in time").code(), Some(0));
}

/// Begins a drain, and waits until `/readyz` shows it.
#[track_caller]
fn unready(world: &World) {
    world.target.signal("TERM");
    metrics::assert_readiness(world.target.admin, 503);
    assert_eq!(metrics::readyz(world.target.admin).text_without_nodes(), "draining\nupstream b is up\n");
}

#[test]
fn a_message_that_crosses_the_close_of_a_drain_is_passed_on() {
    for (setup, target) in [(Setup::new(), WEBSOCKET), (Setup::sockets(), "/engine.io/")] {
        let relayed = setup.dialect == "websocket";
        let Some(mut world) = world(setup) else { return };
        let mut socket = Socket::connect(world.addr, target);
        let peer = world.accept();
        if !relayed {
            assert!(socket.text().starts_with('0'));
        }
        world.target.signal("TERM");
        assert_eq!(socket.frame().op, crate::support::Op::CLOSE);
        // As a client does that has not read the close yet.
        socket.send("4crossed");
        socket.send_frame(&crate::support::frames::Frame::close(Some(1001)));
        peer.assert_text(if relayed { "4crossed" } else { "crossed" });
        peer.assert_closed();
        let status = world.target.exit_within(SOON).expect("the proxy ends in time");
        assert_eq!(status.code(), Some(0), "{target}: {}", world.target.log());
    }
}

#[test]
fn a_backends_message_that_crosses_the_close_of_a_drain_is_counted() {
    let Some(mut world) = world(Setup::new()) else { return };
    let (mut poller, peer) = world.poller();
    poller.park();
    // It has not read the close when it sends.
    peer.line().pause();
    // The poll is parked already; the paused backend reads nothing from now on.
    thread::sleep(QUIET);
    world.target.signal("TERM");
    poller.assert_parked_gets("1");
    peer.send("crossed");
    peer.line().resume();
    peer.assert_closed();
    let status = world.target.exit_within(SOON).expect("the proxy ends in time");
    let log = world.target.log();
    assert!(log.contains("messages of a backend were lost when the drain ended a session"), "{log}");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_response_that_a_drain_cuts_is_no_clean_end() {
    let setup = Setup::new().server("drain_timeout = \"1s\"").upstream("max_message = \"20MB\"");
    let Some(mut world) = world(setup) else { return };
    let (poller, peer) = world.poller();
    let mut stuck = Client::connect(world.addr);
    stuck.send_get(&poller.target());
    peer.send(&"x".repeat(15 << 20));
    // The client's connection is full by then, and the proxy no longer reads the backend's.
    thread::sleep(QUIET);
    world.target.signal("TERM");
    let status = world.target.exit_within(SOON).expect("the proxy ends in time");
    let log = world.target.log();
    assert!(log.contains("messages were still being written when the drain ended"), "{log}");
    assert_eq!(status.code(), Some(1));
    drop(stuck);
}
