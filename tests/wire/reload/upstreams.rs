//! Upstreams over a reload: what stays the same keeps its shared connections, its health and its checks.

use std::fs;
use std::net::{SocketAddr, TcpListener};

use serde_json::Value;

use super::start;
use crate::support::backend::Backend;
use crate::support::http::Client;
use crate::support::poller::{POLLING, Poller};
use crate::support::script::{Kind, Script};
use crate::support::target::Target;
use crate::support::{SOON, Setup, World, eventually, metrics};

/// Starts the node of an application, whose proxy shares one connection among all sessions.
fn hub() -> Target {
    Target::proxy_with(|public, admin| {
        format!(
            "[server]\nlisten = \"{public}\"\n[admin]\nlisten = \"{admin}\"\n\
             [[routes]]\npath = \"/mux\"\ndialect = \"mux\"\nupstream = \"demo\"\n\
             [upstreams.demo]\nkind = \"demo\"\nprotocol = \"websocket\"\n"
        )
    })
}

/// Starts a proxy in front of it.
fn edge(hub: SocketAddr) -> Target {
    Target::proxy_with(|public, admin| {
        format!(
            "[server]\nlisten = \"{public}\"\n[admin]\nlisten = \"{admin}\"\n\
             [[routes]]\npath = \"/engine.io/\"\ndialect = \"engine.io\"\nupstream = \"hub\"\n\
             [upstreams.hub]\nkind = \"mux\"\nurl = \"ws://{hub}/mux\"\n"
        )
    })
}

/// Changes the file of a proxy and has it reloaded.
#[track_caller]
fn change(target: &Target, from: &str, to: &str) {
    let path = target.folder().join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    fs::write(&path, text.replace(from, to)).unwrap();
    Client::connect(target.admin).post("/api/reload", "").assert(200, "{\n  \"faults\": []\n}\n");
}

/// Returns how many connections clients have begun.
fn accepted(target: &Target) -> u64 {
    let text = Client::connect(target.admin).get("/metrics").text().to_owned();
    let lines = text.lines().filter(|line| line.starts_with("polliwog_connections_accepted_total{"));
    let of_clients = lines.filter(|line| !line.contains("admin") && !line.contains("peer"));
    of_clients.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[track_caller]
fn goes_on(poller: &mut Poller) {
    poller.post_ok("4hello");
    assert_eq!(poller.poll(), "4hello");
}

#[test]
fn a_shared_connection_and_its_sessions_go_on_unless_their_upstream_changes() {
    let hub = hub();
    // The test's own, by which it knows that the hub listens.
    let before = 1;
    eventually(|| accepted(&hub) == before, || format!("{} connections", accepted(&hub)));
    let edge = edge(hub.public);
    metrics::assert_readiness(edge.admin, 200);
    let mut sessions = vec![Poller::handshake(edge.public)];
    assert_eq!(accepted(&hub), before + 1);
    for (from, to) in ELSEWHERE {
        change(&edge, from, to);
        sessions.push(Poller::handshake(edge.public));
        sessions.iter_mut().for_each(goes_on);
        assert_eq!(accepted(&hub), before + 1, "{to}");
    }
    // What is asked of the upstream itself is asked of another one, and the sessions that are there keep theirs.
    change(&edge, "kind = \"mux\"\n", "kind = \"mux\"\nconnect_timeout = \"4s\"\n");
    metrics::assert_readiness(edge.admin, 200);
    sessions.push(Poller::handshake(edge.public));
    assert_eq!(accepted(&hub), before + 2);
    sessions.iter_mut().for_each(goes_on);
    assert_eq!(metrics::sessions(hub.admin), 5);
    // The old connection ends with its last session.
    let open = hub.descriptors();
    sessions.drain(..4).for_each(|mut poller| poller.post_ok("1"));
    eventually(|| hub.descriptors() < open, || format!("fewer descriptors than {open}"));
    sessions.iter_mut().for_each(goes_on);
}

/// Returns the state of an address of the first upstream, as an operator sees it, and the reason.
fn state(world: &World, address: SocketAddr) -> (String, String) {
    let seen = Client::connect(world.target.admin).get("/api/upstreams");
    let seen: Value = serde_json::from_slice(&seen.body).unwrap();
    let all = seen["upstreams"][0]["addresses"].as_array().unwrap();
    let one = all.iter().find(|one| one["address"] == address.to_string()).unwrap();
    let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("reason"))
}

fn backend() -> Backend {
    Backend::listen(Kind::EngineIo, Script::new(Kind::EngineIo))
}

/// Starts a proxy in front of both, which prefers the first.
fn before(first: SocketAddr, second: SocketAddr, more: &str) -> World {
    let urls = [first, second].map(|address| format!("ws://{address}/engine.io/"));
    let setup = Setup::new().urls(&urls.each_ref().map(String::as_str));
    start(&setup.upstream("balance = \"first\"").upstream(more))
}

/// Changes of something else: of the route, and of the process.
const ELSEWHERE: [(&str, &str); 3] = [
    ("dialect = \"engine.io\"\n", "dialect = \"engine.io\"\nlinger = \"500ms\"\n"),
    ("dialect = \"engine.io\"\n", "dialect = \"engine.io\"\nping_interval = \"20s\"\n"),
    ("[admin]\n", "drain_timeout = \"9s\"\n[admin]\n"),
];

fn change_something_else(world: &World) {
    for (from, to) in ELSEWHERE {
        world.change(from, to);
    }
}

const OWN_KEY: [&str; 2] = ["balance = \"first\"", "balance = \"first\"\nconnect_timeout = \"4s\""];

#[test]
fn an_address_that_failed_stays_out_unless_its_upstream_changes() {
    let other = backend();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = before(gone, other.addr, "");
    assert_eq!(state(&world, gone).0, "up", "nobody has asked for it");
    assert_eq!(world.get(POLLING).status, 200);
    let out = state(&world, gone);
    assert_eq!(out.0, "out");
    change_something_else(&world);
    assert_eq!(state(&world, gone), out);
    world.change(OWN_KEY[0], OWN_KEY[1]);
    eventually(|| state(&world, gone).0 == "up", || "another upstream knows nothing of it".to_owned());
}

#[test]
fn an_address_that_fails_its_checks_stays_out_and_they_do_not_begin_anew() {
    let (sick, other) = (backend(), backend());
    sick.script(|script| script.health = b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n".to_vec());
    other.script(|script| script.health = b"HTTP/1.1 204 x\r\n\r\n".to_vec());
    // The next check is far away.
    let check = "check = { path = \"/healthz\", interval = \"1h\", fall = 1 }";
    let world = before(sick.addr, other.addr, check);
    eventually(|| state(&world, sick.addr).0 == "out", || "it fails its first check".to_owned());
    let out = state(&world, sick.addr);
    assert_eq!(out.1, "fails its checks");
    change_something_else(&world);
    assert_eq!(state(&world, sick.addr), out);
    assert_eq!(world.get(POLLING).status, 200);
    assert!(other.peers.recv_timeout(SOON).is_ok());
    sick.script(|script| script.health = b"HTTP/1.1 204 x\r\n\r\n".to_vec());
    world.change(OWN_KEY[0], OWN_KEY[1]);
    for _ in 0..2 {
        sick.checks.recv_timeout(SOON).expect("one of each upstream");
    }
    eventually(|| state(&world, sick.addr).0 == "up", || "it passes".to_owned());
    assert_eq!(sick.checks.try_iter().count(), 0);
}
