//! When a client disconnects, its request ends, whatever bytes follow it. A client that has only closed its own side
//! gets its response.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use crate::site::{Line, Plan, Site};
use crate::support::target::Target;
use crate::support::wire::{Fill, Wire};
use crate::support::{SOON, eventually, ms};

/// How a client disconnects.
#[derive(Clone, Copy, Debug)]
enum Leave {
    HalfClose,
    Close,
    Reset,
}

impl Leave {
    const ALL: [Self; 3] = [Self::HalfClose, Self::Close, Self::Reset];

    fn leave(self, wire: Wire) -> Option<Wire> {
        match self {
            Self::HalfClose => {
                wire.half_close();
                return Some(wire);
            }
            Self::Close => wire.close(),
            Self::Reset => wire.reset(),
        }
        None
    }
}

fn request(method: &str, body: &str) -> String {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("{method} /slow HTTP/1.1\r\nHost: a\r\n{length}\r\n{body}")
}

/// Fails unless the backend's connection ends in time.
#[track_caller]
fn assert_ends(line: &mut Line, within: Duration, case: &str) {
    assert!(line.wire.ends_within(within), "the backend still serves a client that is gone: {case}");
}

#[test]
fn a_byte_after_a_request_does_not_hide_that_its_client_is_gone() {
    let site = Site::with(&Plan::new().server("half_close_timeout = \"300ms\""));
    for leave in Leave::ALL {
        for (method, body) in [("GET", ""), ("POST", "body")] {
            for (at_once, later) in [("", ""), ("G", ""), ("", "G")] {
                let mut wire = Wire::connect(site.target.public);
                wire.send(format!("{}{at_once}", request(method, body)).as_bytes());
                let mut line = site.accept();
                line.request();
                wire.send(later.as_bytes());
                let _half = leave.leave(wire);
                assert_ends(&mut line, SOON, &format!("{leave:?} {method} {at_once:?} {later:?}"));
            }
        }
    }
}

#[test]
fn a_byte_after_the_request_for_a_stream_of_events_does_not_hide_that_its_client_is_gone() {
    let site = Site::with(&Plan::new().server("half_close_timeout = \"300ms\""));
    for leave in Leave::ALL {
        for behind in ["", "G"] {
            let mut wire = Wire::connect(site.target.public);
            wire.send(format!("{}{behind}", request("GET", "")).as_bytes());
            let mut line = site.accept();
            line.request();
            line.wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
            wire.take_until(b"data: 1", Instant::now() + SOON).expect("the first event");
            let _half = leave.leave(wire);
            assert_ends(&mut line, SOON, &format!("{leave:?} {behind:?}"));
        }
    }
}

#[test]
fn more_than_is_read_ahead_of_a_response_does_not_hide_for_ever_that_its_client_is_gone() {
    let site = Site::with(&Plan::new().route("stall_timeout = \"500ms\""));
    for (leave, later) in [(Leave::ALL[0], true), (Leave::ALL[0], false)] {
        let mut wire = Wire::connect(site.target.public);
        wire.send(request("GET", "").as_bytes());
        let mut line = site.accept();
        line.request();
        if later {
            // The extra bytes must come while the request waits, and not with it.
            thread::sleep(ms(200));
        }
        // More than the system buffers: the end comes after it, and is never read.
        let mut writer = wire.writer();
        let writing = thread::spawn(move || std::io::Write::write_all(&mut writer, &vec![b'G'; 16 << 20]));
        // The system buffers what it can, and the writer waits; nothing shows when.
        thread::sleep(ms(200));
        let _half = leave.leave(wire);
        assert_ends(&mut line, SOON, &format!("{leave:?} {later}"));
        let _broken = writing.join().unwrap();
    }
}

#[test]
fn more_than_is_read_ahead_of_a_response_may_be_the_next_request() {
    let site = Site::with(&Plan::new().server("half_close_timeout = 0"));
    let mut wire = Wire::connect(site.target.public);
    wire.send(request("GET", "").as_bytes());
    let mut line = site.accept();
    line.request();
    wire.send(request("POST", &"x".repeat(20_000)).as_bytes());
    // Longer than a client that has closed its side is waited with.
    thread::sleep(ms(1500));
    line.wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
    wire.take_until(b"first", Instant::now() + SOON).expect("the first response");
    line.request();
    line.wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond");
    wire.take_until(b"second", Instant::now() + SOON).expect("the second response");
}

#[test]
fn a_client_that_has_only_closed_its_side_gets_its_response() {
    let site = Site::new();
    for (method, body) in [("GET", ""), ("POST", "body")] {
        let mut wire = Wire::connect(site.target.public);
        wire.send(request(method, body).as_bytes());
        wire.half_close();
        let mut line = site.accept();
        line.request();
        // The proxy reads the end of the client's side meanwhile; nothing shows when it has.
        thread::sleep(ms(200));
        line.wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate");
        wire.take_until(b"\r\n\r\nlate", Instant::now() + SOON).expect("a response arrives in time");
    }
}

#[test]
fn without_half_close_timeout_a_client_that_closes_its_side_is_gone() {
    let site = Site::with(&Plan::new().server("half_close_timeout = 0"));
    for (method, body) in [("GET", ""), ("POST", "body")] {
        let mut wire = Wire::connect(site.target.public);
        wire.send(request(method, body).as_bytes());
        let mut line = site.accept();
        line.request();
        wire.half_close();
        assert_ends(&mut line, SOON, method);
        assert_eq!(wire.fill(Instant::now() + SOON), Fill::Eof);
    }
}

/// Returns a backend that answers `/fast`, and keeps everything else for as long as it is kept.
pub(crate) fn backend() -> std::net::SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut wire = Wire::new(stream);
                let Ok(head) = wire.take_until(b"\r\n\r\n", Instant::now() + SOON) else { return };
                if head.starts_with(b"GET /fast") {
                    wire.send(b"HTTP/1.1 204 No Content\r\n\r\n");
                }
                wire.ends_within(ms(60_000));
            });
        }
    });
    addr
}

/// Starts a proxy with a low limit on descriptors.
fn confined(descriptors: usize) -> Target {
    let backend = backend();
    Target::proxy_in(
        |_| {},
        &format!("ulimit -n {descriptors};"),
        |public, admin| {
            format!(
                "[server]\nlisten = [\"{public}\"]\nhalf_close_timeout = \"2s\"\n[admin]\nlisten = \"{admin}\"\n\
             [[routes]]\npath = \"/\"\ndialect = \"http\"\nupstream = \"b\"\n\
             [upstreams.b]\nkind = \"http\"\nurl = \"http://{backend}\"\n"
            )
        },
    )
}

#[test]
fn many_clients_that_leave_after_an_extra_byte_lock_nobody_out() {
    for leave in Leave::ALL {
        let target = confined(200);
        let (before, mut half_closed) = (target.descriptors(), Vec::new());
        for count in 0..240 {
            let mut wire = Wire::connect(target.public);
            wire.send(format!("{}G", request("GET", "")).as_bytes());
            // The proxy must not read all of them in one turn.
            thread::sleep(ms(1));
            half_closed.extend(leave.leave(wire));
            if count % 80 == 79 {
                let answer = crate::support::http::Client::connect(target.public).get("/fast");
                assert_eq!(answer.status, 204, "{leave:?}: {answer:?}");
            }
        }
        // Clients that only closed their side are kept for half_close_timeout.
        // One connection to the backend stays in the pool.
        let are_gone = || target.descriptors() <= before + 1;
        eventually(are_gone, || format!("{leave:?}: {} descriptors", target.descriptors()));
    }
}
