//! The spelling of header names, which must not change: small servers and clients compare them exactly.

use std::time::Instant;

use crate::site::{Plan, Site};
use crate::support::SOON;
use crate::support::http::Client;

/// Returns the head that the client gets.
#[track_caller]
fn head_of_answer(client: &mut Client) -> String {
    let head =
        client.wire.take_until(b"\r\n\r\n", Instant::now() + SOON).expect("a response arrives in time");
    String::from_utf8(head).unwrap()
}

/// Fails unless each of `lines` is in the head, unchanged.
#[track_caller]
fn assert_lines(head: &str, lines: &[&str]) {
    for line in lines {
        assert!(head.split("\r\n").any(|found| found.starts_with(line)), "no {line:?} in:\n{head}");
    }
}

const REQUEST: &str = "GET /x HTTP/1.1\r\nHost: h\r\nX-TenANT: 7\r\nx-tenant: 8\r\nSOAPAction: a\r\n\
     ETag-ish: 1\r\nContent-MD5: x\r\nConnection: keep-alive\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 200 Fine By Me\r\nETag: \"1\"\r\nx-lower: 1\r\nX-XSS-Protection: 0\r\n\
     WWW-AUTHENTICATE: Basic\r\nCONTENT-LENGTH: 0\r\n\r\n";

#[test]
fn a_forwarded_request_and_its_response_keep_their_spelling() {
    let site = Site::new();
    let mut client = site.client();
    client.wire.send(REQUEST.as_bytes());
    let mut line = site.accept();
    // Also on connections that have served a request before, on either side.
    for round in 0..3 {
        let request = line.until("\r\n\r\n");
        let names =
            ["Host: h", "X-TenANT: 7", "x-tenant: 8", "SOAPAction: a", "ETag-ish: 1", "Content-MD5: x"];
        assert_lines(&request, &names);
        assert_lines(&request, &["X-Forwarded-For: ", "X-Forwarded-Proto: ", "Forwarded: "]);
        line.reply(ANSWER);
        let answer = head_of_answer(&mut client);
        assert!(answer.starts_with("HTTP/1.1 200 Fine By Me\r\n"), "{answer}");
        assert_lines(
            &answer,
            &["ETag: ", "x-lower: ", "X-XSS-Protection: ", "WWW-AUTHENTICATE: ", "CONTENT-LENGTH: 0"],
        );
        if round < 2 {
            client.wire.send(REQUEST.as_bytes());
        }
    }
}

#[test]
fn headers_added_to_a_backends_response_are_spelled_as_in_their_rfc() {
    let site = Site::new();
    let mut client = site.client();
    client.wire.send(REQUEST.as_bytes());
    let mut line = site.accept();
    line.until("\r\n\r\n");
    line.reply("HTTP/1.1 200 OK\r\nx-own: connection: a\r\ncontent-type: b\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
    let answer = head_of_answer(&mut client);
    assert_lines(
        &answer,
        &["x-own: connection: a", "content-type: b", "Transfer-Encoding: chunked", "Date: "],
    );
}

#[test]
fn a_request_with_a_body_keeps_its_spelling() {
    let site = Site::new();
    let mut client = site.client();
    client.wire.send(b"POST /x HTTP/1.1\r\nHost: h\r\nX-ID: 1\r\ncontent-LENGTH: 3\r\n\r\nabc");
    let mut line = site.accept();
    assert_lines(&line.until("\r\n\r\nabc"), &["X-ID: 1", "content-LENGTH: 3"]);
    // What looks like a header in the body stays unchanged.
    client.wire.send(b"");
    line.reply(ANSWER);
    head_of_answer(&mut client);
    client.wire.send(b"POST /x HTTP/1.1\r\nHOST: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_lines(&line.until("\r\n\r\n"), &["HOST: h", "transfer-encoding: chunked"]);
}

#[test]
fn the_proxys_own_headers_are_spelled_as_in_their_rfc() {
    let site = Site::with(&Plan {
        dialect: "engine.io",
        path: "/socket.io/",
        kind: "engine.io",
        base: "/socket.io/",
        ..Plan::new()
    });
    // A polling handshake: the proxy's WebSocket handshake adds its headers to the client's.
    let mut client = site.client();
    client.wire.send(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: h\r\nX-TenANT: 7\r\n\r\n");
    let mut line = site.accept();
    let asked = line.until("\r\n\r\n");
    assert_lines(&asked, &["Host: h", "X-TenANT: 7", "Upgrade: websocket", "Connection: Upgrade"]);
    assert_lines(&asked, &["Sec-WebSocket-Key: ", "Sec-WebSocket-Version: 13", "X-Forwarded-For: "]);
    line.reply("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let refused = head_of_answer(&mut client);
    assert_lines(&refused, &["Content-Type: application/json", "Date: ", "Content-Length: "]);
}

#[test]
fn a_relayed_handshake_keeps_the_spelling_of_both_sides() {
    let site = Site::with(&Plan { dialect: "websocket", kind: "websocket", ..Plan::new() });
    let mut client = site.client();
    client.wire.send(
        b"GET /r HTTP/1.1\r\nHost: h\r\nUPGRADE: websocket\r\nConnection: Upgrade\r\nx-Odd: 1\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    let mut line = site.accept();
    assert_lines(
        &line.until("\r\n\r\n"),
        &["Sec-WebSocket-Key: dGhl", "Sec-WebSocket-Version: 13", "x-Odd: 1", "UPGRADE: websocket"],
    );
    line.reply(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nx-Own: 1\r\n\
         SEC-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    );
    assert_lines(
        &head_of_answer(&mut client),
        &["SEC-WebSocket-Accept: s3p", "x-Own: 1", "Upgrade: websocket"],
    );
}

#[test]
fn a_framed_handshake_is_answered_as_rfc_6455_spells_it() {
    let plan = Plan { dialect: "websocket", kind: "websocket", ..Plan::new() }.route("relay = false");
    let site = Site::with(&plan);
    let mut client = site.client();
    client.wire.send(
        b"GET /r HTTP/1.1\r\nhost: h\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
          sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n",
    );
    let mut line = site.accept();
    let asked = line.until("\r\n\r\n");
    assert_lines(&asked, &["host: h", "Connection: Upgrade"]);
    let key = asked.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.to_owned())
    });
    let accept = crate::support::frames::accept(&key.expect("a key"));
    line.reply(&format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    ));
    let answer = head_of_answer(&mut client);
    assert_lines(&answer, &["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Upgrade: websocket"]);
}

#[test]
fn the_refusal_of_an_invalid_request_is_spelled_so_too() {
    let site = Site::new();
    let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: 1\r\n".repeat(600));
    for (request, status) in
        [("GET / HTTP/1.1\r\nno header\r\n\r\n", 400), (&many, 431), ("no request\r\n\r\n", 400)]
    {
        let mut client = site.client();
        client.wire.send(request.as_bytes());
        let answer = head_of_answer(&mut client);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert_lines(&answer, &["Connection: close", "Content-Length: 0", "Date: "]);
    }
}
