//! What a request of a transport asks for, and its response.

use super::*;
use crate::dialect::Written;
use crate::end::End;
use crate::frame::Frame;
use crate::packet::{Closing, Message, Packet, Text};
use crate::reply::{Refused, Refuser};
use crate::session::Packets;

/// Returns what the request asks for, on a route that may allow only one origin.
fn read(
    settings: Settings,
    restricted: bool,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Result<Arc<dyn Framing>, Box<Reply>> {
    read_on(&SockJs::new(settings, BACKEND), restricted, method, target, headers)
}

/// Returns the same on a route that has had requests before.
fn read_on(
    route: &SockJs,
    restricted: bool,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Result<Arc<dyn Framing>, Box<Reply>> {
    let mut head = head(method, headers);
    head.uri = target.parse().unwrap();
    let kind = if headers.iter().any(|(name, _)| *name == "upgrade") {
        RequestKind::WebSocket
    } else {
        RequestKind::Http
    };
    let path = head.uri.path().to_owned();
    let request = Request { head: &head, path: &path, kind, environment: &FixedEnvironment(restricted) };
    match route.read(&request) {
        Ok(Ask::Session(
            _,
            Intent { operation: Operation::Receive(framing) | Operation::Send(framing), .. },
        )) => Ok(framing),
        Ok(Ask::Begin(beginning)) => Ok(beginning.framing),
        Ok(other) => panic!("{other:?}"),
        Err(answered) => Err(Box::new(answered.reply)),
    }
}

fn framing(method: &str, target: &str, headers: &[(&str, &str)]) -> Arc<dyn Framing> {
    read(Settings::default(), false, method, target, headers).unwrap()
}

fn told(
    framing: &Arc<dyn Framing>,
    headers: &[(&str, &str)],
    body: &'static str,
) -> Result<Vec<String>, Box<Reply>> {
    let sent = head("POST", headers).headers;
    let form = framing.read_push(&sent).unwrap();
    let packets: Packets = framing.decode_push(form, Bytes::from_static(body.as_bytes()))?;
    Ok(packets
        .map(|packet| match packet {
            Ok(Packet::Message(Message::Text(text))) => text.as_str().to_owned(),
            other => panic!("{other:?}"),
        })
        .collect())
}

const FRESH: (&str, &str) = ("cache-control", "no-store, no-cache, no-transform, must-revalidate, max-age=0");
const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];

#[test]
fn a_callback_that_is_none_is_refused_before_a_session_is_touched() {
    let nosniff = ("x-content-type-options", "nosniff");
    for (target, text) in [
        ("/a/b/jsonp", "\"callback\" parameter required"),
        ("/a/b/jsonp?callback=abc%28", "invalid \"callback\" parameter"),
        ("/a/b/jsonp?c=%20", "invalid \"callback\" parameter"),
        ("/a/b/jsonp?c=", "invalid \"callback\" parameter"),
        ("/a/b/jsonp?c=a&c=b", "invalid \"callback\" parameter"),
        ("/a/b/jsonp?c=123456789012345678901234567890123", "invalid \"callback\" parameter"),
    ] {
        let reply = read(Settings::default(), false, "GET", target, &[]).unwrap_err();
        assert_eq!(shown(&reply), (500, vec![FRESH, TYPE_TEXT, nosniff], text), "{target}");
    }
    for target in [
        "/a/b/jsonp?c=%63allback",
        "/a/b/jsonp?callback=a.b-c_9",
        "/a/b/htmlfile?c=1234567890123456789012345678901234",
    ] {
        framing("GET", target, &[]);
    }
}

#[test]
fn a_body_without_messages_is_a_500_that_says_why() {
    let (xhr, jsonp) = (framing("POST", "/a/b/xhr_send", &[]), framing("POST", "/a/b/jsonp_send", &[]));
    for (framing, headers, body, text) in [
        (&xhr, &[][..], "", "Payload expected."),
        (&xhr, &[], "{}", "Payload expected."),
        (&xhr, &[], "[\"a", "Broken JSON encoding."),
        (&xhr, &[("content-type", "application/octet-stream")], "[\"a\"]", "Payload expected."),
        (&xhr, &[("content-type", "multipart/form-data; boundary=x")], "[\"a\"]", "Payload expected."),
        (&jsonp, &FORM, "", "Payload expected."),
        (&jsonp, &FORM, "d=", "Payload expected."),
        (&jsonp, &FORM, "p=p", "Payload expected."),
        (&jsonp, &FORM, "d=%5B%22a", "Broken JSON encoding."),
        (&jsonp, &[("content-type", "text/plain")], "[\"abc", "Broken JSON encoding."),
    ] {
        let reply = told(framing, headers, body).unwrap_err();
        assert_eq!((reply.status.as_u16(), &reply.body[..]), (500, text.as_bytes()), "{body:?}");
        assert_eq!(reply.headers["content-type"], "text/plain; charset=UTF-8");
    }
}

#[test]
fn messages_are_taken_whatever_the_type_says_that_can_hold_text() {
    let (xhr, jsonp) = (framing("POST", "/a/b/xhr_send", &[]), framing("POST", "/a/b/jsonp_send", &[]));
    for kind in ["", "T", "text/plain;charset=utf-8", "application/json", "application/xml", "text/xml"] {
        assert_eq!(told(&xhr, &[("content-type", kind)], " [\"a\",\"b\"] ").unwrap(), ["a", "b"], "{kind}");
    }
    assert_eq!(told(&xhr, &[], "[]").unwrap(), [""; 0]);
    assert_eq!(told(&jsonp, &FORM, "x=1&d=%5B%22a+%2B%22%5D").unwrap(), ["a +"]);
    assert_eq!(told(&jsonp, &[("content-type", "text/plain")], "[\"a\"]").unwrap(), ["a"]);
    assert_eq!(told(&jsonp, &[], "[\"a\"]").unwrap(), ["a"]);
    let (xhr, jsonp) = (xhr.encode_taken(), jsonp.encode_taken());
    assert_eq!(
        (xhr.status.as_u16(), &xhr.bytes[..], xhr.content_type.to_str().unwrap()),
        (204, &b""[..], TYPE_TEXT.1)
    );
    assert_eq!(
        (jsonp.status.as_u16(), &jsonp.bytes[..], jsonp.content_type.to_str().unwrap()),
        (200, &b"ok"[..], TYPE_TEXT.1)
    );
}

#[test]
fn every_answer_of_a_transport_says_what_its_pages_may_read() {
    let says = |method, target, origin: &str| {
        let framing = framing(method, target, &[("origin", origin)]);
        let reply = framing.refuse(Refusal::Over, RequestKind::Http);
        let of = |name: &str| reply.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(&reply.body[..], b"404 Error: Page not found\n");
        assert_eq!(of("cache-control").as_deref(), Some(FRESH.1));
        (of("access-control-allow-origin"), of("access-control-allow-credentials"))
    };
    let credentials = Some("true".to_owned());
    for target in ["/a/b/xhr", "/a/b/xhr_streaming", "/a/b/xhr_send"] {
        for origin in ["http://a.example", "null"] {
            assert_eq!(says("POST", target, origin), (Some(origin.to_owned()), credentials.clone()));
        }
        assert_eq!(says("POST", target, ""), (Some("*".to_owned()), None));
    }
    assert_eq!(
        says("GET", "/a/b/eventsource", "http://a.example"),
        (Some("http://a.example".to_owned()), credentials)
    );
    assert_eq!(says("GET", "/a/b/eventsource", "null"), (Some("*".to_owned()), None));
    for (method, target) in
        [("GET", "/a/b/jsonp?c=x"), ("GET", "/a/b/htmlfile?c=x"), ("POST", "/a/b/jsonp_send")]
    {
        assert_eq!(says(method, target, "http://a.example"), (None, None));
    }
}

#[test]
fn a_response_has_the_headers_for_its_own_page_whatever_page_asked_before() {
    let (a, b, null) = (("origin", "http://a.example"), ("origin", "http://b.example"), ("origin", "null"));
    let (asked, cookie) = (("access-control-request-headers", "x-own"), ("cookie", "a=b; JSESSIONID=mine"));
    for cookie_needed in [false, true] {
        let settings = Settings { cookie_needed, ..Settings::default() };
        let route = SockJs::new(settings.clone(), BACKEND);
        for sent in [
            &[a][..],
            &[b],
            &[a],
            &[],
            &[a],
            &[a, asked],
            &[a],
            &[null],
            &[asked],
            &[a, cookie],
            &[a],
            &[cookie],
            &[],
        ] {
            for (method, target) in [
                ("POST", "/a/b/xhr"),
                ("POST", "/a/b/xhr_streaming"),
                ("GET", "/a/b/eventsource"),
                ("POST", "/a/b/xhr_send"),
            ] {
                let framing = read_on(&route, false, method, target, sent).unwrap();
                let again = read_on(&route, false, method, target, sent).unwrap();
                assert!(Arc::ptr_eq(&framing, &again), "requests of one page share a framing");
                let fresh = read(settings.clone(), false, method, target, sent).unwrap();
                let mut expected = HeaderMap::new();
                let kind = match target {
                    "/a/b/xhr_send" => fresh.encode_taken().content_type,
                    _ => fresh.begin_stream().content_type,
                };
                expected.insert("content-type", kind);
                fresh.add_headers(false, &mut expected);
                assert_eq!(framing.ready_headers(), Some(&expected), "{target} {sent:?}");
                let mut refused = framing.refuse(Refusal::Over, RequestKind::Http).headers;
                expected.insert("content-type", refused.remove("content-type").unwrap());
                refused.insert("content-type", expected["content-type"].clone());
                assert_eq!(refused, expected, "{target} {sent:?}");
            }
        }
    }
}

#[test]
fn a_cookie_for_balancers_is_on_every_answer_of_a_transport() {
    let settings = Settings { cookie_needed: true, ..Settings::default() };
    for (method, target) in [("POST", "/a/b/xhr"), ("GET", "/a/b/htmlfile?c=x"), ("POST", "/a/b/jsonp_send")]
    {
        let sent = [("cookie", "a=b; JSESSIONID=mine")];
        let framing = read(settings.clone(), false, method, target, &sent).unwrap();
        let mut headers = HeaderMap::new();
        framing.add_headers(false, &mut headers);
        assert_eq!(headers["set-cookie"], "JSESSIONID=mine; path=/", "{target}");
        let refused = framing.refuse(Refusal::Over, RequestKind::Http);
        assert_eq!(refused.headers["set-cookie"], "JSESSIONID=mine; path=/", "{target}");
    }
    let refused = read(settings, false, "GET", "/a/b/jsonp", &[]).unwrap_err();
    assert_eq!(refused.headers["set-cookie"], "JSESSIONID=dummy; path=/");
}

#[test]
fn where_some_pages_may_not_connect_what_cannot_tell_whose_page_asks_is_off() {
    let ask = |method, target, origin| {
        read(Settings::default(), true, method, target, &[("origin", origin)]).map_err(|reply| {
            assert!(!reply.headers.contains_key("access-control-allow-origin"));
            reply.status.as_u16()
        })
    };
    for (method, target) in [("POST", "/a/b/xhr"), ("POST", "/a/b/xhr_send"), ("GET", "/a/b/eventsource")] {
        assert!(ask(method, target, "http://a.example").is_ok(), "{target}");
        assert_eq!(ask(method, target, "http://b.example").unwrap_err(), 403, "{target}");
    }
    assert_eq!(ask("OPTIONS", "/a/b/xhr", "http://b.example").unwrap_err(), 403);
    for (method, target) in [
        ("GET", "/a/b/jsonp?c=x"),
        ("POST", "/a/b/jsonp_send"),
        ("GET", "/a/b/htmlfile?c=x"),
        ("GET", "/iframe.html"),
    ] {
        assert_eq!(ask(method, target, "http://a.example").unwrap_err(), 404, "{target}");
    }
}

#[test]
fn what_a_route_has_off_is_not_there() {
    let off = Settings { websocket: false, jsonp: false, client_url: None, ..Settings::default() };
    for (method, target) in [
        ("GET", "/a/b/websocket"),
        ("GET", "/websocket"),
        ("GET", "/a/b/jsonp?c=x"),
        ("POST", "/a/b/jsonp_send"),
        ("GET", "/iframe.html"),
    ] {
        let reply = read(off.clone(), false, method, target, &[("upgrade", "websocket")]).unwrap_err();
        assert_eq!(shown(&reply), (404, vec![TYPE_TEXT], "404 Error: Page not found\n"), "{target}");
    }
    let long = format!("/a/{}/xhr", "x".repeat(129));
    assert_eq!(read(Settings::default(), false, "POST", &long, &[]).unwrap_err().status, 404);
}

#[test]
fn a_handshake_that_is_none_is_told_why() {
    let (upgrade, version) = (("upgrade", "websocket"), ("sec-websocket-version", "13"));
    let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let ask = |target, headers: &[_]| {
        read(Settings::default(), false, "GET", target, headers)
            .map_err(|reply| (reply.status.as_u16(), String::from_utf8(reply.body.to_vec()).unwrap()))
    };
    let bad = |text: &str| (400, text.to_owned());
    let path = "/a/b/websocket";
    assert_eq!(ask(path, &[]).unwrap_err(), bad("Not a valid websocket request"));
    assert_eq!(
        ask(path, &[upgrade, ("sec-websocket-version", "8")]).unwrap_err(),
        bad("Unsupported WebSocket version: 8")
    );
    assert_eq!(
        ask(path, &[upgrade, version]).unwrap_err(),
        bad("Missing handshake request header: Sec-WebSocket-Key")
    );
    assert_eq!(
        ask("/websocket", &[upgrade, ("sec-websocket-version", "7"), key]).unwrap_err(),
        bad("Only supported WebSocket protocol is RFC 6455.")
    );
    assert!(ask(path, &[upgrade, version, key]).is_ok());
    assert!(ask("/websocket", &[upgrade, ("sec-websocket-version", "8"), key]).is_ok());
}

#[test]
fn a_web_socket_has_a_frame_for_each_message_and_ends_as_the_reference_does() {
    let headers = [("upgrade", "websocket"), ("sec-websocket-version", "13"), ("sec-websocket-key", "x")];
    let framing = framing("GET", "/a/b/websocket", &headers);
    let text = |text: &'static str| Written::Frame(Frame::Text(Bytes::from_static(text.as_bytes())));
    assert_eq!(framing.encode_frame(&Packet::Open(Text::default())), text("o"));
    assert_eq!(framing.encode_frame(&Packet::Message(Message::text("x\n"))), text("a[\"x\\n\"]"));
    assert_eq!(framing.encode_frame(&Packet::Ping(Text::default())), Written::Ping);
    assert_eq!(framing.goodbye(End::ParseError, &Closing::default()), Closing::new(3000, "Broken framing."));
    let closing = Closing::new(4001, "enough");
    assert_eq!(framing.goodbye(End::UpstreamClosed, &closing), Closing::new(1000, "Normal closure"));
    assert_eq!(framing.goodbye(End::ClientClosed, &closing), closing);
}

#[test]
fn a_backends_refusal_passes_with_what_lets_a_page_read_it() {
    let framing = framing("POST", "/a/b/xhr", &[("origin", "http://a.example")]);
    let reply = Reply {
        status: StatusCode::UNAUTHORIZED,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"who?"),
    };
    let told = framing.translate_refusal(Refused { reply, by: Refuser::Other }, RequestKind::Http);
    assert_eq!((told.status.as_u16(), &told.body[..]), (401, &b"who?"[..]));
    assert_eq!(told.headers["access-control-allow-origin"], "http://a.example");
}
