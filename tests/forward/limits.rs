//! What one client may take: hostile clients are refused, told why and counted, and others are served on.

use std::thread;
use std::time::Instant;

use crate::site::{Plan, Site, ok};
use crate::support::http::{Client, Response};
use crate::support::wire::{Fill, Wire};
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
    // One line more than there may be at most, which is for hyper to refuse.
    let site = within("header_timeout = \"5s\"");
    let mut client = site.client();
    client.wire.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "a: b\r\n".repeat(500)).as_bytes());
    assert_eq!(client.answer().status, 431);
    assert_told(&site, "header_lines");
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

/// Returns a site with lines in its route.
fn routed(lines: &str) -> Site {
    Site::with(&Plan::new().route(lines))
}

#[test]
fn a_body_over_the_limit_gets_a_413_with_and_without_a_length() {
    let site = routed("max_body = \"1MB\"");
    let mut client = site.client();
    client.wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000001\r\n\r\n");
    assert_eq!(client.answer().status, 413);
    site.assert_quiet();
    let mut client = site.client();
    client.wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut writer = client.wire.writer();
    let pouring = thread::spawn(move || {
        let chunk = format!("{:x}\r\n{}\r\n", 50_000, "x".repeat(50_000));
        // Until the connection ends.
        let mut sent = 0;
        while std::io::Write::write_all(&mut writer, chunk.as_bytes()).is_ok() {
            sent += chunk.len();
        }
        sent
    });
    let mut line = site.accept();
    line.request();
    assert_eq!(client.answer().status, 413);
    // What is still sent is read for a while, and not without end.
    assert!(client.ends_within(SOON * 2));
    let sent = pouring.join().unwrap();
    // Beside what is read, the kernel holds some on the way.
    assert!((16 << 20..28 << 20).contains(&sent), "{sent} bytes");
    line.assert_ends();
    assert_told(&site, "max_body");
    // What is within the limit passes, in both forms.
    let mut client = site.client();
    client.wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
    let mut line = site.accept();
    line.request();
    assert_eq!(line.body(3), b"abc");
    line.reply(&ok("x"));
    client.answer().assert(200, "x");
}

#[test]
fn a_body_that_is_refused_before_it_was_sent_is_not_asked_for() {
    let plan = Plan::new().route("max_body = \"1MB\"\nmax_requests = 1\nqueue = 0");
    let site = Site::with(&plan);
    let (mut first, mut line) = (site.client(), None);
    for (len, status) in [(1_000_001, 413), (4, 503)] {
        if status == 503 {
            first.send_get("/first");
            line.insert(site.accept()).request();
        }
        let mut client = site.client();
        let head =
            format!("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: {len}\r\nExpect: 100-continue\r\n\r\n");
        client.wire.send(head.as_bytes());
        let head = client.wire.take_until(b"\r\n\r\n", Instant::now() + SOON).unwrap();
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(head.to_lowercase().contains("connection: close"), "what comes now is no body: {head}");
    }
}

#[test]
fn a_body_that_takes_too_long_gets_a_408_however_steadily_it_comes() {
    patiently(|| {
        let site = routed("body_timeout = \"400ms\"");
        let mut client = site.client();
        client.wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
        let mut line = site.accept();
        line.request();
        let start = Instant::now();
        while client.wire.fill(Instant::now() + ms(10)) == Fill::Quiet {
            client.wire.send(&[b'x'; 10]);
        }
        assert_took(start.elapsed(), 350, 2000);
        assert_eq!(client.answer().status, 408);
        line.assert_ends();
        assert_told(&site, "body_timeout");
        site.assert_healthy();
    });
}

#[test]
fn a_body_that_trickles_gets_a_408_after_ten_seconds_and_one_at_the_rate_goes_on() {
    let site = routed("min_body_rate = 1000");
    let begin = || {
        let mut client = site.client();
        client.wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
        let mut line = site.accept();
        line.request();
        (client, line)
    };
    let ((mut slow, slow_line), (mut steady, mut steady_line)) = (begin(), begin());
    let start = Instant::now();
    let mut sent = 0;
    // Ten times the rate, or as much of that as the machine allows, and a hundredth of it.
    while slow.wire.fill(Instant::now() + ms(100)) == Fill::Quiet {
        slow.wire.send(b"x");
        steady.wire.send(&[b'x'; 1000]);
        sent += 1000;
    }
    let took = start.elapsed();
    assert!(took >= ms(9_000) && took < ms(40_000), "{took:?}");
    assert_eq!(slow.answer().status, 408);
    drop(slow_line);
    assert_told(&site, "min_body_rate");
    assert_eq!(steady_line.body(sent).len(), sent);
    steady_line.reply(&ok("still there"));
    steady.answer().assert(200, "still there");
}

#[test]
fn requests_of_a_route_wait_in_line_and_beyond_it_get_a_503() {
    for upstream in [false, true] {
        let lines = "max_requests = 1\nqueue = 1\nqueue_timeout = \"20s\"";
        let plan = if upstream { Plan::new().upstream(lines) } else { Plan::new().route(lines) };
        let site = Site::with(&plan);
        let mut first = site.client();
        first.send_get("/first");
        let mut line = site.accept();
        line.request();
        // One of them stands in line, and the other finds that full.
        let mut others = ["/second", "/third"].map(|target| {
            let mut client = site.client();
            client.send_get(target);
            (target, client)
        });
        let is_refused = |client: &mut Client| {
            let answer = client.answer_within(ms(100));
            answer.is_ok_and(|answer| answer.status == 503 && answer.header("retry-after").is_some())
        };
        let mut waits = None;
        eventually(
            || {
                waits = (0..2).find(|&at| is_refused(&mut others[at].1)).map(|refused| 1 - refused);
                waits.is_some()
            },
            || "one of them is refused".to_owned(),
        );
        let (target, other) = &mut others[waits.unwrap()];
        line.reply(&ok("1"));
        first.answer().assert(200, "1");
        assert_eq!(line.request().target(), *target);
        line.reply(&ok("2"));
        other.answer().assert(200, "2");
        assert_told(&site, "max_requests");
    }
}

#[test]
fn more_tunnels_than_there_may_be_get_a_503() {
    let site = within("max_tunnels = 1");
    let (client, line) = crate::tunnel::tunnel(&site);
    let mut other = site.client();
    other.wire.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    let answer: Response = other.answer();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    assert_told(&site, "max_tunnels");
    drop((client, line));
    let is_free = || {
        let mut other = site.client();
        other.wire.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        site.accept_within(ms(300)).is_some()
    };
    eventually(is_free, || "there is room again".to_owned());
}

/// Connects from another address than the other clients.
fn another(site: &Site) -> Client {
    Client { wire: Wire::connect_from(site.target.public, "127.0.0.2") }
}

#[track_caller]
fn assert_too_many(answer: &Response) {
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("5")), "{answer:?}");
}

#[test]
fn one_client_leaves_requests_and_tunnels_to_the_others() {
    let site = within("count_private = true\nclient_requests = 2");
    let mut slow = [site.client(), site.client()].map(|mut client| {
        client.send_get("/slow");
        let mut line = site.accept();
        line.request();
        (client, line)
    });
    assert_too_many(&site.client().get("/more"));
    let mut other = another(&site);
    other.send_get("/other");
    let mut line = site.accept();
    line.request();
    line.reply(&ok("other"));
    other.answer().assert(200, "other");
    assert_told(&site, "client_requests");
    let [(client, line), _] = &mut slow;
    line.reply(&ok("1"));
    client.answer().assert(200, "1");
    let has_room = || {
        site.client().send_get("/room");
        site.accept_within(ms(300)).is_some()
    };
    eventually(has_room, || "there is room again".to_owned());

    let site = within("count_private = true\nclient_tunnels = 1");
    let tunnel = crate::tunnel::tunnel(&site);
    let upgrade = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let mut more = site.client();
    more.wire.send(upgrade);
    assert_too_many(&more.answer());
    assert_told(&site, "client_tunnels");
    let mut other = another(&site);
    other.wire.send(upgrade);
    assert!(site.accept_within(SOON).is_some());
    drop(tunnel);
}
