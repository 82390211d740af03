//! The limits of connections, of their handshakes and requests, and of headers at a listener that speaks TLS: they hold as
//! at a plain one.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Instant;

use crate::certificates::Files;
use crate::support::http::{Client, Response};
use crate::support::multiplexed::Multiplexed;
use crate::support::poller::POLLING;
use crate::support::target::Target;
use crate::support::tunnel::Tunnel;
use crate::support::wire::{Fill, Wire};
use crate::support::{SOON, Setup, World, eventually, metrics, ms};

/// A proxy with a listener that speaks TLS.
struct Secure {
    world: World,
    files: Files,
}

impl Secure {
    /// Starts one with these lines in `[limits]`.
    fn start(test: &str, limits: &str) -> Self {
        let files = Files::new(test);
        let pair = files.pair("server", "server", &["server.test"]);
        let setup = Setup { sections: format!("[limits]\n{limits}\n"), ..Setup::new() };
        let setup = setup.server(&format!("tls = {pair}"));
        Self { world: World::start_with(&setup, Target::proxy), files }
    }

    /// Returns where what a client says in the clear reaches it by TLS.
    fn way(&self, http2: bool) -> SocketAddr {
        let root = self.files.path("server.pem");
        let tunnel = Tunnel { name: "server.test", root: Path::new(&root), http2, shown: None };
        tunnel.to(self.world.target.public)
    }

    fn client(&self) -> Client {
        Client::connect(self.way(false))
    }

    /// Fails unless a limit was counted, and told once.
    #[track_caller]
    fn assert_told(&self, limit: &str) {
        let label = format!("limit=\"{limit}\"");
        let admin = self.world.target.admin;
        let is_counted = || metrics::has_counted(admin, "polliwog_limited_total", &[label.as_str()]);
        eventually(is_counted, || format!("{limit} is counted"));
        let told = format!("a limit was reached limit=\"{limit}\"");
        assert_eq!(self.world.log().matches(&told).count(), 1, "{}", self.world.log());
    }
}

#[test]
fn by_tls_a_connection_beyond_a_limit_is_reset_before_its_handshake() {
    let secure = Secure::start(
        "secure-connections",
        "count_private = true\nmax_connections = 3\nclient_connections = 2",
    );
    // The one with which the test has looked whether the proxy listens is over.
    let is_alone = || secure.world.log().contains("the connection ended in the TLS handshake");
    eventually(is_alone, || "nobody is connected".to_owned());
    let way = secure.way(false);
    let mut kept = [0; 2].map(|_| Client::connect(way));
    for client in &mut kept {
        assert_eq!(client.get("/nowhere").status, 404);
    }
    // They come from this address, too.
    assert!(Wire::connect_from(secure.world.target.public, "127.0.0.1").ends_within(SOON));
    secure.assert_told("client_connections");
    let silent = Wire::connect_from(secure.world.target.public, "127.0.0.2");
    assert!(Wire::connect_from(secure.world.target.public, "127.0.0.3").ends_within(SOON));
    secure.assert_told("max_connections");
    // Those that were let in are served on, and one that leaves makes room.
    drop(silent);
    let [mut first, second] = kept;
    assert_eq!(first.get("/nowhere").status, 404);
    drop(second);
    let is_let_in = || {
        let mut wire = Wire::connect_from(secure.world.target.public, "127.0.0.1");
        wire.fill(Instant::now() + ms(50)) == Fill::Quiet
    };
    eventually(is_let_in, || "its place is free again".to_owned());
}

#[test]
fn by_tls_a_client_that_comes_too_often_gets_a_429() {
    let secure = Secure::start("secure-handshakes", "count_private = true\nclient_handshakes_per_second = 1");
    for mut client in [Client::connect(secure.way(false)), secure.client()] {
        let answers: Vec<Response> = (0..30).map(|_| client.get(POLLING)).collect();
        let refused = answers.last().unwrap();
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    }
    secure.assert_told("client_handshakes_per_second");
    let http2 = Multiplexed::connect(secure.way(true));
    let (status, _) = http2.answer(http2.send("GET", POLLING, "")).unwrap();
    assert_eq!(status, 429, "it is the same client");
}

#[test]
fn by_tls_a_connection_closes_behind_the_last_of_its_requests() {
    let secure = Secure::start("secure-requests", "connection_requests = 3");
    let mut client = secure.client();
    for number in 1..=3 {
        let answer = client.get(POLLING);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("connection"), (number == 3).then_some("close"), "{number}");
    }
    assert!(client.ends_within(SOON));
    let http2 = Multiplexed::connect(secure.way(true));
    for _ in 0..3 {
        http2.ask("GET", POLLING, "");
    }
    assert!(http2.is_told());
}

#[test]
fn by_tls_a_connection_closes_behind_a_response_once_it_is_old() {
    let secure = Secure::start("secure-life", "connection_lifetime = \"300ms\"");
    let (mut client, http2) = (secure.client(), Multiplexed::connect(secure.way(true)));
    assert_eq!(client.get(POLLING).header("connection"), None);
    http2.ask("GET", POLLING, "");
    // Longer than their life.
    thread::sleep(ms(400));
    let answer = client.get(POLLING);
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(client.ends_within(SOON));
    assert!(http2.is_told());
}

#[test]
fn by_tls_a_header_that_trickles_in_gets_a_408() {
    let secure = Secure::start("secure-slow", "header_timeout = \"400ms\"");
    let mut client = secure.client();
    // So that the handshake is over.
    assert_eq!(client.get("/nowhere").status, 404);
    let start = Instant::now();
    client.wire.send(b"GET / HTTP/1.1\r\n");
    while client.wire.fill(Instant::now() + ms(20)) == Fill::Quiet {
        client.wire.send(b"x");
    }
    let took = start.elapsed();
    assert!(took >= ms(390) && took < SOON, "{took:?}");
    let answer = client.answer();
    answer.assert(408, "the request's header took too long\n");
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.ends_within(SOON));
    secure.assert_told("header_timeout");
    assert_eq!(secure.client().get(POLLING).status, 200);
}

#[test]
fn by_tls_a_header_over_a_limit_gets_a_431_or_414() {
    let secure =
        Secure::start("secure-headers", "header_max = \"4KiB\"\nheader_lines = 20\ntarget_max = \"1KiB\"");
    let long = format!("GET / HTTP/1.1\r\nHost: h\r\na: {}\r\n\r\n", "b".repeat(5000));
    let lines = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "a: b\r\n".repeat(20));
    let target = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(1024));
    let way = secure.way(false);
    for (request, status, limit) in
        [(long, 431, "header_max"), (lines, 431, "header_lines"), (target, 414, "target_max")]
    {
        let mut client = Client::connect(way);
        client.wire.send(request.as_bytes());
        assert_eq!(client.answer().status, status);
        assert!(client.ends_within(SOON));
        secure.assert_told(limit);
    }
}
