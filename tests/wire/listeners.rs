//! Several listeners, each with routes of its own, added and removed while the proxy runs.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use serde_json::Value;

use crate::support::http::Client;
use crate::support::nodes::Nodes;
use crate::support::poller::POLLING;
use crate::support::processes::Processes;
use crate::support::target::{Target, free_port};
use crate::support::{Setup, World, eventually, metrics};

/// A listener called `name`, and a route below `/NAME/` that only its clients meet.
fn listener(name: &str, address: SocketAddr) -> String {
    let route = format!(
        "[[routes]]\npath = \"/{name}/\"\ndialect = \"engine.io\"\nupstream = \"b\"\nlistener = \"{name}\"\n"
    );
    format!("[[listeners]]\nname = \"{name}\"\nlisten = \"{address}\"\n{route}")
}

/// Returns the status of a handshake below `/NAME/` at an address.
fn status(address: SocketAddr, name: &str) -> u16 {
    Client::connect(address).get(&POLLING.replace("engine.io", name)).status
}

impl World {
    /// Writes the configuration anew with these sections, and reloads it. Returns the faults.
    fn with_sections(&self, sections: &str) -> Vec<String> {
        let path = self.target.folder().join("config.toml");
        let text = fs::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once("# sections\n").unwrap();
        let (_, after) = rest.split_once("# end\n").unwrap();
        fs::write(&path, format!("{before}# sections\n{sections}# end\n{after}")).unwrap();
        let answer = Client::connect(self.target.admin).post("/api/reload", "");
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        told["faults"].as_array().unwrap().iter().map(|fault| fault["problem"].to_string()).collect()
    }
}

fn sections(text: &str) -> Setup {
    Setup { sections: format!("# sections\n{text}# end\n"), ..Setup::new() }
}

#[test]
fn listeners_come_and_go_with_a_reload_and_have_routes_of_their_own() {
    let world = World::start_with(&sections(""), Target::proxy);
    let (one, two) = (free_port(), free_port());
    let (mut poller, peer) = world.poller();
    assert_eq!(world.with_sections(&(listener("one", one) + &listener("two", two))), [""; 0]);
    assert_eq!((status(one, "one"), status(two, "two")), (200, 200));
    assert_eq!((status(one, "two"), status(two, "one"), status(world.addr, "one")), (404, 404, 404));
    // A route without a listener is at all of them.
    assert_eq!((status(one, "engine.io"), status(world.addr, "engine.io")), (200, 200));
    for name in ["one", "two", "default", "admin.listen"] {
        let label = format!("listener=\"{name}\"");
        let is_counted =
            || metrics::has_counted(world.target.admin, "polliwog_connections_accepted_total", &[&label]);
        eventually(is_counted, || label.clone());
    }
    // A connection that is open meets the routes of its listener, whatever they become.
    let mut open = Client::connect(two);
    let target = POLLING.replace("engine.io", "two");
    assert_eq!(open.get(&target).status, 200);
    // One cannot be bound: nothing changes.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let faults =
        world.with_sections(&(listener("two", two) + &listener("three", taken.local_addr().unwrap())));
    assert!(faults[0].contains(&format!("cannot listen on {}", taken.local_addr().unwrap())), "{faults:?}");
    assert_eq!((status(one, "one"), status(two, "two")), (200, 200));
    // The first goes; the second gets its address as well.
    assert_eq!(world.with_sections(&listener("two", two)), [""; 0]);
    eventually(|| TcpStream::connect(one).is_err(), || "it accepts no more".to_owned());
    assert_eq!(open.get(&target).status, 200);
    let moved = listener("two", two).replace(&format!("\"{two}\""), &format!("[\"{two}\", \"{one}\"]"));
    assert_eq!(world.with_sections(&moved), [""; 0]);
    assert_eq!((status(one, "two"), status(two, "two")), (200, 200));
    let log = world.log();
    assert!(log.contains(&format!("listening address={two} listener=\"two\"")), "{log}");
    assert!(log.contains(&format!("listening no more address={one} listener=\"one\"")), "{log}");
    poller.post_ok("4up");
    peer.assert_text("up");
}

#[test]
fn a_listener_without_a_route_is_told() {
    let lines = format!("[[listeners]]\nname = \"idle\"\nlisten = \"{}\"\n", free_port());
    let world = World::start_with(
        &Setup { sections: lines, ..Setup::new() }.route("listener = \"default\""),
        Target::proxy,
    );
    world.poller();
    assert!(
        world.log().contains("no route is at this listener: it answers 404 listener=\"idle\""),
        "{}",
        world.log()
    );
}

#[test]
fn a_session_of_a_route_at_one_listener_is_found_at_another_node() {
    let nodes = Nodes::start(2, &Setup::new().route("listener = \"default\""));
    let (mut poller, peer) = nodes.poller();
    poller.post_ok("4up");
    peer.assert_text("up");
    peer.send("down");
    assert_eq!(poller.poll(), "4down");
}

#[test]
fn a_successor_takes_listeners_over_by_name_and_by_address() {
    let (one, two) = (free_port(), free_port());
    let setup = sections(&(listener("one", one) + &listener("two", two)));
    let processes = Processes::start_with(&setup, "30s", |_| {});
    let mut waiting = Client::connect(one);
    // Each gets the other's address.
    let path = processes.world.target.folder().join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    let listen = |address| format!("listen = \"{address}\"");
    let swapped = text
        .replace(&listen(one), "first")
        .replace(&listen(two), &listen(one))
        .replace("first", &listen(two));
    fs::write(&path, swapped).unwrap();
    processes.succeed();
    assert_eq!((status(one, "two"), status(two, "one"), status(one, "one")), (200, 200, 404));
    assert_eq!(waiting.get(&POLLING.replace("engine.io", "one")).status, 200, "its process serves it");
}

#[test]
fn a_second_process_cannot_share_a_port_and_ends_with_its_reason() {
    let world = World::start_with(&sections(""), Target::proxy);
    let folder = world.target.folder();
    let text = fs::read_to_string(folder.join("config.toml")).unwrap();
    let (public, admin) = (world.target.public.to_string(), world.target.admin.to_string());
    for (taken, other) in [(&public, &admin), (&admin, &public)] {
        let second = folder.join("second.toml");
        fs::write(&second, text.replace(other, &free_port().to_string())).unwrap();
        let output = Command::new("timeout")
            .args(["20", env!("CARGO_BIN_EXE_polliwog"), "run", "--config"])
            .arg(&second)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(&**taken) && told.contains("Address already in use"), "{told}");
    }
    let (mut poller, peer) = world.poller();
    poller.post_ok("4up");
    peer.assert_text("up");
}
