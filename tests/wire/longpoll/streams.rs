//! Streaming responses: events for browsers, lines for other clients.

use std::thread;
use std::time::Instant;

use super::{session, setup, world_of};
use crate::support::http::head;
use crate::support::wire::{Fill, Wire};
use crate::support::{Event, QUIET, SOON, assert_took, ms, patiently};

const EVENTS: &str = "text/event-stream";
const LINES: &str = "application/x-ndjson";

#[test]
fn an_event_source_gets_each_message_with_its_number() {
    let Some(world) = world_of(setup()) else { return };
    let (feed, peer) = session(&world);
    let mut events = feed.events(None);
    assert_eq!(events.head.line, "HTTP/1.1 200 OK");
    for (name, value) in [
        ("content-type", EVENTS),
        ("cache-control", "no-store"),
        ("x-accel-buffering", "no"),
        ("transfer-encoding", "chunked"),
    ] {
        assert_eq!(events.head.header(name), Some(value), "{name}");
    }
    events.assert("retry: 0\n\n");
    peer.send("a\nb");
    events.assert("id: 1\ndata: a\ndata: b\n\n");
    peer.send("a\rb");
    events.assert("id: 2\nevent: json\ndata: \"a\\rb\"\n\n");
    peer.send_binary(&[1, 2, 3, 4]);
    events.assert("id: 3\nevent: binary\ndata: AQIDBA==\n\n");
    events.assert_quiet();
}

#[test]
fn a_stream_of_lines_ends_when_it_has_waited() {
    patiently(|| {
        let Some(world) = world_of(setup()) else { return };
        let (feed, peer) = session(&world);
        let start = Instant::now();
        let mut lines = feed.stream("after=0&wait=0.4", LINES, None);
        assert_eq!(lines.head.header("content-type"), Some(LINES));
        peer.send("a");
        lines.assert("{\"id\":1,\"text\":\"a\"}\n");
        peer.send("b");
        lines.assert("{\"id\":2,\"text\":\"b\"}\n");
        lines.assert_end();
        assert_took(start.elapsed(), 400, 900);
    });
}

#[test]
fn a_stream_returns_no_more_messages_than_it_asked_for() {
    let Some(world) = world_of(setup()) else { return };
    let (feed, peer) = session(&world);
    peer.send_all(&["a", "b", "c"]);
    let mut lines = feed.stream("after=0&max=2", LINES, None);
    lines.assert("{\"id\":1,\"text\":\"a\"}\n{\"id\":2,\"text\":\"b\"}\n");
    lines.assert_end();
}

#[test]
fn last_event_id_counts_more_than_the_url() {
    let Some(world) = world_of(setup()) else { return };
    let (feed, peer) = session(&world);
    peer.send_all(&["a", "b", "c"]);
    let mut first = feed.stream("after=0", EVENTS, None);
    first.assert("retry: 0\n\nid: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: c\n\n");
    first.wire.reset();
    let mut second = feed.stream("after=0", EVENTS, Some(2));
    second.assert("retry: 0\n\nid: 3\ndata: c\n\n");
    feed.request("GET", "after=1", &[], b"").assert(409, r#"{"acknowledged":2,"sent":3}"#);
}

#[test]
fn an_event_source_receives_ten_times_what_may_be_kept() {
    let Some(world) = world_of(setup().route("outbox_max = \"40kB\"")) else { return };
    let (feed, peer) = session(&world);
    let texts: Vec<String> = (1..=400).map(|number| format!("{number:<1000}")).collect();
    let texts = &texts;
    thread::scope(|scope| {
        let line = peer.line().clone();
        scope.spawn(move || texts.iter().for_each(|text| line.send_text(text)));
        let (mut got, mut last, mut streams) = (0, None, 0);
        while got < texts.len() {
            streams += 1;
            let mut events = feed.stream("after=0", EVENTS, last);
            assert_eq!(events.head.status, 200);
            while let Some(line) = events.line() {
                if let Some(id) = line.strip_prefix("id: ") {
                    last = Some(id.parse().unwrap());
                }
                if let Some(data) = line.strip_prefix("data: ") {
                    assert_eq!(data, texts[got]);
                    got += 1;
                    assert_eq!(last, Some(got as u64));
                }
                if got == texts.len() {
                    break;
                }
            }
        }
        assert!((30..=60).contains(&streams), "a quarter of outbox_max each: {streams}");
    });
}

#[test]
fn a_stream_with_a_smaller_budget_ends_sooner() {
    let Some(world) = world_of(setup().route("stream_budget = \"1kB\"")) else {
        return;
    };
    let (feed, peer) = session(&world);
    let text = "x".repeat(600);
    peer.send_all(&[&text, &text, &text]);
    peer.settle();
    let mut events = feed.events(None);
    events.assert(&format!("retry: 0\n\nid: 1\ndata: {text}\n\n"));
    events.assert(&format!("id: 2\ndata: {text}\n\n"));
    events.assert_end();
}

#[test]
fn a_stream_that_a_newer_one_replaces_is_told_not_to_reconnect() {
    let Some(world) = world_of(setup()) else { return };
    let (feed, peer) = session(&world);
    let mut first = feed.events(None);
    peer.send("a");
    first.assert("retry: 0\n\nid: 1\ndata: a\n\n");
    let mut second = feed.events(None);
    first.assert("event: replaced\nretry: 86400000\ndata: \n\n");
    first.assert_end();
    second.assert("retry: 0\n\nid: 1\ndata: a\n\n");
    peer.send("b");
    second.assert("id: 2\ndata: b\n\n");
    let mut lines = feed.stream("after=2", LINES, None);
    second.assert("event: replaced\nretry: 86400000\ndata: \n\n");
    second.assert_end();
    lines.assert_quiet();
}

#[test]
fn a_stream_whose_client_is_cut_off_is_fetched_again_at_any_byte() {
    let Some(world) = world_of(setup()) else { return };
    let (feed, peer) = session(&world);
    let texts: Vec<String> = (1..=40).map(|number| format!("m{number}")).collect();
    for text in &texts {
        peer.send(text);
    }
    peer.settle();
    let mut last = None;
    let mut got = 0;
    let mut cut = 9;
    while got < texts.len() {
        let mut events = feed.events(last);
        // The client reads so many bytes of the body; an incomplete event does not count.
        let deadline = Instant::now() + QUIET;
        while events.wire.buffered().len() < cut && events.wire.fill(deadline) == Fill::Data {}
        let body = events.wire.take(cut.min(events.wire.buffered().len()));
        if cut % 2 == 0 {
            events.wire.reset();
        } else {
            events.wire.close();
        }
        cut = cut % 90 + 8;
        let body = String::from_utf8(body).unwrap();
        let whole = body.rfind("\n\n").map_or("", |end| &body[..end]);
        for event in whole.split("\n\n") {
            let Some((id, data)) =
                event.split_once("id: ").and_then(|(_, event)| event.split_once("\ndata: "))
            else {
                continue;
            };
            assert_eq!((id, data), ((got + 1).to_string().as_str(), texts[got].as_str()));
            got += 1;
            last = Some(got as u64);
        }
    }
}

#[test]
fn a_session_whose_stream_is_never_read_ends() {
    let setup = setup()
        .route("outbox_max = \"16MB\"")
        .route("stream_budget = \"16MB\"")
        .route("stall_timeout = \"400ms\"")
        .route("grace = \"300ms\"");
    let Some(world) = world_of(setup) else { return };
    let (feed, peer) = session(&world);
    let mut client = Wire::connect_narrow(world.addr);
    client.send(head("GET", &feed.target("after=0"), &[("Accept", EVENTS)]).as_bytes());
    let text = "x".repeat(1_000_000);
    let start = Instant::now();
    for _ in 0..12 {
        peer.send(&text);
    }
    // The kernels buffer some of it; the rest waits.
    assert!(matches!(peer.event_within(SOON), Some(Event::Closed(1001 | 1013))));
    assert!(start.elapsed() >= ms(300), "it had time: {:?}", start.elapsed());
    world.assert_sessions(0);
}
