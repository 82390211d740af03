//! A dialect's requests, from the bytes that arrive to the bytes that are sent.

mod lines;
mod receivers;

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::access_log::AccessLog;
use crate::background::Background;
use crate::bridge::{Registry, RouteInfo};
use crate::budget::Budget;
use crate::client_body::ClientBody;
use crate::dialect::{self, Backend};
use crate::duplex::{Patience, RawHeaders};
use crate::limits::Limits;
use crate::meter::Metrics;
use crate::service::{Client, Refusals, Route, Via};
use crate::upstream::{self, InUse, Kind};

/// Returns the gateway of a route whose backend is unreachable.
fn gateway(dialect: &str, settings: &dialect::Settings, path: &str) -> Arc<Gateway> {
    let urls = vec!["ws://127.0.0.1:1/".parse().unwrap()];
    let nowhere = upstream::Settings { kind: Kind::EngineIo, urls, ..upstream::Settings::default() };
    before(&nowhere, dialect::find(dialect).unwrap().build, settings, path)
}

/// Returns the gateway of a route with this backend.
fn before(
    backend: &upstream::Settings,
    build: fn(&dialect::Settings, Backend) -> Arc<dyn Dialect>,
    settings: &dialect::Settings,
    path: &str,
) -> Arc<Gateway> {
    let metrics = Metrics::new();
    let upstream =
        InUse::start("u", backend, &Background::default(), metrics.dials("u"), &Budget::default()).unwrap();
    let settings_of_route = Arc::new(Route::at(path, None));
    let backend = Backend { protocol: upstream.protocol(), versions: upstream.versions(), socket_io: false };
    let route = SessionRoute {
        id: settings_of_route.id(),
        info: Arc::new(RouteInfo {
            id: settings_of_route.id(),
            dialect: "d",
            upstream: Arc::clone(&upstream),
            access: AccessLog::default(),
            names: Registry::new(1).names(),
        }),
        settings: settings_of_route,
        upstream,
        message_max: 1 << 10,
        guard: None,
        trusted_proxies: Arc::from([]),
        via: Arc::new(Via::new().unwrap()),
        draining: CancellationToken::new(),
        limits: Limits::default(),
        registry: Registry::new(1),
        cluster: None,
        locations: None,
        tracker: TaskTracker::new(),
        meter: metrics.route(path, "u"),
        refusals: Arc::new(Refusals::of(path)),
    };
    Arc::new(Gateway::new(build(settings, backend), route))
}

/// Returns what a client receives that sends a head with this beginning.
async fn answer(gateway: &Arc<Gateway>, request: &str) -> String {
    exchange(gateway, request, "").await
}

/// Returns what a client receives that sends a head with this beginning and this body.
async fn exchange(gateway: &Arc<Gateway>, request: &str, body: &str) -> String {
    let (mut client, server) = tokio::io::duplex(64 << 10);
    let owner =
        Client { peer: std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into(), secure: false, subject: None };
    let connection =
        Connection::of_client(owner, None, Patience::new(Duration::from_mins(1)), RawHeaders::default());
    let service = service_fn(|request: http::Request<Incoming>| {
        let (head, body) = request.into_parts();
        gateway.serve(head, ClientBody::from(body).into(), &connection)
    });
    let request = format!("{request}Host: a\r\nConnection: close\r\n\r\n{body}");
    let mut read = String::new();
    let client = async {
        client.write_all(request.as_bytes()).await.unwrap();
        client.read_to_string(&mut read).await.unwrap();
    };
    let mut builder = http1::Builder::new();
    let done = builder.auto_date_header(false).serve_connection(TokioIo::new(server), service);
    let (done, ()) = tokio::join!(done, client);
    done.unwrap();
    read
}

/// Returns the gateway of a route with this dialect, whose backend echoes every message.
async fn echo(dialect: &dialect::table::Kind, path: &str) -> Arc<Gateway> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let urls = vec![format!("ws://{}/", listener.local_addr().unwrap()).parse().unwrap()];
    let backend = upstream::Settings { kind: Kind::WebSocket, urls, ..upstream::Settings::default() };
    TaskTracker::new().spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                socket.send(message).await.unwrap();
            }
        }
    });
    before(&backend, dialect.build, &dialect::Settings::default(), path)
}

/// Returns the status and the body of the response to a request.
async fn ask(gateway: &Arc<Gateway>, request: &str, body: &str) -> (u16, String) {
    let head = format!("{request} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
    let answer = exchange(gateway, &head, body).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn sockjs_is_answered_without_a_session_and_without_its_backend() {
    for (path, base) in [("/echo", "/echo"), ("/echo/", "/echo"), ("/", "")] {
        let gateway = gateway("sockjs", &dialect::Settings::default(), path);
        let greeting = answer(&gateway, &format!("GET {base}/ HTTP/1.1\r\n")).await;
        assert_eq!(
            greeting,
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=UTF-8\r\nconnection: close\r\n\
             content-length: 19\r\n\r\nWelcome to SockJS!\n",
            "{path}"
        );
        let info =
            answer(&gateway, &format!("GET {base}/info?t=1 HTTP/1.1\r\nOrigin: http://a.example\r\n")).await;
        assert!(info.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {info}");
        assert!(info.contains("\r\naccess-control-allow-origin: http://a.example\r\n"), "{path}: {info}");
        assert!(
            info.contains("{\"websocket\":true,\"origins\":[\"*:*\"],\"cookie_needed\":false,\"entropy\":")
        );
        // A preflight of Engine.IO would be passed to its backend, and be a 502 here.
        let preflight =
            format!("OPTIONS {base}/info HTTP/1.1\r\nOrigin: null\r\nAccess-Control-Request-Method: GET\r\n");
        let allowed = answer(&gateway, &preflight).await;
        assert!(allowed.starts_with("HTTP/1.1 204 No Content\r\n"), "{path}: {allowed}");
        assert!(allowed.contains("\r\naccess-control-allow-methods: OPTIONS, GET\r\n"), "{path}: {allowed}");
        let nowhere = answer(&gateway, &format!("GET {base}/000/a.b/xhr HTTP/1.1\r\n")).await;
        assert!(nowhere.starts_with("HTTP/1.1 404 Not Found\r\n"), "{path}: {nowhere}");
        assert!(nowhere.ends_with("\r\n\r\n404 Error: Page not found\n"), "{path}: {nowhere}");
        let method = answer(&gateway, &format!("HEAD {base}/info HTTP/1.1\r\n")).await;
        assert!(
            method.starts_with("HTTP/1.1 405 Method Not Allowed\r\nallow: OPTIONS, GET\r\n"),
            "{path}: {method}"
        );
    }
}

#[tokio::test]
async fn engine_io_meets_its_own_errors_at_the_same_door() {
    let gateway = gateway("engine.io", &dialect::Settings::default(), "/engine.io/");
    let unknown = answer(&gateway, "GET /engine.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\n").await;
    assert!(unknown.ends_with("\r\n\r\n{\"code\":1,\"message\":\"Session ID unknown\"}"), "{unknown}");
    let down = answer(&gateway, "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\n").await;
    assert!(down.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{down}");
}
