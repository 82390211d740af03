//! A side that stops reading, or stops in the middle of what it sends, is disconnected; one that is merely silent is
//! not.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use crate::site::{Line, Plan, Site};
use crate::support::http::Client;
use crate::support::wire::{Fill, Wire};
use crate::support::{AT_ONCE, SOON, ms, patiently};
use crate::tunnel::tunnel;

const STALL: Duration = ms(400);

fn site() -> Site {
    Site::with(&Plan::new().route("stall_timeout = \"400ms\"\nmax_body = 0"))
}

/// Returns a request whose answer has begun.
fn begun(site: &Site, request: &[u8], head: &str) -> (Client, Line) {
    let mut client = site.client();
    client.wire.send(request);
    let mut line = site.accept();
    line.request();
    line.reply(&format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n"));
    client.wire.take_until(b"\r\n\r\n", Instant::now() + SOON).expect("the head comes");
    (client, line)
}

/// Writes until the proxy closes the connection. Returns how long that took.
#[track_caller]
fn pour_until_cut(wire: &Wire) -> Duration {
    let mut writer = wire.writer();
    writer.set_write_timeout(Some(SOON)).unwrap();
    let (piece, start, mut sent) = ([b'x'; 1 << 14], Instant::now(), 0);
    while sent < 256 << 20 {
        match writer.write(&piece) {
            Ok(count) => sent += count,
            Err(error) => {
                assert_ne!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock,
                    "expected the proxy to close the connection, but it still waits"
                );
                return start.elapsed();
            }
        }
    }
    panic!("expected the proxy to stop reading, but it took 256 MB for a side that reads nothing");
}

/// Fails unless that took as long as a stall may.
#[track_caller]
fn assert_stalled(took: Duration) {
    assert!(took > STALL * 9 / 10 && took < STALL * 4, "{took:?}");
}

#[test]
fn a_client_that_does_not_read_its_response_is_disconnected() {
    patiently(|| {
        let site = site();
        for framing in ["Content-Length: 1000000000", "Connection: close"] {
            let (client, line) = begun(&site, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", framing);
            assert_stalled(pour_until_cut(&line.wire));
            drop(client);
        }
        site.assert_broke("stalled");
        assert!(
            site.target.log().contains("the other side read nothing for 400 ms"),
            "{}",
            site.target.log()
        );
        site.assert_healthy();
    });
}

#[test]
fn a_backend_that_does_not_read_a_body_is_disconnected_whether_or_not_its_response_has_begun() {
    patiently(|| {
        let site = site();
        let head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n".as_bytes();
        let (client, mut line) = begun(&site, head, "Transfer-Encoding: chunked");
        assert_stalled(pour_until_cut(&client.wire));
        line.assert_ends();
        site.assert_broke("stalled");
        let mut client = site.client();
        client.wire.send(head);
        let mut line = site.accept();
        line.request();
        let mut writer = client.wire.writer();
        let pouring = thread::spawn(move || while writer.write(&[b'x'; 1 << 14]).is_ok() {});
        assert_eq!(client.answer().status, 504);
        drop(client);
        pouring.join().unwrap();
        line.assert_ends();
        site.assert_healthy();
    });
}

#[test]
fn a_backend_that_stops_in_the_middle_of_a_response_with_a_length_is_disconnected() {
    patiently(|| {
        let site = site();
        let (mut client, mut line) = begun(&site, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "Content-Length: 10");
        // Bytes that come in time extend the deadline.
        for part in ["on", "ce"] {
            // Half of the time that a side may be silent.
            thread::sleep(STALL / 2);
            line.reply(part);
        }
        let start = Instant::now();
        assert_eq!(client.wire.take_exact(4, start + SOON).unwrap(), b"once");
        assert!(client.ends_within(SOON));
        assert_stalled(start.elapsed());
        line.assert_ends();
        site.assert_broke("stalled");
    });
}

#[test]
fn a_client_that_never_finishes_its_body_after_the_response_is_disconnected() {
    patiently(|| {
        let site = site();
        let request = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf";
        let (mut client, mut line) = begun(&site, request, "Content-Length: 0");
        let start = Instant::now();
        line.assert_ends();
        assert!(client.ends_within(SOON));
        assert_stalled(start.elapsed());
        site.assert_healthy();
    });
}

#[test]
fn a_side_of_a_tunnel_that_reads_nothing_is_disconnected() {
    patiently(|| {
        for client_pours in [true, false] {
            let site = site();
            let (mut client, mut line) = tunnel(&site);
            assert_stalled(pour_until_cut(if client_pours { &client.wire } else { &line.wire }));
            if client_pours {
                line.assert_ends();
            } else {
                assert!(client.ends_within(SOON));
            }
            site.assert_broke("stalled");
        }
    });
}

#[test]
fn silence_alone_is_no_stall() {
    let site = site();
    let (mut client, mut line) = tunnel(&site);
    let (mut stream, mut events) =
        begun(&site, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "Content-Type: text/event-stream");
    // Both are silent for longer than a side may stop reading.
    thread::sleep(STALL * 2);
    assert_eq!(
        stream.wire.fill(Instant::now() + AT_ONCE),
        Fill::Quiet,
        "expected the connection to stay open"
    );
    line.reply("down");
    assert_eq!(client.wire.take_exact(4, Instant::now() + SOON).unwrap(), b"down");
    client.wire.send(b"up");
    assert_eq!(line.body(2), b"up");
    events.reply("data: 1\n\n");
    stream.wire.take_until(b"data: 1\n\n", Instant::now() + SOON).expect("the event comes");
}

#[test]
fn a_slow_reader_is_no_stall() {
    patiently(|| {
        let site = site();
        let (mut client, line) =
            begun(&site, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "Content-Length: 20000000");
        let mut writer = line.wire.writer();
        let pouring = thread::spawn(move || writer.write_all(&vec![b'x'; 20_000_000]));
        let start = Instant::now();
        for _ in 0..20 {
            // It reads slowly, with pauses each far below the limit.
            thread::sleep(STALL / 4);
            client.wire.take_exact(1_000_000, Instant::now() + SOON).expect("it goes on");
        }
        assert!(start.elapsed() > STALL * 3);
        pouring.join().unwrap().unwrap();
        drop(line);
    });
}
