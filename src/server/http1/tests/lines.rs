//! What is read without hyper means what it means to hyper's own parser, however often it came before.

use http::HeaderMap;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::usual;

/// Reads a header as hyper's parser does: the target, and names and values.
fn parsed(header: &[u8]) -> Option<(String, HeaderMap)> {
    let mut room = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut room);
    if !matches!(request.parse(header), Ok(httparse::Status::Complete(len)) if len == header.len()) {
        return None;
    }
    let mut headers = HeaderMap::new();
    for line in &*request.headers {
        let name: http::HeaderName = line.name.parse().unwrap();
        headers.append(name, http::HeaderValue::from_bytes(line.value).unwrap());
    }
    Some((request.path.unwrap().to_owned(), headers))
}

/// Reads a header as often as it takes until it is known. Returns whether it is usual.
fn check(header: &[u8]) -> bool {
    check_with(header, "")
}

/// The same, with a body.
fn check_with(header: &[u8], body: &str) -> bool {
    let reads: Vec<_> = (0..3).map(|_| usual::read(&[header, body.as_bytes()].concat())).collect();
    let is_usual = reads[0].is_some();
    for read in reads {
        assert_eq!(read.is_some(), is_usual, "{:?}", String::from_utf8_lossy(header));
        let Some(usual) = read else { continue };
        let Some((target, headers)) = parsed(header) else {
            panic!("hyper refuses {:?}", String::from_utf8_lossy(header));
        };
        assert_eq!(usual.header, header);
        assert_eq!(usual.request.uri().to_string(), target.split('#').next().unwrap());
        assert_eq!(usual.request.headers(), &headers);
    }
    is_usual
}

#[test]
fn each_byte_means_the_same_everywhere() {
    let mut usual = 0;
    for byte in 0..=u8::MAX {
        for (before, after) in [
            ("GET /a", "b HTTP/1.1\r\nHost: x\r\n\r\n"),
            ("GET /a?", "b HTTP/1.1\r\nHost: x\r\n\r\n"),
            ("GET ", "/ HTTP/1.1\r\nHost: x\r\n\r\n"),
            ("GET / HTTP/1.1", "\r\nHost: x\r\n\r\n"),
            ("GET / HTTP/1.1\r\n", "Host: x\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHo", "st: x\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHost", ": x\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHost:", "x\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHost: x", "y\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHost: x", "\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHost: x\r", "\n\r\n"),
            ("GET / HTTP/1.1\r\nHost: x\r\n", "\r\n"),
            ("GET / HTTP/1.1\r\nHost: x\r\n", "A: y\r\n\r\n"),
        ] {
            let header = [before.as_bytes(), &[byte], after.as_bytes()].concat();
            usual += usize::from(check(&header));
        }
    }
    // Not everything is left to hyper.
    assert!(usual > 13 * 60, "{usual}");
}

#[test]
fn a_header_that_others_displace_is_read_again() {
    for round in 0..3 {
        for number in 0..2000 {
            let header = format!("GET /{round} HTTP/1.1\r\nA: {number}\r\nX-{number}: b\r\n\r\n");
            assert!(check(header.as_bytes()));
        }
    }
}

#[test]
fn a_body_has_its_own_length() {
    let check = |lines: &str, body| check_with(format!("POST / HTTP/1.1\r\n{lines}\r\n").as_bytes(), body);
    for _ in 0..2 {
        for body in ["", "a", "ab", "abcdefghijklmnopqrst", "abc"] {
            let len = body.len();
            assert!(check(&format!("Host: x\r\nContent-Length: {len}\r\nA: b\r\n"), body));
            assert!(check(&format!("Content-Length: {len}\r\n"), body));
            assert!(check(&format!("Host: x\r\ncontent-length:{len}\r\n"), body));
            assert!(!check(&format!("Host: x\r\nContent-Length: {}\r\nA: b\r\n", len + 1), body));
            assert!(!check("Host: x\r\nContent-Length: \r\nA: b\r\n", body));
            assert!(!check(&format!("Host: x\r\nContent-Length: +{len}\r\nA: b\r\n"), body));
            let twice = format!("Host: x\r\nContent-Length: {len}\r\ncontent-length: {len}\r\n");
            assert!(!check(&twice, body));
            assert!(!check(&twice.replacen(&len.to_string(), "7", 1), body));
        }
    }
}

proptest! {
    #[test]
    fn lines_mean_the_same(
        lines in vec(
            select(vec![
                "Host: x", "host: x", "Host:x", "Host:\tx \t", "Host: ", "Cookie: a=b", "cookie: a=c", "A: 1", "A: 2", "a: 1",
                "Content-Length: 0", "Content-Length: 1", "Content-Length: 2", "Content-Length:", "Content-Length: ", "content-length: 1", "Connection: keep-alive", "Connection: close", "Upgrade: a",
                "Authorization: b", " folded", "no colon", ": a", "A : b", "", "A: \u{e4}", "A: b\r", "X-Long-Name: long value",
            ]),
            0..8,
        ),
        begin in select(vec!["GET", "POST"]),
        long in 0_usize..1100,
        body in 0_usize..3,
    ) {
        let (lines, long) = ([vec!["F: g"], lines].concat().join("\r\n"), "v".repeat(long));
        let header = format!("{begin} / HTTP/1.1\r\n{lines}\r\nL: {long}\r\n\r\n");
        check_with(header.as_bytes(), &"b".repeat(body));
    }
}
