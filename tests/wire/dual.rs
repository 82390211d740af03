//! A listener at `[::]`, which clients of IPv4 reach as well: they are known by their own addresses, as elsewhere.

use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::process::Command;

use crate::support::http::Client;
use crate::support::poller::POLLING;
use crate::support::target::{Target, free_port};
use crate::support::{SOON, Setup, World};

/// Starts a proxy with two listeners of both families, the second behind the PROXY protocol. Returns their addresses of IPv4.
fn start(more: &str) -> (World, SocketAddr, SocketAddr) {
    let (both, proxied) = (free_port(), free_port());
    let sections = format!(
        "[[listeners]]\nname = \"both\"\nlisten = \"[::]:{}\"\n\
         [[listeners]]\nname = \"proxied\"\nlisten = \"[::]:{}\"\nproxy_protocol = true\n",
        both.port(),
        proxied.port()
    );
    let setup = Setup { sections, ..Setup::new() }.server("trusted_proxies = \"127.0.0.1\"").route(more);
    (World::start_with(&setup, Target::proxy), both, proxied)
}

/// Begins a session. Returns who the client is, as its backend learns it.
#[track_caller]
fn told(world: &World, client: &mut Client) -> String {
    let answer = client.request("GET", POLLING, &[("X-Forwarded-For", "9.9.9.9")], b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    world.accept().opening.headers_named("x-forwarded-for").join(", ")
}

/// Begins a session from this address of the host. Returns the status, or 000.
fn curl(from: &str, to: SocketAddr, more: &[&str]) -> String {
    let run = Command::new("curl")
        .args(["-s", "-m", "20", "--interface", from, "-o", "/dev/null", "-w", "%{http_code}"])
        .args(["-H", "X-Forwarded-For: 9.9.9.9"])
        .args(more)
        .arg(format!("http://{to}{POLLING}"))
        .output()
        .expect("curl is installed");
    String::from_utf8(run.stdout).unwrap()
}

#[test]
fn a_client_of_ipv4_at_a_listener_of_both_families_counts_as_one_of_ipv4() {
    let (world, both, proxied) = start("");
    assert_eq!(told(&world, &mut Client::connect(both)), "9.9.9.9, 127.0.0.1", "it is trusted");
    assert_eq!(curl("127.0.0.9", both, &[]), "200");
    let opening = world.accept().opening;
    assert_eq!(opening.headers_named("x-forwarded-for"), ["127.0.0.9"], "it is not");
    // So do those who may say who somebody else is.
    let mut client = Client::connect(proxied);
    client.wire.send(b"PROXY TCP4 198.51.100.7 127.0.0.1 4711 80\r\n");
    assert_eq!(told(&world, &mut client), "198.51.100.7");
    // As some proxies write it that listen at such an address themselves.
    let mut client = Client::connect(proxied);
    client.wire.send(b"PROXY TCP6 ::ffff:198.51.100.7 ::ffff:127.0.0.1 4711 80\r\n");
    assert_eq!(told(&world, &mut client), "198.51.100.7");
    assert_eq!(curl("127.0.0.1", proxied, &["--haproxy-protocol"]), "200");
    world.accept();
    assert_eq!(curl("127.0.0.9", proxied, &["--haproxy-protocol"]), "000");
    assert!(world.accept_within(crate::support::QUIET).is_none());
}

#[test]
fn a_client_of_ipv6_at_a_listener_of_both_families_is_not_taken_for_one_of_ipv4() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("not tested: there is no IPv6 here");
        return;
    }
    let (world, both, proxied) = start("");
    let mut client = Client::connect((Ipv6Addr::LOCALHOST, both.port()).into());
    assert_eq!(told(&world, &mut client), "::1");
    let mut client = Client::connect((Ipv6Addr::LOCALHOST, proxied.port()).into());
    client.send_get(POLLING);
    assert!(client.ends_within(SOON), "it is none of trusted_proxies");
}

#[test]
fn a_session_is_bound_to_an_address_of_ipv4_whichever_listener_asks() {
    let (world, both, _) = start("bind = \"address\"");
    let mut client = Client::connect(both);
    let open = client.get(POLLING);
    let sid = open.text().split('"').nth(3).unwrap().to_owned();
    let peer = world.accept();
    peer.send("mine");
    world.get(&format!("{POLLING}&sid={sid}")).assert(200, "4mine");
}
