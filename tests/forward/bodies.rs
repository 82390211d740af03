//! Bodies stream both ways, whatever their length, and never seem complete when they are not.

use std::io::{Read as _, Write as _};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use crate::site::{Site, ok};
use crate::support::wire::{Fill, Wire};
use crate::support::{QUIET, SOON, ms};

/// The size of a large body.
const LARGE: usize = 100 << 20;
/// How much more memory the proxy may use meanwhile: buffers, and what the allocator keeps.
const FLAT: usize = 16 << 20;

/// Returns bytes that show their position.
fn pattern(from: usize, length: usize) -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let byte = |place| u8::try_from(place / 7 % 251).unwrap();
    let bytes = BYTES.get_or_init(|| (0..PERIOD + PIECE).map(byte).collect());
    &bytes[from % PERIOD..][..length]
}

const PERIOD: usize = 7 * 251;
const PIECE: usize = 1 << 20;

/// Writes `LARGE` bytes, `chunked` or bare.
fn pour(wire: &Wire, chunked: bool) -> thread::JoinHandle<()> {
    let mut writer = wire.writer();
    thread::spawn(move || {
        for from in (0..LARGE).step_by(PIECE) {
            let piece = pattern(from, PIECE);
            if chunked {
                write!(writer, "{PIECE:x}\r\n").unwrap();
            }
            writer.write_all(piece).unwrap();
            if chunked {
                writer.write_all(b"\r\n").unwrap();
            }
        }
        if chunked {
            writer.write_all(b"0\r\n\r\n").unwrap();
        }
    })
}

/// Reads `LARGE` bytes and checks each.
fn drink(wire: &mut Wire, chunked: bool, mut look: impl FnMut()) {
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut read = 0;
    while read < LARGE {
        let piece = if chunked {
            let line = wire.take_until(b"\r\n", deadline).expect("a chunk comes");
            usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap()
        } else {
            (LARGE - read).min(1 << 16)
        };
        let bytes = wire.take_exact(piece, deadline).expect("the body comes");
        assert!(bytes == pattern(read, piece), "wrong bytes near {read}");
        read += piece;
        if chunked {
            wire.take_exact(2, deadline).expect("a chunk ends");
        }
        look();
    }
    if chunked {
        assert_eq!(wire.take_exact(5, deadline).unwrap(), b"0\r\n\r\n");
    }
}

#[test]
fn a_hundred_megabytes_stream_to_the_backend_in_little_memory() {
    for chunked in [false, true] {
        let site = Site::new();
        let mut client = site.client();
        let framing = if chunked {
            "Transfer-Encoding: chunked".to_owned()
        } else {
            format!("Content-Length: {LARGE}")
        };
        client.wire.send(format!("POST / HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n").as_bytes());
        let mut line = site.accept();
        let request = line.request();
        let length = LARGE.to_string();
        assert_eq!(request.header("content-length"), (!chunked).then_some(length.as_str()));
        let (before, mut most) = (site.target.resident(), 0);
        let pouring = pour(&client.wire, chunked);
        drink(&mut line.wire, chunked, || most = most.max(site.target.resident()));
        pouring.join().unwrap();
        line.reply(&ok("all"));
        client.answer().assert(200, "all");
        assert!(most < before + FLAT, "from {before} to {most} bytes");
    }
}

#[test]
fn a_hundred_megabytes_stream_to_the_client_in_little_memory() {
    for chunked in [false, true] {
        let site = Site::new();
        let mut client = site.client();
        client.send_get("/");
        let mut line = site.accept();
        line.request();
        let framing = if chunked {
            "Transfer-Encoding: chunked".to_owned()
        } else {
            format!("Content-Length: {LARGE}")
        };
        line.reply(&format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"));
        client.wire.take_until(b"\r\n\r\n", Instant::now() + SOON).unwrap();
        let (before, mut most) = (site.target.resident(), 0);
        let pouring = pour(&line.wire, chunked);
        drink(&mut client.wire, chunked, || most = most.max(site.target.resident()));
        pouring.join().unwrap();
        assert!(most < before + FLAT, "from {before} to {most} bytes");
        client.send_get("/next");
        assert_eq!(line.request().target(), "/next");
    }
}

/// Writes until nothing was read for a while. Returns how much was written.
fn flood(wire: &Wire) -> usize {
    let mut writer = wire.writer();
    writer.set_write_timeout(Some(ms(500))).unwrap();
    let (piece, mut sent) = (vec![b'x'; 1 << 16], 0);
    while sent < LARGE {
        match writer.write(&piece) {
            Ok(count) => sent += count,
            Err(_) => break,
        }
    }
    sent
}

#[test]
fn a_client_that_does_not_read_stops_the_backend() {
    let site = Site::new();
    let mut client = site.client();
    client.send_get("/");
    let mut line = site.accept();
    line.request();
    line.reply(&format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"));
    let before = site.target.resident();
    let sent = flood(&line.wire);
    assert!(sent < LARGE / 2, "{sent} bytes were taken");
    assert!(site.target.resident() < before + FLAT);
    // The transfer goes on where it stopped.
    client.wire.take_until(b"\r\n\r\n", Instant::now() + SOON).unwrap();
    assert_eq!(client.wire.take_exact(sent, Instant::now() + SOON).unwrap().len(), sent);
    line.reply("more");
    assert_eq!(client.wire.take_exact(4, Instant::now() + SOON).unwrap(), b"more");
}

#[test]
fn a_backend_that_does_not_read_stops_the_client() {
    let site = Site::new();
    let mut client = site.client();
    client.wire.send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {LARGE}\r\n\r\n").as_bytes());
    let mut line = site.accept();
    line.request();
    let before = site.target.resident();
    let sent = flood(&client.wire);
    assert!(sent < LARGE / 2, "{sent} bytes were taken");
    assert!(site.target.resident() < before + FLAT);
    assert_eq!(line.body(sent).len(), sent);
    client.wire.send(b"more");
    assert_eq!(line.body(4), b"more");
}

#[test]
fn each_piece_of_a_body_passes_as_soon_as_it_arrives() {
    let site = Site::new();
    let mut client = site.client();
    client.wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut line = site.accept();
    line.request();
    line.reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.wire.take_until(b"\r\n\r\n", Instant::now() + SOON).unwrap();
    // The response has begun and the request is not complete: bodies pass both ways at once.
    for number in 0..5 {
        client.wire.send(format!("4\r\nup {number}\r\n").as_bytes());
        assert_eq!(line.until(&format!("up {number}\r\n")), format!("4\r\nup {number}\r\n"));
        line.reply(&format!("6\r\ndown {number}\r\n"));
        let down = client.wire.take_until(format!("down {number}\r\n").as_bytes(), Instant::now() + SOON);
        assert_eq!(down.unwrap(), format!("6\r\ndown {number}\r\n").as_bytes());
    }
    client.wire.send(b"0\r\n\r\n");
    line.until("0\r\n\r\n");
    line.reply("0\r\n\r\n");
    client.wire.take_until(b"0\r\n\r\n", Instant::now() + SOON).unwrap();
    client.send_get("/next");
    assert_eq!(line.request().target(), "/next");
}

#[test]
fn a_get_may_have_a_body() {
    let site = Site::new();
    for (framing, sent, came) in [
        ("Content-Length: 3", "abc", "abc"),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n"),
    ] {
        let mut client = site.client();
        client.wire.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n{sent}").as_bytes());
        let mut line = site.accept();
        line.request();
        assert_eq!(line.until(came), came);
        line.reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        client.answer().assert(200, "ok");
    }
}

#[test]
fn trailers_cross_both_ways() {
    let site = Site::new();
    let mut client = site.client();
    client.wire.send(
        b"POST / HTTP/1.1\r\nHost: h\r\nTE: trailers, gzip\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
          2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n",
    );
    let mut line = site.accept();
    let request = line.request();
    assert_eq!(
        (request.header("te"), request.header("connection"), request.header("trailer")),
        (Some("trailers"), Some("te"), Some("X-Sum"))
    );
    assert_eq!(line.until("\r\n\r\n").to_lowercase(), "2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n");
    line.reply(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Time\r\n\r\n2\r\nho\r\n0\r\nX-Time: 5\r\n\r\n",
    );
    let deadline = Instant::now() + SOON;
    let head = client.wire.take_until(b"\r\n\r\n", deadline).unwrap();
    assert!(String::from_utf8(head).unwrap().to_lowercase().contains("trailer: x-time"));
    let body = String::from_utf8(client.wire.take_until(b"\r\n\r\n", deadline).unwrap()).unwrap();
    assert_eq!(body.to_lowercase(), "2\r\nho\r\n0\r\nx-time: 5\r\n\r\n");
    client.send_get("/next");
    assert_eq!(line.request().target(), "/next");
}

#[test]
fn a_get_that_waits_gets_trailers_too() {
    let site = Site::new();
    let mut client = site.client();
    client.wire.send(b"GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: te\r\n\r\n");
    let mut line = site.accept();
    assert_eq!(line.request().header("te"), Some("trailers"));
    line.reply(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Time\r\n\r\n2\r\nho\r\n0\r\nX-Time: 5\r\n\r\n",
    );
    let deadline = Instant::now() + SOON;
    client.wire.take_until(b"\r\n\r\n", deadline).unwrap();
    let body = String::from_utf8(client.wire.take_until(b"\r\n\r\n", deadline).unwrap()).unwrap();
    assert_eq!(body.to_lowercase(), "2\r\nho\r\n0\r\nx-time: 5\r\n\r\n");
}

#[test]
fn a_client_that_did_not_ask_for_trailers_gets_none() {
    let site = Site::new();
    let mut client = site.client();
    client.send_get("/");
    let mut line = site.accept();
    assert_eq!(line.request().header("te"), None);
    line.reply(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Time\r\n\r\n2\r\nho\r\n0\r\nX-Time: 5\r\n\r\n",
    );
    client.answer().assert(200, "ho");
    client.send_get("/next");
    assert_eq!(line.request().target(), "/next");
}

#[test]
fn a_response_that_is_cut_off_never_seems_complete() {
    for (head, part) in [
        ("Content-Length: 10", "half"),
        ("Transfer-Encoding: chunked", "4\r\nhalf\r\n"),
        ("Transfer-Encoding: chunked", "8\r\nhalf"),
        ("Transfer-Encoding: chunked", "4\r\nhalf\r\nno length\r\n"),
    ] {
        let site = Site::new();
        let mut client = site.client();
        client.send_get("/");
        let mut line = site.accept();
        line.request();
        line.reply(&format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{part}"));
        // The part must pass before the end does.
        thread::sleep(QUIET);
        line.wire.close();
        let deadline = Instant::now() + SOON;
        client.wire.take_until(b"\r\n\r\n", deadline).expect("the head comes");
        let mut rest = Vec::new();
        while client.wire.fill(deadline) == Fill::Data {
            rest.extend(client.wire.take(client.wire.buffered().len()));
        }
        rest.extend(client.wire.buffered());
        let rest = String::from_utf8(rest).unwrap();
        assert!(rest.contains("half") && !rest.contains("0\r\n\r\n"), "{part:?}: {rest:?}");
        assert!(client.wire.try_send(b"x").is_err() || client.ends_within(SOON));
    }
}

#[test]
fn a_request_that_is_cut_off_ends_at_the_backend_too() {
    for (framing, part) in [("Content-Length: 10", "half"), ("Transfer-Encoding: chunked", "4\r\nhalf\r\n")] {
        let site = Site::new();
        let mut client = site.client();
        client.wire.send(format!("POST / HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n{part}").as_bytes());
        let mut line = site.accept();
        line.request();
        line.until("half");
        client.wire.close();
        let mut rest = Vec::new();
        let _ = line.wire.writer().set_read_timeout(Some(SOON));
        line.wire.writer().read_to_end(&mut rest).unwrap();
        assert!(!String::from_utf8(rest).unwrap().contains("0\r\n\r\n"), "{framing}");
        site.assert_healthy();
    }
}

#[test]
fn a_body_with_invalid_chunks_is_refused() {
    let site = Site::new();
    let mut client = site.client();
    client.wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
    let mut line = site.accept();
    line.request();
    client.wire.send(b"zz\r\n");
    assert_eq!(client.answer().status, 400);
    line.assert_ends();
    // At once: then the request may be given up before the backend has seen it.
    let mut client = site.client();
    client.wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nzz\r\n");
    assert_eq!(client.answer().status, 400);
    site.accept().assert_ends();
    site.assert_healthy();
}

#[test]
fn a_response_may_come_before_the_end_of_the_body() {
    let site = Site::new();
    let mut client = site.client();
    client.wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\nhalf");
    let mut line = site.accept();
    line.request();
    line.body(4);
    line.reply(&ok("enough"));
    client.answer().assert(200, "enough");
    client.wire.send(b"more");
    assert_eq!(line.body(4), b"more");
    // The request is over for the proxy by then; nothing shows when.
    thread::sleep(QUIET);
    client.send_get("/next");
    assert_eq!(line.request().target(), "/next");
}
