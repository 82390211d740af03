//! Other protocols: an upgrade that the backend accepts becomes a tunnel.

use std::thread;
use std::time::Instant;

use crate::site::{Line, Plan, Site, ok};
use crate::support::frames::{HANDSHAKE, Socket};
use crate::support::http::{Client, head};
use crate::support::{SOON, metrics, ms};

const ASK: [(&str, &str); 3] =
    [("Connection", "keep-alive, Upgrade"), ("Upgrade", "mine/1"), ("X-Mine", "1")];
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: mine/1\r\nX-Own: 1\r\n\r\n";

/// Opens a tunnel and returns its two ends; both have sent data together with their part of the handshake.
pub(crate) fn tunnel(site: &Site) -> (Client, Line) {
    let mut client = site.client();
    client.wire.send(head("GET", "/up", &ASK).as_bytes());
    let mut line = site.accept();
    let request = line.request();
    assert_eq!((request.header("connection"), request.header("upgrade")), (Some("upgrade"), Some("mine/1")));
    assert_eq!(request.header("x-mine"), Some("1"));
    line.reply(&format!("{SWITCH}early"));
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("upgrade")), (101, Some("mine/1")));
    assert_eq!((answer.header("connection"), answer.header("x-own")), (Some("upgrade"), Some("1")));
    assert_eq!(client.wire.take_exact(5, Instant::now() + SOON).unwrap(), b"early");
    (client, line)
}

#[test]
fn bytes_cross_both_ways_whatever_they_mean() {
    let site = Site::new();
    let (mut client, mut line) = tunnel(&site);
    client.wire.send(b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(line.until("\r\n\r\n"), "GET / HTTP/1.1\r\n\r\n");
    line.wire.send(&[0, 255, b'\r', b'\n']);
    assert_eq!(client.wire.take_exact(4, Instant::now() + SOON).unwrap(), [0, 255, b'\r', b'\n']);
    // A long silence and a large piece both pass.
    let large = vec![7; 4 << 20];
    let (mut writer, sent) = (client.wire.writer(), large.clone());
    let writing = thread::spawn(move || std::io::Write::write_all(&mut writer, &sent).unwrap());
    assert!(line.body(large.len()) == large);
    writing.join().unwrap();
    assert!(site.counted(101));
}

#[test]
fn nothing_in_a_tunnel_is_taken_for_http() {
    let site = Site::new();
    let (mut client, mut line) = tunnel(&site);
    // Bytes that look like a request with more lines than hyper accepts at first, and like hyper's refusal of one.
    let request = format!("GET /<late?\"> HTTP/1.1\r\n{}\r\n", "a: <b>\r\n".repeat(150));
    client.wire.send(request.as_bytes());
    assert_eq!(line.body(request.len()), request.as_bytes());
    let refusal =
        "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    for answer in [refusal, "HTTP/1.1 200 OK\r\ncontent-type: a\r\ndate: b\r\n\r\n"] {
        line.reply(answer);
        let heard = client.wire.take_exact(answer.len(), Instant::now() + SOON).unwrap();
        assert_eq!(heard, answer.as_bytes());
    }
}

#[test]
fn each_side_may_close_its_direction_first() {
    let site = Site::new();
    let (mut client, mut line) = tunnel(&site);
    client.wire.half_close();
    line.assert_ends();
    line.reply("last");
    assert_eq!(client.wire.take_exact(4, Instant::now() + SOON).unwrap(), b"last");
    line.wire.close();
    assert!(client.ends_within(SOON));
    let (mut client, line) = tunnel(&site);
    line.wire.reset();
    assert!(client.ends_within(SOON));
    let (client, mut line) = tunnel(&site);
    client.wire.reset();
    line.assert_ends();
}

#[test]
fn a_websocket_is_tunnelled_like_any_other() {
    let site = Site::with(&Plan { kind: "websocket", ..Plan::new() });
    let addr = site.target.public;
    let connecting = thread::spawn(move || {
        Socket::try_connect(addr, "/ws?x", &[("Sec-WebSocket-Extensions", "permessage-deflate")]).unwrap()
    });
    let mut line = site.accept();
    let request = line.request();
    assert_eq!(request.target(), "/ws?x");
    for (name, value) in HANDSHAKE.iter().skip(1) {
        assert_eq!(request.header(name), Some(*value), "{name}");
    }
    assert_eq!(request.header("sec-websocket-extensions"), Some("permessage-deflate"));
    let accept = crate::support::frames::accept(request.header("sec-websocket-key").unwrap());
    line.reply(&format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    ));
    let mut socket = connecting.join().unwrap();
    line.wire.send(&[0x81, 2, b'h', b'i']);
    socket.assert_text("hi");
}

#[test]
fn an_upgrade_that_is_refused_gets_an_ordinary_response() {
    let site = Site::new();
    let mut client = site.client();
    client.wire.send(head("GET", "/up", &ASK).as_bytes());
    let mut line = site.accept();
    line.request();
    line.reply("HTTP/1.1 426 Upgrade Required\r\nUpgrade: other\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\nno");
    let answer = client.answer();
    answer.assert(426, "no");
    assert_eq!((answer.header("upgrade"), answer.header("connection")), (Some("other"), Some("upgrade")));
    client.send_get("/next");
    assert_eq!(line.request().target(), "/next");
    line.reply(&ok("kept"));
    client.answer().assert(200, "kept");
}

#[test]
fn an_upgrade_in_http_1_0_is_ignored() {
    let site = Site::new();
    let mut client = site.client();
    client.wire.send(head("GET", "/up", &ASK).replace("HTTP/1.1", "HTTP/1.0").as_bytes());
    let mut line = site.accept();
    let request = line.request();
    assert_eq!((request.header("upgrade"), request.header("x-mine")), (None, Some("1")));
    line.reply(&ok("plain"));
    client.answer().assert(200, "plain");
}

#[test]
fn an_upgrade_to_http_2_or_without_connection_is_not_passed_on() {
    let site = Site::new();
    for headers in [
        // HTTP/2 would carry requests that the proxy can't see.
        &[("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "x")][..],
        &[("Connection", "Upgrade"), ("Upgrade", "websocket, h2c")],
        &[("Upgrade", "mine/1")],
        &[("Connection", "Upgrade")],
    ] {
        let mut client = site.client();
        client.wire.send(head("GET", "/", headers).as_bytes());
        let mut line = site.accept();
        let request = line.request();
        for name in ["upgrade", "connection", "http2-settings"] {
            assert_eq!(request.header(name), None, "{headers:?}");
        }
        line.reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        client.answer().assert(200, "ok");
    }
    let mut client = site.client();
    client.wire.send(b"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: mine/1\r\n\r\n");
    assert_eq!(site.accept().request().header("upgrade"), None);
}

#[test]
fn a_drain_gives_a_tunnel_its_time_and_then_closes_it() {
    let mut site = Site::with(&Plan::new().server("drain_timeout = \"1s\""));
    let (mut client, mut line) = tunnel(&site);
    site.target.signal("TERM");
    // Well within the time that the drain leaves it.
    thread::sleep(ms(300));
    client.wire.send(b"still");
    assert_eq!(line.body(5), b"still");
    let status = site.target.exit_within(SOON).expect("it ends");
    assert_eq!(status.code(), Some(1), "a drain that had to disconnect is no clean end");
    line.assert_ends();
    assert!(client.ends_within(SOON));
}

#[test]
fn a_drain_ends_with_the_last_tunnel() {
    let mut site = Site::new();
    let (client, mut line) = tunnel(&site);
    site.target.signal("TERM");
    metrics::assert_readiness(site.target.admin, 503);
    client.wire.close();
    line.assert_ends();
    line.wire.close();
    assert_eq!(site.target.exit_within(SOON).expect("it ends").code(), Some(0));
}
