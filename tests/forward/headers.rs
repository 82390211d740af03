//! Request lines and headers, both ways.

use std::thread;

use crate::site::{Plan, Site, ok};
use crate::support::QUIET;
use crate::support::http::Response;

/// Sends a request's bytes, responds to it, and returns what the backend and the client received.
pub(crate) fn cross(site: &Site, bytes: &str, answer: &str) -> (crate::site::Request, Response) {
    let mut client = site.client();
    client.wire.send(bytes.as_bytes());
    let mut line = site.accept();
    let request = line.request();
    line.reply(answer);
    (request, client.answer())
}

#[test]
fn a_target_reaches_the_backend_byte_for_byte() {
    let site = Site::new();
    for target in [
        "/",
        "/a/b?c=d&e",
        "//x",
        "/a/../b",
        "/./a//b/",
        "/%2e%2E/%61%00%zz",
        "/a?",
        "/?b?c=/../d#",
        "/a;b=c,d:e@f!$&'()*+",
        "/a|b\"{}",
        "/\u{e4}",
        "*",
    ] {
        let method = if target == "*" { "OPTIONS" } else { "GET" };
        let mut client = site.client();
        client.wire.send(format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        let mut line = site.accept();
        let asked = line.until("\r\n\r\n");
        // No client sends a fragment, and it means nothing to a server (RFC 9110, section 4.2.5).
        assert_eq!(
            asked.lines().next().unwrap(),
            format!("{method} {} HTTP/1.1", target.trim_end_matches('#'))
        );
        line.reply("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
        assert_eq!(client.answer().status, 204);
    }
}

#[test]
fn what_old_clients_leave_unescaped_in_a_target_is_escaped_for_them() {
    let site = Site::new();
    let mut client = site.client();
    client.wire.send(b"GET /a\"<b>?c=<d>&e=\"f\" HTTP/1.1\r\nHost: h\r\nX-Own: <\">\r\n\r\n");
    let mut line = site.accept();
    // After a request of each kind, in one piece or in parts.
    for body in ["", "Content-Length: 3\r\n\r\n<>\"", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"] {
        let request = line.request();
        assert_eq!(request.target(), "/a\"%3Cb%3E?c=%3Cd%3E&e=%22f%22");
        assert_eq!(request.header("x-own"), Some("<\">"));
        line.reply(&ok("x"));
        client.answer().assert(200, "x");
        if !body.is_empty() {
            client.wire.send(format!("POST /plain HTTP/1.1\r\nHost: h\r\n{body}").as_bytes());
            assert_eq!(line.request().target(), "/plain");
            line.until(if body.ends_with('\"') { "<>\"" } else { "0\r\n\r\n" });
            line.reply(&ok("y"));
            client.answer().assert(200, "y");
        }
        if body.starts_with("Transfer") {
            // After a body of unknown length it is uncertain where a request begins: hyper refuses it.
            client.wire.send(b"GET /a<b> HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!(client.answer().status, 400);
            break;
        }
        client.wire.send(b"GET /a\"<b>?c=<d>&e=\"");
        // Headers in two parts, of which the first is read alone.
        thread::sleep(QUIET);
        client.wire.send(b"f\" HTTP/1.1\r\nHost: h\r\nX-Own: <\">\r\n\r\n");
    }
}

#[test]
fn an_absolute_target_names_the_host() {
    let site = Site::new();
    let (request, _) =
        cross(&site, "GET http://me:pw@a.example:81/x?y HTTP/1.1\r\nHost: other\r\n\r\n", &ok(""));
    assert_eq!(request.line(), "GET /x?y HTTP/1.1");
    assert_eq!(request.headers_named("host"), ["a.example:81"]);
    assert_eq!(request.header("x-forwarded-host"), Some("a.example:81"));
}

#[test]
fn the_upstreams_url_replaces_the_prefix() {
    let site = Site::with(&Plan { path: "/api/", base: "/v1/", ..Plan::new() });
    let (request, _) = cross(&site, "GET /api//users/../?q HTTP/1.1\r\nHost: h\r\n\r\n", &ok(""));
    assert_eq!(request.target(), "/v1//users/../?q");
    site.client().get("/other").assert(404, "no route for this path\n");
}

#[test]
fn a_path_whose_dots_leave_the_route_is_refused() {
    let site = Site::with(&Plan { path: "/api/", base: "/v1/", ..Plan::new() });
    for path in ["/api/../admin", "/api/%2e%2e/admin", "/api/..%2fadmin", "/api/..\\admin"] {
        let answer = site.client().get(path);
        answer.assert(400, "the path leaves its route\n");
    }
    site.assert_quiet();
    // A prefix without a slash matches whole segments, too.
    let site = Site::with(&Plan { path: "/api", base: "/v1/", ..Plan::new() });
    for path in ["/api../admin", "/api/../api/x"] {
        site.client().get(path).assert(400, "the path leaves its route\n");
    }
}

#[test]
fn before_a_backend_with_sessions_other_paths_stay_unchanged() {
    for kind in ["engine.io", "websocket"] {
        let site = Site::with(&Plan { kind, base: "/socket.io/", ..Plan::new() });
        let (request, answer) = cross(&site, "GET /index.html HTTP/1.1\r\nHost: h\r\n\r\n", &ok("page"));
        assert_eq!(request.target(), "/index.html");
        answer.assert(200, "page");
    }
}

#[test]
fn any_method_is_forwarded_and_connect_is_not() {
    let site = Site::new();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "X-MINE"] {
        let (request, answer) = cross(
            &site,
            &format!("{method} / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        );
        assert_eq!(request.line(), format!("{method} / HTTP/1.1"));
        answer.assert(200, "ok");
    }
    let mut client = site.client();
    client.wire.send(b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("connection")), (501, Some("close")));
    site.assert_quiet();
}

#[test]
fn hop_by_hop_headers_are_not_forwarded() {
    let site = Site::new();
    let (request, answer) = cross(
        &site,
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, X-Hop\r\nConnection: close,host\r\nX-Hop: 1\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nTE: gzip\r\n\
         Upgrade: websocket\r\nX-Own: 1\r\nX-Own: 2\r\nCookie: a=b\r\nAccept-Encoding: br\r\nOrigin: http://o\r\n\r\n",
        "HTTP/1.1 200 Fine\r\nContent-Length: 0\r\nConnection: X-Back\r\nX-Back: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: close\r\nUpgrade: h2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nServer: mine\r\n\
         Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n",
    );
    for name in
        ["x-hop", "keep-alive", "proxy-connection", "proxy-authorization", "te", "upgrade", "connection"]
    {
        assert_eq!(request.header(name), None, "{name}");
    }
    assert_eq!(request.headers_named("host"), ["h"]);
    assert_eq!(request.headers_named("x-own"), ["1", "2"]);
    for (name, value) in [("cookie", "a=b"), ("accept-encoding", "br"), ("origin", "http://o")] {
        assert_eq!(request.header(name), Some(value));
    }
    for name in ["x-back", "keep-alive", "proxy-connection", "upgrade"] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    assert_eq!(answer.line, "HTTP/1.1 200 Fine");
    assert_eq!(answer.headers_named("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(answer.headers_named("date"), ["Thu, 01 Jan 1970 00:00:00 GMT"]);
    assert_eq!(answer.header("server"), Some("mine"));
}

#[test]
fn an_untrusted_clients_forwarding_headers_are_replaced() {
    let site = Site::new();
    let (request, _) = cross(
        &site,
        "GET / HTTP/1.1\r\nHost: a.example:8080\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: evil\r\nForwarded: for=10.0.0.1\r\nConnection: x-forwarded-for, forwarded\r\n\r\n",
        &ok(""),
    );
    assert_eq!(request.headers_named("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(request.headers_named("x-forwarded-proto"), ["http"]);
    assert_eq!(request.headers_named("x-forwarded-host"), ["a.example:8080"]);
    assert_eq!(request.headers_named("forwarded"), ["for=127.0.0.1;host=\"a.example:8080\";proto=http"]);
    assert_eq!(request.headers_named("host"), ["a.example:8080"]);
}

#[test]
fn a_trusted_proxys_forwarding_headers_are_continued() {
    let site = Site::with(&Plan::new().server("trusted_proxies = [\"127.0.0.0/8\"]"));
    let (request, _) = cross(
        &site,
        "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: a.example\r\nForwarded: for=203.0.113.9\r\n\r\n",
        &ok(""),
    );
    assert_eq!(request.headers_named("x-forwarded-for"), ["203.0.113.9, 127.0.0.1"]);
    assert_eq!(request.headers_named("x-forwarded-proto"), ["https"]);
    assert_eq!(request.headers_named("x-forwarded-host"), ["a.example"]);
    assert_eq!(request.headers_named("forwarded"), ["for=203.0.113.9, for=127.0.0.1;host=\"h\";proto=http"]);
}

#[test]
fn the_host_may_be_the_upstreams() {
    let site = Site::with(&Plan::new().upstream("host = \"upstream\""));
    let (request, _) = cross(&site, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", &ok(""));
    assert!(request.header("host").unwrap().starts_with("127.0.0.1:"), "{request:?}");
    assert_eq!(request.header("x-forwarded-host"), Some("a.example"));
}

#[test]
fn a_request_names_exactly_one_host() {
    let site = Site::new();
    for hosts in ["", "Host: a\r\nHost: b\r\n", "Host: a/b@c?d\r\n", "Host: a, b\r\n", "Host:\r\n"] {
        let head = format!("GET / HTTP/1.1\r\n{hosts}\r\n");
        let mut client = site.client();
        client.wire.send(head.as_bytes());
        assert_eq!(client.answer().status, 400, "{head}");
    }
    site.assert_quiet();
}

#[test]
fn a_client_of_http_1_0_gets_a_response_of_http_1_0() {
    let site = Site::new();
    let mut client = site.client();
    client.wire.send(b"GET /old HTTP/1.0\r\n\r\n");
    let mut line = site.accept();
    let request = line.request();
    assert_eq!(request.line(), "GET /old HTTP/1.1");
    assert!(request.header("host").unwrap().starts_with("127.0.0.1:"));
    line.reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
    let answer = client.answer();
    assert!(answer.line.starts_with("HTTP/1.0 200"), "{}", answer.line);
    assert_eq!(answer.header("transfer-encoding"), None);
    answer.assert(200, "onetwo");

    let mut client = site.client();
    client.wire.send(b"POST /old HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi");
    // The connection to the backend was kept.
    assert_eq!(line.request().header("content-length"), Some("2"));
    assert_eq!(line.body(2), b"hi");
    line.reply(&ok("kept"));
    let answer = client.answer();
    answer.assert(200, "kept");
    assert_eq!(answer.header("connection"), Some("keep-alive"));
}

#[test]
fn a_backend_of_http_1_0_is_translated() {
    let site = Site::new();
    let mut client = site.client();
    client.send_get("/");
    let mut line = site.accept();
    line.request();
    line.reply("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end");
    line.wire.close();
    let answer = client.answer();
    assert_eq!(
        (answer.line.as_str(), answer.header("transfer-encoding")),
        ("HTTP/1.1 200 OK", Some("chunked"))
    );
    answer.assert(200, "until the end");
}

#[test]
fn headers_have_limits_on_both_sides() {
    let site = Site::new();
    let long = "x".repeat(60 << 10);
    let (request, answer) = cross(
        &site,
        &format!("GET / HTTP/1.1\r\nHost: h\r\nX-Long: {long}\r\n\r\n"),
        &format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Long: {long}\r\n\r\n"),
    );
    assert_eq!(
        (request.header("x-long"), answer.header("x-long")),
        (Some(long.as_str()), Some(long.as_str()))
    );
    let longer = "x".repeat(70 << 10);
    let mut client = site.client();
    client.wire.send(format!("GET / HTTP/1.1\r\nHost: h\r\nX-Long: {longer}\r\n\r\n").as_bytes());
    assert_eq!(client.answer().status, 431);
    let site = Site::new();
    let (_, answer) = cross(
        &site,
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        &format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Long: {longer}\r\n\r\n"),
    );
    answer.assert(502, "the upstream's response header is larger than 64 KiB or 500 lines\n");
    site.assert_healthy();
}

#[test]
fn many_header_lines_pass_both_ways_and_too_many_are_431() {
    let lines = |count: usize| -> String {
        let lines: Vec<String> = (0..count).map(|line| format!("X-Line-{line}: {line}\r\n")).collect();
        lines.concat()
    };
    let request = |count| format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", lines(count));
    let response = |count| format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{}\r\n", lines(count));
    let site = Site::new();
    // There is room for the proxy's own lines.
    let (asked, answer) = cross(&site, &request(490), &response(499));
    assert_eq!((asked.header("x-line-489"), answer.header("x-line-498")), (Some("489"), Some("498")));
    // On a kept connection, after a body, in pieces, and again.
    let mut client = site.client();
    for (count, pieces) in [(3, 1), (200, 3), (1, 1), (300, 7), (101, 2)] {
        let head =
            request(count).replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 4\r\n\r\nbody");
        for piece in head.as_bytes().chunks(head.len().div_ceil(pieces)) {
            client.wire.send(piece);
            // Headers in parts, each of which is read alone.
            thread::sleep(crate::support::ms(20));
        }
        let mut line = site.accept();
        assert_eq!(line.request().header(&format!("x-line-{}", count - 1)), Some(&*(count - 1).to_string()));
        assert_eq!(line.body(4), b"body");
        line.reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        client.answer().assert(200, "ok");
    }
    let mut client = site.client();
    client.wire.send(request(500).as_bytes());
    assert_eq!(client.answer().status, 431);
    // A backend's own 431 with the same text is passed on.
    let (_, answer) = cross(
        &Site::new(),
        &request(150),
        "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 4\r\n\r\nmine",
    );
    answer.assert(431, "mine");
    let (_, answer) = cross(&Site::new(), &request(1), &response(500));
    answer.assert(502, "the upstream's response header is larger than 64 KiB or 500 lines\n");
}

#[test]
fn nothing_can_be_smuggled() {
    let site = Site::new();
    for (what, head) in [
        ("two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n"),
        ("a length that is none", "Content-Length: +5\r\n"),
        ("a list of lengths", "Content-Length: 5, 6\r\n"),
        ("another coding", "Transfer-Encoding: identity\r\n"),
        ("chunked before another", "Transfer-Encoding: chunked, gzip\r\n"),
        ("two codings", "Transfer-Encoding: gzip, chunked\r\n"),
        ("a blank in a name", "Transfer-Encoding : chunked\r\n"),
        ("a folded line", "X-A: b\r\n Content-Length: 5\r\n"),
    ] {
        let mut client = site.client();
        client.wire.send(format!("POST / HTTP/1.1\r\nHost: h\r\n{head}\r\n0\r\n\r\n").as_bytes());
        let answer = client.answer();
        assert!(matches!(answer.status, 400 | 501), "{what}: {answer:?}");
    }
    site.assert_quiet();
    let mut client = site.client();
    client.wire.send(
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
    );
    let mut line = site.accept();
    let request = line.request();
    // RFC 9112, section 6.3: the coding counts, and the length is not passed on.
    assert_eq!(
        (request.header("content-length"), request.header("transfer-encoding")),
        (None, Some("chunked"))
    );
    assert_eq!(line.until("\r\n\r\n"), "0\r\n\r\n");
    line.reply(&ok("one"));
    client.answer().assert(200, "one");
    assert!(client.ends_within(crate::support::SOON), "such a connection is not kept");
    line.assert_quiet();
}

#[test]
fn a_response_with_two_lengths_has_one_for_the_client() {
    let site = Site::new();
    let (_, answer) = cross(
        &site,
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    );
    assert_eq!(answer.header("content-length"), None);
    answer.assert(200, "ok");
    for head in ["Content-Length: 2\r\nContent-Length: 2\r\n", "Content-Length: 2, 2\r\n"] {
        let site = Site::new();
        let head = format!("HTTP/1.1 200 OK\r\n{head}\r\nok");
        let (_, answer) = cross(&site, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", &head);
        assert_eq!(answer.headers_named("content-length"), ["2"]);
        answer.assert(200, "ok");
    }
}
