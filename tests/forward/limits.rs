//! What one client may take: hostile clients are refused, told why and counted, and others are served on.

use std::thread;
use std::time::Instant;

use crate::site::{Plan, Site, ok};
use crate::support::http::Response;
use crate::support::wire::Fill;
use crate::support::{SOON, assert_took, eventually, metrics, ms, patiently};

/// Returns a site with lines in `[limits]`.
fn within(limits: &str) -> Site {
    Site::with(&Plan::new().server(&format!("[limits]\n{limits}")))
}

/// Fails unless a limit was counted and told, once.
#[track_caller]
fn assert_told(site: &Site, limit: &str) {
    let label = format!("limit=\"{limit}\"");
    let is_counted = || metrics::has_counted(site.target.admin, "polliwog_limited_total", &[label.as_str()]);
    eventually(is_counted, || format!("{limit} is counted"));
    let log = site.target.log();
    let told = log.lines().filter(|line| line.contains("a limit was reached") && line.contains(limit));
    assert_eq!(told.count(), 1, "{log}");
}

#[test]
fn a_header_that_trickles_in_gets_a_408() {
    patiently(|| {
        let site = within("header_timeout = \"400ms\"");
        for _ in 0..2 {
            let (mut client, start) = (site.client(), Instant::now());
            client.wire.send(b"GET / HTTP/1.1\r\n");
            while client.wire.fill(Instant::now() + ms(20)) == Fill::Quiet {
                client.wire.send(b"x");
            }
            assert_took(start.elapsed(), 390, 2000);
            let answer: Response = client.answer();
            answer.assert(408, "the request's header took too long\n");
            assert_eq!(answer.header("connection"), Some("close"));
            assert!(client.ends_within(SOON));
        }
        assert_told(&site, "header_timeout");
        site.assert_healthy();
    });
}

#[test]
fn a_header_over_a_limit_gets_a_431_or_414() {
    let site = within("header_max = \"4KiB\"\nheader_lines = 20\ntarget_max = \"1KiB\"");
    let long = format!("GET / HTTP/1.1\r\nHost: h\r\na: {}\r\n\r\n", "b".repeat(5000));
    let lines = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "a: b\r\n".repeat(20));
    let target = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(1024));
    for (request, status, limit) in
        [(long, 431, "header_max"), (lines, 431, "header_lines"), (target, 414, "target_max")]
    {
        let mut client = site.client();
        client.wire.send(request.as_bytes());
        assert_eq!(client.answer().status, status);
        assert!(client.ends_within(SOON));
        assert_told(&site, limit);
    }
    site.assert_quiet();
    site.assert_healthy();
}

#[test]
fn a_connection_closes_behind_the_last_of_its_requests() {
    let site = within("connection_requests = 3");
    let mut client = site.client();
    let mut line = None;
    for number in 1..=3 {
        client.send_get("/");
        let line = line.get_or_insert_with(|| site.accept());
        line.request();
        line.reply(&ok("x"));
        let answer: Response = client.answer();
        answer.assert(200, "x");
        assert_eq!(answer.header("connection"), (number == 3).then_some("close"), "{number}");
    }
    assert!(client.ends_within(SOON));
}

#[test]
fn a_connection_closes_behind_a_response_once_it_is_old() {
    let site = within("connection_lifetime = \"300ms\"");
    let mut client = site.client();
    client.send_get("/");
    let mut line = site.accept();
    line.request();
    // Past the connection's time: what is under way goes on.
    thread::sleep(ms(400));
    line.reply(&ok("x"));
    let answer: Response = client.answer();
    answer.assert(200, "x");
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.ends_within(SOON));
}
