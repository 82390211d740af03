//! Compressed responses to polls (ENGINEIO.md, 2.4): from 1024 bytes on, gzip or deflate, and only a session's packets.

use std::io::Read as _;

use flate2::read::{GzDecoder, ZlibDecoder};

use crate::support::http::Response;
use crate::support::world::{Excluded, POLLING};
use crate::support::{Poller, Setup, World};

fn inflate(answer: &Response) -> String {
    let mut text = String::new();
    match answer.header("content-encoding") {
        Some("gzip") => GzDecoder::new(&answer.body[..]).read_to_string(&mut text).unwrap(),
        Some("deflate") => ZlibDecoder::new(&answer.body[..]).read_to_string(&mut text).unwrap(),
        Some(other) => panic!("expected gzip or deflate, got {other}"),
        None => return answer.text().to_owned(),
    };
    text
}

/// Polls as a client that accepts these codings.
#[track_caller]
fn poll(poller: &Poller, accepted: &str) -> Response {
    let answer = poller.request("GET", &[("Accept-Encoding", accepted)], b"");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=UTF-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer
}

#[test]
fn a_response_is_compressed_from_1024_bytes() {
    let world = World::new(Setup::new());
    let (poller, peer) = world.poller();
    for (len, coding) in [(1022, None), (1023, Some("gzip")), (100_000, Some("gzip"))] {
        let text = "x".repeat(len);
        peer.send(&text);
        let answer = poll(&poller, "gzip, deflate, br");
        assert_eq!(answer.header("content-encoding"), coding, "{len}");
        assert_eq!(inflate(&answer), format!("4{text}"));
        assert!(coding.is_none() || answer.body.len() < len / 2);
    }
}

#[test]
fn bytes_count_and_not_characters() {
    let world = World::new(Setup::new());
    let (poller, peer) = world.poller();
    let text = "é".repeat(512);
    peer.send(&text);
    let answer = poll(&poller, "gzip");
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(inflate(&answer), format!("4{text}"));
}

#[test]
fn a_client_gets_the_coding_that_it_prefers_and_no_other() {
    let world = World::new(Setup::new());
    let (poller, peer) = world.poller();
    let text = "abcdefghij".repeat(200);
    let cases = [
        ("gzip, deflate, br, zstd", Some("gzip")),
        ("deflate", Some("deflate")),
        ("deflate, gzip", Some("deflate")),
        ("gzip;q=0.5, deflate;q=0.8", Some("deflate")),
        ("gzip;q=0, deflate", Some("deflate")),
        ("*", Some("gzip")),
        ("gzip;q=0, *", Some("deflate")),
        ("identity, gzip;q=0.1", Some("gzip")),
        ("*;q=0", None),
        ("gzip;q=0", None),
        ("br, zstd", None),
        ("identity", None),
        ("", None),
    ];
    for (accepted, coding) in cases {
        peer.send(&text);
        let answer = poll(&poller, accepted);
        assert_eq!(answer.header("content-encoding"), coding, "{accepted:?}");
        assert_eq!(inflate(&answer), format!("4{text}"), "{accepted:?}");
    }
}

#[test]
fn a_client_without_accept_encoding_gets_plain_text_with_its_length() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    peer.send(&"x".repeat(5000));
    let answer = poller.get();
    assert_eq!(answer.header("content-encoding"), None);
    assert_eq!(answer.header("content-length"), Some("5001"));
}

#[test]
fn a_parked_poll_is_compressed_as_well() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    let target = poller.target();
    for len in [2000, 300_000] {
        poller.gets.send("GET", &target, &[("Accept-Encoding", "deflate")], b"");
        poller.gets.assert_parked();
        peer.send(&"y".repeat(len));
        let answer = poller.parked();
        assert_eq!(answer.header("content-encoding"), Some("deflate"));
        assert_eq!(inflate(&answer), format!("4{}", "y".repeat(len)));
    }
}

#[test]
fn many_messages_stay_whole_and_in_order() {
    let world = World::new(Setup::new());
    let (poller, peer) = world.poller();
    let texts: Vec<String> = (0..2000).map(|number| format!("message {number} ✓")).collect();
    for text in &texts {
        peer.send(text);
    }
    peer.send_binary(&[7; 3000]);
    let mut got = Vec::new();
    while got.len() < 2001 {
        let answer = poll(&poller, "gzip");
        got.extend(inflate(&answer).split('\u{1e}').map(str::to_owned).collect::<Vec<_>>());
    }
    for (got, text) in got.iter().zip(&texts) {
        assert_eq!(got, &format!("4{text}"));
    }
    assert!(got[2000].starts_with("bBwcH"));
}

#[test]
fn the_transports_own_responses_are_not_compressed() {
    let world = World::new(Setup::new());
    let takes = [("Accept-Encoding", "gzip")];
    let handshake = world.http().request("GET", POLLING, &takes, b"");
    assert_eq!(
        (handshake.status, handshake.header("content-encoding")),
        (200, None),
        "a short response is not compressed"
    );
    let (poller, _peer) = (Poller::handshake(world.addr), world.accept());
    let long = format!("4{}", "x".repeat(5000));
    let ok = poller.request("POST", &takes, long.as_bytes());
    ok.assert(200, "ok");
    assert_eq!(ok.header("content-encoding"), None);
    let error = world.http().request("GET", &format!("{POLLING}&sid=nobody"), &takes, b"");
    error.assert_unknown_sid();
    assert_eq!(error.header("content-encoding"), None);
}

#[test]
fn compression_can_be_switched_off() {
    let setup = Setup::new().route("compression = false");
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let (poller, peer) = world.poller();
    peer.send(&"x".repeat(5000));
    assert_eq!(poll(&poller, "gzip").header("content-encoding"), None);
}
