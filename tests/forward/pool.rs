//! Connections to the backend: kept, but never trusted. No request is sent twice unless that is safe.

use std::thread;
use std::time::{Duration, Instant};

use crate::site::{Line, Plan, Site, ok};
use crate::support::http::{Client, Response, head};
use crate::support::{QUIET, SOON, ms};

/// Leaves one idle connection to the backend, which has served a request.
fn idle(site: &Site) -> Line {
    let mut client = site.client();
    client.send_get("/first");
    let mut line = site.accept();
    line.request();
    line.reply(&ok("first"));
    client.answer().assert(200, "first");
    // The connection goes back to the pool after the response; nothing shows when.
    thread::sleep(QUIET);
    line
}

#[test]
fn a_connection_serves_one_client_after_the_other() {
    let site = Site::new();
    let mut line = idle(&site);
    for number in 0..10 {
        let mut client = site.client();
        client.send_post(&format!("/{number}"), b"body");
        assert_eq!(line.request().target(), format!("/{number}"));
        line.body(4);
        line.reply(&ok("more"));
        client.answer().assert(200, "more");
    }
    site.assert_quiet();
}

#[test]
fn requests_at_the_same_time_have_a_connection_each() {
    let site = Site::new();
    let mut clients: Vec<Client> = (0..5).map(|_| site.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send_get(&format!("/{number}"));
    }
    let mut lines: Vec<Line> = (0..5).map(|_| site.accept()).collect();
    for line in &mut lines {
        let target = line.request().target().to_owned();
        line.reply(&ok(&target));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.answer().assert(200, &format!("/{number}"));
    }
}

#[test]
fn a_connection_survives_the_backends_errors() {
    let site = Site::new();
    let mut line = idle(&site);
    for status in [400, 401, 404, 500, 502, 503] {
        let mut client = site.client();
        client.send_get("/");
        line.request();
        line.reply(&format!("HTTP/1.1 {status} Such\r\nContent-Length: 4\r\n\r\nsuch"));
        client.answer().assert(status, "such");
    }
    site.assert_quiet();
}

/// Sends one request with this header and returns its response.
fn asks(client: &mut Client, line: &mut Line, header: &str, answer: &str) {
    client.wire.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{header}\r\n").as_bytes());
    line.request();
    line.reply(answer);
    client.answer();
}

#[test]
fn a_login_that_belongs_to_the_connection_is_not_given_to_the_next_client() {
    let spoken = |status: &str, header: &str| {
        format!("HTTP/1.1 {status} Such\r\nContent-Length: 4\r\n{header}\r\nsuch")
    };
    let mut cases = Vec::new();
    for scheme in ["NTLM", "Negotiate", "Kerberos", "ntlm TlRMTVNTUA==", "NEGOTIATE YIIC"] {
        cases.push((format!("Authorization: {scheme}\r\n"), spoken("200", "")));
        cases.push((format!("Proxy-Authorization: {scheme}\r\n"), spoken("200", "")));
        for (status, name) in [
            ("401", "WWW-Authenticate"),
            ("200", "WWW-Authenticate"),
            ("407", "Proxy-Authenticate"),
            ("200", "Authentication-Info"),
            ("200", "Proxy-Authentication-Info"),
        ] {
            cases.push((String::new(), spoken(status, &format!("{name}: {scheme}\r\n"))));
        }
    }
    cases.push((String::new(), spoken("401", "WWW-Authenticate: Basic realm=\"x\", Negotiate\r\n")));
    cases.push((String::new(), spoken("401", "WWW-Authenticate: Basic\r\nWWW-Authenticate: NTLM\r\n")));
    let site = Site::new();
    for (header, answer) in cases {
        let mut alice = site.client();
        alice.wire.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{header}\r\n").as_bytes());
        let mut line = site.accept();
        line.request();
        line.reply(&answer);
        alice.answer();
        // The next client gets another connection.
        let mut next = site.client();
        next.send_get("/next");
        let mut other = site.accept_within(SOON).unwrap_or_else(|| panic!("{header}{answer}"));
        assert_eq!(other.request().target(), "/next");
        other.reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        next.answer().assert(200, "ok");
        // The login's connection lasts as long as Alice's own, with or without the header.
        asks(&mut alice, &mut line, "", &ok("alice"));
        drop(alice);
        line.assert_ends();
    }
}

#[test]
fn the_three_steps_of_a_login_go_over_one_connection() {
    let site = Site::new();
    let mut shared = idle(&site);
    let challenge = |value: &str| {
        format!("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nWWW-Authenticate: {value}\r\n\r\nno")
    };
    let mut alice = site.client();
    asks(&mut alice, &mut shared, "", &challenge("NTLM"));
    // Requests of another client in between do not disturb it.
    for _ in 0..2 {
        let mut other = site.client();
        other.send_get("/other");
        let mut line = site.accept();
        line.request();
        line.reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        other.answer().assert(200, "ok");
    }
    asks(&mut alice, &mut shared, "Authorization: NTLM one\r\n", &challenge("NTLM two"));
    // With a body, and after a longer pause than an idle connection is kept.
    thread::sleep(ms(4_500));
    let head = "POST / HTTP/1.1\r\nHost: h\r\nAuthorization: NTLM three\r\nContent-Length: 4\r\n\r\nbody";
    alice.wire.send(head.as_bytes());
    shared.request();
    assert_eq!(shared.body(4), b"body");
    shared.reply(&ok("hello alice"));
    alice.answer().assert(200, "hello alice");
    // A backend that closes the connection has lost the login, and Alice has to begin again.
    shared.wire.close();
    // The proxy reads the end meanwhile; nothing shows when it has.
    thread::sleep(QUIET);
    alice.send_get("/again");
    let mut fresh = site.accept();
    fresh.request();
    fresh.reply(&challenge("NTLM"));
    assert_eq!(alice.answer().status, 401);
}

#[test]
fn a_login_that_came_through_a_proxy_in_front_is_not_given_to_its_next_client() {
    let site = Site::with(&Plan::new().server("trusted_proxies = [\"127.0.0.0/8\"]"));
    let mut front = site.client();
    front.wire.send(b"GET / HTTP/1.1\r\nHost: h\r\nAuthorization: NTLM three\r\n\r\n");
    let mut line = site.accept();
    line.request();
    line.reply(&ok("alice"));
    front.answer().assert(200, "alice");
    line.assert_ends();
    // Another client's request comes over the same connection of the proxy in front.
    front.send_get("/next");
    let mut other = site.accept();
    assert_eq!(other.request().target(), "/next");
    other.reply(&ok("nobody"));
    front.answer().assert(200, "nobody");
}

#[test]
fn a_login_of_each_request_does_not_keep_its_connection() {
    let site = Site::new();
    let mut line = idle(&site);
    for scheme in ["Basic eA==", "Bearer abc", "Digest username=\"ntlm\""] {
        let mut client = site.client();
        asks(&mut client, &mut line, &format!("Authorization: {scheme}\r\n"), &ok("x"));
    }
    site.assert_quiet();
}

#[test]
fn a_connection_that_the_backend_closes_is_not_used_again() {
    let site = Site::new();
    let mut client = site.client();
    for _ in 0..3 {
        client.send_get("/");
        let mut line = site.accept();
        line.request();
        line.reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        let answer = client.answer();
        answer.assert(200, "ok");
        assert_eq!(answer.header("connection"), None, "the client's connection is another one");
        line.assert_ends();
    }
}

#[test]
fn a_connection_that_was_closed_while_idle_fails_no_request() {
    let site = Site::new();
    for method in ["GET", "POST"] {
        let line = idle(&site);
        line.wire.close();
        // The proxy reads the end meanwhile; the request has not begun.
        thread::sleep(QUIET);
        let mut client = site.client();
        client.send(method, "/stale", &[("Content-Type", "text/plain")], b"");
        let mut line = site.accept();
        assert_eq!(line.request().target(), "/stale");
        line.reply("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nfresh");
        client.answer().assert(200, "fresh");
        site.assert_quiet();
    }
}

#[test]
fn many_requests_race_a_backend_that_closes_idle_connections() {
    let site = Site::new();
    let (mut lost, mut again) = (0, 0);
    for round in 0..60 {
        let mut line = idle(&site);
        let mut client = site.client();
        // In some of these rounds the close and the request cross.
        let closer = thread::spawn(move || {
            // The request is sent a little later in each round.
            thread::sleep(Duration::from_micros(round * 20));
            line.wire.half_close();
            let seen = line.try_request().is_some();
            line.wire.close();
            seen
        });
        client.send_post("/race", b"once");
        if closer.join().unwrap() {
            assert_eq!(client.answer().status, 502, "round {round}");
            assert!(site.accept_within(ms(20)).is_none(), "round {round}: a POST was sent twice");
            lost += 1;
            continue;
        }
        match sent_again(&site, &mut client) {
            Ok(mut line) => {
                assert_eq!(line.request().target(), "/race");
                line.body(4);
                line.reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
                client.answer().assert(200, "ok");
                again += 1;
            }
            // The request was written after the backend's last read.
            Err(answer) => {
                assert_eq!(answer.status, 502, "round {round}");
                lost += 1;
            }
        }
    }
    eprintln!("{lost} met the close, {again} came after it");
}

/// Waits until a client's request comes on another connection, or is answered without that.
#[track_caller]
fn sent_again(site: &Site, client: &mut Client) -> Result<Line, Response> {
    let until = Instant::now() + SOON;
    while Instant::now() < until {
        if let Some(line) = site.accept_within(ms(10)) {
            return Ok(line);
        }
        if let Ok(answer) = client.answer_within(ms(50)) {
            return Err(answer);
        }
    }
    panic!("a request was neither sent again nor answered")
}

#[test]
fn a_post_that_the_backend_has_seen_is_not_sent_again() {
    let site = Site::new();
    let mut line = idle(&site);
    let mut client = site.client();
    client.send_post("/once", b"body");
    line.request();
    line.body(4);
    line.wire.close();
    assert_eq!(client.answer().status, 502);
    site.assert_quiet();
}

#[test]
fn a_request_that_is_not_safe_is_not_sent_again() {
    for (method, headers, body) in [
        ("POST", &[("Content-Length", "0")][..], ""),
        ("PUT", &[], ""),
        ("DELETE", &[], ""),
        ("X-MINE", &[], ""),
        ("GET", &[("Transfer-Encoding", "chunked")], "0\r\n\r\n"),
        ("GET", &[("Connection", "upgrade"), ("Upgrade", "other")], ""),
    ] {
        let site = Site::new();
        let mut line = idle(&site);
        let mut client = site.client();
        client.wire.send((head(method, "/once", headers) + body).as_bytes());
        line.request();
        line.wire.close();
        assert_eq!(client.answer().status, 502, "{method} {headers:?}");
        site.assert_quiet();
    }
}

#[test]
fn a_safe_request_is_sent_again_if_an_idle_connection_breaks() {
    let site = Site::new();
    let mut line = idle(&site);
    for method in ["GET", "HEAD", "OPTIONS"] {
        let mut client = site.client();
        client.send(method, "/safe", &[("X-Mine", "1")], b"");
        line.request();
        line.wire.close();
        line = site.accept();
        let again = line.request();
        assert_eq!((again.line(), again.header("x-mine")), (&*format!("{method} /safe HTTP/1.1"), Some("1")));
        line.reply("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let soon = Instant::now() + SOON;
        assert!(client.wire.take_until(b"\r\n\r\n", soon).unwrap().starts_with(b"HTTP/1.1 200"));
        // The connection goes back to the pool after the response; nothing shows when.
        thread::sleep(QUIET);
    }
    // Not again and again: the second connection was not an idle one.
    let mut client = site.client();
    client.send_get("/unsafe");
    line.request();
    line.wire.close();
    let mut line = site.accept();
    line.request();
    line.wire.close();
    assert_eq!(client.answer().status, 502);
    site.assert_quiet();
}

#[test]
fn a_fresh_connection_that_breaks_is_not_tried_again() {
    let site = Site::new();
    let mut client = site.client();
    client.send_get("/");
    let mut line = site.accept();
    line.request();
    line.wire.reset();
    assert_eq!(client.answer().status, 502);
    site.assert_quiet();
    site.assert_healthy();
}

#[test]
fn an_idle_connection_is_closed_before_common_backends_would() {
    let site = Site::new();
    let mut line = idle(&site);
    // The connection must stay open for so long.
    thread::sleep(ms(2000));
    line.assert_quiet();
    assert!(line.wire.ends_within(ms(3500)), "it ends within five seconds");
}

#[test]
fn an_idle_connection_on_which_the_backend_sends_is_closed() {
    let site = Site::new();
    let mut line = idle(&site);
    line.reply("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
    line.assert_ends();
    let mut client = site.client();
    client.send_get("/");
    let mut line = site.accept();
    line.request();
    line.reply(&ok("sound"));
    client.answer().assert(200, "sound");
}
