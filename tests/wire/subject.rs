//! Whose certificate a client has shown, as the backend learns it on every way there: only from the proxy that verified it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread;

use crate::certificates::{Files, told_at};
use crate::support::frames::Socket;
use crate::support::http::Client;
use crate::support::http2;
use crate::support::poller::{POLLING, WEBSOCKET};
use crate::support::target::Target;
use crate::support::tunnel::Tunnel;
use crate::support::{QUIET, Setup, World, sockjs};

/// The names of two clients.
const CLIENTS: [&str; 2] = ["alice", "bob"];
const LIES: [(&str, &str); 3] = [
    ("X-Client-Cert-Subject", "CN=root"),
    ("x_client-cert_subject", "CN=root"),
    ("Connection", "x-client-cert-subject"),
];
/// The same as HTTP/2 may have them.
const LIES_OF_2: [(&str, &str); 2] = [LIES[0], LIES[1]];

/// Returns files with certificates for a server and both clients, and the line of a listener for them.
fn files(test: &str) -> (Files, String) {
    let files = Files::new(test);
    let server = files.pair("server", "server", &["server.test"]);
    for client in CLIENTS {
        files.pair(client, client, &["client.test"]);
    }
    let authorities =
        CLIENTS.map(|name| std::fs::read_to_string(files.path(&format!("{name}.pem"))).unwrap());
    std::fs::write(files.path("clients.pem"), authorities.concat()).unwrap();
    let line = format!(
        "tls = {}, client_ca = {:?}, client_auth = \"optional\" }}\ntrusted_proxies = \"127.0.0.1\"",
        server.trim_end_matches('}'),
        files.path("clients.pem")
    );
    (files, line)
}

/// Returns where a client connects that shows this certificate, if any, and speaks HTTP/1.1 as seen from a test.
fn way(files: &Files, to: SocketAddr, whose: Option<&str>, is_http2: bool) -> SocketAddr {
    let root = files.path("server.pem");
    let shown = whose.map(|name| ["pem", "key"].map(|end| files.path(&format!("{name}.{end}"))));
    let shown = shown.as_ref().map(|files| files.each_ref().map(Path::new));
    let tunnel = Tunnel { name: "server.test", root: Path::new(&root), http2: is_http2, shown }.to(to);
    if is_http2 { http2::open(tunnel) } else { tunnel }
}

#[test]
fn over_http2_the_backend_of_a_poll_and_of_a_websocket_learns_it_and_nobody_else_can_say_so() {
    let (files, line) = files("subject-http2");
    for setup in [Setup::new(), Setup::new().relayed()] {
        let world = World::start_with(&setup.server(&line), Target::proxy);
        for (whose, expected) in [(Some("alice"), &["CN=alice"][..]), (None, &[])] {
            let addr = way(&files, world.target.public, whose, true);
            let answer = Client::connect(addr).request("GET", POLLING, &LIES_OF_2, b"");
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(told_at(&world.accept()), expected);
            let mut socket = Socket::try_connect(addr, WEBSOCKET, &LIES_OF_2).unwrap();
            assert!(socket.text().starts_with("0{"));
            assert_eq!(told_at(&world.accept()), expected);
        }
    }
}

#[test]
fn a_plain_websocket_over_http2_says_whose_it_is_with_a_session_and_relayed() {
    let (files, line) = files("subject-plain");
    for setup in [Setup::sockets(), Setup { relay: false, ..Setup::sockets() }] {
        let world = World::start_with(&setup.server(&line), Target::proxy);
        for (whose, expected) in [(Some("bob"), &["CN=bob"][..]), (None, &[])] {
            let addr = way(&files, world.target.public, whose, true);
            let _socket = Socket::try_connect(addr, "/engine.io/", &LIES_OF_2).unwrap();
            assert_eq!(told_at(&world.accept()), expected);
        }
    }
}

#[test]
fn at_another_node_a_session_stays_that_of_the_client_that_began_it() {
    let (files, line) = files("subject-nodes");
    let world = World::foreign(&Setup::new().server(&line));
    let other = world.other.as_ref().unwrap().public;
    for is_http2 in [false, true] {
        let lies = if is_http2 { &LIES_OF_2[..] } else { &LIES };
        let alice = way(&files, world.target.public, Some("alice"), is_http2);
        let begun = Client::connect(alice).request("GET", POLLING, lies, b"");
        let sid = begun.text().split('"').nth(3).unwrap().to_owned();
        let peer = world.accept();
        assert_eq!(told_at(&peer), ["CN=alice"]);
        // Everything later crosses, from somebody else even.
        let bob = way(&files, other, Some("bob"), is_http2);
        let target = format!("{POLLING}&sid={sid}");
        assert_eq!(Client::connect(bob).request("POST", &target, lies, b"4hi").status, 200);
        peer.assert_text("hi");
        peer.send("ho");
        assert_eq!(Client::connect(bob).request("GET", &target, lies, b"").text(), "4ho");
        let socket = Socket::try_connect(bob, &format!("{WEBSOCKET}&sid={sid}"), lies);
        assert!(socket.is_ok(), "{socket:?}");
        assert!(world.accept_within(QUIET).is_none(), "a session has one backend");
        drop(socket);
        // One that bob begins there is his.
        assert_eq!(Client::connect(bob).request("GET", POLLING, lies, b"").status, 200);
        assert_eq!(told_at(&world.accept()), ["CN=bob"]);
    }
}

#[test]
fn an_id_that_names_no_node_is_begun_as_the_client_s_whose_node_begins_it() {
    let (files, line) = files("subject-sockjs");
    let world = World::foreign(&sockjs::setup("").server(&line));
    let other = world.other.as_ref().unwrap().public;
    let [alice, bob] = [(world.target.public, "alice"), (other, "bob")]
        .map(|(node, whose)| way(&files, node, Some(whose), false));
    let send = |at: SocketAddr, sid: &str, what: &str, body: &[u8]| {
        Client::connect(at).request("POST", &sockjs::target(sid, what), &LIES, body)
    };
    send(alice, "one", "xhr", b"").assert(200, "o\n");
    let peer = world.accept();
    assert_eq!(told_at(&peer), ["CN=alice"]);
    send(bob, "one", "xhr_send", b"[\"hi\"]").assert(204, "");
    peer.assert_text("hi");
    send(bob, "two", "xhr", b"").assert(200, "o\n");
    assert_eq!(told_at(&world.accept()), ["CN=bob"]);
    assert!(world.accept_within(QUIET).is_none());
}

#[test]
fn a_forwarded_request_says_it_in_its_header_and_no_trailer_of_the_client_does() {
    let (files, line) = files("subject-trailers");
    let backend = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let sections = format!(
        "[[routes]]\npath = \"/f/\"\ndialect = \"http\"\nupstream = \"f\"\n[upstreams.f]\nkind = \"http\"\nurl = \"http://{}\"\n",
        backend.local_addr().unwrap()
    );
    let world = World::start_with(&Setup { sections, ..Setup::new().server(&line) }, Target::proxy);
    let requests = thread::spawn(move || -> Vec<String> { (0..4).map(|_| answer(&backend)).collect() });
    let trailers = "X-Sum: 5\r\nX-Client-Cert-Subject: CN=root\r\nX_Client_Cert_Subject: CN=root\r\n\
                    X-Forwarded-For: 10.0.0.1\r\n";
    let names =
        "Trailer: X-Sum, x-client-cert-subject\r\nTrailer: X_Client_Cert_Subject, X-Forwarded-For\r\n";
    for is_http2 in [false, true] {
        for whose in [Some("alice"), None] {
            let mut client = Client::connect(way(&files, world.target.public, whose, is_http2));
            let head = format!("POST /f/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{names}\r\n");
            client.wire.send(format!("{head}2\r\nhi\r\n0\r\n{trailers}\r\n").as_bytes());
            assert_eq!(client.answer().status, 200);
        }
    }
    for (index, request) in requests.join().unwrap().into_iter().enumerate() {
        let request = request.to_lowercase();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(body.contains("x-sum: 5"), "{request}");
        assert!(
            !body.contains("cert") && !body.contains("forwarded") && !request.contains("root"),
            "{request}"
        );
        assert_eq!(head.contains("\r\nx-client-cert-subject: cn=alice\r\n"), index % 2 == 0, "{request}");
        assert!(head.contains("\r\ntrailer: x-sum\r\n") || head.ends_with("\r\ntrailer: x-sum"), "{request}");
    }
}

/// Reads a request on a new connection, and responds.
fn answer(backend: &TcpListener) -> String {
    let (mut stream, _) = backend.accept().unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut request, mut is_last) = (String::new(), false);
    // The last chunk, and the trailers up to an empty line.
    loop {
        let from = request.len();
        assert!(reader.read_line(&mut request).unwrap() > 0, "{request}");
        match &request[from..] {
            "0\r\n" => is_last = true,
            "\r\n" if is_last => break,
            _ => {}
        }
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    let _end = reader.read_to_string(&mut String::new());
    request
}
