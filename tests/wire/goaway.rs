//! Clients of HTTP/2 are told to use another connection, and lose nothing.

use crate::support::multiplexed::Multiplexed;
use crate::support::processes::Processes;
use crate::support::world::{Excluded, World};
use crate::support::{Nodes, SOON, Setup, eventually, metrics};

fn setup() -> Setup {
    Setup::new().server("h2c = true\ndrain_timeout = \"4s\"")
}

/// Polls until the session says its end: behind its last message, not with it.
#[track_caller]
fn read_to_the_end(client: &Multiplexed, target: &str) {
    assert_eq!(client.ask("GET", target, ""), "4last words");
    let end = client.ask("GET", target, "");
    assert!(end.ends_with('1'), "{end}");
}

#[test]
fn a_node_that_drains_sends_its_clients_to_the_others() {
    let mut nodes = Nodes::start(2, &setup());
    let client = Multiplexed::connect(nodes.nodes[0].public);
    let parked = client.handshake();
    let poll = client.send("GET", &parked, "");
    nodes.assert_parked(1);
    let other = client.handshake();
    let peers = [nodes.accept(), nodes.accept()];
    peers[1].send("last words");
    peers[1].settle();
    nodes.nodes[0].signal("TERM");
    assert!(client.is_told());
    // What waits there is answered there.
    assert_eq!(client.answer(poll).unwrap(), (200, "1".to_owned()));
    let elsewhere = Multiplexed::connect(nodes.nodes[1].public);
    assert_eq!(elsewhere.ask("POST", &other, "4heard"), "ok");
    read_to_the_end(&elsewhere, &other);
    peers[1].assert_text("heard");
    let status = nodes.nodes[0].exit_within(SOON).expect("the node ends in time");
    assert_eq!(status.code(), Some(0), "{}", nodes.nodes[0].log());
}

#[test]
fn a_proxy_that_drains_alone_serves_its_clients_to_the_end() {
    let Some(mut world) = World::proxy_only(setup(), Excluded::OnlyAProxyHasThis) else { return };
    if world.other.is_some() {
        return;
    }
    let client = Multiplexed::connect(world.target.public);
    let target = client.handshake();
    let peer = world.accept();
    peer.send("last words");
    peer.settle();
    world.target.signal("TERM");
    let drains = || metrics::has_counted(world.target.admin, "polliwog_draining", &[]);
    eventually(drains, || world.target.log());
    // Another connection may lead to a process that does not know the session.
    read_to_the_end(&client, &target);
    let status = world.target.exit_within(SOON).expect("the proxy ends in time");
    assert_eq!(status.code(), Some(0), "{}", world.target.log());
}

#[test]
fn a_process_that_is_succeeded_answers_what_waits_and_sends_its_clients_on() {
    let processes = Processes::start_with(&Setup::new().server("h2c = true"), "30s", |_| {});
    let world = &processes.world;
    let client = Multiplexed::connect(world.target.public);
    let target = client.handshake();
    let peer = world.accept();
    let poll = client.send("GET", &target, "");
    let parked = || metrics::parked(world.target.admin);
    eventually(|| parked() == 1, || format!("{} parked polls", parked()));
    processes.succeed();
    assert!(client.is_told());
    peer.send("to the old one");
    assert_eq!(client.answer(poll).unwrap(), (200, "4to the old one".to_owned()));
    let next = Multiplexed::connect(world.target.public);
    assert_eq!(next.ask("POST", &target, "4by the new one"), "ok");
    peer.assert_text("by the new one");
    peer.send("and back");
    assert_eq!(next.ask("GET", &target, ""), "4and back");
}
