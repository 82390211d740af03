//! CORS (ENGINEIO.md, 2.4): a list of the route's own, as in the reference, or the backend's headers, mirrored.

use serde_json::json;

use crate::support::frames::HANDSHAKE;
use crate::support::http::{Client, Response, head};
use crate::support::script::answer;
use crate::support::setup::bare_refusal;
use crate::support::world::{Excluded, POLLING, WEBSOCKET};
use crate::support::{Poller, Setup, World, ms};

const A: (&str, &str) = ("Origin", "https://a.example");
const B: (&str, &str) = ("Origin", "https://b.example");
const ASKS_METHOD: (&str, &str) = ("Access-Control-Request-Method", "POST");
const ASKS_HEADERS: (&str, &str) = ("Access-Control-Request-Headers", "x-token,x-other");

/// Returns Allow-Origin, Allow-Credentials and Vary.
fn cors(answer: &Response) -> [Option<&str>; 3] {
    ["access-control-allow-origin", "access-control-allow-credentials", "vary"]
        .map(|name| answer.header(name))
}

fn named<'a>(origin: (&'a str, &'a str)) -> [Option<&'a str>; 3] {
    [Some(origin.1), Some("true"), Some("Origin")]
}

/// Returns the response to a WebSocket's handshake.
fn upgrade(world: &World, target: &str, origin: (&str, &str)) -> Response {
    let mut client = world.http();
    let headers: Vec<_> = HANDSHAKE.iter().copied().chain([origin]).collect();
    client.wire.send(head("GET", target, &headers).as_bytes());
    client.answer()
}

fn list() -> Setup {
    Setup::new().cors(
        r#"{ origins = ["https://a.example", "https://c.example"], credentials = true }"#,
        json!({"origin": ["https://a.example", "https://c.example"], "credentials": true}),
    )
}

#[test]
fn an_origin_of_the_list_is_named_on_every_response() {
    let world = World::new(list());
    let handshake = world.http().request("GET", POLLING, &[A], b"");
    assert_eq!(handshake.status, 200);
    assert_eq!(cors(&handshake), named(A), "handshake");
    drop(world.accept());
    let (poller, peer) = world.poller();
    peer.send("x");
    let poll = poller.request("GET", &[A], b"");
    poll.assert(200, "4x");
    assert_eq!(cors(&poll), named(A), "poll");
    let push = poller.request("POST", &[A], b"4x");
    push.assert(200, "ok");
    assert_eq!(cors(&push), named(A), "push");
    let unknown = world.http().request("GET", &format!("{POLLING}&sid=nobody"), &[A], b"");
    unknown.assert_unknown_sid();
    assert_eq!(cors(&unknown), named(A), "unknown sid");
    let method = world.http().request("PUT", POLLING, &[A], b"");
    method.assert_error(400, 2, "Bad handshake method");
    assert_eq!(cors(&method), named(A), "bad method");
    let method = poller.request("PUT", &[A], b"");
    assert_eq!((method.status, cors(&method)), (500, named(A)), "bad method of a session");
    let binary = poller.request("POST", &[A, ("Content-Type", "application/octet-stream")], b"4x");
    assert_eq!((binary.status, cors(&binary)), (400, named(A)), "refused push");
}

#[test]
fn a_page_may_read_that_its_post_was_too_large() {
    let world = World::new(list().max_payload(100));
    let (poller, _peer) = world.poller();
    let large = poller.request("POST", &[A], "x".repeat(101).as_bytes());
    assert_eq!((large.status, cors(&large)), (413, named(A)));
}

#[test]
fn a_websocket_is_accepted_with_the_lists_headers() {
    let world = World::new(list());
    let fresh = upgrade(&world, WEBSOCKET, A);
    assert_eq!((fresh.status, cors(&fresh)), (101, named(A)));
    drop(world.accept());
    let (poller, _peer) = world.poller();
    let move_to = upgrade(&world, &poller.upgrade_target(), A);
    assert_eq!((move_to.status, cors(&move_to)), (101, named(A)));
}

#[test]
fn an_origin_outside_the_list_is_served_and_not_named() {
    let world = World::new(list());
    let unnamed = [None, Some("true"), Some("Origin")];
    let handshake = world.http().request("GET", POLLING, &[B], b"");
    assert_eq!((handshake.status, cors(&handshake)), (200, unnamed));
    let plain = world.get(POLLING);
    assert_eq!((plain.status, cors(&plain)), (200, unnamed));
    let opaque = world.http().request("GET", POLLING, &[("Origin", "null")], b"");
    assert_eq!((opaque.status, cors(&opaque)), (200, unnamed));
}

#[test]
fn any_origin_is_a_star_without_vary() {
    let world = World::new(Setup::new().cors(r#"{ origins = "*" }"#, json!({"origin": "*"})));
    let star = [Some("*"), None, None];
    let handshake = world.http().request("GET", POLLING, &[A], b"");
    assert_eq!((handshake.status, cors(&handshake)), (200, star));
    let plain = world.get(&format!("{POLLING}&sid=nobody"));
    assert_eq!((plain.status, cors(&plain)), (400, star));
    let socket = upgrade(&world, WEBSOCKET, B);
    assert_eq!((socket.status, cors(&socket)), (101, star));
}

#[test]
fn a_preflight_ends_at_the_target() {
    let world = World::new(list());
    let (poller, _peer) = world.poller();
    for target in
        [POLLING.to_owned(), poller.target(), format!("{POLLING}&sid=nobody"), "/engine.io/".to_owned()]
    {
        let allowed = world.http().request("OPTIONS", &target, &[A, ASKS_METHOD, ASKS_HEADERS], b"");
        allowed.assert(204, "");
        let vary = Some("Origin, Access-Control-Request-Headers");
        assert_eq!(cors(&allowed), [Some(A.1), Some("true"), vary], "{target}");
        assert_eq!(allowed.header("access-control-allow-headers"), Some(ASKS_HEADERS.1));
        let methods = Some("GET,HEAD,PUT,PATCH,POST,DELETE");
        assert_eq!(allowed.header("access-control-allow-methods"), methods);
        assert_eq!(allowed.header("access-control-max-age"), None);
    }
    let other = world.http().request("OPTIONS", POLLING, &[B, ASKS_METHOD], b"");
    other.assert(204, "");
    assert_eq!(other.header("access-control-allow-origin"), None);
    assert_eq!(other.header("access-control-allow-headers"), None);
    let plain = world.http().request("OPTIONS", POLLING, &[], b"");
    assert_eq!(plain.status, 204, "the reference takes every OPTIONS for a preflight");
}

#[test]
fn a_connection_goes_on_after_a_preflight() {
    let world = World::new(list());
    let mut client = world.http();
    assert_eq!(client.request("OPTIONS", POLLING, &[A, ASKS_METHOD], b"").status, 204);
    assert_eq!(client.request("GET", POLLING, &[A], b"").status, 200);
}

#[test]
fn a_preflight_gets_the_lists_headers_methods_and_age() {
    let world = World::new(Setup::new().cors(
        r#"{ origins = "*", headers = ["X-Token", "X-Other"], methods = ["GET", "POST"], max_age = "10m" }"#,
        json!({"origin": "*", "allowedHeaders": ["X-Token", "X-Other"], "methods": ["GET", "POST"], "maxAge": 600}),
    ));
    let answer = world.http().request("OPTIONS", POLLING, &[A, ASKS_METHOD, ASKS_HEADERS], b"");
    answer.assert(204, "");
    assert_eq!(cors(&answer), [Some("*"), None, None]);
    assert_eq!(answer.header("access-control-allow-headers"), Some("X-Token,X-Other"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET,POST"));
    assert_eq!(answer.header("access-control-max-age"), Some("600"));
}

#[test]
fn a_refusal_by_the_application_can_be_read() {
    let world = World::new(list().refusing("no such room"));
    let refusal = world.http().request("GET", POLLING, &[A], b"");
    refusal.assert_error(403, 4, "no such room");
    assert_eq!(cors(&refusal), named(A));
}

#[test]
fn any_origin_with_credentials_is_named_since_browsers_refuse_a_star() {
    let setup = Setup::new().route(r#"cors = { origins = "*", credentials = true }"#);
    let Some(world) = World::proxy_only(setup, Excluded::FaultOfTheReference) else { return };
    assert_eq!(cors(&world.http().request("GET", POLLING, &[A], b"")), named(A));
    assert_eq!(cors(&world.http().request("GET", POLLING, &[B], b"")), named(B));
}

/// Returns a proxy in front of a backend that adds these header lines when it accepts.
fn proxy(route: &str, headers: &str) -> Option<World> {
    let setup = Setup::new().route(route).script(|script| headers.clone_into(&mut script.headers));
    World::proxy_only(setup, Excluded::OnlyAProxyHasThis)
}

const BACKENDS: &str = "Access-Control-Allow-Origin: https://a.example\r\nAccess-Control-Allow-Credentials: true\r\nVary: Origin\r\n";

#[test]
fn the_routes_list_replaces_the_backends_headers() {
    let Some(world) = proxy(r#"cors = { origins = "https://b.example" }"#, BACKENDS) else { return };
    let own = [Some(B.1), None, Some("Origin")];
    assert_eq!(cors(&world.http().request("GET", POLLING, &[B], b"")), own);
    assert_eq!(cors(&upgrade(&world, WEBSOCKET, B)), own);
    let asked = world.http().request("OPTIONS", POLLING, &[A, ASKS_METHOD], b"");
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (204, None));
    while let Ok(opening) = world.backend().openings.try_recv() {
        assert_eq!(opening.method, "GET", "a preflight stays at the proxy");
    }
}

#[test]
fn off_removes_the_backends_headers() {
    let Some(world) = proxy(r#"cors = "off""#, BACKENDS) else { return };
    let (poller, peer) = world.poller();
    assert_eq!(cors(&poller.handshake), [None; 3]);
    peer.send("x");
    assert_eq!(cors(&poller.request("GET", &[A], b"")), [None; 3]);
    assert_eq!(cors(&upgrade(&world, WEBSOCKET, A)), [None; 3]);
    let asked = world.http().request("OPTIONS", POLLING, &[A, ASKS_METHOD], b"");
    asked.assert_error(400, 2, "Bad handshake method");
    let asked = poller.request("OPTIONS", &[A, ASKS_METHOD], b"");
    asked.assert(500, "");
    let headers = format!("{BACKENDS}Content-Type: text/plain\r\n");
    world.backend().script(|script| script.refusal = Some(answer("401 Unauthorized", &headers, "who?")));
    let refusal = world.http().request("GET", POLLING, &[A], b"");
    refusal.assert(401, "who?");
    assert_eq!(cors(&refusal), [None; 3]);
}

#[test]
fn a_mirror_repeats_the_backends_headers_on_every_response_of_a_session() {
    let Some(world) = proxy("", BACKENDS) else { return };
    let (poller, peer) = world.poller();
    assert_eq!(cors(&poller.handshake), named(A), "handshake");
    assert_eq!(poller.handshake.headers_named("vary").len(), 1);
    peer.send("x");
    assert_eq!(cors(&poller.request("GET", &[A], b"")), named(A), "poll");
    assert_eq!(cors(&poller.request("POST", &[A], b"4x")), named(A), "push");
    assert_eq!(cors(&upgrade(&world, WEBSOCKET, A)), named(A), "101");
}

#[test]
fn a_mirror_repeats_the_headers_where_the_backend_is_not_asked() {
    let Some(world) = proxy("", BACKENDS) else { return };
    let unknown = |origin| world.http().request("GET", &format!("{POLLING}&sid=nobody"), &[origin], b"");
    assert_eq!(cors(&unknown(A)), [None; 3], "the backend has sent no headers yet");
    assert_eq!(world.http().request("GET", POLLING, &[A], b"").status, 200);
    assert_eq!(cors(&unknown(A)), named(A));
    assert_eq!(cors(&unknown(B)), [None; 3], "the backend has sent nothing for this origin");
    // The backend refuses without CORS headers, as the reference does before a 101.
    world.backend().script(|script| script.refusal = Some(bare_refusal("Forbidden")));
    let refusal = world.http().request("GET", POLLING, &[A], b"");
    refusal.assert_error(403, 4, "Forbidden");
    assert_eq!(cors(&refusal), named(A));
    world.backend().script(|script| script.refusal = Some(Vec::new()));
    let down = world.http().request("GET", POLLING, &[A], b"");
    assert_eq!((down.status, cors(&down)), (502, named(A)));
    world.backend().script(|script| (script.refusal, script.headers) = (None, String::new()));
    assert_eq!(cors(&world.http().request("GET", POLLING, &[A], b"")), [None; 3]);
    assert_eq!(cors(&unknown(A)), [None; 3], "the backend's last response had no CORS headers");
}

#[test]
fn a_mirror_passes_on_the_headers_of_a_refusal() {
    let Some(world) = proxy("", "") else { return };
    let headers = format!("{BACKENDS}Content-Type: text/plain\r\n");
    world.backend().script(|script| script.refusal = Some(answer("401 Unauthorized", &headers, "who?")));
    let refusal = world.http().request("GET", POLLING, &[A], b"");
    refusal.assert(401, "who?");
    assert_eq!(cors(&refusal), named(A));
}

#[test]
fn a_preflight_goes_to_the_backend_and_its_response_to_the_client() {
    let Some(world) = proxy("", "") else { return };
    let allows = "Access-Control-Allow-Headers: x-token\r\nAccess-Control-Allow-Methods: POST\r\n\
                  Access-Control-Max-Age: 60\r\nConnection: close\r\nX-Hop: 1\r\n";
    let said = answer("204 No Content", &format!("{BACKENDS}{allows}"), "");
    world.backend().script(|script| script.options = said);
    let target = format!("{POLLING}&token=a%20b&t=xyz&sid=nobody");
    let headers = [A, ASKS_METHOD, ASKS_HEADERS, ("Cookie", "a=b"), ("X-Forwarded-For", "10.0.0.1")];
    let mut client = world.http();
    let handed_on = client.request("OPTIONS", &target, &headers, b"");
    handed_on.assert(204, "");
    assert_eq!(cors(&handed_on), named(A));
    assert_eq!(handed_on.header("access-control-allow-headers"), Some("x-token"));
    assert_eq!(handed_on.header("access-control-allow-methods"), Some("POST"));
    assert_eq!(handed_on.header("access-control-max-age"), Some("60"));
    assert_eq!(handed_on.header("connection"), None);

    let opening = world.backend().openings.recv().unwrap();
    assert_eq!((opening.method.as_str(), opening.path()), ("OPTIONS", "/engine.io/"));
    assert_eq!(opening.query(), ["token=a%20b", "EIO=4", "transport=polling"]);
    assert_eq!(opening.header("origin"), Some(A.1));
    assert_eq!(opening.header("access-control-request-method"), Some("POST"));
    assert_eq!(opening.header("access-control-request-headers"), Some(ASKS_HEADERS.1));
    assert_eq!(opening.header("x-forwarded-for"), Some("127.0.0.1"), "the client's value is replaced");
    assert_eq!(opening.header("host"), Some("wire.test"));
    assert_eq!(opening.header("upgrade"), None);

    // The connection stays open, and an error has the headers that the preflight had for this origin.
    let error = client.request("GET", &format!("{POLLING}&sid=nobody"), &[A], b"");
    error.assert_unknown_sid();
    assert_eq!(cors(&error), named(A));
    assert_eq!(error.header("access-control-allow-methods"), None);
    world.assert_sessions(0);
}

#[test]
fn a_backends_response_to_a_preflight_keeps_its_body() {
    let Some(world) = proxy("", "") else { return };
    let asked = world.http().request("OPTIONS", POLLING, &[A, ASKS_METHOD], b"");
    asked.assert_error(400, 2, "Bad handshake method");
}

#[test]
fn options_without_a_requested_method_is_answered_by_the_backends_middleware() {
    let Some(world) = proxy("", "") else { return };
    for (status, more) in [("204 No Content", "Access-Control-Allow-Methods: GET,POST\r\n"), ("200 OK", "")] {
        world.backend().script(|script| script.options = answer(status, &format!("{BACKENDS}{more}"), ""));
        for headers in [&[][..], &[A], &[ASKS_METHOD], &[A, ASKS_HEADERS]] {
            for target in [POLLING, "/engine.io/", &format!("{POLLING}&sid=nobody")] {
                let told = world.http().request("OPTIONS", target, headers, b"");
                assert_eq!(told.status.to_string(), status[..3], "{headers:?}");
                assert_eq!(cors(&told), named(A));
                assert_eq!(told.header("access-control-allow-methods").is_some(), !more.is_empty());
            }
        }
    }
}

#[test]
fn options_that_no_middleware_answers_is_answered_as_the_reference_does_without_one() {
    let Some(world) = proxy("", "") else { return };
    let (poller, _peer) = world.poller();
    let refusals = [
        answer("400 Bad Request", "", "nonsense"),
        answer("405 Method Not Allowed", "", ""),
        Vec::new(),
        b"nonsense\r\n\r\n".to_vec(),
    ];
    for refusal in refusals {
        world.backend().script(|script| script.options = refusal);
        for headers in [&[][..], &[A], &[ASKS_METHOD]] {
            let told = world.http().request("OPTIONS", POLLING, headers, b"");
            told.assert_error(400, 2, "Bad handshake method");
            world
                .http()
                .request("OPTIONS", &format!("{POLLING}&sid=nobody"), headers, b"")
                .assert_unknown_sid();
            poller.request("OPTIONS", headers, b"").assert(500, "");
        }
    }
}

#[test]
fn a_preflight_whose_backend_is_down_is_502_and_slow_504() {
    let setup = Setup::new().upstream("handshake_timeout = \"200ms\"");
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let ask = || world.http().request("OPTIONS", POLLING, &[A, ASKS_METHOD], b"").status;
    world.backend().script(|script| script.options = Vec::new());
    assert_eq!(ask(), 502);
    world.backend().script(|script| script.options = b"nonsense\r\n\r\n".to_vec());
    assert_eq!(ask(), 502);
    let switches = answer("101 Switching Protocols", "Upgrade: tea\r\nConnection: Upgrade\r\n", "");
    world.backend().script(|script| script.options = switches);
    assert_eq!(ask(), 502);
    world.backend().script(|script| script.delay = ms(1000));
    assert_eq!(ask(), 504);
    world.backend().script(|script| script.delay = ms(0));
    world.assert_healthy();
}

#[test]
fn a_preflight_of_an_origin_that_may_not_connect_is_refused() {
    let Some(world) = proxy(r#"allowed_origins = ["https://b.example"]"#, BACKENDS) else { return };
    let asked = world.http().request("OPTIONS", POLLING, &[A, ASKS_METHOD], b"");
    asked.assert_error(403, 4, "Forbidden");
    assert!(world.backend().openings.try_recv().is_err());
    world.http().request("GET", POLLING, &[A], b"").assert_error(403, 4, "Forbidden");
    assert_eq!(world.http().request("GET", POLLING, &[B], b"").status, 200);
}

#[test]
fn the_cors_list_and_allowed_origins_are_independent() {
    let route = "cors = { origins = \"*\" }\nallowed_origins = [\"https://b.example\"]";
    let Some(world) = proxy(route, "") else { return };
    let refused = world.http().request("GET", POLLING, &[A], b"");
    refused.assert_error(403, 4, "Forbidden");
    assert_eq!(cors(&refused), [Some("*"), None, None], "the page may read that it may not connect");
}

#[test]
fn a_plain_backend_is_not_asked() {
    let Some(world) = World::proxy_only(Setup::plain(), Excluded::OnlyAProxyHasThis) else { return };
    let asked = world.http().request("OPTIONS", POLLING, &[A, ASKS_METHOD], b"");
    asked.assert_error(400, 2, "Bad handshake method");
    assert!(world.backend().openings.try_recv().is_err());
}

#[test]
fn a_client_that_leaves_during_a_preflight_cancels_it() {
    let Some(world) = proxy("", "") else { return };
    world.backend().script(|script| script.delay = ms(300));
    for _ in 0..20 {
        let mut client = Client::connect(world.addr);
        client.send("OPTIONS", POLLING, &[A, ASKS_METHOD], b"");
        world.backend().openings.recv().unwrap();
        client.wire.reset();
    }
    world.backend().script(|script| script.delay = ms(0));
    world.assert_healthy();
    let poller = Poller::handshake(world.addr);
    drop(world.accept());
    drop(poller);
}
