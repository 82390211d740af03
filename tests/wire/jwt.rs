//! A route whose clients need a token (JWT): at the handshake of every dialect and for each forwarded request, and what
//! happens when it expires.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::auth::{Plain, application};
use crate::support::frames::Socket;
use crate::support::http::{Client, Response};
use crate::support::http2::is_wanted;
use crate::support::poller::{POLLING, WEBSOCKET};
use crate::support::target::Target;
use crate::support::{SOON, Setup, World, eventually, metrics};

mod keys;

/// An issuer with one key, and the key's name.
pub(crate) struct Issuer(Ed25519KeyPair, &'static str);

impl Issuer {
    pub(crate) fn new() -> Self {
        Self::named("a")
    }

    fn named(kid: &'static str) -> Self {
        Self(Ed25519KeyPair::generate().unwrap(), kid)
    }

    fn jwks(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.0.public_key());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": self.1, "x": x}]}).to_string()
    }

    /// Returns a token that is valid for a time.
    fn issue(&self, lasts: Duration) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        self.sign(&json!({"exp": (now + lasts).as_secs(), "iss": "test", "aud": ["chat"], "sub": "ada"}))
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&json!({"alg": "EdDSA", "kid": self.1})), part(claims));
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(self.0.sign(text.as_bytes())))
    }
}

/// Keys in a file, until it is dropped.
pub(crate) struct Jwks(pub(crate) PathBuf);

impl Jwks {
    pub(crate) fn of(issuer: &Issuer) -> Self {
        static FILES: AtomicU32 = AtomicU32::new(0);
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("polliwog-jwks-{}-{number}", std::process::id()));
        std::fs::write(&path, issuer.jwks()).unwrap();
        Self(path)
    }
}

impl Drop for Jwks {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Starts a proxy with a route of every dialect, all of which need a token.
fn start(jwks: &str, more: &str, app: SocketAddr) -> World {
    let jwt =
        format!("jwt = {{ jwks = {jwks:?}, issuer = \"test\", audience = \"chat\", leeway = 0{more} }}\n");
    let routes = ["sockjs", "longpoll", "websocket", "mux", "http"].map(|dialect| {
        let upstream = if dialect == "http" { "app" } else { "b" };
        format!(
            "[[routes]]\npath = \"/{dialect}/\"\ndialect = \"{dialect}\"\nupstream = \"{upstream}\"\n{jwt}"
        )
    });
    let app = format!("[upstreams.app]\nkind = \"http\"\nurl = \"http://{app}/\"\n");
    let setup = Setup { sections: routes.concat() + &app, ..Setup::plain() }.route(&jwt);
    World::start_with(&setup, Target::proxy)
}

/// Begins by each way there is, with these headers; a WebSocket's response is its 101.
fn begin(world: &World, way: &str, query: &str, headers: &[(&str, &str)]) -> Response {
    let ask = |method: &str, target: &str, headers: &[(&str, &str)]| {
        world.http().request(method, &with(target, query), headers, b"")
    };
    match way {
        "polling" => ask("GET", POLLING, headers),
        "xhr" => ask("POST", "/sockjs/000/xhr/xhr", headers),
        "longpoll" => ask("POST", "/longpoll/", headers),
        "http" => ask("POST", "/http/a", headers),
        "tunnel" => {
            let upgrade = [("Upgrade", "echo"), ("Connection", "upgrade")];
            ask("GET", "/http/tunnel", &[headers, &upgrade].concat())
        }
        way => {
            let target = match way {
                "websocket" => WEBSOCKET,
                "framed" => "/sockjs/000/f/websocket",
                _ => "/websocket/",
            };
            let socket = Socket::over(world.http().wire, &with(target, query), headers);
            socket.map_or_else(|refused| refused, |socket| socket.response)
        }
    }
}

/// Adds a parameter to a target.
fn with(target: &str, query: &str) -> String {
    match (query, target.contains('?')) {
        ("", _) => target.to_owned(),
        (query, true) => format!("{target}&{query}"),
        (query, false) => format!("{target}?{query}"),
    }
}

const WAYS: [&str; 8] = ["polling", "websocket", "xhr", "framed", "longpoll", "relayed", "http", "tunnel"];
const HOUR: Duration = Duration::from_hours(1);

#[test]
fn nobody_comes_in_without_a_valid_token_whichever_way() {
    let (issuer, other, app) = (Issuer::new(), Issuer::new(), Plain::serve(application));
    let jwks = Jwks::of(&issuer);
    let world = start(jwks.0.to_str().unwrap(), "", app.addr);
    let expired = issuer.sign(&json!({"exp": 1_000_000_000, "iss": "test", "aud": "chat"}));
    let elsewhere = issuer.sign(&json!({"exp": 9_000_000_000_u64, "iss": "test", "aud": "feed"}));
    let bad = [
        (other.issue(HOUR), "the token's signature is wrong"),
        (expired, "the token has expired"),
        (elsewhere, "the token has another audience"),
        ("nonsense".to_owned(), "the token is malformed"),
    ];
    for way in WAYS {
        let refused = begin(&world, way, "", &[]);
        refused.assert(401, "a token is required\n");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"), "{way}");
        for (token, why) in &bad {
            let refused = begin(&world, way, "", &[("Authorization", &format!("Bearer {token}"))]);
            refused.assert(401, &format!("{why}\n"));
            let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{why}\"");
            assert_eq!(refused.header("www-authenticate"), Some(&*challenge), "{way}");
        }
    }
    assert!(world.backend().openings.try_recv().is_err(), "the backend learns nothing");
    app.assert_no_more();
    for way in WAYS {
        let token = format!("Bearer {}", issuer.issue(HOUR));
        let begun = begin(&world, way, "", &[("Authorization", &token)]);
        assert!([200, 201, 101].contains(&begun.status), "{way}: {begun:?}");
    }
    for (outcome, route) in [("missing", "/engine.io/"), ("expired", "/http/"), ("valid", "/sockjs/")] {
        let labels = [format!("route=\"{route}\""), format!("outcome=\"{outcome}\"")];
        let labels = labels.each_ref().map(String::as_str);
        assert!(metrics::has_counted(world.target.admin, "polliwog_tokens_total", &labels), "{outcome}");
    }
    let lines = world.log();
    let lines: Vec<_> = lines.lines().filter(|line| line.contains("reason=\"token\"")).collect();
    assert_eq!(lines.len(), 5, "one for each route and minute: {lines:?}");
}

#[test]
fn a_token_in_a_query_reaches_neither_the_backend_nor_the_log() {
    let (issuer, app) = (Issuer::new(), Plain::serve(application));
    let jwks = Jwks::of(&issuer);
    let world = start(jwks.0.to_str().unwrap(), ", from = \"query:access_token\"", app.addr);
    let token = issuer.issue(HOUR);
    for way in WAYS {
        begin(&world, way, "access_token=nonsense&room=7", &[]).assert(401, "the token is malformed\n");
        let begun = begin(&world, way, &format!("access_token={token}&room=7"), &[]);
        assert!([200, 201, 101].contains(&begun.status), "{way}: {begun:?}");
        let seen = match way {
            "http" | "tunnel" => app.next().concat(),
            _ => format!("{:?}", world.accept().opening),
        };
        assert!(!seen.contains("access_token") && !seen.contains(&token), "{way}: {seen}");
        assert!(
            seen.contains("room=7") || way == "xhr" || way == "framed" || way == "longpoll",
            "{way}: {seen}"
        );
    }
    assert!(!world.log().contains(&token[..20]), "{}", world.log());
}

#[test]
fn a_cookie_may_hold_the_token() {
    let (issuer, app) = (Issuer::new(), Plain::serve(application));
    let jwks = Jwks::of(&issuer);
    let world = start(jwks.0.to_str().unwrap(), ", from = \"cookie:session\"", app.addr);
    begin(&world, "polling", "", &[("Cookie", "other=1")]).assert(401, "a token is required\n");
    let cookie = format!("other=1; session={}", issuer.issue(HOUR));
    assert_eq!(begin(&world, "polling", "", &[("Cookie", &cookie)]).status, 200);
}

#[test]
fn no_token_reaches_the_backend_beside_the_one_that_is_judged() {
    let (issuer, app) = (Issuer::new(), Plain::serve(application));
    let jwks = Jwks::of(&issuer);
    let token = issuer.issue(HOUR);
    let several = |world: &World, headers: &[(&str, &str)]| {
        for way in ["polling", "xhr", "longpoll", "http", "tunnel", "websocket", "framed", "plain"] {
            begin(world, way, "", headers).assert(401, "there is more than one token\n");
        }
    };
    let world = start(jwks.0.to_str().unwrap(), ", from = \"cookie:session\"", app.addr);
    let valid = format!("session={token}");
    several(&world, &[("Cookie", &format!("{valid}; session=forged"))]);
    several(&world, &[("Cookie", "session=forged; name=J\u{f6}rg"), ("Cookie", &valid)]);
    several(&world, &[("Cookie", &format!("session =forged; {valid}"))]);
    let cookie = format!("name=J\u{f6}rg; {valid}");
    begin(&world, "http", "", &[("Cookie", &cookie)]).assert(200, "fine");
    app.next();
    // Nor can its client take away what was judged.
    begin(&world, "http", "", &[("Cookie", &valid), ("Connection", "cookie")]).assert(200, "fine");
    assert!(app.next().iter().any(|line| line.to_lowercase() == format!("cookie: {valid}").to_lowercase()));

    let world = start(jwks.0.to_str().unwrap(), "", app.addr);
    let bearer = format!("Bearer {token}");
    several(&world, &[("Authorization", &bearer), ("Authorization", "Bearer forged")]);
    begin(&world, "http", "", &[("Authorization", &bearer), ("Connection", "authorization")])
        .assert(200, "fine");
    assert!(app.next().iter().any(|line| line.ends_with(&bearer)));
}

#[test]
fn sessions_streams_and_tunnels_end_when_their_token_expires() {
    let (issuer, app) = (Issuer::new(), Plain::serve(streaming));
    let jwks = Jwks::of(&issuer);
    let world = start(jwks.0.to_str().unwrap(), "", app.addr);
    let begun = Instant::now();
    let bearer = format!("Bearer {}", issuer.issue(Duration::from_secs(7)));
    let headers = [("Authorization", &*bearer)];

    let open = begin(&world, "polling", "", &headers);
    let sid = open.text().split('"').nth(3).expect("an open packet").to_owned();
    let polled = world.accept();
    let mut poll = world.http();
    poll.send_get(&format!("{POLLING}&sid={sid}"));
    let mut socket = Socket::over(world.http().wire, WEBSOCKET, &headers).unwrap();
    assert!(socket.text().starts_with('0'));
    let socketed = world.accept();
    let mut framed = Socket::over(world.http().wire, "/sockjs/000/f/websocket", &headers).unwrap();
    framed.assert_text("o");
    let framing = world.accept();
    let mut relayed = Socket::over(world.http().wire, "/websocket/", &headers).unwrap();
    let relaying = world.accept();
    let mut xhr = world.http();
    xhr.request("POST", "/sockjs/000/xhr/xhr", &headers, b"").assert(200, "o\n");
    xhr.send_post("/sockjs/000/xhr/xhr", b"");
    let xhring = world.accept();
    let upgrade = [("Upgrade", "echo"), ("Connection", "upgrade"), headers[0]];
    let mut tunnel = world.http();
    // HTTP/2 has no `Upgrade`: there it is a request like any other.
    let status = if is_wanted() { 200 } else { 101 };
    assert_eq!(tunnel.request("GET", "/http/tunnel", &upgrade, b"").status, status);

    let told: Value = serde_json::from_str(begin(&world, "longpoll", "", &headers).text()).unwrap();
    let feed = told["url"].as_str().unwrap();
    let feeding = world.accept();
    let (mut waiting, mut events) = (world.http(), world.http());
    waiting.send_get(&format!("{feed}?after=0"));
    // Its length is not known; one whose length is known is completed.
    events.send("GET", "/http/events", &headers[..1], b"");
    let soon = Instant::now() + SOON;
    assert!(is_wanted() || events.wire.take_until(b"data: 1\n\n", soon).is_ok());
    let mut long = world.http();
    long.send("GET", "/http/long", &headers[..1], b"");
    assert!(is_wanted() || long.wire.take_until(b"begun", soon).is_ok());

    let late = SOON * 3;
    let ended = poll.answer_within(late).expect("a parked poll is answered");
    assert!(begun.elapsed() > Duration::from_secs(5), "it does not end before its time");
    ended.assert(200, "1");
    assert_eq!(socket.frame_within(late).unwrap().op.0, 8);
    framed.assert_text("c[1008,\"Permission expired\"]");
    xhr.answer_within(late).unwrap().assert(200, "c[1008,\"Permission expired\"]\n");
    assert_eq!(relayed.frame_within(late).unwrap().code(), Some(1008));
    relayed.send_frame(&crate::support::frames::Frame::close(Some(1000)));
    assert!(is_wanted() || tunnel.ends_within(late));
    let closed = waiting.answer_within(late).unwrap();
    closed.assert(410, r#"{"closed":{"code":1008,"reason":"expired"},"after":0}"#);
    if !is_wanted() {
        assert!(events.wire.take_until(b"0\r\n\r\n", Instant::now() + late).is_err(), "it is no clean end");
        assert!(events.ends_within(late));
        long.assert_parked();
    }
    for peer in [polled, socketed, framing, relaying, xhring, feeding] {
        peer.assert_closed();
    }
    world.get(&format!("{POLLING}&sid={sid}")).assert_unknown_sid();
    for (route, transport) in [
        ("/engine.io/", "polling"),
        ("/engine.io/", "websocket"),
        ("/sockjs/", "websocket"),
        ("/websocket/", "websocket"),
        ("/longpoll/", "polling"),
    ] {
        let labels = [
            format!("route=\"{route}\""),
            format!("transport=\"{transport}\""),
            "reason=\"expired\"".to_owned(),
        ];
        let labels = labels.each_ref().map(String::as_str);
        // A relayed WebSocket waits for the Close of both sides.
        eventually(
            || metrics::has_counted(world.target.admin, "polliwog_sessions_closed_total", &labels),
            || labels.concat(),
        );
    }
    let labels = ["route=\"/http/\"", "reason=\"expired\""];
    let text = Client::connect(world.target.admin).get("/metrics").text().to_owned();
    let broken = || metrics::value(&text, "polliwog_forwards_broken_total", &labels).to_owned();
    assert!(is_wanted() || broken() == "2", "a tunnel and a stream: {text}");
}

/// An application that also sends events without end, and a response that is too slow.
fn streaming(lines: &[String]) -> Vec<u8> {
    let said: &[u8] = match lines[0].split(' ').nth(1) {
        Some("/events") => {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n9\r\ndata: 1\n\n\r\n"
        }
        Some("/long") => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun",
        _ => return application(lines),
    };
    said.to_vec()
}

#[test]
fn a_token_is_judged_where_its_session_begins_and_ends_it_by_whichever_node_its_client_comes() {
    let issuer = Issuer::new();
    let jwks = Jwks::of(&issuer);
    let jwt = format!("jwt = {{ jwks = {:?}, audience = \"chat\", leeway = 0 }}", jwks.0);
    let world = World::foreign(&Setup::new().route(&jwt));
    let other = world.other.as_ref().unwrap();
    let mut there = Client::connect(other.public);
    there.get(POLLING).assert(401, "a token is required\n");
    let bearer = format!("Bearer {}", issuer.issue(Duration::from_secs(6)));
    let begun = begin(&world, "polling", "", &[("Authorization", &bearer)]);
    let target = format!("{POLLING}&sid={}", begun.text().split('"').nth(3).expect("an open packet"));
    let peer = world.accept();
    there.post(&target, "4up").assert(200, "ok");
    peer.assert_text("up");
    there.send_get(&target);
    there.answer_within(SOON * 3).expect("a parked poll is answered").assert(200, "1");
    peer.assert_closed();
    there.get(&target).assert_unknown_sid();
}

#[test]
fn a_client_of_another_proxy_needs_a_token_too() {
    let (issuer, app) = (Issuer::new(), Plain::serve(application));
    let jwks = Jwks::of(&issuer);
    let world = start(jwks.0.to_str().unwrap(), ", from = \"query:t\"", app.addr);
    let offer = [("Sec-WebSocket-Protocol", "polliwog.mux.v1.json")];
    let mut edge = Socket::over(world.http().wire, "/mux/", &offer).expect("accepted");
    let hello = json!(["hello", {"v": 1, "epoch": "e", "credit": 1000, "max_message": 1000, "resume_ms": 0}]);
    edge.send(&hello.to_string());
    assert!(edge.text().starts_with("[\"hello\""));
    let open = |edge: &mut Socket, id: &str, query: &str| {
        let open = json!(["open", id, {"path": format!("/a?b=c{query}"), "dialect": "websocket", "transport": "websocket",
            "client": "203.0.113.9:5", "headers": [], "protocols": []}]);
        edge.send(&open.to_string());
        edge.text()
    };
    let denied = open(&mut edge, "s1", "");
    assert!(denied.contains("401") && denied.contains("a token is required"), "{denied}");
    let token = issuer.issue(Duration::from_secs(4));
    let accepted = open(&mut edge, "s2", &format!("&t={token}"));
    assert!(accepted.starts_with("[\"ok\""), "{accepted}");
    let peer = world.accept();
    let seen = format!("{:?}", peer.opening);
    assert!(seen.contains("b=c") && !seen.contains(&token), "{seen}");
    let closed = edge.frame_within(SOON * 3).unwrap();
    assert!(String::from_utf8_lossy(&closed.payload).contains("1008"), "{closed:?}");
    peer.assert_closed();
}
