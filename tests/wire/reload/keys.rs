//! Keys of the process and of upstreams that a reload changes: from when on they hold, and which connections follow.

use std::fs;

use super::start;
use crate::certificates::Files;
use crate::support::http::Client;
use crate::support::http2::is_wanted;
use crate::support::multiplexed::Multiplexed;
use crate::support::poller::{POLLING, Poller};
use crate::support::target::Target;
use crate::support::{SOON, Setup, World, eventually, metrics};

/// Where keys of `[server]` are put, behind its others.
const HERE: &str = "[admin]\n";

/// Begins a session on a connection, as a proxy in front of somebody does. Returns who the client is, as its backend learns it.
#[track_caller]
fn told(world: &World, client: &mut Client) -> String {
    let answer = client.request("GET", POLLING, &[("X-Forwarded-For", "9.9.9.9")], b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    world.accept().opening.headers_named("x-forwarded-for").join(", ")
}

#[test]
fn new_requests_trust_whom_the_new_configuration_trusts() {
    let world = start(&Setup::new());
    let mut client = world.http();
    assert_eq!(told(&world, &mut client), "127.0.0.1");
    let trusting = format!("trusted_proxies = \"127.0.0.0/8\"\n{HERE}");
    world.change(HERE, &trusting);
    assert_eq!(told(&world, &mut client), "9.9.9.9, 127.0.0.1");
    world.change(&trusting, HERE);
    assert_eq!(told(&world, &mut client), "127.0.0.1");
}

#[test]
fn new_connections_begin_with_a_proxy_header_where_the_new_configuration_wants_one() {
    if is_wanted() {
        return;
    }
    let world = start(&Setup::new().server("trusted_proxies = \"127.0.0.1\""));
    let mut old = world.http();
    assert_eq!(told(&world, &mut old), "9.9.9.9, 127.0.0.1");
    let proxied = format!("proxy_protocol = true\n{HERE}");
    world.change(HERE, &proxied);
    let mut without = world.http();
    without.send_get(POLLING);
    assert!(without.ends_within(SOON));
    let mut with = world.http();
    with.wire.send(b"PROXY TCP4 198.51.100.7 127.0.0.1 4711 80\r\n");
    assert_eq!(told(&world, &mut with), "198.51.100.7");
    assert_eq!(told(&world, &mut old), "9.9.9.9, 127.0.0.1", "it keeps what it began with");
    world.change(&proxied, HERE);
    assert_eq!(told(&world, &mut with), "198.51.100.7", "so does this one");
    assert_eq!(told(&world, &mut world.http()), "9.9.9.9, 127.0.0.1");
}

#[test]
fn new_connections_are_idle_for_as_long_as_the_new_configuration_says() {
    let world = start(&Setup::new());
    let mut old = Client::connect(world.target.public);
    assert_eq!(old.get("/nowhere").status, 404);
    world.change(HERE, &format!("idle_timeout = \"200ms\"\nrest_after = \"0s\"\n{HERE}"));
    let mut new = Client::connect(world.target.public);
    assert_eq!(new.get("/nowhere").status, 404);
    assert!(new.ends_within(SOON));
    assert_eq!(old.get("/nowhere").status, 404);
}

/// Starts a proxy that will not end soon by itself, and has it drain by a configuration with other lines.
fn drain_after(before: &str, after: &str) -> (World, Poller) {
    let world = start(&Setup::new().server(before));
    let (poller, peer) = world.poller();
    // Nobody fetches it.
    peer.send("last words");
    peer.settle();
    world.change(before, after);
    world.target.signal("TERM");
    metrics::assert_readiness(world.target.admin, 503);
    (world, poller)
}

#[test]
fn a_drain_takes_as_long_as_the_new_configuration_says() {
    let (mut world, _poller) = drain_after("drain_timeout = \"1h\"", "drain_timeout = \"300ms\"");
    let status = world.target.exit_within(3 * SOON).expect("it ends in time");
    assert_eq!(status.code(), Some(1), "something is lost: {}", world.log());
}

#[test]
fn a_drain_begins_as_late_as_the_new_configuration_says() {
    let (world, mut poller) = drain_after("drain_delay = \"0s\"", "drain_delay = \"1h\"");
    assert_eq!(world.get(POLLING).status, 200, "it serves on");
    assert_eq!(poller.poll(), "4last words");
    poller.post_ok("4up");
}

#[test]
fn new_connections_may_speak_http2_where_the_new_configuration_lets_them() {
    if is_wanted() {
        return;
    }
    let world = start(&Setup::new());
    let mut old = world.http();
    assert_eq!(old.get(POLLING).status, 200);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let speaks = || {
        let mut client = world.http();
        client.wire.send(preface);
        // Its own settings, or the end.
        let begins = client.wire.take_exact(4, std::time::Instant::now() + SOON);
        begins.is_ok_and(|begins| begins[3] == 4)
    };
    assert!(!speaks());
    let clear = format!("h2c = true\n{HERE}");
    world.change(HERE, &clear);
    assert!(speaks());
    let client = Multiplexed::connect(world.target.public);
    let target = client.handshake();
    assert_eq!(client.ask("POST", &target, "4by the one"), "ok");
    assert_eq!(old.get(POLLING).status, 200);
    world.change(&clear, HERE);
    assert!(client.is_told());
    assert!(!speaks());
    assert_eq!(old.get(POLLING).status, 200);
    // The session goes on by HTTP/1.1.
    assert_eq!(old.post(&target, "4by the other").status, 200);
    let mut peers = std::iter::repeat_with(|| world.accept());
    let (_old, peer) = (peers.next(), peers.next().unwrap());
    peer.assert_text("by the one");
    peer.assert_text("by the other");
}

#[test]
fn an_upstreams_authority_that_changes_on_disk_judges_new_connections_and_rubbish_changes_nothing() {
    let files = Files::new("authority");
    let shown = files.pair("shown", "shown", &["localhost"]);
    files.pair("other", "other", &["localhost"]);
    let hub = Target::proxy_with(|public, admin| {
        format!(
            "[server]\nlisten = \"{public}\"\ntls = {shown}\n[admin]\nlisten = \"{admin}\"\n\
             [[routes]]\npath = \"/socket.io/\"\ndialect = \"engine.io\"\nupstream = \"demo\"\n\
             [upstreams.demo]\nkind = \"demo\"\n"
        )
    });
    let ca = files.path("ca.pem");
    let trust = |name: &str| fs::copy(files.path(name), &ca).unwrap();
    trust("shown.pem");
    let setup = Setup::new().url(&format!("wss://localhost:{}/socket.io/", hub.public.port()));
    let world = start(&setup.upstream(&format!("tls = {{ ca = {ca:?} }}")).server("watch = 0"));
    let mut old = Poller::handshake(world.addr);
    let done = || world.reload().assert(200, "{\n  \"faults\": []\n}\n");
    trust("other.pem");
    done();
    assert_eq!(world.get(POLLING).status, 502);
    old.post_ok("40");
    assert!(old.poll().starts_with("40{"), "the connection that is there stays");
    trust("shown.pem");
    done();
    let begins = || world.get(POLLING).status == 200;
    assert!(begins());
    for rubbish in ["rubbish", "-----BEGIN CERTIFICATE-----\nAAAA"] {
        fs::write(&ca, rubbish).unwrap();
        let answer = world.reload();
        assert_eq!(answer.status, 422, "{answer:?}");
        assert!(answer.text().contains("upstreams.b.tls") && answer.text().contains("ca.pem"), "{answer:?}");
        assert!(begins());
    }
    eventually(begins, || world.log());
}
