//! What is known of headers below hyper.

use super::*;
use crate::budget::Budget;

#[test]
fn a_requests_head_is_kept_until_it_is_answered() {
    let raw = RawHeaders::default();
    raw.note_read(b"GET / HTTP/1.1\r\n");
    raw.note_read(b"\r\n");
    assert_eq!(raw.request(), b"GET / HTTP/1.1\r\n\r\n");
    raw.begin_request(0, Some(4));
    raw.note_read(b"body");
    assert_eq!((raw.request(), raw.request_len()), (b"GET / HTTP/1.1\r\n\r\n".to_vec(), Some(18)));
    raw.await_request(None);
    assert_eq!(raw.request(), b"");
    raw.note_read(b"GET");
    assert_eq!(raw.request(), b"GET");
    raw.end();
    raw.await_request(None);
    raw.note_read(b"GET");
    assert_eq!(raw.request(), b"", "another protocol has no headers");
}

#[test]
fn a_large_head_counts_until_its_request_begins_or_it_is_forgotten() {
    let budget = Budget::new(Some(100_000));
    let raw = RawHeaders::default().counted(budget.charge());
    let ends: [fn(&RawHeaders); 6] = [
        |raw| raw.begin_request(0, Some(0)),
        |raw| raw.await_request(None),
        RawHeaders::forget,
        RawHeaders::rest,
        RawHeaders::end,
        |_| {},
    ];
    for (number, end) in ends.into_iter().enumerate() {
        let raw = if number + 1 == ends.len() {
            raw.clone()
        } else {
            RawHeaders::default().counted(budget.charge())
        };
        raw.note_read(b"GET /");
        raw.note_read(&vec![b'a'; (8 << 10) - 5]);
        assert_eq!((budget.used(), raw.is_too_much()), (0, false), "{number}");
        raw.note_read(&vec![b'a'; 37_808]);
        assert_eq!((budget.used(), raw.is_too_much()), (92_000, true), "{number}");
        end(&raw);
        assert_eq!(budget.used() == 0, number + 1 < ends.len(), "{number}");
    }
    drop(raw);
    assert_eq!(budget.used(), 0);
}

#[test]
fn lines_are_counted_behind_the_first() {
    let raw = RawHeaders::default();
    raw.note_read(b"GET / HTTP/1.1\r\nA: b\r\nC: d\r");
    assert!(!raw.has_lines_over(1));
    raw.note_read(b"\n");
    assert!(raw.has_lines_over(1) && !raw.has_lines_over(2));
}

#[test]
fn a_request_that_was_read_elsewhere_leaves_no_trace() {
    let raw = RawHeaders::default();
    for _ in 0..2 {
        raw.begin_whole_request(Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n"));
        assert!(!raw.is_between_requests());
        assert_eq!((raw.request(), raw.request_len()), (b"GET / HTTP/1.1\r\n\r\n".to_vec(), Some(18)));
        raw.await_request(None);
        assert_eq!(raw.request(), b"");
        assert!(raw.is_between_requests());
    }
    // The next one is read here, from its first byte.
    assert_eq!(read(&raw, b"GET /<"), "GET /%3C");
}

#[test]
fn only_what_is_written_while_a_head_is_read_is_a_refusal() {
    const REFUSED: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
    let raw = RawHeaders::default();
    let written = |bytes| raw.note_written(bytes, true);
    assert_eq!(written(REFUSED), Written::Bytes, "no head has come");
    raw.note_read(b"GET");
    assert_eq!(written(REFUSED), Written::Head(SpelledNames::Refusal));
    assert_eq!(written(b"HTTP/1.1 200 OK\r\n\r\n"), Written::Bytes);
    assert_eq!(raw.note_written(REFUSED, false), Written::Bytes, "it may be a piece of a body");
    raw.begin_request(0, Some(0));
    assert_eq!(written(REFUSED), Written::Bytes, "a backend's");
    raw.end();
    raw.note_read(b"GET");
    assert_eq!(written(REFUSED), Written::Bytes, "another protocol's");
}

/// Returns what is read in place of these bytes.
fn read(raw: &RawHeaders, bytes: &[u8]) -> String {
    let instead = raw.note_read(bytes);
    if let Some(instead) = &instead {
        assert_eq!(raw.note_read(instead), None, "it is escaped once");
    }
    String::from_utf8(instead.unwrap_or(bytes.to_vec())).unwrap()
}

#[test]
fn what_no_target_may_have_is_escaped_there_and_nowhere_else() {
    let raw = RawHeaders::default();
    let head = "GET /<\"?a=<b>&c=\"d\" HTTP/1.1\r\nX: <>\"\r\n";
    let escaped = "GET /%3C\"?a=%3Cb%3E&c=%22d%22 HTTP/1.1\r\nX: <>\"\r\n";
    assert_eq!(read(&raw, head.as_bytes()), escaped);
    assert_eq!(read(&raw, b"Y: <>\"\r\n\r\n"), "Y: <>\"\r\n\r\n");
    // After requests without and with a body, part of which may come with the header; and in pieces.
    for (lines, body_len, body) in [(2, 0, &b""[..]), (1, 3, b"<>\""), (1, 5, b"<>\"")] {
        raw.begin_request(lines, Some(body_len));
        read(&raw, body);
        raw.await_request(None);
        let last = if body_len == 0 { "" } else { "<>" };
        let pieces = ["G", "ET /", "<\"", "?", "<\"", " HTTP/1.1\r\nX: <", "\r\n\r\n", last];
        let escaped: String = pieces.iter().map(|piece| read(&raw, piece.as_bytes())).collect();
        assert!(escaped.starts_with("GET /%3C\"?%3C%22 HTTP/1.1\r\nX: <\r\n\r\n"), "{escaped}");
    }
    let raw = RawHeaders::default();
    assert_eq!(read(&raw, b"G<T / HTTP/1.1\r\n"), "G<T / HTTP/1.1\r\n");
}

#[test]
fn the_next_request_begins_behind_a_body_that_came_with_its_head() {
    for body in ["ab", "\r\n\r\n", "a\n\nGET / HTTP/1.1\r\n\r\n"] {
        let raw = RawHeaders::default();
        read(&raw, format!("POST / HTTP/1.1\r\nA: <\r\nB: >\r\n\r\n{body}").as_bytes());
        raw.begin_request(2, Some(body.len() as u64));
        raw.await_request(None);
        assert_eq!(read(&raw, b"GET /<"), "GET /%3C", "{body:?}");
    }
}

#[test]
fn nothing_is_escaped_once_it_is_not_certain_where_a_request_begins() {
    const HEAD: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
    let with = |before: &[u8], behind: &[u8]| [before, HEAD, behind].concat();
    let cases = [
        ("an early answer", HEAD.to_vec(), Some(4), &b"bo"[..]),
        ("a body of unknown length", HEAD.to_vec(), None, b""),
        ("a request ahead of time", HEAD.to_vec(), Some(0), b"GET "),
        ("a part of a request behind it", with(b"", b"GET /"), Some(0), b""),
        ("a request behind it", with(b"", HEAD), Some(0), b""),
        ("a line that hyper has not counted", b"GET / HTTP/1.1\r\nX: y\r\n\r\n".to_vec(), Some(0), b""),
        ("an empty line before it", with(b"\r\n", b""), Some(0), b""),
        ("two empty lines before it", with(b"\r\n\r\n", b""), Some(16), b""),
        (
            "a bare line feed, and an empty line in what is behind it",
            b"GET / HTTP/1.1\n\nX\r\n\r\n".to_vec(),
            Some(0),
            b"",
        ),
    ];
    for (name, bytes, body_len, served) in cases {
        let raw = RawHeaders::default();
        read(&raw, &bytes);
        raw.begin_request(0, body_len);
        read(&raw, served);
        raw.await_request(None);
        assert_eq!(read(&raw, b"GET /<"), "GET /<", "{name}");
        // And never again.
        read(&raw, b" HTTP/1.1\r\n\r\n");
        raw.begin_request(0, Some(0));
        raw.await_request(None);
        assert_eq!(read(&raw, b"GET /<"), "GET /<", "{name}");
    }
    let raw = RawHeaders::default();
    raw.end();
    assert_eq!(read(&raw, b"GET /<"), "GET /<", "another protocol");
}
