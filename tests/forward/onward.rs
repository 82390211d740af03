//! What the proxy adds to a request and removes from it: the client's address, `Via`, and the route's own headers.

use crate::headers::cross;
use crate::site::{Plan, Site, ok};

#[test]
fn a_route_sets_and_removes_headers_both_ways() {
    let site = Site::with(
        &Plan::new()
            .route("request_headers = { X-Tenant = \"7\", X-Real-IP = \"\", X-Debug = false, Authorization = \"Bearer x\" }")
            .route("response_headers = { Strict-Transport-Security = \"max-age=1\", Server = \"\" }"),
    );
    let (request, answer) = cross(
        &site,
        "GET / HTTP/1.1\r\nHost: h\r\nX-Tenant: 1\r\nX-Tenant: 2\r\nX-Debug: 1\r\nAuthorization: mine\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nServer: a\r\nServer: b\r\n\r\n",
    );
    assert_eq!(request.headers_named("x-tenant"), ["7"]);
    assert_eq!(request.headers_named("authorization"), ["Bearer x"]);
    assert_eq!((request.header("x-debug"), request.header("x-real-ip")), (None, None));
    assert_eq!(answer.headers_named("strict-transport-security"), ["max-age=1"]);
    assert_eq!(answer.header("server"), None);
}

#[test]
fn a_client_cannot_forge_its_address_in_any_other_header() {
    let lies = "X-Real-IP: 1\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Ssl: on\r\nX-Forwarded-Scheme: https\r\n\
        X-Forwarded-Prefix: /a\r\nX-Forwarded-Server: a\r\nTrue-Client-IP: 1\r\nX-Original-URL: /a\r\n\
        X-Rewrite-URL: /a\r\nX_Forwarded_For: 1\r\nmy_own: 1\r\n";
    let names: Vec<&str> = lies.lines().map(|line| line.split_once(':').unwrap().0).collect();
    let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{lies}\r\n");
    let (request, _) = cross(&Site::new(), &head, &ok(""));
    assert_eq!(request.headers_named("x-real-ip"), ["127.0.0.1"]);
    for name in &names[1..] {
        assert_eq!(request.header(name), None, "{name}");
    }
    let site = Site::with(&Plan::new().server("trusted_proxies = [\"127.0.0.1\"]"));
    let (request, _) = cross(&site, &head, &ok(""));
    for &name in &names {
        // No proxy writes it so.
        assert_eq!(request.header(name).is_some(), name != "X_Forwarded_For", "{name}");
    }
}

#[test]
fn a_request_that_has_passed_the_proxy_before_is_refused() {
    let site = Site::new();
    let (request, _) = cross(&site, "GET / HTTP/1.1\r\nHost: h\r\nVia: 1.0 fred\r\n\r\n", &ok(""));
    let via = request.headers_named("via").join(", ");
    assert!(via.starts_with("1.0 fred, 1.1 polliwog-"), "{via}");
    let asked = |via: &str| {
        let mut client = site.client();
        client.wire.send(format!("GET / HTTP/1.1\r\nHost: h\r\nVia: {via}\r\n\r\n").as_bytes());
        client
    };
    asked(&via).answer().assert(508, "request loop detected\n");
    asked(&["1.1 polliwog-0123"; 9].join(", ")).answer().assert(508, "request loop detected\n");
    // Eight other proxies in front are allowed.
    let mut client = asked(&["1.1 polliwog-0123"; 8].join(", "));
    let mut line = site.accept();
    line.request();
    line.reply(&ok("in a row"));
    client.answer().assert(200, "in a row");
    // Another process has another name, and a route may turn `Via` off.
    let other = Site::with(&Plan::new().route("via = false"));
    let (request, _) = cross(&other, &format!("GET / HTTP/1.1\r\nHost: h\r\nVia: {via}\r\n\r\n"), &ok(""));
    assert_eq!(request.headers_named("via").join(", "), via);
}
