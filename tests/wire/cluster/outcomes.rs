//! How requests between nodes end, as the metrics of both tell.

use std::net::SocketAddr;

use crate::support::http::Client;
use crate::support::poller::POLLING;
use crate::support::{Network, Nodes, SOON, Setup, metrics};

/// Fails unless a node soon has this many requests of a role that have ended so.
#[track_caller]
fn assert_asks(admin: SocketAddr, role: &str, outcomes: &[(&str, usize)]) {
    let role = format!("role=\"{role}\"");
    for (outcome, count) in outcomes {
        let outcome = format!("outcome=\"{outcome}\"");
        metrics::assert_shown(admin, &[("polliwog_cluster_asks_total", &[&role, &outcome], *count)]);
    }
}

#[test]
fn requests_between_nodes_are_counted_by_their_ends() {
    let networks = std::cell::RefCell::new(Vec::new());
    let nodes = Nodes::start_by(2, &Setup::new(), |_, _, to| {
        let network = Network::to(to);
        let addr = network.addr;
        networks.borrow_mut().push(network);
        addr
    });
    let (owner, asker) = (nodes.nodes[0].admin, nodes.nodes[1].admin);

    let (mut first, peer) = nodes.poller();
    first.post_ok("4hello");
    peer.assert_text("hello");
    peer.send("hi");
    assert_eq!(first.poll(), "4hi");
    assert_asks(owner, "owner", &[("answered", 2), ("hung_up", 0)]);
    assert_asks(asker, "asker", &[("answered", 2), ("hung_up", 0)]);
    // Polls are left out: they wait for the application.
    assert_eq!(metrics::sum(asker, "polliwog_cluster_ask_seconds_count"), 1);

    first.park();
    drop(first.gets);
    peer.assert_closed();
    assert_asks(owner, "owner", &[("answered", 2), ("hung_up", 1)]);
    assert_asks(asker, "asker", &[("answered", 2), ("hung_up", 1)]);

    // The node that an id names answers for all its starts; one that is on no list is not asked.
    for node in ["a---", "zz--"] {
        let target = format!("{POLLING}&sid=2{node}-_{:A>20}", 1);
        Client::connect(nodes.nodes[1].public).get(&target).assert_unknown_sid();
        assert_asks(asker, "asker", &[("answered", 3), ("unknown", 0)]);
    }

    // Part of a POST is on its way, and nobody knows what became of it.
    let (mut second, _peer) = nodes.poller();
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n4part", second.target());
    second.posts.wire.send(head.as_bytes());
    // The head is read by then.
    second.posts.assert_parked();
    networks.borrow().iter().for_each(Network::cut);
    assert!(second.posts.ends_within(SOON), "nothing tells its client that it was served");
    assert_asks(asker, "asker", &[("lost", 1), ("unreachable", 0)]);

    let (mut third, _peer) = nodes.poller();
    third.park();
    networks.borrow().iter().for_each(|network| network.silence(true));
    assert_eq!(third.gets.answer_within(2 * SOON).expect("no wait without end").status, 502);
    assert_asks(
        asker,
        "asker",
        &[("answered", 3), ("hung_up", 1), ("unknown", 0), ("lost", 1), ("unreachable", 1)],
    );
    metrics::assert_shown(asker, &[("polliwog_cluster_asks_open", &["role=\"asker\""], 0)]);
    assert_eq!(metrics::sum(asker, "polliwog_cluster_ask_seconds_count"), 1);
}

#[test]
fn requests_for_a_node_that_is_killed_are_counted_as_unknown() {
    let mut nodes = Nodes::start(2, &Setup::new());
    let (mut poller, _peer) = nodes.poller();
    poller.park();
    nodes.nodes[0].kill();
    poller.parked().assert_unknown_sid();
    assert_asks(nodes.nodes[1].admin, "asker", &[("unknown", 1), ("unreachable", 0), ("lost", 0)]);
}
