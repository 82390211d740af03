//! The same certificates under HTTP/2, whose connections carry many sessions and may name any host.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{Files, LIES, reload, shown, start, start_for_clients, told};
use crate::support::frames::Socket;
use crate::support::poller::{POLLING, Poller, WEBSOCKET};
use crate::support::target::{Target, free_port};
use crate::support::tunnel::Tunnel;
use crate::support::{QUIET, Setup, World, http2};

#[test]
fn a_certificate_is_replaced_under_clients_of_http2_and_disconnects_none() {
    let files = Files::new("renewed-http2");
    let world = start(&[files.pair("a", "a of old", &["a.test"])]);
    // The tunnel keeps what it trusts.
    let root = files.path("a.pem");
    let tunnel = Tunnel { name: "a.test", root: Path::new(&root), http2: true, shown: None };
    let way = http2::open(tunnel.to(world.target.public));
    let mut poller = Poller::handshake(way);
    let polling = world.accept();
    let mut socket = Socket::connect(way, WEBSOCKET);
    assert!(socket.text().starts_with("0{"));
    let by_socket = world.accept();
    poller.poll_later();
    for count in 0..3 {
        let subject = format!("a number {count}");
        files.pair("a", &subject, &["a.test"]);
        assert_eq!(reload(&world), [] as [Value; 0]);
        assert_eq!(shown(&world, &[]), subject);
        // The connections are those of before: another one would not be trusted.
        polling.send("still polling");
        assert_eq!(poller.parked().text(), "4still polling");
        poller.poll_later();
        poller.post_ok("4and pushing");
        polling.assert_text("and pushing");
        by_socket.send("still here");
        socket.assert_text("4still here");
        socket.send("4here");
        by_socket.assert_text("here");
    }
}

/// Asks for a session by HTTP/2, by a connection to this name, with these further arguments. Returns the status and the version
/// of HTTP of the response, or zeros.
fn ask(world: &World, files: &Files, port: u16, arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["-sS", "--http2", "--max-time", "20", "--cacert", &files.path("server.pem")])
        .args(["--resolve", &format!("server.test:{port}:127.0.0.1"), "-o", "/dev/null"])
        .args(["-w", "%{http_code} %{http_version}"])
        .args(arguments)
        .arg(format!("https://server.test:{port}{POLLING}"))
        .output()
        .unwrap();
    assert!(output.stderr.is_empty() || !output.status.success(), "{output:?}\n{}", world.log());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn no_host_is_reached_without_the_certificate_that_the_listener_requires() {
    let files = Files::new("required-http2");
    let world = start_for_clients(&files, "");
    let [cert, key, other, others_key] =
        ["known.pem", "known.key", "other.pem", "other.key"].map(|name| files.path(name));
    let port = world.target.public.port();
    // The name of the connection is one, and that of the request may be another.
    for host in ["Host: server.test", "Host: b.test", "Host: localhost"] {
        for version in ["1.2", "1.3"] {
            let tls = ["-H", host, "--tls-max", version];
            for shown in [&[][..], &["--cert", &other, "--key", &others_key]] {
                let told = ask(&world, &files, port, &[&tls[..], &LIES, shown].concat());
                assert!(told.starts_with("000 "), "{host} {version}: {told}");
            }
            let shown = ["--cert", &cert, "--key", &key];
            assert_eq!(ask(&world, &files, port, &[&tls[..], &LIES, &shown].concat()), "200 2");
            assert_eq!(told(&world), ["CN=M\\C3\\BCller\\, A"], "{host} {version}");
        }
    }
    assert!(world.accept_within(QUIET).is_none(), "nobody else has reached it");
}

#[test]
fn the_host_of_a_listener_that_requires_certificates_is_not_reached_by_another_listener() {
    let files = Files::new("beside-http2");
    let pair = files.pair("server", "server", &["server.test"]);
    files.pair("known", "known", &["client.test"]);
    let lax = free_port();
    let strict =
        format!("tls = {}, client_ca = {:?} }}", pair.trim_end_matches('}'), files.path("known.pem"));
    let sections = format!("[[listeners]]\nname = \"lax\"\nlisten = \"{lax}\"\ntls = {pair}\n");
    let setup = Setup { sections, ..Setup::new() }.server(&strict).route("listener = \"default\"");
    let world = World::start_with(&setup, Target::proxy);
    let named = format!("Host: server.test:{}", world.target.public.port());
    assert_eq!(ask(&world, &files, lax.port(), &["-H", &named]), "404 2");
    let [cert, key] = ["known.pem", "known.key"].map(|name| files.path(name));
    let shown = ["--cert", &*cert, "--key", &key];
    assert_eq!(ask(&world, &files, lax.port(), &[&["-H", &*named], &shown[..]].concat()), "404 2");
    assert_eq!(ask(&world, &files, world.target.public.port(), &shown), "200 2");
    world.accept();
    assert!(world.accept_within(QUIET).is_none());
}
