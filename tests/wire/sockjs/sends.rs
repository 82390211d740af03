//! What a client sends: `xhr_send` and `jsonp_send`.

use std::thread;

use crate::support::sockjs::{begin, park, poll, send, target, world};
use crate::support::{Event, ms};

const FORM: [(&str, &str); 1] = [("Content-Type", "application/x-www-form-urlencoded")];

#[test]
fn messages_arrive_in_order_one_text_message_each() {
    let Some(world) = world("") else { return };
    let peer = begin(&world, "a");
    let mut client = world.http();
    let body = br#" ["a","\u00e9\ud83d\ude00\/","",1.50,{"x":[null]},"\ud83d"] "#;
    let answer = client.request("POST", &target("a", "xhr_send"), &[("Content-Type", "T")], body);
    answer.assert(204, "");
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=UTF-8"));
    assert_eq!(answer.header("content-length"), None);
    for text in ["a", "é😀/", "", "1.50", "{\"x\":[null]}", "\u{fffd}"] {
        peer.assert_text(text);
    }
    client.request("POST", &target("a", "xhr_send"), &[], b"[]").assert(204, "");
    let form = b"x=1&d=%5B%22b+%2B%22%5D";
    let ok = client.request("POST", &target("a", "jsonp_send"), &FORM, form);
    ok.assert(200, "ok");
    assert_eq!(ok.header("content-length"), Some("2"));
    client
        .request("POST", &target("a", "jsonp_send"), &[("Content-Type", "text/plain")], b"[\"c\"]")
        .assert(200, "ok");
    peer.assert_text("b +");
    peer.assert_text("c");
    peer.assert_quiet();
}

#[test]
fn a_body_without_messages_harms_nothing() {
    let Some(world) = world("") else { return };
    let peer = begin(&world, "a");
    let mut client = world.http();
    for (what, headers, body, text) in [
        ("xhr_send", &[][..], &b""[..], "Payload expected."),
        ("xhr_send", &[], b"{}", "Payload expected."),
        ("xhr_send", &[], b"[\"a\",", "Broken JSON encoding."),
        ("xhr_send", &[], b"\xef\xbb\xbf[\"a\"]", "Broken JSON encoding."),
        ("xhr_send", &[("Content-Type", "application/octet-stream")], b"[\"a\"]", "Payload expected."),
        ("jsonp_send", &FORM, b"", "Payload expected."),
        ("jsonp_send", &FORM, b"d=", "Payload expected."),
        ("jsonp_send", &FORM, b"d=%5B%22a", "Broken JSON encoding."),
    ] {
        let answer = client.request("POST", &target("a", what), headers, body);
        answer.assert(500, text);
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=UTF-8"));
    }
    client.request("POST", &target("a", "xhr_send"), &[], b"[\"a\xffb\"]").assert(204, "");
    peer.assert_text("a\u{fffd}b");
}

#[test]
fn a_send_for_an_unknown_session_is_a_404_that_a_page_may_read() {
    let Some(world) = world("") else { return };
    let answer =
        world.http().request("POST", &target("a", "xhr_send"), &[("Origin", "http://a")], b"[\"x\"]");
    answer.assert(404, "404 Error: Page not found\n");
    assert_eq!(answer.header("access-control-allow-origin"), Some("http://a"));
    let answer = world.http().request("POST", &target("a", "jsonp_send"), &FORM, b"d=%5B%5D");
    answer.assert(404, "404 Error: Page not found\n");
}

#[test]
fn a_send_that_is_cut_off_does_nothing_and_the_session_lives() {
    let Some(world) = world("") else { return };
    let peer = begin(&world, "a");
    let mut client = world.http();
    client.wire.send(b"POST /echo/0/a/xhr_send HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n[\"lost\"");
    // Nothing shows when the part has arrived.
    thread::sleep(ms(100));
    drop(client);
    // A lost part must reach nobody: the backend must stay silent for a while.
    thread::sleep(ms(200));
    send(&world, "a", "[\"x\"]");
    peer.assert_text("x");
    peer.send("y");
    poll(&world, "a").assert(200, "a[\"y\"]\n");
}

#[test]
fn several_sends_at_once_all_arrive() {
    let Some(world) = world("") else { return };
    let peer = begin(&world, "a");
    let mut slow = world.http();
    slow.wire.send(b"POST /echo/0/a/xhr_send HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n[\"sl");
    // Nothing shows when the part has arrived.
    thread::sleep(ms(100));
    let mut clients: Vec<_> = (0..4).map(|_| world.http()).collect();
    for (at, client) in clients.iter_mut().enumerate() {
        client.send("POST", &target("a", "xhr_send"), &[], format!("[\"{at}\"]").as_bytes());
    }
    for client in &mut clients {
        client.answer().assert(204, "");
    }
    let mut texts: Vec<String> = std::iter::repeat_with(|| peer.event())
        .take(4)
        .filter_map(|event| if let Event::Text(text) = event { Some(text) } else { None })
        .collect();
    texts.sort();
    assert_eq!(texts, ["0", "1", "2", "3"]);
    slow.wire.send(b"ow\"]");
    slow.answer().assert(204, "");
    peer.assert_text("slow");
}

#[test]
fn a_send_over_the_limit_is_413_and_the_session_lives() {
    let Some(world) = world("max_payload = 1000") else { return };
    let peer = begin(&world, "a");
    let body = format!("[\"{}\"]", "x".repeat(2000));
    let answer = world.http().request("POST", &target("a", "xhr_send"), &[], body.as_bytes());
    assert_eq!(answer.status, 413);
    send(&world, "a", "[\"x\"]");
    peer.assert_text("x");
    let mut parked = park(&world, "a");
    peer.send("y");
    parked.answer().assert(200, "a[\"y\"]\n");
}

#[test]
fn a_jsonp_send_reaches_a_session_of_any_transport() {
    let Some(world) = world("") else { return };
    let peer = begin(&world, "a");
    world.http().request("POST", &target("a", "jsonp_send"), &FORM, b"d=%5B%22x%22%5D").assert(200, "ok");
    peer.assert_text("x");
}
