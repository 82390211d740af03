//! Dialect `mux` (docs/mux.md), from the side of a proxy that need not be a Polliwog: one that breaks the rules harms
//! only itself.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::support::frames::{Frame, Masked, Op, Socket};
use crate::support::wire::Wire;
use crate::support::world::Excluded;
use crate::support::{Event, Setup, World, ms};

fn world(setup: Setup) -> Option<World> {
    let setup = Setup { dialect: "mux", path: "/mux", relay: false, ..setup };
    World::proxy_only(setup, Excluded::OnlyAProxyHasThis)
}

/// A proxy's end of a shared connection.
struct Edge(Socket);

impl Edge {
    fn dial(world: &World) -> Self {
        Self::over(Wire::connect(world.addr))
    }

    fn over(wire: Wire) -> Self {
        let offer = [("Sec-WebSocket-Protocol", "polliwog.mux.v1.json")];
        Self(Socket::over(wire, "/mux", &offer).expect("accepted"))
    }

    /// Sends `hello` and reads the response.
    fn greet(mut self, epoch: &str) -> Self {
        self.say(&hello(epoch));
        assert_eq!(self.hear()[0], "hello");
        self
    }

    /// Opens a session that is accepted.
    fn open(&mut self, id: &str) {
        self.say(&open(id));
        assert_eq!(self.hear(), json!(["ok", id, {}]));
    }

    fn say(&mut self, frame: &Value) {
        self.0.send(&frame.to_string());
    }

    fn hear(&mut self) -> Value {
        serde_json::from_str(&self.0.text()).expect("a frame")
    }

    /// Returns the code and reason of the Close frame that ends it, and skips what comes before.
    fn told(&mut self) -> (Option<u16>, String) {
        let close = std::iter::repeat_with(|| self.0.frame()).find(|frame| frame.op == Op::CLOSE).unwrap();
        let reason = close.payload.get(2..).unwrap_or_default();
        (close.code(), String::from_utf8_lossy(reason).into_owned())
    }
}

fn hello(epoch: &str) -> Value {
    json!(["hello", {"v": 1, "epoch": epoch, "credit": 1000, "max_message": 1000, "resume_ms": 30_000}])
}

fn open(id: &str) -> Value {
    let client = "203.0.113.9:51234";
    json!(["open", id, {"path": "/", "dialect": "websocket", "transport": "websocket", "client": client,
        "headers": [], "protocols": []}])
}

fn because(reason: &str) -> (Option<u16>, String) {
    (Some(1002), reason.to_owned())
}

#[test]
fn a_first_frame_that_is_no_hello_is_refused_with_a_reason() {
    let Some(world) = world(Setup::plain()) else { return };
    let long = hello(&"e".repeat(129)).to_string();
    let no_hello = "the first frame is no hello with an epoch";
    for (op, first, reason) in [
        (Op::TEXT, "{".as_bytes(), "not JSON"),
        (Op::TEXT, br#"["drain",1]"#, no_hello),
        (Op::TEXT, long.as_bytes(), no_hello),
        (Op::BINARY, b"\x01", "a binary message in the JSON profile"),
        (Op::TEXT, b"\xff", "a text is not UTF-8"),
        (Op(3), b"", "not a WebSocket frame"),
    ] {
        let mut edge = Edge::dial(&world);
        edge.0.send_frame(&Frame::new(op, first));
        assert_eq!(edge.told(), because(reason));
    }
}

#[test]
fn a_proxy_that_is_sending_too_large_a_frame_learns_why_and_its_sessions_end_at_once() {
    let Some(world) = world(Setup::plain().upstream("max_message = 1000")) else { return };
    // More than the kernel buffers without a reader.
    let too_much = "x".repeat(16 << 20);
    let mut edge = Edge::dial(&world);
    edge.0.send(&too_much);
    assert_eq!(edge.told(), because("a frame is too large"));
    let mut edge = Edge::dial(&world).greet("epoch");
    edge.open("s1");
    let peer = world.accept();
    // The end of the frame is not sent yet.
    edge.0.wire.send(&Frame::new(Op::TEXT, &too_much).encode(Masked::Yes)[..1 << 20]);
    assert_eq!(peer.event_within(ms(500)), Some(Event::Closed(1002)));
    edge.0.wire.send(too_much.as_bytes());
    assert_eq!(edge.told(), because("a frame is too large"));
    world.assert_sessions(0);
}

#[test]
fn a_newer_connection_takes_over_the_sessions_and_the_older_is_closed_with_a_reason() {
    let Some(world) = world(Setup::plain()) else { return };
    for turn in 0..20 {
        let epoch = format!("epoch {turn}");
        let mut older = Edge::dial(&world).greet(&epoch);
        older.open("s1");
        let peer = world.accept();
        let mut newer = Edge::dial(&world);
        newer.say(&hello(&epoch));
        newer.say(&json!(["sync", epoch, [["s1", 0, 1000]]]));
        assert_eq!(older.told(), (Some(1001), "another connection took over".to_owned()));
        assert_eq!(newer.hear()[0], "hello");
        assert_eq!(newer.hear()[0], "sync");
        newer.say(&json!(["t", "s1", 1, "goes on"]));
        peer.assert_text("goes on");
    }
}

#[test]
fn a_session_that_is_given_up_before_its_ok_gets_none() {
    let Some(world) = world(Setup::plain().script(|script| script.delay = ms(300))) else { return };
    let mut edge = Edge::dial(&world).greet("epoch");
    edge.say(&open("s1"));
    edge.say(&json!(["x", "s1", 0, 1001, "gave up"]));
    assert_eq!(edge.hear()[0], "x");
    world.accept().assert_closed();
    world.assert_sessions(0);
    edge.say(&json!(["t", "s1", 1, "anybody?"]));
    assert_eq!(edge.hear(), json!(["x", "s1", 0, 1001, "unknown session"]), "no ok comes in between");
}

#[test]
fn a_proxys_hop_by_hop_and_body_headers_do_not_reach_the_backend() {
    let Some(world) = world(Setup::plain()) else { return };
    let mut edge = Edge::dial(&world).greet("epoch");
    let mut question = open("s1");
    let bad = ["content-length", "transfer-encoding", "te", "sec-websocket-extensions", "x-named"];
    let mut headers: Vec<_> = bad.iter().map(|name| json!([name, "5"])).collect();
    headers.extend([json!(["connection", "x-named"]), json!(["cookie", "a=b"])]);
    question[2]["headers"] = headers.into();
    edge.say(&question);
    assert_eq!(edge.hear()[0], "ok");
    let peer = world.accept();
    assert_eq!(bad.map(|name| peer.opening.header(name)), [None; 5]);
    assert_eq!(peer.opening.header("cookie"), Some("a=b"));
    assert_eq!(peer.opening.headers_named("connection"), ["Upgrade"]);
}

#[test]
fn a_path_that_climbs_above_its_root_begins_no_session() {
    let Some(world) = world(Setup::plain()) else { return };
    let mut edge = Edge::dial(&world).greet("epoch");
    for (index, path) in
        ["/socket.io/../../x", "/a/%2e%2e/..%2fx", "/..\\x?a=b", "/a//../../x"].iter().enumerate()
    {
        let id = format!("s{}", index + 1);
        let mut question = open(&id);
        question[2]["path"] = json!(path);
        edge.say(&question);
        let answer = edge.hear();
        assert_eq!((&answer[0], &answer[2]), (&json!("deny"), &json!(400)), "{path}: {answer}");
    }
    let mut question = open("s9");
    question[2]["path"] = json!("/a/../b?c=/../..");
    edge.say(&question);
    assert_eq!(edge.hear()[0], "ok");
    let peer = world.accept();
    assert!(peer.opening.path().ends_with("/a/../b"));
    // A request that has passed this proxy before is refused too.
    let mut question = open("s10");
    question[2]["headers"] = json!([["via", peer.opening.header("via").unwrap()]]);
    edge.say(&question);
    assert_eq!(edge.hear(), json!(["deny", "s10", 508, "request loop detected\n"]));
}

#[test]
fn a_proxy_without_sessions_learns_of_a_drain_before_its_connection_ends() {
    let Some(world) = world(Setup::plain()) else { return };
    let mut edge = Edge::dial(&world).greet("epoch");
    world.target.signal("TERM");
    assert_eq!(edge.hear(), json!(["drain", 30]));
    assert_eq!(edge.told(), (Some(1001), "going away".to_owned()));
}

/// Writes this repeatedly without reading. Returns how much memory that takes, and whether the proxy stopped reading.
fn flood(world: &World, bytes: &[u8], rounds: usize) -> (usize, bool) {
    let edge = Edge::over(Wire::connect_narrow(world.addr)).greet("epoch");
    let before = world.target.resident();
    let mut writer = edge.0.wire.writer();
    writer.set_write_timeout(Some(ms(300))).unwrap();
    let is_stopped = (0..rounds).any(|_| writer.write_all(bytes).is_err());
    (world.target.resident().saturating_sub(before), is_stopped)
}

#[test]
fn a_proxy_that_reads_no_responses_is_not_read_without_end() {
    let Some(world) = world(Setup::plain().server("max_sessions = 10")) else { return };
    let text = |frame: Value| Frame::new(Op::TEXT, frame.to_string()).encode(Masked::Yes);
    let arrivals: Vec<u8> = (1..2000).flat_map(|n| text(open(&format!("s{n}")))).collect();
    let pings = Frame::new(Op::PING, [7; 125]).encode(Masked::Yes).repeat(2000);
    for (what, bytes) in [("arrivals", arrivals), ("pings", pings)] {
        let (grown, is_stopped) = flood(&world, &bytes, 500);
        // Of pongs only the last one waits.
        assert!(is_stopped || what == "pings", "it read everything although its responses are not read");
        assert!(grown < 24 << 20, "{grown} bytes wait for a proxy that reads nothing: {what}");
    }
}

#[test]
fn a_close_packet_crosses_to_a_proxy_that_knows_it() {
    let Some(world) = world(Setup::new()) else { return };
    for knows in [true, false] {
        let mut edge = Edge::dial(&world);
        let mut hello = hello(&format!("epoch {knows}"));
        if knows {
            hello[1]["close_packets"] = json!(true);
        }
        edge.say(&hello);
        assert_eq!(edge.hear()[1]["close_packets"], json!(true));
        let mut open = open("s1");
        open[2]["dialect"] = json!("engine.io");
        edge.say(&open);
        assert_eq!(edge.hear()[0], "ok");
        let peer = world.accept();
        peer.line().send_frame(&Frame::new(Op::TEXT, "1"));
        let known = json!(["x", "s1", 0, 1005, "", true]);
        assert_eq!(edge.hear(), if knows { known } else { json!(["x", "s1", 0, 1005, ""]) });
    }
}
