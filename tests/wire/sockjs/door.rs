//! Requests without a session: the greeting, `/info`, errors by path and method, and which origins are allowed.

use std::time::{Duration, Instant};

use crate::support::http::Response;
use crate::support::ms;
use crate::support::sockjs::{begin, poll, target, world};

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.header(name)
}

#[test]
fn the_base_greets_with_and_without_its_slash() {
    let Some(world) = world("") else { return };
    for base in ["/echo", "/echo/", "/echo?x=1"] {
        let greeting = world.get(base);
        greeting.assert(200, "Welcome to SockJS!\n");
        assert_eq!(header(&greeting, "content-type"), Some("text/plain; charset=UTF-8"), "{base}");
        assert_eq!(header(&greeting, "content-length"), Some("19"), "{base}");
    }
    assert_eq!(world.get("/echoX").status, 404);
    assert_eq!(world.get("/ech").status, 404);
}

#[test]
fn an_unknown_path_is_404_and_a_wrong_method_405_with_allow() {
    let Some(world) = world("") else { return };
    for path in ["/a", "/a/b", "//xhr", "/a./b/xhr", "/a/b./xhr", "/a//xhr", "/a/b/XHR", "/a/b/xhr/x"] {
        let answer = world.http().request("POST", &format!("/echo{path}"), &[], b"");
        answer.assert(404, "404 Error: Page not found\n");
        assert_eq!(header(&answer, "content-type"), Some("text/plain; charset=UTF-8"), "{path}");
    }
    for (path, allowed) in [
        ("", "GET"),
        ("/info", "OPTIONS, GET"),
        ("/iframe.html", "GET"),
        ("/a/b/xhr", "POST, OPTIONS"),
        ("/a/b/xhr_streaming/", "POST, OPTIONS"),
        ("/a/b/xhr_send", "POST, OPTIONS"),
        ("/a/b/eventsource", "GET"),
        ("/a/b/htmlfile", "GET"),
        ("/a/b/jsonp", "GET"),
        ("/a/b/jsonp_send", "POST"),
        ("/a/b/websocket", "GET"),
    ] {
        let answer = world.http().request("PUT", &format!("/echo{path}"), &[("Origin", "http://a")], b"");
        answer.assert(405, "");
        assert_eq!(header(&answer, "allow"), Some(allowed), "{path}");
        assert_eq!(header(&answer, "content-type"), None, "{path}");
        assert_eq!(header(&answer, "access-control-allow-origin"), None, "{path}");
    }
}

#[test]
fn segments_are_compared_as_they_were_sent() {
    let Some(world) = world("") else { return };
    let peers =
        [begin(&world, "a%20"), begin(&world, "a+"), begin(&world, "b%2ec"), begin(&world, "__proto__")];
    peers[1].send("second");
    poll(&world, "a+").assert(200, "a[\"second\"]\n");
    // The first segment only matters to balancers.
    peers[0].send("first");
    world
        .http()
        .request("POST", "/echo/any.where/a%20/xhr", &[], b"")
        .assert(404, "404 Error: Page not found\n");
    world.http().request("POST", "/echo/other/a%20/xhr", &[], b"").assert(200, "a[\"first\"]\n");
}

#[test]
fn a_preflight_is_answered_here() {
    let Some(world) = world("") else { return };
    for (path, methods) in
        [("/info", "OPTIONS, GET"), ("/a/b/xhr", "OPTIONS, POST"), ("/a/b/xhr_send", "OPTIONS, POST")]
    {
        let headers = [("Origin", "http://a.example"), ("Access-Control-Request-Headers", "x, y")];
        let answer = world.http().request("OPTIONS", &format!("/echo{path}"), &headers, b"");
        assert_eq!(answer.status, 204);
        assert_eq!(header(&answer, "access-control-allow-methods"), Some(methods));
        assert_eq!(header(&answer, "access-control-allow-origin"), Some("http://a.example"));
        assert_eq!(header(&answer, "access-control-allow-credentials"), Some("true"));
        assert_eq!(header(&answer, "access-control-allow-headers"), Some("x, y"));
        assert_eq!(header(&answer, "access-control-max-age"), Some("31536000"));
    }
    assert_eq!(world.http().request("OPTIONS", "/echo/a/b/jsonp_send", &[], b"").status, 405);
}

#[test]
fn info_waits_only_where_the_backends_handshakes_are_slow() {
    let Some(world) = world("") else { return };
    let took = || {
        let start = Instant::now();
        assert_eq!(world.get("/echo/info").status, 200);
        start.elapsed()
    };
    assert!(took() < ms(90), "nothing is known to be slow");
    world.backend().script(|script| script.delay = ms(450));
    begin(&world, "a");
    let slow = took();
    assert!(slow >= ms(145) && slow < Duration::from_secs(5), "took {slow:?}");
}

#[test]
fn a_forbidden_origin_is_403_and_transports_without_an_origin_are_off() {
    let Some(world) = world("allowed_origins = [\"http://a.example\"]") else { return };
    let ask = |method: &str, path: &str, origin: &str| {
        let answer = world.http().request(method, &format!("/echo{path}"), &[("Origin", origin)], b"");
        assert!(answer.status == 200 || header(&answer, "access-control-allow-origin").is_none(), "{path}");
        answer.status
    };
    assert_eq!(ask("POST", "/0/a/xhr", "http://a.example"), 200);
    let peer = world.accept();
    for (method, path) in [("POST", "/0/a/xhr"), ("POST", "/0/a/xhr_send"), ("GET", "/0/a/eventsource")] {
        assert_eq!(ask(method, path, "http://b.example"), 403, "{path}");
    }
    for (method, path) in [
        ("GET", "/0/a/jsonp?c=x"),
        ("POST", "/0/a/jsonp_send"),
        ("GET", "/0/a/htmlfile?c=x"),
        ("GET", "/iframe.html"),
    ] {
        assert_eq!(ask(method, path, "http://a.example"), 404, "{path}");
    }
    peer.send("still there");
    assert_eq!(ask("POST", "/0/a/xhr", "http://a.example"), 200);
}

#[test]
fn a_page_may_read_the_proxys_own_errors() {
    let Some(world) = world("") else { return };
    world.backend().script(|script| {
        script.refusal = Some(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nwho?".to_vec());
    });
    let origin = [("Origin", "http://a.example")];
    let refused = world.http().request("POST", &target("a", "xhr"), &origin, b"");
    refused.assert(401, "who?");
    assert_eq!(header(&refused, "access-control-allow-origin"), Some("http://a.example"));
    world.backend().script(|script| script.refusal = Some(b"nonsense\r\n\r\n".to_vec()));
    let down = world.http().request("POST", &target("a", "xhr"), &origin, b"");
    assert_eq!(down.status, 502);
    assert_eq!(header(&down, "access-control-allow-origin"), Some("http://a.example"));
    assert_eq!(
        header(&down, "cache-control"),
        Some("no-store, no-cache, no-transform, must-revalidate, max-age=0")
    );
    world.backend().script(|script| script.refusal = None);
    begin(&world, "a");
}
