//! How much one client may take, and all together: connections, sessions and handshakes. The clients are addresses of this
//! host, which count because the configuration says so.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use serde_json::json;

use crate::support::frames::Socket;
use crate::support::http::{Client, Response};
use crate::support::poller::{POLLING, WEBSOCKET};
use crate::support::script::{Kind, Script};
use crate::support::target::Target;
use crate::support::wire::Wire;
use crate::support::{SOON, Setup, World, eventually, metrics, ms};

const ONE: &str = "127.0.0.2";
const OTHER: &str = "127.0.0.3";

/// Starts a proxy with these lines in `[limits]`.
fn start(limits: &str, setup: Setup) -> World {
    let sections = format!("[limits]\n{limits}\n{}", setup.sections);
    World::start_with(&Setup { sections, ..setup }, Target::proxy)
}

/// Starts one whose clients on this host are counted by their addresses.
fn counting(limits: &str, setup: Setup) -> World {
    start(&format!("count_private = true\n{limits}"), setup)
}

/// Asks on a new connection.
fn ask(world: &World, from: &str, method: &str, target: &str, headers: &[(&str, &str)]) -> Response {
    Client { wire: wire(world, from) }.request(method, target, headers, b"")
}

fn handshake(world: &World, from: &str) -> Response {
    ask(world, from, "GET", POLLING, &[])
}

fn wire(world: &World, from: &str) -> Wire {
    Wire::connect_from(world.target.public, from)
}

#[track_caller]
fn assert_limited(refused: &Response, retry_after: &str, text: &str) {
    let told = (refused.status, refused.header("retry-after"));
    assert_eq!(told, (429, Some(retry_after)), "{refused:?}");
    assert!(refused.text().contains(text), "{refused:?}");
}

const TOO_MANY: &str = "this client has too many sessions";
const TOO_EARLY: &str = "too many new sessions at once";

fn limited(world: &World, limit: &str) -> usize {
    let text = Client::connect(world.target.admin).get("/metrics").text().to_owned();
    metrics::value(&text, "polliwog_limited_total", &[&format!("limit=\"{limit}\"")]).parse().unwrap()
}

#[test]
fn one_address_takes_a_quarter_of_the_sessions_and_leaves_the_rest_to_the_others() {
    let world = counting("", Setup::new().server("max_sessions = 500"));
    let mut client = Client { wire: wire(&world, ONE) };
    let accepted = (0..500).filter(|_| client.get(POLLING).status == 200).count();
    assert_eq!(accepted, 125);
    assert_limited(&client.get(POLLING), "5", TOO_MANY);
    let refused = Socket::over(wire(&world, ONE), WEBSOCKET, &[]).unwrap_err();
    assert_limited(&refused, "5", TOO_MANY);
    assert_eq!(handshake(&world, OTHER).status, 200);
    assert_eq!(limited(&world, "client_sessions"), 377);
    let lines = world.log().lines().filter(|line| line.contains("a limit was reached")).count();
    assert_eq!(lines, 1, "{}", world.log());
    assert!(world.log().contains("limit=\"client_sessions\" client=127.0.0.2"), "{}", world.log());
}

#[test]
fn sessions_of_every_dialect_count_for_their_client_until_they_end() {
    let more = ["sockjs", "longpoll", "websocket", "mux"].map(|dialect| {
        let token = if dialect == "mux" { "mux = { token = 'a-long-secret' }" } else { "" };
        format!("[[routes]]\npath = \"/{dialect}/\"\ndialect = \"{dialect}\"\nupstream = \"b\"\n{token}\n")
    });
    let setup = Setup { path: "/engine.io/", ..Setup::plain() };
    let setup = Setup { sections: more.concat(), script: Script::new(Kind::WebSocket), ..setup };
    let world = counting("client_sessions = 5", setup);
    let mux = |from: &str| {
        let offer =
            [("Sec-WebSocket-Protocol", "polliwog.mux.v1.json"), ("Authorization", "Bearer a-long-secret")];
        let mut edge = Socket::over(wire(&world, from), "/mux/", &offer).expect("accepted");
        edge.send(
            &json!(["hello", {"v": 1, "epoch": from, "credit": 1000, "max_message": 1000, "resume_ms": 0}])
                .to_string(),
        );
        assert!(edge.text().starts_with("[\"hello\""));
        edge
    };
    let open = |edge: &mut Socket, id: &str, client: &str| {
        let client = format!("{client}:5");
        let open = json!(["open", id, {"path": "/", "dialect": "websocket", "transport": "websocket",
            "client": client, "headers": [], "protocols": []}]);
        edge.send(&open.to_string());
        edge.text()
    };
    // The other proxy is another client than those whose sessions it brings.
    let mut edge = mux(OTHER);
    assert!(open(&mut edge, "s1", ONE).starts_with("[\"ok\""));
    assert_eq!(handshake(&world, ONE).status, 200);
    let sockjs = |sid: &str| ask(&world, ONE, "POST", &format!("/sockjs/000/{sid}/xhr"), &[]);
    sockjs("a").assert(200, "o\n");
    assert_eq!(ask(&world, ONE, "POST", "/longpoll/", &[]).status, 201);
    let relayed = Socket::over(wire(&world, ONE), "/websocket/", &[]).unwrap();

    for refused in [
        handshake(&world, ONE),
        sockjs("b"),
        ask(&world, ONE, "POST", "/longpoll/", &[]),
        Socket::over(wire(&world, ONE), "/websocket/", &[]).unwrap_err(),
        Socket::over(wire(&world, ONE), "/sockjs/websocket", &[]).unwrap_err(),
    ] {
        assert_limited(&refused, "5", TOO_MANY);
    }
    let denied = open(&mut edge, "s2", ONE);
    assert!(denied.contains("429") && denied.contains(TOO_MANY), "{denied}");
    assert!(open(&mut edge, "s3", "203.0.113.9").starts_with("[\"ok\""));
    assert_eq!(handshake(&world, OTHER).status, 200);
    // A session that has begun is served as ever.
    assert_eq!(ask(&world, ONE, "POST", "/sockjs/000/a/xhr_send", &[]).status, 500, "a POST without a body");
    drop(relayed);
    eventually(|| handshake(&world, ONE).status == 200, || "its place is free again".to_owned());
}

#[test]
fn a_flood_of_handshakes_without_a_socket_locks_nobody_else_out() {
    let world = counting("client_handshakes_per_second = 1", Setup::new().server("max_sessions = 40"));
    let mut client = Client { wire: wire(&world, ONE) };
    let statuses: Vec<_> = (0..1000).map(|_| client.get(POLLING).status).collect();
    // What comes in ten seconds may come at once, and then a quarter of the places is taken.
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 10);
    assert!(statuses[10..].iter().all(|status| *status == 429));
    assert_limited(&client.get(POLLING), "1", TOO_EARLY);
    assert!(limited(&world, "client_handshakes_per_second") > 900);
    for _ in 0..10 {
        assert_eq!(handshake(&world, OTHER).status, 200);
    }
}

/// Ends a flood, also if the test fails.
struct Until<'f>(&'f AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_client_that_floods_again_and_again_keeps_nobody_else_out_for_a_second() {
    let world = counting("client_handshakes_per_second = 2", Setup::new().server("max_sessions = 40"));
    let (addr, asked, is_over) = (world.target.public, AtomicUsize::new(0), AtomicBool::new(false));
    let flood = || {
        while !is_over.load(Ordering::Relaxed) {
            let mut client = Client { wire: Wire::connect_from(addr, ONE) };
            for _ in 0..500 {
                client.get(POLLING);
                asked.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        let _until = Until(&is_over);
        (0..4).for_each(|_| drop(scope.spawn(flood)));
        let mut clients = 0;
        while asked.load(Ordering::Relaxed) < 10_000 {
            clients += 1;
            let (other, start) = (format!("127.0.1.{clients}"), Instant::now());
            assert_eq!(handshake(&world, &other).status, 200);
            assert!(Socket::over(wire(&world, &other), WEBSOCKET, &[]).is_ok());
            assert!(start.elapsed() < ms(1000), "{:?}", start.elapsed());
            // The interval between two clients, of which there are as many as there are places for.
            thread::sleep(ms(250));
        }
    });
    assert!(limited(&world, "client_handshakes_per_second") > 9_000);
}

#[test]
fn all_handshakes_together_have_a_rate_too() {
    let world = start("handshakes_per_second = 2\nclient_handshakes_per_second = 0", Setup::new());
    let mut client = world.http();
    let refused =
        std::iter::repeat_with(|| client.get(POLLING)).take(200).find(|answer| answer.status != 200);
    assert_limited(&refused.expect("twenty at once"), "1", TOO_EARLY);
    assert!(limited(&world, "handshakes_per_second") > 0);
}

#[test]
fn behind_a_trusted_proxy_the_clients_it_tells_are_counted_each() {
    let setup = Setup::new().server("trusted_proxies = \"127.0.0.1\"");
    let world = start("client_sessions = 1", setup);
    let from = |told: &str| ask(&world, "127.0.0.1", "GET", POLLING, &[("X-Forwarded-For", told)]);
    for (told, status) in [
        ("203.0.113.9", 200),
        ("203.0.113.10", 200),
        ("203.0.113.9", 429),
        // What a client says itself counts for nothing.
        ("198.51.100.1, 203.0.113.9", 429),
        ("2001:db8:0:1::1", 200),
        ("2001:db8:0:1:2::7", 429),
        ("2001:db8:0:2::1", 200),
        // A private network is known now: no balancer stands there.
        ("10.0.0.1", 200),
        ("10.0.0.1", 429),
    ] {
        assert_eq!(from(told).status, status, "{told}");
    }
    // The proxy itself is nobody's client, and an untrusted peer is one, whatever it tells.
    assert!((0..3).all(|_| handshake(&world, "127.0.0.1").status == 200));
    let lies = |told| ask(&world, ONE, "GET", POLLING, &[("X-Forwarded-For", told)]).status;
    assert_eq!((lies("203.0.113.20"), lies("203.0.113.21")), (200, 429));
}

#[test]
fn a_private_peer_is_not_limited_and_a_proxy_that_nobody_named_is_told_of_once() {
    let world = start("client_sessions = 1\nclient_connections = 1", Setup::new());
    let kept = [0; 3].map(|_| wire(&world, ONE));
    for told in ["203.0.113.9", "203.0.113.10", "203.0.113.9"] {
        let answer = ask(&world, ONE, "GET", POLLING, &[("X-Forwarded-For", told)]);
        assert_eq!(answer.status, 200);
    }
    let log = world.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("X-Forwarded-For")).collect();
    assert!(
        lines.len() == 1 && lines[0].contains("WARN") && lines[0].contains("server.trusted_proxies"),
        "{log}"
    );
    drop(kept);
}

/// Returns whether a connection ends by itself: it gets no response.
fn ends(mut wire: Wire) -> bool {
    wire.send(b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
    Client { wire }.answer_within(SOON).is_err()
}

#[test]
fn a_connection_beyond_its_clients_share_or_that_of_all_is_reset() {
    let world = counting("max_connections = 5\nclient_connections = 2", Setup::sockets());
    let mut kept = vec![wire(&world, ONE)];
    // One that was upgraded is still one.
    let socket = Socket::over(wire(&world, ONE), "/engine.io/", &[]).unwrap();
    assert!(ends(wire(&world, ONE)));
    assert_eq!(limited(&world, "client_connections"), 1);
    kept.extend([0; 2].map(|_| wire(&world, OTHER)));
    kept.push(wire(&world, "127.0.0.4"));
    // All of them have been accepted by now: the kernel hands them over in order.
    assert!(ends(wire(&world, "127.0.0.5")));
    assert_eq!(limited(&world, "max_connections"), 1);
    drop(socket);
    eventually(|| !ends(wire(&world, ONE)), || "its place is free again".to_owned());
    drop(kept);
}

#[test]
fn behind_a_tcp_balancer_the_client_in_the_header_counts() {
    let setup = Setup::new().server("proxy_protocol = true").server("trusted_proxies = \"127.0.0.1\"");
    let world = start("client_connections = 1", setup);
    let from = |client: &str| {
        let mut wire = Wire::connect(world.target.public);
        wire.send(format!("PROXY TCP4 {client} 127.0.0.1 5 80\r\n").as_bytes());
        wire
    };
    let mut kept = from("203.0.113.9");
    kept.send(b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut first = Client { wire: kept };
    assert_eq!(first.answer().status, 404);
    assert!(ends(from("203.0.113.9")));
    assert!(!ends(from("203.0.113.10")));
    drop(first);
    eventually(|| !ends(from("203.0.113.9")), || "its place is free again".to_owned());
}

#[test]
fn a_reload_changes_the_limits_of_those_who_are_there() {
    let world = counting("client_sessions = 1", Setup::new());
    assert_eq!([handshake(&world, ONE).status, handshake(&world, ONE).status], [200, 429]);
    let path = world.target.folder().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let change = |to: &str| {
        std::fs::write(&path, text.replace("client_sessions = 1", to)).unwrap();
        Client::connect(world.target.admin).post("/api/reload", "").assert(200, "{\n  \"faults\": []\n}\n");
    };
    change("client_sessions = 2");
    assert_eq!([handshake(&world, ONE).status, handshake(&world, ONE).status], [200, 429]);
    change("client_sessions = 1");
    assert_eq!(handshake(&world, ONE).status, 429);
    change("client_handshakes_per_second = 1");
    assert!((0..20).any(|_| handshake(&world, ONE).status == 429), "the rate holds at once");
}

#[test]
fn a_listener_and_a_route_serve_only_the_networks_that_they_are_for() {
    let more = "[[routes]]\npath = \"/open/\"\ndialect = \"longpoll\"\nupstream = \"b\"\ndeny = []\n";
    let setup = Setup { sections: more.to_owned(), ..Setup::plain() }
        .server("deny = \"127.0.0.9\"\ntrusted_proxies = \"127.0.0.1\"")
        .route("allow = [\"127.0.0.2\", \"203.0.113.0/24\"]\ndeny = \"203.0.113.9\"");
    let world = World::start_with(&setup, Target::proxy);
    let told = |address: &str| ask(&world, "127.0.0.1", "GET", POLLING, &[("X-Forwarded-For", address)]);
    let begun = handshake(&world, ONE);
    assert_eq!([begun.status, told("203.0.113.8").status], [200, 200]);
    for refused in [handshake(&world, OTHER), told("203.0.113.9"), told("198.51.100.1")] {
        refused.assert(403, "this address may not come here\n");
    }
    // A session is not for others either.
    let sid = begun.text().split('"').nth(3).unwrap().to_owned();
    assert_eq!(ask(&world, OTHER, "GET", &format!("{POLLING}&sid={sid}"), &[]).status, 403);
    assert_eq!(ask(&world, OTHER, "POST", "/open/", &[]).status, 201);
    assert!(world.log().contains("reason=\"address not allowed\""), "{}", world.log());
    assert!(ends(wire(&world, "127.0.0.9")) && !ends(wire(&world, "127.0.0.8")));
    assert_eq!(limited(&world, "deny"), 1);
}
