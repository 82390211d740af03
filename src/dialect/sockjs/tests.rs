//! The responses that need no session, to the byte.

mod transports;

use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request as HttpRequest};

use super::*;
use crate::dialect::Environment;
use crate::packet::{Message, Packet};
use crate::reply::Reply;
use crate::revision::{Protocol, Versions};

const BACKEND: Backend = Backend { protocol: Protocol::WebSocket, versions: Versions::ALL, socket_io: false };

#[test]
fn a_receivers_framing_makes_no_more_of_a_packet_than_it_says() {
    let callback = || Callback::of("c=x", 128).ok();
    let roles = [
        Role::Receive(Receiver::Xhr, None),
        Role::Receive(Receiver::XhrStreaming, None),
        Role::Receive(Receiver::EventSource, None),
        Role::Receive(Receiver::HtmlFile, callback()),
        Role::Receive(Receiver::Jsonp, callback()),
    ];
    for role in roles {
        let framing = SockJsFraming::new(role, Marks::default(), &Settings::default());
        for text in ["\0", "<", "%", "\"", "\\", "\n", "a", "é", "\u{200d}", "😀"] {
            let packet = Packet::Message(Message::text(text.repeat(1000)));
            let most = usize::from(framing.growth()) * frames::encoded_len(&packet) + 100;
            let bytes = framing.encode_part(&[packet], 1).bytes;
            assert!(bytes.len() <= most, "{text:?}: {} of {most} in {framing:?}", bytes.len());
        }
    }
}

/// Whether it lets in pages of one origin alone.
#[derive(Debug)]
struct FixedEnvironment(bool);

impl Environment for FixedEnvironment {
    fn unix_time(&self) -> u64 {
        784_111_777
    }

    fn random(&self) -> u32 {
        3_753_801_999
    }

    fn allows_origin(&self, headers: &HeaderMap) -> bool {
        !self.0 || headers.get("origin").is_none_or(|origin| origin == "http://a.example")
    }

    fn is_restricted(&self) -> bool {
        self.0
    }

    fn handshakes_take(&self) -> Duration {
        Duration::ZERO
    }
}

fn head(method: &str, headers: &[(&str, &str)]) -> Parts {
    let request = headers
        .iter()
        .fold(HttpRequest::builder().method(method), |request, (name, value)| request.header(*name, *value));
    request.body(()).unwrap().into_parts().0
}

fn settings() -> Settings {
    Settings { client_url: Some("http://localhost:8081/lib/sockjs.js".to_owned()), ..Settings::default() }
}

fn ask_with(settings: Settings, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let head = head(method, headers);
    let request =
        Request { head: &head, path, kind: RequestKind::Http, environment: &FixedEnvironment(false) };
    SockJs::new(settings, BACKEND).read(&request).unwrap_err().reply
}

fn ask(method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    ask_with(settings(), method, path, headers)
}

/// Status, headers in the order of their names, and the body.
fn shown(reply: &Reply) -> (u16, Vec<(&str, &str)>, &str) {
    let mut headers: Vec<_> =
        reply.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    headers.sort_unstable();
    (reply.status.as_u16(), headers, std::str::from_utf8(&reply.body).unwrap())
}

const TYPE_TEXT: (&str, &str) = ("content-type", "text/plain; charset=UTF-8");
const VARY_ORIGIN: (&str, &str) = ("vary", "Origin");
const ANY: (&str, &str) = ("access-control-allow-origin", "*");
const CREDENTIALS: (&str, &str) = ("access-control-allow-credentials", "true");
const IN_A_YEAR: (&str, &str) = ("expires", "Mon, 06 Nov 1995 08:49:37 GMT");
const A_YEAR: (&str, &str) = ("cache-control", "public, max-age=31536000");

#[test]
fn the_base_greets() {
    for path in ["", "/"] {
        let reply = ask("GET", path, &[("origin", "http://a.example")]);
        assert_eq!(shown(&reply), (200, vec![TYPE_TEXT], "Welcome to SockJS!\n"), "{path:?}");
    }
}

#[test]
fn what_stands_nowhere_is_404() {
    for path in [
        "//",
        "X",
        "/X",
        "/iframe.htm",
        "/iframe",
        "/IFRAME.HTML",
        "/iframe.HTML",
        "/iframe-A.html",
        "/iframexhtml",
        "/iframe.html//",
        "/INFO",
        "/info/x",
        "//xhr",
        "//b/xhr",
        "/a//xhr",
        "/a./a/xhr",
        "/a/a./xhr",
        "/././/xhr",
        "///xhr",
        "/a/b/XHR",
        "/a/b/xhr/x",
        "/a/b",
        "/a/b/",
        "/chunking_test",
    ] {
        for method in ["GET", "POST", "HEAD"] {
            let reply = ask(method, path, &[]);
            assert_eq!(
                shown(&reply),
                (404, vec![TYPE_TEXT], "404 Error: Page not found\n"),
                "{method} {path}"
            );
        }
    }
    let restricted =
        ask_with(Settings { client_url: None, ..Settings::default() }, "GET", "/iframe.html", &[]);
    assert_eq!(restricted.status, 404, "there is no library to load");
}

#[test]
fn a_method_that_a_path_does_not_have_is_405_with_those_that_it_has() {
    for (path, allowed) in [
        ("", "GET"),
        ("/", "GET"),
        ("/iframe.html", "GET"),
        ("/websocket", "GET"),
        ("/info", "OPTIONS, GET"),
        ("/info/", "OPTIONS, GET"),
        ("/000/abc/xhr", "POST, OPTIONS"),
        ("/000/abc/xhr_streaming/", "POST, OPTIONS"),
        ("/000/b%2ec/xhr_send", "POST, OPTIONS"),
        ("/000/abc/jsonp_send", "POST"),
        ("/000/abc/eventsource", "GET"),
        ("/000/abc/htmlfile", "GET"),
        ("/000/__proto__/jsonp", "GET"),
        ("/a%20/a+/websocket", "GET"),
    ] {
        for method in ["GET", "POST", "OPTIONS", "PUT", "HEAD"] {
            if allowed.split(", ").all(|one| one != method) {
                let reply = ask(method, path, &[("origin", "http://a.example")]);
                assert_eq!(shown(&reply), (405, vec![("allow", allowed)], ""), "{method} {path}");
            }
        }
    }
}

#[test]
fn info_says_what_the_route_offers() {
    let body = r#"{"websocket":true,"origins":["*:*"],"cookie_needed":false,"entropy":3753801999}"#;
    let fresh = ("cache-control", "no-store, no-cache, no-transform, must-revalidate, max-age=0");
    let json = ("content-type", "application/json; charset=UTF-8");
    for path in ["/info", "/info/"] {
        let reply = ask("GET", path, &[]);
        assert_eq!(shown(&reply), (200, vec![ANY, fresh, json, VARY_ORIGIN], body), "{path}");
    }
    let settings = Settings {
        websocket: false,
        cookie_needed: true,
        base_url: Some("//b.example/\"x".to_owned()),
        ..Settings::default()
    };
    let other = ask_with(settings, "GET", "/info", &[]);
    assert_eq!(
        other.body,
        Bytes::from_static(
            br#"{"websocket":false,"origins":["*:*"],"cookie_needed":true,"entropy":3753801999,"base_url":"//b.example/\"x"}"#
        )
    );
    assert!(!other.headers.contains_key("set-cookie"));
}

#[test]
fn a_page_of_any_origin_may_read_info_with_credentials() {
    for origin in ["http://a.example", "null"] {
        let reply = ask("GET", "/info", &[("origin", origin), ("access-control-request-headers", "a, b")]);
        let (_, headers, _) = shown(&reply);
        let allowed =
            [CREDENTIALS, ("access-control-allow-headers", "a, b"), ("access-control-allow-origin", origin)];
        assert_eq!(headers[..3], allowed, "{origin}");
    }
    let empty = ask("GET", "/info", &[("origin", ""), ("access-control-request-headers", "")]);
    assert_eq!(shown(&empty).1[0], ANY);
}

#[test]
fn a_preflight_is_answered_for_a_year() {
    let age = ("access-control-max-age", "31536000");
    for (path, methods) in [
        ("/info", "OPTIONS, GET"),
        ("/000/abc/xhr", "OPTIONS, POST"),
        ("/000/abc/xhr_streaming", "OPTIONS, POST"),
        ("/000/abc/xhr_send", "OPTIONS, POST"),
    ] {
        let reply = ask("OPTIONS", path, &[]);
        let methods = ("access-control-allow-methods", methods);
        let headers = vec![methods, ANY, age, A_YEAR, IN_A_YEAR, VARY_ORIGIN];
        assert_eq!(shown(&reply), (204, headers, ""), "{path}");
    }
    let cookies = Settings { cookie_needed: true, ..Settings::default() };
    for (sent, said) in [("", "dummy"), ("x=1; JSESSIONID=ab=c; y", "ab=c")] {
        let reply = ask_with(cookies.clone(), "OPTIONS", "/info", &[("cookie", sent)]);
        assert_eq!(reply.headers["set-cookie"], format!("JSESSIONID={said}; path=/"));
    }
}

#[test]
fn the_iframe_is_the_protocols_and_kept_for_a_year() {
    let page = "<!DOCTYPE html>\n<html>\n<head>\n  <meta http-equiv=\"X-UA-Compatible\" content=\"IE=edge\" />\n  \
                <meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\" />\n  \
                <script src=\"http://localhost:8081/lib/sockjs.js\"></script>\n  <script>\n    \
                document.domain = document.domain;\n    SockJS.bootstrap_iframe();\n  </script>\n</head>\n<body>\n  \
                <h2>Don't panic!</h2>\n  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>\n\
                </body>\n</html>";
    assert_eq!(page.len(), 444, "as measured with a URL of 35 characters");
    let first = ask("GET", "/iframe.html", &[]);
    let tag = first.headers["etag"].to_str().unwrap();
    let html = ("content-type", "text/html; charset=UTF-8");
    assert_eq!(shown(&first), (200, vec![A_YEAR, html, ("etag", tag), IN_A_YEAR], page));
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "{tag}");
    for path in ["/iframe.html/", "/iframe-a.html", "/iframe-0.1.2.html", "/iframe-0.1.2-dirty_2026.html"] {
        assert_eq!(shown(&ask("GET", path, &[])), shown(&first), "{path}");
    }
    for known in [tag.to_owned(), format!("\"x\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
        let reply = ask("GET", "/iframe.html", &[("if-none-match", &known)]);
        assert_eq!(shown(&reply), (304, vec![A_YEAR, ("etag", tag), IN_A_YEAR], ""), "{known}");
    }
    assert_eq!(ask("GET", "/iframe.html", &[("if-none-match", "\"x\"")]).status, 200);
    let hostile = Settings { client_url: Some("/a\"><script>&".to_owned()), ..Settings::default() };
    let escaped = ask_with(hostile, "GET", "/iframe.html", &[]);
    assert!(
        String::from_utf8_lossy(&escaped.body)
            .contains("<script src=\"/a&quot;>&lt;script>&amp;\"></script>")
    );
}

#[test]
fn a_web_socket_is_asked_for_as_one() {
    for path in ["/websocket", "/000/abc/websocket"] {
        assert_eq!(shown(&ask("GET", path, &[])), (400, vec![], "Not a valid websocket request"), "{path}");
    }
}
