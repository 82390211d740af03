//! Backends whose addresses are checked, each a process of its own: stopped, killed, ill and well again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};
use std::{fs, iter};

use serde_json::Value;

use crate::honesty::world;
use crate::support::backend::Backend;
use crate::support::http::Client;
use crate::support::script::{Kind, Script};
use crate::support::target::Target;
use crate::support::world::POLLING;
use crate::support::{Setup, World, eventually, is_so_within, metrics, ms};

/// Starts a Socket.IO server.
fn server() -> Target {
    Target::proxy_with(|public, admin| {
        format!(
            "[server]\nlisten = \"{public}\"\n[admin]\nlisten = \"{admin}\"\n\
             [[routes]]\npath = \"/socket.io/\"\ndialect = \"engine.io\"\nupstream = \"demo\"\n\
             [upstreams.demo]\nkind = \"demo\"\n"
        )
    })
}

fn before(servers: &[SocketAddr], more: &str) -> Option<World> {
    let urls = servers.iter().map(|addr| format!("ws://{addr}/socket.io/")).collect::<Vec<_>>();
    let urls = urls.iter().map(String::as_str).collect::<Vec<_>>();
    world(Setup::new().urls(&urls).upstream(more))
}

/// Returns the state of an address, as an operator sees it.
fn state(world: &World, address: SocketAddr) -> (String, String) {
    let seen = Client::connect(world.target.admin).get("/api/upstreams");
    let seen: Value = serde_json::from_slice(&seen.body).unwrap();
    let all = seen["upstreams"][0]["addresses"].as_array().unwrap();
    let one = all.iter().find(|one| one["address"] == address.to_string()).unwrap();
    let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("reason"))
}

fn is(world: &World, address: SocketAddr, expected: &str) {
    eventually(|| state(world, address).0 == expected, || format!("{address} is {expected}"));
}

fn sessions(server: &Target) -> u64 {
    metrics::sessions(server.admin)
}

#[test]
fn a_server_that_is_stopped_is_out_until_it_goes_on() {
    let servers = [server(), server()];
    let check = "check = { websocket = true, interval = \"200ms\", timeout = \"1s\", fall = 2, rise = 1 }";
    let Some(world) = before(&servers.each_ref().map(|one| one.public), check) else { return };
    servers[0].signal("STOP");
    is(&world, servers[0].public, "out");
    assert_eq!(state(&world, servers[0].public).1, "fails its checks");
    for _ in 0..4 {
        let start = Instant::now();
        assert_eq!(world.get(POLLING).status, 200);
        // Without checks, a client would wait for `handshake_timeout`, which is 10 s.
        assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    }
    // A check may be among them.
    assert!(sessions(&servers[1]) >= 4);
    metrics::assert_readiness(world.target.admin, 200);
    servers[0].signal("CONT");
    is(&world, servers[0].public, "up");
    let log = world.target.log();
    let lines = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(lines("the address fails its checks"), 1, "{log}");
    assert_eq!(lines("the address passes its checks again"), 1, "{log}");
    let labels = ["upstream=\"b\"", "outcome=\"failed\""];
    assert!(metrics::has_counted(world.target.admin, "polliwog_upstream_checks_total", &labels));
    // Checks are no sessions that stay.
    assert!(is_so_within(Duration::from_secs(10), || sessions(&servers[0]) <= 1));
}

#[test]
fn a_server_that_is_killed_is_out() {
    let mut servers = [server(), server()];
    let check = "check = { path = \"/socket.io/socket.io.js\", interval = \"200ms\", expect = \"200-499\" }";
    let addresses = servers.each_ref().map(|one| one.public);
    let Some(world) = before(&addresses, check) else { return };
    is(&world, addresses[0], "up");
    servers[0].kill();
    is(&world, addresses[0], "out");
    for _ in 0..4 {
        assert_eq!(world.get(POLLING).status, 200);
    }
    servers[1].kill();
    // It is the only one, so both are asked, in vain; whether it is ready is known without clients.
    is(&world, addresses[1], "out");
    metrics::assert_readiness(world.target.admin, 503);
    assert_eq!(world.get(POLLING).status, 502);
}

#[test]
fn a_backend_that_is_ill_is_down_and_what_was_removed_is_not_checked() {
    let backend = Backend::listen(Kind::EngineIo, Script::new(Kind::EngineIo));
    backend.script(|script| script.health = b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n".to_vec());
    let check = "check = { path = \"/healthz\", interval = \"100ms\", rise = 1 }";
    let setup = Setup::new().url(&format!("ws://{}/engine.io/", backend.addr)).upstream(check);
    let Some(world) = world(setup) else { return };
    is(&world, backend.addr, "out");
    metrics::assert_readiness(world.target.admin, 503);
    // Nothing else is left: a wrong check is no outage.
    assert_eq!(world.get(POLLING).status, 200);
    backend.script(|script| script.health = b"HTTP/1.1 204 x\r\n\r\n".to_vec());
    is(&world, backend.addr, "up");
    metrics::assert_readiness(world.target.admin, 200);
    // The same upstream without checks is another one, and the one before stays only for its session.
    for node in iter::once(&world.target).chain(&world.other) {
        let config = node.folder().join("config.toml");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, text.replace("check = ", "# check = ")).unwrap();
        assert_eq!(Client::connect(node.admin).post("/api/reload", "").status, 200);
    }
    let checked = || backend.checks.try_iter().count() > 0;
    assert!(is_so_within(Duration::from_secs(10), || {
        // A few intervals.
        std::thread::sleep(ms(500));
        !checked()
    }));
}
