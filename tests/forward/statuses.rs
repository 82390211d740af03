//! Responses without a body, and interim responses.

use std::thread;

use crate::site::{Site, ok};
use crate::support::{QUIET, ms};

#[test]
fn a_response_without_a_body_keeps_its_content_length() {
    let site = Site::new();
    let mut client = site.client();
    let mut line = None;
    for (method, answer, length) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", Some("1234")),
        ("HEAD", "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\n", Some("7")),
        // An invalid length is not passed on.
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", None),
        ("HEAD", "HTTP/1.1 200 OK\r\n\r\n", None),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        ("HEAD", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", Some("99")),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 1234\r\n\r\n", Some("1234")),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n", Some("0")),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n", None),
        ("DELETE", "HTTP/1.1 204 No Content\r\n\r\n", None),
        // RFC 9110, section 8.6: a 204 has no `Content-Length`, whatever the backend sends.
        ("DELETE", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", None),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Some("0")),
        ("GET", "HTTP/1.1 599 Mine\r\nContent-Length: 0\r\n\r\n", Some("0")),
    ] {
        client.send(method, "/", &[], b"");
        let line = line.get_or_insert_with(|| site.accept());
        assert_eq!(line.request().line(), format!("{method} / HTTP/1.1"));
        line.reply(answer);
        let came = client.wire.take_until(b"\r\n\r\n", std::time::Instant::now() + crate::support::SOON);
        let came = crate::support::http::Response::parse(&came.expect("a response arrives in time"));
        assert!(answer.starts_with(&came.line), "{} for {answer:?}", came.line);
        assert_eq!(came.header("content-length"), length, "{method} {answer:?}");
        assert_eq!(came.header("transfer-encoding"), None);
    }
    // All of that used one connection on each side: no side waited for a body.
    site.assert_quiet();
}

#[test]
fn the_backend_decides_whether_a_body_is_sent() {
    let site = Site::new();
    let mut client = site.client();
    client.wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    let mut line = site.accept();
    assert_eq!(line.request().header("expect"), Some("100-continue"));
    // The proxy must send no 100 itself: the client must get nothing for a while.
    thread::sleep(ms(300));
    client.assert_parked();
    line.reply("HTTP/1.1 100 Continue\r\n\r\n");
    let soon = std::time::Instant::now() + crate::support::SOON;
    assert_eq!(client.wire.take_until(b"\r\n\r\n", soon).unwrap(), b"HTTP/1.1 100 Continue\r\n\r\n");
    client.wire.send(b"body");
    assert_eq!(line.body(4), b"body");
    line.reply(&ok("done"));
    client.answer().assert(200, "done");
    client.send_get("/next");
    assert_eq!(line.request().target(), "/next");
    line.reply(&ok("kept"));
    client.answer().assert(200, "kept");
}

#[test]
fn a_body_that_the_backend_does_not_want_is_not_asked_for() {
    let site = Site::new();
    let mut client = site.client();
    client.wire.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    let mut line = site.accept();
    line.request();
    line.reply("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 3\r\n\r\n");
    // The headers pass alone, and the body later.
    thread::sleep(QUIET);
    line.reply("no!");
    let answer = client.answer();
    answer.assert(417, "no!");
    assert_eq!(answer.header("connection"), Some("close"), "what comes now would be taken for the body");
    assert!(client.ends_within(crate::support::SOON));
    line.assert_ends();
    site.assert_healthy();
}

#[test]
fn a_backend_that_knows_no_100_gets_the_body_too() {
    let site = Site::new();
    let mut client = site.client();
    client.wire.send(
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    );
    let mut line = site.accept();
    line.request();
    assert_eq!(line.until("0\r\n\r\n"), "2\r\nhi\r\n0\r\n\r\n");
    line.reply(&ok("done"));
    client.answer().assert(200, "done");
}

#[test]
fn interim_responses_are_not_passed_on() {
    let site = Site::new();
    let mut client = site.client();
    client.send_get("/");
    let mut line = site.accept();
    line.request();
    line.reply("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n");
    client.assert_parked();
    line.reply(&ok("page"));
    client.answer().assert(200, "page");
}

#[test]
fn so_many_interim_responses_are_read_and_no_more() {
    const HINT: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
    const MAX: usize = 100;
    let long = format!("HTTP/1.1 103 Early Hints\r\nLink: <{}>\r\n\r\n", "a".repeat(7000));
    let site = Site::new();
    let mut client = site.client();
    for too_many in [HINT.repeat(MAX + 1), HINT.repeat(100_000), long.repeat(10)] {
        client.send_get("/");
        let mut line = site.accept();
        line.request();
        // Each response has as many, and what looks like one in a body is none.
        for path in ["/next", "/last"] {
            line.reply(&format!("{}{}", HINT.repeat(MAX), ok(&HINT.repeat(MAX))));
            client.answer().assert(200, &HINT.repeat(MAX));
            client.send_get(path);
            assert_eq!(line.request().target(), path);
        }
        // The proxy does not read all of it.
        let _ = line.wire.try_send(too_many.as_bytes());
        client.answer().assert(502, "the upstream violated its protocol\n");
        line.assert_ends();
    }
    assert!(site.counted(502));
    site.assert_healthy();
}
