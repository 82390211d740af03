//! A node stops on purpose: sessions of other nodes whose clients come by way of it live on.

use std::process::Command;
use std::thread;
use std::time::Instant;

use crate::nodes::shown;
use crate::support::frames::Socket;
use crate::support::http::Client;
use crate::support::poller::POLLING;
use crate::support::{AT_ONCE, Nodes, Peer, SOON, Setup, eventually, metrics, ms};

fn nodes(drain_timeout: &str) -> Nodes {
    nodes_after("0s", drain_timeout)
}

fn nodes_after(drain_delay: &str, drain_timeout: &str) -> Nodes {
    let server = format!("drain_timeout = \"{drain_timeout}\"\ndrain_delay = \"{drain_delay}\"");
    Nodes::start(3, &Setup::new().server(&server))
}

#[test]
fn a_node_that_stops_releases_the_polls_of_other_nodes_sessions() {
    let mut nodes = nodes("20s");
    let (mut poller, peer) = nodes.poller();
    poller.park();
    let since = Instant::now();
    nodes.nodes[1].signal("TERM");
    let released = poller.parked();
    released.assert(200, "6");
    assert_eq!(released.header("connection"), Some("close"), "the next one is to come by another node");
    let stopped = nodes.nodes[1].exit_within(SOON).expect("nothing keeps it");
    assert!(stopped.success());
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
    nodes.assert_sessions(1);
    poller.ask_at(nodes.nodes[2].public);
    poller.park();
    peer.send("unharmed");
    poller.assert_parked_gets("4unharmed");
}

#[test]
fn a_poll_that_comes_to_a_node_that_stops_is_released_as_well() {
    let nodes = nodes("4s");
    let (mut poller, peer) = nodes.poller();
    // It has a session of its own that keeps it for a while.
    let own = Client::connect(nodes.nodes[1].public).get(POLLING);
    assert_eq!(own.status, 200);
    nodes.nodes[1].signal("TERM");
    eventually(|| nodes.nodes[1].log().contains("draining"), String::new);
    let target = poller.target();
    poller.gets.send_get(&target);
    let released = poller.gets.answer_within(2 * SOON).expect("it is not kept until the node is gone");
    released.assert(200, "6");
    nodes.assert_sessions(1);
    peer.send("unharmed");
    poller.ask_at(nodes.nodes[2].public);
    assert_eq!(poller.poll(), "4unharmed");
}

#[test]
fn a_node_that_stops_ends_the_web_sockets_of_other_nodes_sessions_one_by_one_and_loses_nothing() {
    let mut nodes = nodes("8s");
    let mut sockets: Vec<_> = (0..8).map(|_| upgraded(&nodes)).collect();
    // What crosses an end has no end to be told of: all of it is at its session by then.
    for (socket, peer) in &mut sockets {
        (0..20).for_each(|number| socket.send(&format!("4{number}")));
        (0..20).for_each(|number| peer.assert_text(&number.to_string()));
        (0..20).for_each(|number| peer.send(&number.to_string()));
        peer.settle();
    }
    nodes.nodes[1].signal("TERM");
    let since = Instant::now();
    let talk = move |(mut socket, _peer): (Socket, Peer)| {
        (0..20).for_each(|number| socket.assert_text(&format!("4{number}")));
        socket.assert_closed(None);
        since.elapsed()
    };
    let threads: Vec<_> = sockets.into_iter().map(|one| thread::spawn(move || talk(one))).collect();
    let mut ends: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    ends.sort();
    assert!(ends[7] > ends[0] + ms(1000), "spread over a quarter of the drain: {ends:?}");
    assert!(nodes.nodes[1].exit_within(2 * SOON).expect("nothing keeps it").success());
    nodes.assert_sessions(0);
}

#[test]
fn a_node_that_is_cut_short_reports_no_client_of_another_nodes_session_as_gone() {
    let mut nodes = nodes_after("30s", "30s");
    let (mut poller, peer) = nodes.poller();
    poller.park();
    nodes.nodes[1].signal("TERM");
    nodes.nodes[1].signal("INT");
    nodes.nodes[1].exit_within(SOON).expect("a second signal stops it");
    nodes.assert_parked(0);
    nodes.assert_sessions(1);
    peer.send("unharmed");
    poller.ask_at(nodes.nodes[2].public);
    assert_eq!(poller.poll(), "4unharmed");
}

#[test]
fn the_clients_of_a_node_that_stops_are_told_at_other_nodes() {
    let mut nodes = nodes("8s");
    let (mut poller, peer) = nodes.poller();
    let (mut socket, _other) = upgraded(&nodes);
    poller.park();
    nodes.nodes[0].signal("TERM");
    poller.assert_parked_gets("1");
    peer.assert_closed();
    socket.assert_closed(None);
    assert!(nodes.nodes[1].log().contains("a node is about to stop"));
    nodes.nodes[0].exit_within(2 * SOON).expect("nothing keeps it");
    let since = Instant::now();
    Client::connect(nodes.nodes[1].public).get(&poller.target()).assert_unknown_sid();
    assert!(since.elapsed() < 5 * AT_ONCE, "{:?}", since.elapsed());
}

#[test]
fn a_node_that_drains_is_seen_to_leave() {
    let nodes = nodes_after("20s", "20s");
    let (poller, peer) = nodes.poller();
    nodes.nodes[0].signal("TERM");
    let other = nodes.nodes[1].admin;
    // Nobody looks at the nodes: the metric must not need that.
    let metric = || Client::connect(other).get("/metrics").text().to_owned();
    let labels: &[&str] = &["state=\"leaving\""];
    eventually(|| metrics::value(&metric(), "polliwog_cluster_peers", labels) == "1", metric);
    assert_eq!(shown(other, "a")["state"], "leaving");
    assert!(metrics::readyz(other).text().contains("node a is leaving\n"));
    let mut check = Command::new(env!("CARGO_BIN_EXE_polliwog"));
    check.args(["check", "--cluster", "--config"]).arg(nodes.nodes[1].folder().join("config.toml"));
    let checked = check.output().unwrap().stdout;
    let checked = String::from_utf8(checked).unwrap();
    let line = checked.lines().find(|line| line.contains("node a at ")).unwrap_or_default();
    assert!(line.contains("; it drains"), "{checked}");
    drop((poller, peer));
}

/// Returns the WebSocket, at the second node, of a session of the first.
fn upgraded(nodes: &Nodes) -> (Socket, Peer) {
    let (poller, peer) = nodes.poller();
    let socket = poller.upgraded();
    (socket, peer)
}
