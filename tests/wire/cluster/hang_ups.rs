//! A client hangs up, or reads slowly, at another node than that of its session.

use std::time::{Duration, Instant};

use crate::support::http::Client;
use crate::support::wire::{Fill, Wire};
use crate::support::{AT_ONCE, Nodes, Poller, SOON, Setup, ms};

/// At home, the kernel of the proxy's host has the rest of a response, or it has not; here it is the other node's.
#[test]
fn a_client_that_hangs_up_within_a_response_ends_its_session_at_once() {
    let nodes = Nodes::start(2, &Setup::new());
    // The kernel takes up to 4 MiB of it before its client has read any.
    let len = 6_000_000;
    for read in [1, 64 << 10, 700_000] {
        let (poller, peer) = nodes.poller();
        let mut client = Client { wire: Wire::connect_narrow(nodes.nodes[1].public) };
        client.send_get(&poller.target());
        peer.send(&"x".repeat(len));
        let deadline = Instant::now() + SOON;
        while client.wire.buffered().len() < read {
            assert_eq!(client.wire.fill(deadline), Fill::Data);
        }
        let since = Instant::now();
        client.wire.reset();
        peer.assert_closed();
        assert!(since.elapsed() < 5 * AT_ONCE, "{read} bytes: {:?}", since.elapsed());
        Client::connect(nodes.nodes[0].public).get(&poller.target()).assert_unknown_sid();
    }
    nodes.assert_sessions(0);
}

#[test]
fn a_client_that_does_not_read_costs_both_nodes_little_and_others_nothing() {
    let nodes = Nodes::start(2, &Setup::new());
    let (mut other, others) = nodes.poller();
    let round = |other: &mut Poller| {
        let since = Instant::now();
        others.send("hi");
        assert_eq!(other.poll(), "4hi");
        since.elapsed()
    };
    assert!((0..20).all(|_| round(&mut other) < SOON));
    let (poller, peer) = nodes.poller();
    let before = [nodes.nodes[0].resident(), nodes.nodes[1].resident()];
    // Far more than the session's outbox and all buffers hold.
    let flood = peer.line().flood(0, |_| "x".repeat(1000), 64 << 20, ms(300));
    assert!(flood.stalled, "64 MB went into two nodes");
    // Its batch is a full one: a poll that had waited would have got the first message alone.
    let mut slow = Client { wire: Wire::connect_narrow(nodes.nodes[1].public) };
    slow.send_get(&poller.target());
    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        slowest = slowest.max(round(&mut other));
    }
    assert!(slowest < 10 * AT_ONCE, "{slowest:?}");
    for (node, before) in nodes.nodes.iter().zip(before) {
        let grown = node.resident().saturating_sub(before);
        assert!(grown < 8 << 20, "{grown} bytes more");
    }
    // It has its batch in the end.
    let answer = slow.answer_within(2 * SOON).expect("it is still served");
    assert!(answer.status == 200 && answer.body.len() >= 64_000, "{}", answer.body.len());
}
