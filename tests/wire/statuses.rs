//! How a backend refuses a handshake, and what the client gets of it: promise 3, status by status.

use std::time::{Duration, Instant};

use crate::support::frames::HANDSHAKE;
use crate::support::http::{Client, Response};
use crate::support::script::answer;
use crate::support::target::Target;
use crate::support::world::{Excluded, POLLING, WEBSOCKET};
use crate::support::{Setup, World};

const ORIGIN: (&str, &str) = ("Origin", "https://a.example");

/// A backend, and how it is reached.
struct Scene {
    world: World,
    /// A second proxy in front of the world's own, with a shared connection between the two.
    edge: Option<Target>,
    clients: &'static [&'static str],
}

impl Scene {
    /// Returns every kind of upstream with every way to it.
    fn all() -> Option<Vec<(&'static str, Self)>> {
        let cors = r#"cors = { origins = "*" }"#;
        let both = &[POLLING, WEBSOCKET][..];
        let direct = [
            ("engine.io", Setup::new(), both),
            ("engine.io, relayed", Setup::new().relayed(), both),
            ("websocket", Setup::plain(), both),
            ("websocket, relayed", Setup::sockets(), &[WEBSOCKET][..]),
            ("websocket, framed", Setup { relay: false, ..Setup::sockets() }, &[WEBSOCKET][..]),
        ];
        let mut scenes = Vec::new();
        for (name, setup, clients) in direct {
            let world = World::proxy_only(setup.route(cors), Excluded::OnlyAProxyHasThis)?;
            scenes.push((name, Self { world, edge: None, clients }));
        }
        for (name, setup) in [("mux to engine.io", Setup::new()), ("mux to websocket", Setup::plain())] {
            let setup = Setup { dialect: "mux", ..setup };
            let world = World::proxy_only(setup, Excluded::OnlyAProxyHasThis)?;
            let url = format!("url = \"ws://{}/engine.io/\"", world.addr);
            let edge = Target::proxy_with(|public, admin| {
                format!(
                    "server.listen = [\"{public}\"]\nadmin.listen = \"{admin}\"\n[[routes]]\n\
                    path = \"/engine.io/\"\ndialect = \"engine.io\"\nupstream = \"m\"\n{cors}\n\
                    [upstreams.m]\nkind = \"mux\"\n{url}\n"
                )
            });
            scenes.push((name, Self { world, edge: Some(edge), clients: both }));
        }
        Some(scenes)
    }

    fn is_engine_io(name: &str) -> bool {
        name.contains("engine.io")
    }

    fn ask(&self, target: &str) -> Response {
        let addr = self.edge.as_ref().map_or(self.world.addr, |edge| edge.public);
        let mut headers = vec![ORIGIN];
        if target == WEBSOCKET {
            headers.extend(HANDSHAKE);
        }
        Client::connect(addr).request("GET", target, &headers, b"")
    }

    fn says(&self, bytes: &[u8]) {
        self.world.backend().script(|script| script.refusal = Some(bytes.to_vec()));
    }
}

#[test]
fn a_backends_refusal_reaches_every_client_with_its_status_headers_and_body() {
    let Some(scenes) = Scene::all() else { return };
    let refusals = [
        ("301 Moved Permanently", "Location: /elsewhere?x=1\r\n", ""),
        ("302 Found", "Location: https://login.example/\r\n", "over there"),
        ("303 See Other", "Location: /login\r\n", ""),
        ("307 Temporary Redirect", "Location: /elsewhere\r\n", ""),
        ("308 Permanent Redirect", "Location: /elsewhere\r\n", ""),
        ("401 Unauthorized", "WWW-Authenticate: Basic\r\n", "who?"),
        ("403 Forbidden", "", "no entry"),
        ("404 Not Found", "Content-Type: text/html\r\n", "<h1>Not Found</h1>"),
        ("418 I'm a teapot", "X-Tea: green\r\n", ""),
        ("429 Too Many Requests", "Retry-After: 7\r\n", "slow down"),
        ("500 Internal Server Error", "", "Oops"),
        ("502 Bad Gateway", "Content-Type: text/html\r\n", "a proxy's own"),
        ("503 Service Unavailable", "Retry-After: 9\r\nSet-Cookie: a=b\r\n", "down for maintenance"),
        ("504 Gateway Timeout", "", ""),
        ("599 Whatever", "", "beyond"),
    ];
    for (name, scene) in &scenes {
        for (index, (status, headers, body)) in refusals.into_iter().enumerate() {
            let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
            let chunked = if body.is_empty() { "0\r\n\r\n" } else { &chunked };
            let framings = [
                answer(status, headers, body),
                format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\n\r\n{body}").into_bytes(),
                format!("HTTP/1.0 {status}\r\n{headers}\r\n{body}").into_bytes(),
                format!("HTTP/1.1 {status}\r\n{headers}Transfer-Encoding: chunked\r\n\r\n{chunked}")
                    .into_bytes(),
            ];
            let bytes = &framings[index % framings.len()];
            scene.says(bytes);
            for target in scene.clients {
                let told = scene.ask(target);
                let what = format!("{name}, {target}: {}", String::from_utf8_lossy(bytes));
                assert_eq!(told.status.to_string(), status[..3], "{what}");
                assert_eq!(told.text(), body, "{what}");
                for line in headers.split_terminator("\r\n") {
                    let (key, value) = line.split_once(": ").unwrap();
                    assert_eq!(told.header(key), Some(value), "{what}");
                }
                assert_eq!(told.header("access-control-allow-origin"), Some("*"), "{what}");
            }
        }
    }
}

#[test]
fn a_response_that_neither_accepts_nor_refuses_is_502_as_soon_as_its_headers_arrive() {
    let Some(scenes) = Scene::all() else { return };
    let statuses =
        ["200 OK", "201 Created", "204 No Content", "206 Partial Content", "299 x", "600 x", "999 x"];
    for (name, scene) in &scenes {
        for status in statuses {
            let endless = format!("HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
            let owed = format!("HTTP/1.1 {status}\r\nContent-Length: 100\r\n\r\nhello");
            for (body, held) in
                [(endless, true), (owed, true), (format!("HTTP/1.1 {status}\r\n\r\nhello"), false)]
            {
                scene.world.backend().script(|script| {
                    script.refusal = Some(body.clone().into_bytes());
                    script.held = held;
                });
                for target in scene.clients {
                    let start = Instant::now();
                    let told = scene.ask(target);
                    assert_eq!(told.status, 502, "{name}, {target}: {body}");
                    assert!(start.elapsed() < AT_ONCE, "{name}, {target}: {:?}", start.elapsed());
                    assert_eq!(told.header("access-control-allow-origin"), Some("*"), "{name}");
                }
            }
        }
    }
}

#[test]
fn a_backend_that_refuses_before_it_is_asked_is_understood_too() {
    let Some(scenes) = Scene::all() else { return };
    let busy = answer("503 Service Unavailable", "Retry-After: 7\r\n", "busy");
    for (name, scene) in &scenes {
        scene.world.backend().script(|script| script.hasty = Some(busy.clone()));
        // The response may come before the request is written or after it.
        for target in scene.clients.iter().cycle().take(20) {
            let told = scene.ask(target);
            assert_eq!((told.status, told.text()), (503, "busy"), "{name}, {target}");
            assert_eq!(told.header("retry-after"), Some("7"), "{name}, {target}");
        }
    }
}

#[test]
fn a_refusal_whose_body_does_not_end_is_passed_on_as_far_as_it_came() {
    let Some(scenes) = Scene::all() else { return };
    for (name, scene) in scenes.iter().skip(1).step_by(2) {
        scene.world.backend().script(|script| {
            script.refusal = Some(b"HTTP/1.1 503 x\r\nContent-Length: 100\r\n\r\nbusy".to_vec());
            script.held = true;
        });
        for target in &scene.clients[..1] {
            let told = scene.ask(target);
            assert_eq!((told.status, told.text()), (503, "busy"), "{name}, {target}");
        }
    }
}

#[test]
fn a_bare_400_without_text_is_a_bad_request() {
    let Some(scenes) = Scene::all() else { return };
    for (name, scene) in scenes.iter().filter(|(name, _)| Scene::is_engine_io(name)) {
        for bytes in [answer("400 Bad Request", "", ""), answer("400 Bad Request", "", " \r\n")] {
            scene.says(&bytes);
            let told = scene.ask(POLLING);
            assert_eq!(told.status, 400, "{name}");
            assert_eq!(told.text(), r#"{"code":3,"message":"Bad request"}"#, "{name}");
            assert_eq!(scene.ask(WEBSOCKET).status, 400, "{name}");
        }
        scene.says(&answer("400 Bad Request", "", "you shall not pass"));
        assert_eq!(scene.ask(POLLING).text(), r#"{"code":4,"message":"you shall not pass"}"#, "{name}");
    }
}

/// Less than any timeout of the proxy; the shortest is ten seconds.
const AT_ONCE: Duration = Duration::from_secs(4);
