//! A node between a client and its session dies, or its connection breaks: that is no hang-up of the client.

use std::time::Instant;

use crate::support::http::Client;
use crate::support::poller::Poller;
use crate::support::wire::{Fill, Wire};
use crate::support::{AT_ONCE, Network, Nodes, SOON, Setup, eventually, ms, patiently};

fn nodes() -> Nodes {
    Nodes::start(3, &Setup::new())
}

#[test]
fn a_parked_poll_whose_node_is_killed_is_asked_again_at_another() {
    let mut nodes = nodes();
    let (mut poller, peer) = nodes.poller();
    poller.park();
    nodes.nodes[1].kill();
    nodes.assert_parked(0);
    nodes.assert_sessions(1);
    peer.send("meanwhile");
    for at in [2, 0] {
        poller.ask_at(nodes.nodes[at].public);
        assert_eq!(poller.poll(), "4meanwhile");
        poller.post_ok("4still here");
        peer.assert_text("still here");
        peer.send("meanwhile");
    }
}

/// A load balancer asks again at once, and may be faster than the news of the first node's end.
#[test]
fn a_poll_that_is_asked_again_may_come_before_the_end_of_the_first() {
    let mut nodes = nodes();
    for _ in 0..5 {
        let (mut poller, peer) = nodes.poller();
        poller.park();
        let mut again = Client::connect(nodes.nodes[2].public);
        again.send_get(&poller.target());
        // The first one's end comes some milliseconds later.
        std::thread::sleep(ms(20));
        nodes.nodes[1].kill();
        again.assert_parked();
        peer.send("for the second");
        again.answer().assert(200, "4for the second");
        nodes = self::nodes();
    }
}

/// A load balancer that notices gives the client up, or asks again, while nobody else knows that the node hangs.
#[test]
fn a_poll_at_a_node_that_hangs_is_asked_again_at_another() {
    let nodes = nodes();
    let (mut poller, peer) = nodes.poller();
    poller.park();
    nodes.nodes[1].signal("STOP");
    let mut again = Client::connect(nodes.nodes[2].public);
    again.send_get(&poller.target());
    // It takes the place once the owner takes the stopped node for silent.
    eventually(|| nodes.nodes[0].log().contains("a node was silent for too long"), || nodes.nodes[0].log());
    nodes.assert_parked(1);
    peer.send("for the second");
    again.answer().assert(200, "4for the second");
    poller.ask_at(nodes.nodes[2].public);
    poller.post_ok("4still here");
    peer.assert_text("still here");
    nodes.nodes[1].signal("CONT");
    nodes.assert_sessions(1);
}

#[test]
fn two_polls_at_two_nodes_that_live_overlap() {
    patiently(|| {
        let nodes = nodes();
        let (mut poller, peer) = nodes.poller();
        poller.park();
        let since = Instant::now();
        Client::connect(nodes.nodes[2].public).get(&poller.target()).assert(400, "");
        assert!(since.elapsed() > ms(90) && since.elapsed() < ms(2000), "{:?}", since.elapsed());
        poller.assert_parked_gets("1");
        peer.assert_closed();
        nodes.assert_sessions(0);
    });
}

/// The first node has not asked the last one, which connected it when it started.
#[test]
fn the_sessions_of_a_killed_node_are_unknown_at_once_where_it_was_never_asked() {
    patiently(|| {
        let mut nodes = nodes();
        let poller = Poller::handshake(nodes.nodes[2].public);
        eventually(|| nodes.nodes[0].log().contains("a node has connected node=c"), String::new);
        nodes.nodes[2].kill();
        for _ in 0..3 {
            let since = Instant::now();
            Client::connect(nodes.nodes[0].public).get(&poller.target()).assert_unknown_sid();
            assert!(since.elapsed() < ms(90), "{:?}", since.elapsed());
        }
    });
}

#[test]
fn a_batch_on_its_way_through_a_killed_node_is_lost_and_both_sides_are_told() {
    let mut nodes = nodes();
    let (poller, peer) = nodes.poller();
    let (bystander, peers) = nodes.poller();
    let mut client = Client { wire: Wire::connect_narrow(nodes.nodes[1].public) };
    client.send_get(&poller.target());
    // More than all buffers on the way hold: the kernel takes up to 4 MiB of it before its client has read any.
    peer.send(&"x".repeat(6_000_000));
    assert_eq!(client.wire.fill(Instant::now() + SOON), Fill::Data);
    nodes.nodes[1].kill();
    let since = Instant::now();
    peer.assert_closed();
    assert!(since.elapsed() < 5 * AT_ONCE, "{:?}", since.elapsed());
    Client::connect(nodes.nodes[2].public).get(&poller.target()).assert_unknown_sid();
    nodes.assert_sessions(1);
    peers.send("unharmed");
    Client::connect(nodes.nodes[2].public).get(&bystander.target()).assert(200, "4unharmed");
}

#[test]
fn a_post_on_its_way_through_a_killed_node_ends_its_session() {
    let mut nodes = nodes();
    let (mut poller, peer) = nodes.poller();
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n4part", poller.target());
    poller.posts.wire.send(head.as_bytes());
    // The head is read by then.
    poller.posts.assert_parked();
    nodes.nodes[1].kill();
    peer.assert_closed();
    nodes.assert_sessions(0);
}

#[test]
fn a_session_whose_connection_between_the_nodes_breaks_goes_on() {
    let networks = std::cell::RefCell::new(Vec::new());
    let nodes = Nodes::start_by(2, &Setup::new(), |_, _, to| {
        let network = Network::to(to);
        let addr = network.addr;
        networks.borrow_mut().push(network);
        addr
    });
    let (mut poller, peer) = nodes.poller();
    for round in 0..10 {
        poller.park();
        networks.borrow().iter().for_each(Network::cut);
        // What was sent in between would be on its way when the connection breaks.
        let connected = || nodes.nodes[0].log().matches("a node has connected").count();
        eventually(|| connected() == round + 2, || format!("{}", connected()));
        nodes.assert_parked(1);
        peer.send(&format!("round {round}"));
        poller.assert_parked_gets(&format!("4round {round}"));
        poller.post_ok("4heard");
        peer.assert_text("heard");
    }
    nodes.assert_sessions(1);
}

/// Neither half knows whether the other lives, so nobody's session is called unknown.
#[test]
fn a_session_beyond_a_silent_network_cannot_be_reached_and_lives_on() {
    let networks = std::cell::RefCell::new(Vec::new());
    let setup = Setup::new();
    let nodes = Nodes::start_by(2, &setup, |_, _, to| {
        let network = Network::to(to);
        let addr = network.addr;
        networks.borrow_mut().push(network);
        addr
    });
    let (mut poller, peer) = nodes.poller();
    poller.park();
    networks.borrow().iter().for_each(|network| network.silence(true));
    let since = Instant::now();
    assert_eq!(poller.gets.answer_within(2 * SOON).expect("no wait without end").status, 502);
    let first = since.elapsed();
    assert!(first > ms(1500) && first < ms(4500), "{first:?}");
    // Longer than the pauses after the first two dials that fail, each of which takes a second.
    let end = Instant::now() + ms(5000);
    while Instant::now() < end {
        let since = Instant::now();
        assert_eq!(poller.get().status, 502);
        assert!(since.elapsed() < 5 * AT_ONCE, "it is known by now: {:?}", since.elapsed());
        // The interval between two requests.
        std::thread::sleep(ms(50));
    }
    nodes.assert_parked(0);
    nodes.assert_sessions(1);
    networks.borrow().iter().for_each(|network| network.silence(false));
    networks.borrow().iter().for_each(Network::cut);
    peer.send("again");
    let answered = || {
        let answer = Client::connect(nodes.nodes[1].public).get(&poller.target());
        (answer.status == 200).then(|| answer.text().to_owned())
    };
    let deadline = Instant::now() + 2 * SOON;
    let text = loop {
        if let Some(text) = answered() {
            break text;
        }
        assert!(Instant::now() < deadline, "the other half is back");
        // The interval between two looks.
        std::thread::sleep(ms(50));
    };
    assert_eq!(text, "4again");
}
