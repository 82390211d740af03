//! How fast a client may send: what comes faster waits, by way of every transport, and nothing of it is lost.

use std::fmt::Write as _;
use std::time::Instant;

use crate::support::frames::{Frame, Masked, Op, Socket};
use crate::support::poller::WEBSOCKET;
use crate::support::world::Excluded;
use crate::support::{Peer, SOON, Setup, World, metrics, ms};

/// So many messages at once, and so many a second after that.
const RATE: usize = 20;

fn world(setup: Setup) -> Option<World> {
    World::proxy_only(setup.route(&format!("messages_per_second = {RATE}")), Excluded::OnlyAProxyHasThis)
}

#[track_caller]
fn assert_in_order(peer: &Peer, count: usize) {
    (0..count).for_each(|number| peer.assert_text(&number.to_string()));
}

/// Fails unless the limit was reached at the target, or at the node that has the session.
fn assert_told(world: &World) {
    let limit = ["limit=\"messages_per_second\""];
    assert!(metrics::has_counted(world.target.admin, "polliwog_limited_total", &limit));
    assert!(world.log().contains("a limit was reached limit=\"messages_per_second\""), "{}", world.log());
}

#[test]
fn a_post_with_too_many_messages_waits_for_the_last() {
    let Some(world) = world(Setup::new()) else { return };
    let (mut poller, peer) = world.poller();
    let body = (0..3 * RATE).fold(String::new(), |mut body, number| {
        let separator = if body.is_empty() { "" } else { "\x1e" };
        write!(body, "{separator}4{number}").unwrap();
        body
    });
    let sent = Instant::now();
    let mut client = world.http();
    client.send_post(&poller.target(), body.as_bytes());
    assert_in_order(&peer, 3 * RATE);
    client.answer_within(SOON).expect("an answer").assert(200, "ok");
    assert!(sent.elapsed() > ms(1900), "{:?}", sent.elapsed());
    assert_told(&world);
    peer.send("it lives");
    assert_eq!(poller.poll(), "4it lives");
}

#[test]
fn a_websocket_with_too_many_messages_is_not_read_meanwhile() {
    for setup in [Setup::new(), Setup::new().relayed(), Setup::sockets()] {
        let prefix = if setup.dialect == "websocket" { "" } else { "4" };
        let shown = format!("{} {}", setup.dialect, setup.relay);
        let Some(world) = world(setup) else { return };
        let target = if prefix.is_empty() { "/engine.io/" } else { WEBSOCKET };
        let mut socket = Socket::try_connect(world.addr, target, &[]).unwrap();
        let peer = world.accept();
        // Longer than what a relay reads until it counts that.
        let text = |number| format!("{number:0>1000}");
        let frames = (0..3 * RATE)
            .flat_map(|number| Frame::new(Op::TEXT, format!("{prefix}{}", text(number))).encode(Masked::Yes));
        let sent = Instant::now();
        socket.wire.send(&frames.collect::<Vec<_>>());
        (0..3 * RATE).for_each(|number| peer.assert_text(&text(number)));
        assert!(sent.elapsed() > ms(1900), "{shown}: {:?}", sent.elapsed());
        assert_told(&world);
    }
}

/// A backend has to answer them.
#[test]
fn frames_that_bring_nothing_of_a_message_count_where_the_backend_gets_them() {
    // So many that a relay reads them several times.
    const COUNT: usize = 600;
    for (op, fin) in [(Op::PING, true), (Op::CONTINUATION, false)] {
        let setup = Setup::new().relayed().route("messages_per_second = 200");
        let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
        let mut socket = Socket::try_connect(world.addr, WEBSOCKET, &[]).unwrap();
        let peer = world.accept();
        let content = if fin { "x".repeat(100) } else { String::new() };
        let mut bytes = Vec::new();
        if !fin {
            bytes.extend(Frame { fin, ..Frame::new(Op::TEXT, "4") }.encode(Masked::Yes));
        }
        for _ in 0..COUNT {
            bytes.extend(Frame { fin, ..Frame::new(op, content.clone()) }.encode(Masked::Yes));
        }
        let last = if fin { Frame::new(Op::TEXT, "4last") } else { Frame::new(Op::CONTINUATION, "last") };
        bytes.extend(last.encode(Masked::Yes));
        let sent = Instant::now();
        socket.wire.send(&bytes);
        peer.assert_text("last");
        assert!(sent.elapsed() > ms(1000), "{op:?}: {:?}", sent.elapsed());
        assert_told(&world);
    }
}

/// Otherwise its frames could be without number, or nothing but headers.
#[test]
fn short_fragments_and_the_headers_of_frames_count_where_the_backend_gets_them() {
    let text = |fin, op, content: &str| Frame { fin, ..Frame::new(op, content) }.encode(Masked::Yes);
    let fragments = (0..16 * 3 * RATE).flat_map(|_| text(false, Op::CONTINUATION, "x")).collect::<Vec<_>>();
    let pings = (0..400).flat_map(|_| text(true, Op::PING, &"x".repeat(100))).collect();
    for (limit, frames, content) in [
        (format!("messages_per_second = {RATE}"), fragments, 16 * 3 * RATE),
        ("bytes_per_second = \"10kB\"".to_owned(), pings, 0),
    ] {
        let setup = Setup::new().relayed().route(&limit);
        let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
        let mut socket = Socket::try_connect(world.addr, WEBSOCKET, &[]).unwrap();
        let peer = world.accept();
        let bytes = [text(false, Op::TEXT, "4"), frames, text(true, Op::CONTINUATION, "last")].concat();
        let sent = Instant::now();
        socket.wire.send(&bytes);
        peer.assert_text(&format!("{}last", "x".repeat(content)));
        assert!(sent.elapsed() > ms(1000), "{limit}: {:?}", sent.elapsed());
        assert_told(&world);
    }
}
