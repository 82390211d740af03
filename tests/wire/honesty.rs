//! Promise 3: the backend's responses reach the client, and the proxy's own are true.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use socket2::{Domain, Socket as RawSocket, Type};

use crate::support::frames::{Frame, Masked, Op, Socket};
use crate::support::http::Response;
use crate::support::setup::bare_refusal;
use crate::support::world::{Excluded, POLLING, WEBSOCKET};
use crate::support::{Poller, QUIET, SOON, Setup, World, assert_took, ms, patiently};

pub(crate) fn world(setup: Setup) -> Option<World> {
    World::proxy_only(setup, Excluded::OnlyAProxyHasThis)
}

/// Returns the responses to both kinds of handshake.
#[track_caller]
fn both(world: &World) -> [Response; 2] {
    [world.get(POLLING), Socket::try_connect(world.addr, WEBSOCKET, &[]).expect_err("refused")]
}

/// Returns a URL without a listener.
fn nowhere() -> String {
    let addr = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    format!("ws://{addr}/engine.io/")
}

#[test]
fn the_backend_is_asked_before_the_client_is_answered() {
    patiently(|| {
        let Some(world) = world(Setup::new().script(|script| script.delay = ms(200))) else { return };
        let start = Instant::now();
        assert_eq!(world.get(POLLING).status, 200);
        assert_took(start.elapsed(), 200, 900);
        let start = Instant::now();
        assert!(Socket::try_connect(world.addr, WEBSOCKET, &[]).is_ok());
        assert_took(start.elapsed(), 200, 900);
    });
}

#[test]
fn a_backend_that_is_down_is_502() {
    let Some(world) = world(Setup::new().url(&nowhere())) else { return };
    for answer in both(&world) {
        assert_eq!(answer.status, 502);
    }
    world.assert_sessions(0);
}

#[test]
fn a_backend_that_hangs_up_without_a_response_is_502() {
    let Some(world) = world(Setup::new().script(|script| script.refusal = Some(Vec::new()))) else { return };
    for answer in both(&world) {
        assert_eq!(answer.status, 502);
    }
}

#[test]
fn a_backend_that_answers_nonsense_is_502() {
    let nonsense: [&[u8]; 4] = [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: d3Jvbmc=\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: nonsense\r\nConnection: Upgrade\r\n\r\n",
    ];
    for bytes in nonsense {
        let Some(world) = world(Setup::new().script(|script| script.refusal = Some(bytes.to_vec()))) else {
            return;
        };
        for answer in both(&world) {
            assert_eq!(answer.status, 502, "{}", String::from_utf8_lossy(bytes));
        }
    }
}

#[test]
fn a_backend_that_opens_with_nonsense_is_502() {
    let text = |text: &str| Frame::new(Op::TEXT, text).encode(Masked::No);
    for after in
        [text("nonsense"), text("0{}"), text("4early"), text("0"), Frame::close(None).encode(Masked::No)]
    {
        let Some(world) = world(Setup::new().script(|script| script.after = Some(after.clone()))) else {
            return;
        };
        for answer in both(&world) {
            assert_eq!(answer.status, 502, "{after:?}");
        }
        world.assert_sessions(0);
    }
}

#[test]
fn a_backend_that_does_not_answer_is_504() {
    patiently(|| {
        let setup =
            Setup::new().upstream("handshake_timeout = \"300ms\"").script(|script| script.delay = ms(3000));
        let Some(world) = world(setup) else { return };
        for handshake in [true, false] {
            let start = Instant::now();
            let answer = both(&world)[usize::from(handshake)].clone();
            assert_eq!(answer.status, 504);
            assert!(start.elapsed() >= ms(300) && start.elapsed() < ms(2500), "{:?}", start.elapsed());
        }
        world.assert_sessions(0);
    });
}

#[test]
fn a_backend_that_never_sends_its_open_packet_is_504() {
    let setup = Setup::new().upstream("handshake_timeout = \"300ms\"").script(|script| script.open = None);
    let Some(world) = world(setup) else { return };
    for answer in both(&world) {
        assert_eq!(answer.status, 504);
    }
}

/// Returns a listener, its address, and connections that fill its queue: the system drops further attempts.
pub(crate) fn black_hole() -> (RawSocket, SocketAddr, Vec<std::io::Result<TcpStream>>) {
    let listener = RawSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap().as_socket().unwrap();
    let queue = (0..3).map(|_| TcpStream::connect_timeout(&addr, ms(100))).collect();
    (listener, addr, queue)
}

#[test]
fn a_backend_that_does_not_accept_connections_is_504() {
    patiently(|| {
        let (_listener, addr, _queue) = black_hole();
        let setup = Setup::new().url(&format!("ws://{addr}/")).upstream("connect_timeout = \"300ms\"");
        let Some(world) = world(setup) else { return };
        let start = Instant::now();
        assert_eq!(world.get(POLLING).status, 504);
        assert_took(start.elapsed(), 290, 1500);
    });
}

#[test]
fn the_second_address_serves_where_the_first_is_down() {
    let Some(world) = world(Setup::new()) else { return };
    let second = format!("ws://{}/engine.io/", world.backend().addr);
    let Some(other) = self::world(Setup::new().urls(&[&nowhere(), &second])) else { return };
    assert_eq!(other.get(POLLING).status, 200);
    assert!(world.accept_within(SOON).is_some());
}

#[test]
fn an_engine_io_backends_bare_400_becomes_its_code() {
    for (text, status, code) in [
        ("Transport unknown", 400, 0),
        ("Session ID unknown", 400, 1),
        ("Bad handshake method", 400, 2),
        ("Bad request", 400, 3),
        ("Forbidden", 403, 4),
        ("Unsupported protocol version", 400, 5),
        ("you shall not pass", 403, 4),
    ] {
        let Some(world) = world(Setup::new().refusing(text)) else { return };
        world.get(POLLING).assert_error(status, code, text);
        let refusal = Socket::try_connect(world.addr, WEBSOCKET, &[]).unwrap_err();
        refusal.assert(400, text);
    }
}

#[test]
fn a_refusal_with_quotes_is_still_json() {
    let Some(world) = world(Setup::new().refusing("say \"please\" ü")) else { return };
    let answer = world.get(POLLING);
    answer.assert(403, r#"{"code":4,"message":"say \"please\" ü"}"#);
}

#[test]
fn a_refusal_after_the_101_is_code_5() {
    // The reference has accepted the upgrade before it looks at the version (ENGINEIO.md, 2.3).
    let setup =
        Setup::new().script(|script| script.after = Some(bare_refusal("Unsupported protocol version")));
    let Some(world) = world(setup) else { return };
    world.get(POLLING).assert_error(400, 5, "Unsupported protocol version");
}

#[test]
fn any_other_refusal_passes_unchanged() {
    let refusals = [
        ("401 Unauthorized", "WWW-Authenticate: Bearer realm=\"chat\"\r\n", "who are you"),
        ("403 Forbidden", "X-Reason: rules\r\n", "no"),
        ("302 Found", "Location: /login\r\n", ""),
        ("429 Too Many Requests", "Retry-After: 7\r\n", "later"),
        ("503 Service Unavailable", "Set-Cookie: a=b\r\n", "down for lunch"),
    ];
    for (status, header, body) in refusals {
        let bytes = format!(
            "HTTP/1.1 {status}\r\n{header}Content-Type: text/x-test\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (name, value) = header.trim().split_once(": ").unwrap();
        for setup in [Setup::new(), Setup::new().relayed()] {
            let refusal = Some(bytes.clone().into_bytes());
            let Some(world) = world(setup.script(|script| script.refusal = refusal)) else { return };
            for answer in both(&world) {
                assert_eq!(answer.text(), body, "{status}");
                assert!(
                    status.starts_with(&answer.status.to_string()),
                    "expected {status}, got {}",
                    answer.status
                );
                assert_eq!(answer.header(name), Some(value), "{status}");
                assert_eq!(answer.header("content-type"), Some("text/x-test"));
            }
            world.assert_sessions(0);
        }
    }
}

#[test]
fn the_backends_cookies_reach_the_client_once() {
    let cookies = "Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2; HttpOnly\r\n";
    let Some(world) = world(Setup::new().script(|script| script.headers = cookies.into())) else { return };
    let (mut poller, peer) = world.poller();
    assert_eq!(poller.handshake.headers_named("set-cookie"), ["a=1; Path=/", "b=2; HttpOnly"]);
    peer.send("x");
    assert_eq!(poller.get().header("set-cookie"), None);
    assert_eq!(poller.post("4x").header("set-cookie"), None);
    let (socket, _peer) = world.websocket();
    assert_eq!(socket.response.headers_named("set-cookie"), ["a=1; Path=/", "b=2; HttpOnly"]);
}

#[test]
fn the_clients_headers_reach_the_backend() {
    let Some(world) = world(Setup::new()) else { return };
    let said = [
        ("Cookie", "session=1; theme=dark"),
        ("Authorization", "Bearer t0k3n"),
        ("Origin", "https://app.test"),
        ("User-Agent", "wire/1.0"),
        ("Accept-Language", "de, en;q=0.5"),
        ("X-Custom", "one"),
        ("X-Custom", "two"),
        ("Host", "chat.example.org:8443"),
    ];
    world.http().request("GET", POLLING, &said, b"");
    let polling = world.accept();
    let (_socket, websocket) = world.websocket_with("", &said);
    for peer in [polling, websocket] {
        for (name, value) in said {
            assert!(peer.opening.headers_named(name).contains(&value), "{name}: {:?}", peer.opening.headers);
        }
        assert_eq!(peer.opening.headers_named("host").len(), 1);
    }
}

#[test]
fn hop_by_hop_headers_do_not_reach_the_backend() {
    let Some(world) = world(Setup::new()) else { return };
    let hop = [
        ("Connection", "keep-alive, X-Listed"),
        ("X-Listed", "hop"),
        ("Keep-Alive", "timeout=5"),
        ("TE", "trailers"),
        ("Proxy-Authorization", "Basic x"),
        ("Proxy-Connection", "keep-alive"),
        ("Accept-Encoding", "gzip, br"),
        ("Content-Type", "text/plain"),
        ("Content-Language", "de"),
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
        ("Sec-WebSocket-Key", "bm90IHRoaXMgb25lIG5vIQ=="),
    ];
    world.http().request("GET", POLLING, &hop, b"");
    let opening = world.accept().opening;
    let absent =
        ["x-listed", "keep-alive", "te", "proxy-authorization", "proxy-connection", "accept-encoding"];
    for name in
        absent.into_iter().chain(["content-type", "content-language", "content-length", "transfer-encoding"])
    {
        assert_eq!(opening.header(name), None, "{name}");
    }
    assert_ne!(opening.header("sec-websocket-key"), Some("bm90IHRoaXMgb25lIG5vIQ=="));
    assert_eq!(opening.headers_named("sec-websocket-key").len(), 1);
    assert_eq!(opening.headers_named("connection").len(), 1);
}

#[test]
fn forwarding_headers_of_untrusted_clients_are_replaced() {
    let Some(world) = world(Setup::new()) else { return };
    let claimed = [
        ("X-Forwarded-For", "6.6.6.6"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.test"),
        ("Forwarded", "for=6.6.6.6"),
    ];
    world.http().request("GET", POLLING, &claimed, b"");
    let opening = world.accept().opening;
    assert_eq!(opening.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(opening.header("x-forwarded-proto"), Some("http"));
    assert!(!format!("{:?}", opening.headers).contains("6.6.6.6"), "{:?}", opening.headers);
    assert!(!format!("{:?}", opening.headers).contains("evil.test"), "{:?}", opening.headers);
}

#[test]
fn forwarding_headers_of_trusted_proxies_are_continued() {
    let Some(world) = world(Setup::new().server("trusted_proxies = [\"127.0.0.0/8\"]")) else { return };
    let claimed = [("X-Forwarded-For", "9.9.9.9"), ("X-Forwarded-Proto", "https")];
    world.http().request("GET", POLLING, &claimed, b"");
    let opening = world.accept().opening;
    let list = opening.headers_named("x-forwarded-for").join(", ");
    assert_eq!(list, "9.9.9.9, 127.0.0.1");
    assert_eq!(opening.header("x-forwarded-proto"), Some("https"));
}

#[test]
fn the_backends_own_host_is_named_where_the_route_says_so() {
    let Some(world) = world(Setup::new().upstream("host = \"upstream\"")) else { return };
    world.http().request("GET", POLLING, &[("Host", "chat.example.org")], b"");
    assert_eq!(world.accept().opening.header("host"), Some(world.backend().addr.to_string().as_str()));
}

#[test]
fn a_foreign_origin_is_refused_before_the_backend_is_asked() {
    let Some(world) = world(Setup::new().route("allowed_origins = [\"https://app.test\"]")) else { return };
    let ask = |origin: &str| world.http().request("GET", POLLING, &[("Origin", origin)], b"").status;
    for origin in ["https://evil.test", "http://app.test", "https://app.test.evil.test", "null"] {
        assert_eq!(ask(origin), 403, "{origin}");
    }
    assert!(Socket::try_connect(world.addr, WEBSOCKET, &[("Origin", "https://evil.test")]).is_err());
    assert!(world.backend().openings.recv_timeout(QUIET).is_err());
    assert_eq!(ask("https://app.test"), 200);
    assert_eq!(world.get(POLLING).status, 200, "a request without an origin comes from no browser");
}

#[test]
fn a_client_that_leaves_during_the_handshake_leaves_nothing_behind() {
    let Some(world) = world(Setup::new().script(|script| script.delay = ms(200))) else { return };
    let mut client = world.http();
    client.send_get(POLLING);
    // The dial to the slow backend is under way.
    std::thread::sleep(QUIET);
    client.wire.close();
    let mut client = world.http();
    client
        .wire
        .send(crate::support::http::head("GET", WEBSOCKET, &crate::support::frames::HANDSHAKE).as_bytes());
    // The dial to the slow backend is under way.
    std::thread::sleep(QUIET);
    client.wire.reset();
    // The slow backend has answered both by then.
    std::thread::sleep(ms(300));
    // Either the dial was given up, or the session was closed as soon as it was open.
    while let Some(peer) = world.accept_within(QUIET) {
        assert!(peer.ends_after() < ms(500));
    }
    world.assert_sessions(0);
}

#[test]
fn a_session_never_restarts_under_an_old_id() {
    let Some(world) = world(Setup::new()) else { return };
    let (poller, peer) = world.poller();
    peer.line().kill();
    // The proxy reads the end meanwhile; a request that looked for it would end the session itself.
    std::thread::sleep(QUIET);
    while poller.request("GET", &[], b"").status == 200 {}
    poller.assert_gone();
    assert!(world.accept_within(QUIET).is_none());
    assert_ne!(Poller::handshake(world.addr).sid, poller.sid);
}
