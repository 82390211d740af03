//! Messages from the client: each arrives once and in order, whatever is repeated or cut off.

use std::thread;
use std::time::Instant;

use super::{answer, closed, session, setup, world_of};
use crate::support::feed::Feed;
use crate::support::http::{Client, head};
use crate::support::target::Target;
use crate::support::{Event, QUIET, SOON, Setup, ms};

#[test]
fn a_post_is_one_message_of_its_content_types_kind() {
    let Some(world) = world_of(setup()) else { return };
    let (mut feed, peer) = session(&world);
    let taken = feed.post("", "é\n".as_bytes());
    assert_eq!(taken.line, "HTTP/1.1 204 No Content");
    assert_eq!(taken.header("content-type"), None);
    assert_eq!(taken.header("cache-control"), Some("no-store"));
    peer.assert_text("é\n");
    for kind in ["application/json", "application/x-www-form-urlencoded", "text/plain; charset=utf-8"] {
        assert_eq!(feed.request("POST", "", &[("Content-Type", kind)], b"[1]").status, 204, "{kind}");
        peer.assert_text("[1]");
    }
    assert_eq!(feed.request("POST", "", &[], b"a").status, 204);
    peer.assert_text("a");
    assert_eq!(feed.request("POST", "", &[], b"").status, 204);
    peer.assert_text("");
    let binary = [("Content-Type", "application/octet-stream")];
    assert_eq!(feed.request("POST", "", &binary, b"\xff\x00").status, 204);
    peer.assert_binary(b"\xff\x00");
}

#[test]
fn a_body_that_is_no_message_is_refused_and_the_session_goes_on() {
    let Some(world) = world_of(setup().max_payload(1000)) else { return };
    let (mut feed, peer) = session(&world);
    feed.post("id=1", b"\xff").assert(400, r#"{"error":"text is not UTF-8"}"#);
    let image = feed.request("POST", "id=1", &[("Content-Type", "image/png")], b"x");
    image.assert(415, r#"{"error":"no message is of this type"}"#);
    let large = feed.request("POST", "id=1", &[], &[b'x'; 1001]);
    large.assert(413, r#"{"error":"larger than max_payload"}"#);
    assert_eq!(feed.post("id=1", &[b'x'; 1000]).status, 204, "none of them has taken the number");
    peer.assert_text(&"x".repeat(1000));
}

#[test]
fn a_repeated_post_is_not_delivered_twice() {
    let Some(world) = world_of(setup()) else { return };
    let (mut feed, peer) = session(&world);
    for (query, body) in
        [("id=1", "a"), ("id=1", "a"), ("", "x"), ("id=2", "b"), ("id=1", "a"), ("id=2", "b"), ("id=3", "c")]
    {
        assert_eq!(feed.post(query, body.as_bytes()).status, 204, "{query}");
    }
    for text in ["a", "x", "b", "c"] {
        peer.assert_text(text);
    }
    feed.post("id=5", b"e").assert(409, r#"{"expected":4}"#);
    peer.assert_quiet();
}

#[test]
fn a_post_that_is_cut_off_has_no_effect() {
    let Some(world) = world_of(setup()) else { return };
    let (mut feed, peer) = session(&world);
    let whole = format!(
        "{}hello",
        head("POST", &feed.target("id=1"), &[("Content-Length", "5"), ("Content-Type", "text/plain")])
    );
    for cut in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
        let mut client = Client::connect(world.addr);
        client.wire.send(&whole.as_bytes()[..cut]);
        if cut % 2 == 0 { client.wire.reset() } else { client.wire.close() }
    }
    peer.assert_quiet();
    assert_eq!(feed.post("id=1", b"hello").status, 204);
    peer.assert_text("hello");
    peer.assert_quiet();
}

#[test]
fn a_post_whose_response_is_never_read_is_delivered_once() {
    let Some(world) = world_of(setup()) else { return };
    let (mut feed, peer) = session(&world);
    for number in 1..=20 {
        let body = format!("m{number}");
        let mut client = Client::connect(world.addr);
        client.send("POST", &feed.target(&format!("id={number}")), &[], body.as_bytes());
        if number % 3 == 0 {
            client.wire.reset();
        } else {
            client.wire.close();
        }
        assert_eq!(feed.post(&format!("id={number}"), body.as_bytes()).status, 204);
        peer.assert_text(&body);
    }
    peer.assert_quiet();
}

#[test]
fn several_posts_at_once_wait_in_order_for_a_backend_that_reads_nothing() {
    let Some(world) = world_of(setup().script(|script| script.narrow = true)) else { return };
    let (feed, peer) = session(&world);
    peer.line().pause();
    let body = vec![b'x'; 400_000];
    let target = feed.target("");
    let mut clients: Vec<_> = (0..12).map(|_| Client::connect(world.addr)).collect();
    for client in &mut clients {
        let mut client = client.wire.writer();
        let request = [head("POST", &target, &[("Content-Length", "400000")]).as_bytes(), &body].concat();
        thread::spawn(move || {
            let _ = std::io::Write::write_all(&mut client, &request);
        });
    }
    // A duplicate would come late: the backend must stay silent for a while.
    thread::sleep(ms(200));
    peer.line().resume();
    for client in &mut clients {
        assert_eq!(client.answer_within(SOON).expect("its answer comes").status, 204);
    }
    for _ in 0..12 {
        assert!(matches!(peer.event(), Event::Text(text) if text.len() == 400_000));
    }
}

#[test]
fn a_repeated_post_waits_for_the_outcome_of_the_first() {
    let Some(world) = world_of(setup().script(|script| script.narrow = true)) else { return };
    let (feed, peer) = session(&world);
    peer.line().pause();
    let body = vec![b'x'; 900_000];
    let target = feed.target("id=1");
    let post = |target: &str| {
        let mut client = Client::connect(world.addr);
        let mut writer = client.wire.writer();
        let request = [head("POST", target, &[("Content-Length", "900000")]).as_bytes(), &body].concat();
        thread::spawn(move || {
            let _ = std::io::Write::write_all(&mut writer, &request);
        });
        client.assert_parked();
        client
    };
    // Some of these fill the kernels' buffers.
    let mut filling: Vec<_> = Vec::new();
    loop {
        let mut client = Client::connect(world.addr);
        client.send("POST", &feed.target(""), &[], &body);
        if client.answer_within(QUIET * 3).is_err() {
            filling.push(client);
            break;
        }
        assert!(filling.len() < 40, "a backend that reads nothing takes everything");
    }
    let mut first = post(&target);
    let mut again = post(&target);
    peer.line().resume();
    assert_eq!(first.answer_within(SOON).expect("its answer comes").status, 204);
    assert_eq!(again.answer_within(SOON).expect("its answer comes").status, 204);
    assert_eq!(feed.request("POST", "id=2", &[], b"end").status, 204);
    let deadline = Instant::now() + SOON;
    let mut long = 0;
    while let Event::Text(text) = peer.event() {
        assert!(Instant::now() < deadline);
        if text == "end" {
            break;
        }
        long += 1;
    }
    let filled = long - 1;
    assert!(filled >= 1, "the first was delivered once: {long}");
    let mut feed = feed;
    feed.post("id=1", b"x").assert(204, "");
    peer.assert_quiet();
}

/// A client forgets responses, repeats POSTs and jumps back; in the end each side has what the other sent.
#[test]
fn a_client_that_forgets_responses_loses_nothing_and_gets_nothing_twice() {
    let Some(world) = world_of(setup()) else { return };
    let (feed, peer) = session(&world);
    let texts: Vec<String> = (1..=60).map(|number| format!("m{number}")).collect();
    thread::scope(|scope| {
        let (feed, texts) = (&feed, &texts);
        scope.spawn(move || send_badly(feed, texts));
        scope.spawn(move || {
            for text in texts {
                peer.send(text);
                // The messages are to come one by one, while the client comes and goes.
                thread::sleep(ms(2));
            }
            for text in texts {
                peer.assert_text(text);
            }
            peer.assert_quiet();
        });
        assert_eq!(receive_badly(feed, texts.len(), world.addr), *texts);
    });
}

fn send_badly(feed: &Feed, texts: &[String]) {
    for (number, text) in (1..).zip(texts) {
        let target = feed.target(&format!("id={number}"));
        for attempt in 0..number % 4 {
            let mut client = Client::connect(feed.addr());
            client.send("POST", &target, &[], text.as_bytes());
            match (number + attempt) % 3 {
                0 => client.wire.reset(),
                1 => client.wire.close(),
                _ => drop(client.answer_within(SOON)),
            }
        }
        assert_eq!(feed.request("POST", &format!("id={number}"), &[], text.as_bytes()).status, 204);
    }
}

fn receive_badly(feed: &Feed, count: usize, addr: std::net::SocketAddr) -> Vec<String> {
    let (mut got, mut after, mut turn) = (Vec::new(), 0_u64, 0_u64);
    let mut acknowledged = 0;
    while got.len() < count {
        turn += 1;
        let query = format!("after={after}&wait=1&max={}", 1 + turn % 5);
        let mut client = Client::connect(addr);
        client.send_get(&feed.target(&query));
        if turn % 3 == 0 {
            // It disconnects, or forgets what it has read.
            if turn % 2 == 0 {
                client.wire.reset();
            } else {
                drop(client.answer_within(SOON));
            }
            continue;
        }
        let answer = client.answer_within(SOON).expect("a response arrives in time");
        assert_eq!(answer.status, 200, "{answer:?}");
        acknowledged = acknowledged.max(after);
        let answer: serde_json::Value = serde_json::from_str(answer.text()).unwrap();
        for message in answer["messages"].as_array().unwrap() {
            let id = usize::try_from(message["id"].as_u64().unwrap()).unwrap();
            got.truncate(id - 1);
            assert_eq!(got.len(), id - 1, "a message is left out");
            got.push(message["text"].as_str().unwrap().to_owned());
        }
        after = answer["after"].as_u64().unwrap();
        if turn % 7 == 0 {
            // No further back than it has acknowledged.
            after = acknowledged.max(after.saturating_sub(2));
        }
    }
    got
}

#[test]
fn sessions_may_share_a_connection_to_their_backend() {
    let shared = Setup { dialect: "mux", path: "/mux", relay: false, ..Setup::plain() };
    let Some(world) = world_of(shared) else { return };
    let edge = Target::proxy_with(|public, admin| {
        format!(
            r#"[server]
listen = ["{public}"]
[admin]
listen = "{admin}"
[[routes]]
path = "/feed/"
dialect = "longpoll"
upstream = "b"
[upstreams.b]
kind = "mux"
url = "ws://{}/mux""#,
            world.addr
        )
    });
    let (mut one, mut other) = (Feed::begin(edge.public), Feed::begin(edge.public));
    let (first, second) = (world.accept(), world.accept());
    assert_eq!(one.post("id=1", b"a").status, 204);
    assert_eq!(other.post("id=1", b"b").status, 204);
    first.assert_text("a");
    second.assert_text("b");
    first.send_all(&["c", "d"]);
    one.get("after=0&max=1").assert(200, &answer(1, &["c"]));
    one.get("after=1").assert(200, &answer(2, &["d"]));
    second.send_binary(&[1, 2, 3, 4]);
    other.get("after=0").assert(200, r#"{"after":1,"messages":[{"id":1,"base64":"AQIDBA=="}]}"#);
    assert_eq!(one.request("DELETE", "", &[], b"").status, 204);
    assert_eq!(first.event(), Event::Closed(1000));
    second.close();
    other.get("after=1").assert(410, &closed(1005, "", 1));
}
