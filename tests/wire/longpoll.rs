//! longpoll: a session for every HTTP client, row by row as in `docs/longpoll.md`.

mod both_ways;
mod ends;
mod streams;

use std::thread;
use std::time::Instant;

use serde_json::json;

use crate::support::feed::Feed;
use crate::support::http::{Client, head};
use crate::support::script::Kind;
use crate::support::world::Excluded;
use crate::support::{Peer, SOON, Script, Setup, World, assert_took, ms, patiently};

pub(crate) fn setup() -> Setup {
    Setup {
        kind: Kind::WebSocket,
        dialect: "longpoll",
        path: "/feed/",
        // The setup's own script is an Engine.IO backend's.
        script: Script::new(Kind::WebSocket),
        ..Setup::new()
    }
}

fn world_of(setup: Setup) -> Option<World> {
    World::proxy_only(setup, Excluded::OnlyAProxyHasThis)
}

/// Returns a session, and its end in the application.
#[track_caller]
fn session(world: &World) -> (Feed, Peer) {
    let feed = Feed::begin(world.addr);
    (feed, world.accept())
}

/// Returns the body with these texts, the first of which has this number.
fn answer(first: u64, texts: &[&str]) -> String {
    let messages =
        texts.iter().zip(first..).map(|(text, id)| format!(r#"{{"id":{id},"text":{}}}"#, json!(text)));
    let after = first + texts.len() as u64 - 1;
    format!(r#"{{"after":{after},"messages":[{}]}}"#, messages.collect::<Vec<_>>().join(","))
}

fn closed(code: u16, reason: &str, after: u64) -> String {
    format!(r#"{{"closed":{{"code":{code},"reason":"{reason}"}},"after":{after}}}"#)
}

#[test]
fn a_session_begins_with_the_query_headers_and_cookies_of_its_client() {
    let Some(world) = world_of(setup()) else { return };
    let headers = [("Cookie", "a=b"), ("X-Device", "7")];
    let begun = world.http().request("POST", "/feed/?room=1", &headers, b"");
    let peer = world.accept();
    assert_eq!(peer.opening.target, "/feed/?room=1");
    assert_eq!((peer.opening.header("cookie"), peer.opening.header("x-device")), (Some("a=b"), Some("7")));
    let url = begun.header("location").unwrap();
    let sid = url.strip_prefix("/feed/").unwrap();
    assert_eq!(begun.line, "HTTP/1.1 201 Created");
    begun.assert(201, &format!(r#"{{"session":"{sid}","url":"{url}","after":0}}"#));
    assert_eq!(begun.header("content-type"), Some("application/json"));
    assert_eq!(begun.header("cache-control"), Some("no-store"));
    assert_eq!(world.sessions(), 1);
}

#[test]
fn a_backends_refusal_passes_unchanged_and_one_that_is_down_is_a_502() {
    let refusal = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 4\r\n\r\nwho?";
    let refusing = setup().script(|script| script.refusal = Some(refusal.into()));
    let Some(world) = world_of(refusing) else { return };
    let refused = world.http().request("POST", "/feed/", &[], b"");
    refused.assert(401, "who?");
    assert_eq!(refused.header("www-authenticate"), Some("Basic"));
    let down = world_of(setup().url("ws://127.0.0.1:1/")).unwrap();
    assert_eq!(down.http().request("POST", "/feed/", &[], b"").status, 502);
}

#[test]
fn a_request_that_cannot_be_served_says_why() {
    let Some(world) = world_of(setup()) else { return };
    let (feed, peer) = session(&world);
    world.get("/feed/nobody").assert(404, r#"{"error":"no such session"}"#);
    world.get(&format!("{}/x", feed.url)).assert(404, r#"{"error":"no such session"}"#);
    let entrance = world.get("/feed/");
    entrance.assert(405, r#"{"error":"method not allowed"}"#);
    assert_eq!(entrance.header("allow"), Some("POST"));
    for method in ["HEAD", "PUT", "PATCH"] {
        let refused = feed.request(method, "", &[], b"");
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, POST, DELETE")), "{method}");
    }
    feed.request("GET", "after=x", &[], b"").assert(400, r#"{"error":"after is not a number"}"#);
    let full = world.http().request("POST", "/feed/", &[], b"hello");
    full.assert(400, r#"{"error":"a session begins without a body"}"#);
    peer.assert_quiet();
}

#[test]
fn an_empty_body_is_none_however_it_is_framed() {
    let Some(world) = world_of(setup()) else { return };
    let chunked = [("Transfer-Encoding", "chunked")];
    // In one piece, and in two.
    for pause in [ms(0), ms(100)] {
        let mut client = world.http();
        client.wire.send(head("POST", "/feed/", &chunked).as_bytes());
        // The head must have been read alone.
        thread::sleep(pause);
        client.wire.send(b"0\r\n\r\n");
        assert_eq!(client.answer().status, 201);
        drop(world.accept());
    }
    for body in ["1\r\nx\r\n0\r\n\r\n", "1\r\nx\r\n"] {
        let mut client = world.http();
        client.wire.send([&head("POST", "/feed/", &chunked), body].concat().as_bytes());
        client.answer().assert(400, r#"{"error":"a session begins without a body"}"#);
    }
}

#[test]
fn a_get_waits_for_a_message_and_returns_it_with_its_number() {
    let Some(world) = world_of(setup()) else { return };
    let (mut feed, peer) = session(&world);
    feed.park("after=0");
    peer.send("a\"\n");
    let first = feed.gets.answer();
    first.assert(200, &answer(1, &["a\"\n"]));
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert_eq!(first.header("cache-control"), Some("no-store"));
    peer.send_binary(&[1, 2, 3, 4]);
    peer.send("");
    peer.settle();
    feed.get("after=1")
        .assert(200, r#"{"after":3,"messages":[{"id":2,"base64":"AQIDBA=="},{"id":3,"text":""}]}"#);
}

#[test]
fn a_get_that_finds_nothing_repeats_its_cursor_when_it_has_waited() {
    patiently(|| {
        let Some(world) = world_of(setup().route("wait = \"300ms\"")) else { return };
        let (mut feed, peer) = session(&world);
        let nothing = r#"{"after":0,"messages":[]}"#;
        let start = Instant::now();
        feed.get("wait=0").assert(200, nothing);
        assert_took(start.elapsed(), 0, 150);
        let start = Instant::now();
        feed.get("after=0&wait=0.1").assert(200, nothing);
        assert_took(start.elapsed(), 100, 250);
        for query in ["after=0", "after=0&wait=60"] {
            let start = Instant::now();
            feed.get(query).assert(200, nothing);
            assert_took(start.elapsed(), 300, 800);
        }
        peer.send("a");
        feed.get("").assert(200, &answer(1, &["a"]));
        feed.get("after=1&wait=0").assert(200, r#"{"after":1,"messages":[]}"#);
    });
}

#[test]
fn what_is_not_acknowledged_is_fetched_again() {
    let Some(world) = world_of(setup()) else { return };
    let (mut feed, peer) = session(&world);
    peer.send_all(&["a", "b", "c"]);
    peer.settle();
    for query in ["", "after=0", "wait=0"] {
        feed.get(query).assert(200, &answer(1, &["a", "b", "c"]));
    }
    feed.get("after=2").assert(200, &answer(3, &["c"]));
    // Without a number nothing is acknowledged, and all kept messages are returned.
    feed.get("").assert(200, &answer(3, &["c"]));
    // A response that is never read.
    let mut lost = Client::connect(world.addr);
    lost.send_get(&feed.target("after=2"));
    lost.wire.reset();
    feed.get("after=2").assert(200, &answer(3, &["c"]));
    feed.get("after=3&wait=0").assert(200, r#"{"after":3,"messages":[]}"#);
}

#[test]
fn an_impossible_cursor_is_refused_before_anything_is_replaced() {
    let Some(world) = world_of(setup()) else { return };
    let (mut feed, peer) = session(&world);
    peer.send_all(&["a", "b", "c"]);
    feed.get("after=0&max=2").assert(200, &answer(1, &["a", "b"]));
    feed.get("after=2").assert(200, &answer(3, &["c"]));
    feed.park("after=3");
    let body = r#"{"acknowledged":3,"sent":3}"#;
    feed.request("GET", "after=2", &[], b"").assert(409, body);
    feed.request("GET", "after=4", &[], b"").assert(400, body);
    feed.request("GET", "after=18446744073709551615", &[], b"").assert(400, body);
    // The parked GET was not disturbed.
    peer.send("d");
    feed.gets.answer().assert(200, &answer(4, &["d"]));
}

#[test]
fn a_newer_get_replaces_the_one_that_waits() {
    let Some(world) = world_of(setup()) else { return };
    let (mut feed, peer) = session(&world);
    feed.park("after=0");
    let mut newer = Client::connect(world.addr);
    newer.send_get(&feed.target("after=0"));
    feed.gets.answer().assert(200, r#"{"after":0,"messages":[]}"#);
    newer.assert_parked();
    peer.send("a");
    newer.answer().assert(200, &answer(1, &["a"]));
}

#[test]
fn a_response_is_limited_by_max_and_bytes() {
    let Some(world) = world_of(setup()) else { return };
    let (mut feed, peer) = session(&world);
    peer.send_all(&["a", "b", "c"]);
    peer.settle();
    feed.get("after=0&max=2").assert(200, &answer(1, &["a", "b"]));
    feed.get("after=0&bytes=1").assert(200, &answer(1, &["a"]));
    feed.get("after=0&max=100&bytes=100000").assert(200, &answer(1, &["a", "b", "c"]));
}

#[test]
fn the_backend_is_not_read_while_too_much_is_kept() {
    let Some(world) = world_of(setup().route("outbox_max = \"100kB\"")) else { return };
    let (mut feed, peer) = session(&world);
    let text = "x".repeat(10_000);
    let flood: Vec<_> = (0..500).map(|_| text.as_str()).collect();
    let sent = thread::scope(|scope| {
        let (line, flood) = (peer.line().clone(), &flood);
        let sender = scope.spawn(move || line.send_texts(flood));
        let (mut after, mut got) = (0_u64, 0);
        while got < flood.len() {
            let next = feed.get(&format!("after={after}"));
            let next: serde_json::Value = serde_json::from_str(next.text()).unwrap();
            let messages = next["messages"].as_array().unwrap();
            assert!(messages.len() <= 11, "{} messages were kept", messages.len());
            got += messages.len();
            after = next["after"].as_u64().unwrap();
        }
        sender.join().unwrap();
        after
    });
    assert_eq!(sent, flood.len() as u64);
}

#[test]
fn cors_and_compression_are_as_on_every_route() {
    let Some(world) = world_of(setup().route("cors = { origins = [\"https://a.example\"] }")) else { return };
    let origin = [("Origin", "https://a.example")];
    let begun = world.http().request("POST", "/feed/", &origin, b"");
    assert_eq!(begun.header("access-control-allow-origin"), Some("https://a.example"));
    let peer = world.accept();
    peer.send(&"x".repeat(5000));
    let target = format!("{}?after=0", begun.header("location").unwrap());
    let gzip = [origin[0], ("Accept-Encoding", "gzip")];
    let fetched = world.http().request("GET", &target, &gzip, b"");
    assert_eq!(fetched.header("content-encoding"), Some("gzip"));
    assert_eq!(fetched.header("access-control-allow-origin"), Some("https://a.example"));
    assert!(fetched.body.len() < 1000);
    let preflight = [origin[0], ("Access-Control-Request-Method", "DELETE")];
    let allowed = world.http().request("OPTIONS", &target, &preflight, b"");
    assert!(allowed.header("access-control-allow-methods").unwrap().contains("DELETE"), "{allowed:?}");
}

#[test]
fn a_foreign_origin_begins_no_session() {
    let Some(world) = world_of(setup().route("allowed_origins = [\"https://a.example\"]")) else { return };
    let refused = world.http().request("POST", "/feed/", &[("Origin", "https://b.example")], b"");
    refused.assert(403, r#"{"error":"forbidden origin"}"#);
    assert_eq!(world.http().request("POST", "/feed/", &[], b"").status, 201, "curl has no origin");
}

#[test]
fn a_response_that_is_cut_at_any_byte_is_fetched_again() {
    let Some(world) = world_of(setup()) else { return };
    let (mut feed, peer) = session(&world);
    let texts: Vec<String> = (1..=20).map(|number| format!("m{number}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    peer.send_all(&texts);
    peer.settle();
    let whole = answer(1, &texts);
    let request = head("GET", &feed.target("after=0"), &[]);
    for cut in (0..request.len()).step_by(9) {
        let mut client = Client::connect(world.addr);
        client.wire.send(&request.as_bytes()[..cut]);
        if cut % 2 == 0 {
            client.wire.reset();
        } else {
            client.wire.close();
        }
    }
    for cut in (1..whole.len()).step_by(37) {
        let mut client = Client::connect(world.addr);
        client.wire.send(request.as_bytes());
        client.wire.take_exact(cut, Instant::now() + SOON).expect("it begins");
        if cut % 2 == 0 {
            client.wire.reset();
        } else {
            client.wire.close();
        }
    }
    feed.get("after=0").assert(200, &whole);
    feed.get("after=20&wait=0").assert(200, r#"{"after":20,"messages":[]}"#);
}
