//! Sessions whose ids name no node, since a client or a backend made them: each node finds them at every other.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use super::support::frames::Socket;
use super::support::http::{Client, Response};
use super::support::poller::POLLING;
use super::support::sockjs::{Stream, setup, target};
use super::support::{AT_ONCE, Network, Nodes, QUIET, SOON, Setup, World, ms};

/// Returns two nodes in front of one plain WebSocket application.
fn nodes(lines: &str) -> (World, [SocketAddr; 2]) {
    let world = World::foreign(&setup(lines));
    let addrs = [world.target.public, world.other.as_ref().unwrap().public];
    (world, addrs)
}

fn post(node: SocketAddr, sid: &str, what: &str, body: &str) -> Response {
    Client::connect(node).request("POST", &target(sid, what), &[], body.as_bytes())
}

#[test]
fn a_session_of_a_clients_id_is_served_by_way_of_each_node() {
    let (world, nodes) = nodes("");
    for (round, (here, there)) in [(0, 1), (1, 0)].into_iter().enumerate() {
        let sid = format!("session{round}");
        post(nodes[here], &sid, "xhr", "").assert(200, "o\n");
        let peer = world.accept();
        for turn in 0..3 {
            post(nodes[there], &sid, "xhr_send", r#"["hello"]"#).assert(204, "");
            peer.assert_text("hello");
            peer.send("hi");
            post(nodes[(here + turn) % 2], &sid, "xhr", "").assert(200, "a[\"hi\"]\n");
        }
        let mut parked = Client::connect(nodes[there]);
        parked.send("POST", &target(&sid, "xhr"), &[], b"");
        parked.assert_parked();
        peer.send("again");
        parked.answer().assert(200, "a[\"again\"]\n");
        // A second receiver is refused wherever it comes.
        let mut parked = Client::connect(nodes[there]);
        parked.send("POST", &target(&sid, "xhr"), &[], b"");
        parked.assert_parked();
        for node in nodes {
            post(node, &sid, "xhr", "").assert(200, "c[2010,\"Another connection still open\"]\n");
        }
        peer.close();
        parked.answer().assert(200, "c[1000,\"Normal closure\"]\n");
        // Its end is remembered, at each node.
        for node in nodes {
            assert!(post(node, &sid, "xhr", "").text().starts_with("c["));
            post(node, &sid, "xhr_send", r#"["late"]"#).assert(404, UNKNOWN);
        }
    }
}

#[test]
fn a_session_is_found_at_a_node_that_is_too_busy_to_say_so_at_once() {
    let networks = RefCell::new(Vec::new());
    let nodes = Nodes::start_by(2, &setup(""), |_, _, to| {
        let network = Network::to(to);
        let addr = network.addr;
        networks.borrow_mut().push(network);
        addr
    });
    let [here, there] = [nodes.nodes[0].public, nodes.nodes[1].public];
    let peers = ["met", "busy"].map(|sid| {
        post(here, sid, "xhr", "").assert(200, "o\n");
        nodes.accept()
    });
    // The nodes are connected by then.
    post(there, "met", "xhr_send", r#"["hello"]"#).assert(204, "");
    peers[0].assert_text("hello");
    networks.borrow().iter().for_each(|network| network.silence(true));
    let late = thread::spawn(move || post(there, "busy", "xhr_send", r#"["hello"]"#));
    // As long as a process may wait for the processor.
    thread::sleep(ms(700));
    networks.borrow().iter().for_each(|network| network.silence(false));
    late.join().unwrap().assert(204, "");
    peers[1].assert_text("hello");
}

/// A client has a poll and a POST at once, and a node that meets the session for the first time looks for it.
#[test]
fn a_post_beside_a_poll_whose_session_is_looked_for_finds_it_too() {
    let networks = RefCell::new(Vec::new());
    let nodes = Nodes::start_by(3, &setup(""), |_, to, address| {
        if to != 0 {
            return address;
        }
        let network = Network::to(address);
        let addr = network.addr;
        networks.borrow_mut().push(network);
        addr
    });
    let [owner, one, other] = [0, 1, 2].map(|at| nodes.nodes[at].public);
    let peers = ["met", "beside"].map(|sid| {
        post(owner, sid, "xhr", "").assert(200, "o\n");
        nodes.accept()
    });
    // The nodes are connected by then.
    for node in [one, other] {
        post(node, "met", "xhr_send", r#"["hello"]"#).assert(204, "");
        peers[0].assert_text("hello");
    }
    networks.borrow().iter().for_each(|network| network.silence(true));
    let mut parked = Client::connect(one);
    parked.send("POST", &target("beside", "xhr"), &[], b"");
    parked.assert_parked();
    let sent =
        [one, other].map(|node| thread::spawn(move || post(node, "beside", "xhr_send", r#"["hello"]"#)));
    // Until both are looked for.
    thread::sleep(ms(100));
    networks.borrow().iter().for_each(|network| network.silence(false));
    for sent in sent {
        sent.join().unwrap().assert(204, "");
        peers[1].assert_text("hello");
    }
    peers[1].send("hi");
    parked.answer().assert(200, "a[\"hi\"]\n");
}

#[test]
fn a_session_of_a_backends_id_is_served_by_way_of_another_node() {
    let versions = "versions = [3, 4]";
    let world = World::foreign(&Setup::new().route(versions).upstream(versions));
    let there = world.other.as_ref().unwrap().public;
    let old = POLLING.replace("EIO=4", "EIO=3");
    let answer = world.get(&old);
    assert!(answer.text().contains("backendbackendback01"), "{answer:?}");
    let peer = world.accept();
    let target = format!("{old}&sid=backendbackendback01");
    Client::connect(there).post(&target, "6:4hello").assert(200, "ok");
    peer.assert_text("hello");
    peer.send("hi");
    Client::connect(there).get(&target).assert(200, "3:4hi");
    let mut socket = Socket::connect(there, &target.replace("transport=polling", "transport=websocket"));
    socket.send("2probe");
    socket.assert_text("3probe");
    drop(socket);
    peer.close();
    let late = Client::connect(there).get(&target);
    assert!(late.status == 200 || late.status == 400, "{late:?}");
}

#[test]
fn a_stream_and_a_hang_up_cross_to_the_node_of_a_clients_id() {
    let (world, [here, there]) = nodes("");
    post(here, "streamed", "xhr", "").assert(200, "o\n");
    let peer = world.accept();
    let mut stream = Stream::open_at(there, "POST", &target("streamed", "xhr_streaming"));
    stream.chunk();
    for text in ["one", "two"] {
        peer.send(text);
        stream.assert(&format!("a[\"{text}\"]\n"));
    }
    let since = Instant::now();
    drop(stream);
    peer.assert_closed();
    assert!(since.elapsed() < 5 * AT_ONCE, "{:?}", since.elapsed());
}

#[test]
fn two_first_receivers_at_two_nodes_begin_one_session() {
    let (world, nodes) = nodes("");
    for round in 0..30 {
        let sid = format!("race{round}");
        let asked = nodes.map(|node| {
            let sid = sid.clone();
            thread::spawn(move || post(node, &sid, "xhr", "").text().to_owned())
        });
        let peer = world.accept();
        peer.close();
        let answers = asked.map(|asked| asked.join().unwrap());
        // The other is refused, or is the session's next receiver.
        let begun = answers.iter().filter(|answer| *answer == "o\n").count();
        let ended = answers.iter().filter(|answer| answer.starts_with("c[")).count();
        assert_eq!((begun, ended), (1, 1), "round {round}: {answers:?}");
    }
    assert!(matches!(world.backend().peers.recv_timeout(QUIET), Err(RecvTimeoutError::Timeout)));
}

#[test]
fn a_session_whose_node_died_begins_anew_where_its_client_comes() {
    let (mut world, [here, there]) = nodes("");
    post(here, "orphan", "xhr", "").assert(200, "o\n");
    let _peer = world.accept();
    post(there, "orphan", "xhr_send", r#"["hello"]"#).assert(204, "");
    world.target.kill();
    let since = Instant::now();
    post(there, "orphan", "xhr_send", r#"["late"]"#).assert(404, UNKNOWN);
    post(there, "orphan", "xhr", "").assert(200, "o\n");
    world.accept();
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
}

#[test]
fn an_id_that_no_node_has_is_unknown_at_once() {
    let (_world, nodes) = nodes("");
    for node in nodes {
        let since = Instant::now();
        post(node, "nobody", "xhr_send", r#"["hello"]"#).assert(404, UNKNOWN);
        assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    }
}

const UNKNOWN: &str = "404 Error: Page not found\n";
