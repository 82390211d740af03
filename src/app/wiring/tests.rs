//! Successive configurations under live connections and sessions.

use std::net::SocketAddr;
use std::sync::Weak;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::*;
use crate::route_id::RouteId;
use crate::server::{self, ConnectInfo, ListenerSettings, Server};
use crate::service::{Client as Peer, Connection, Current, Running, Stack};

/// A proxy whose configuration can be replaced.
struct Proxy {
    wiring: Wiring,
    current: Current,
    address: SocketAddr,
}

impl Proxy {
    fn start(text: &str) -> Self {
        let wiring = Wiring::alone();
        let current = Current::new(Running::default());
        let settings = server::Settings {
            listeners: vec![ListenerSettings::at(
                "default",
                vec![SocketAddr::from(([127, 0, 0, 1], 0)).into()],
            )],
            ..server::Settings::default()
        };
        let server = Server::bind(&settings, |_| None).unwrap();
        let address = server.local_addrs()[0].address.ip().unwrap();
        let now = current.clone();
        let make = move |info: ConnectInfo| {
            let client = Peer { peer: info.peer, secure: info.secure, subject: None };
            Stack::new(
                now.clone(),
                Connection::of_client(client, Some(info.listener), info.patience, info.raw_headers),
            )
        };
        let vital = &wiring.helpers.vital;
        server.serve(make, &wiring.work.connections, vital, &server::Signals::default(), &wiring.metrics);
        let proxy = Self { wiring, current, address };
        proxy.swap(text);
        proxy
    }

    fn swap(&self, text: &str) {
        let text = format!("{text}[server]\nlisten = '127.0.0.1:0'\n[admin]\nlisten = '127.0.0.1:0'\n");
        let config = Config::parse(&text, "this test", std::iter::empty()).unwrap();
        let running = self.wiring.next(&config, &self.current.load()).unwrap();
        self.current.replace(running);
    }

    fn upstream(&self, name: &str) -> Arc<InUse> {
        let running = self.current.load();
        let found = running.upstreams().iter().find(|upstream| upstream.name() == name);
        Arc::clone(found.expect("it is named"))
    }

    async fn client(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }
}

/// One connection, on which each request follows the response to the one before.
struct Client(TcpStream);

impl Client {
    async fn ask(&mut self, method: &str, target: &str, body: &str) -> (u16, String) {
        let head = format!("{method} {target} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len());
        self.0.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut read = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&read).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let len = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap_or("0");
                if body.len() >= len.parse().unwrap() {
                    return (head[9..12].parse().unwrap(), body.to_owned());
                }
            }
            assert!(within(self.0.read_buf(&mut read)).await.unwrap() > 0, "cut off behind {text:?}");
        }
    }

    /// Begins a session at a backend; returns its id and the backend's side.
    async fn begin(&mut self, backend: &TcpListener) -> (String, WebSocketStream<TcpStream>) {
        let (answer, socket) = tokio::join!(self.ask("GET", POLLING, ""), accept(backend));
        assert_eq!(answer.0, 200, "{}", answer.1);
        let open: Value = serde_json::from_str(&answer.1[1..]).unwrap();
        (open["sid"].as_str().unwrap().to_owned(), socket)
    }
}

async fn accept(backend: &TcpListener) -> WebSocketStream<TcpStream> {
    let (stream, _) = within(backend.accept()).await.unwrap();
    tokio_tungstenite::accept_async(stream).await.unwrap()
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), work).await.expect("it takes no time")
}

async fn backend() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn text(socket: &mut WebSocketStream<TcpStream>) -> String {
    within(socket.next()).await.unwrap().unwrap().into_text().unwrap().as_str().to_owned()
}

fn route(path: &str, dialect: &str, upstream: &str) -> String {
    format!("[[routes]]\npath = '{path}'\ndialect = '{dialect}'\nupstream = '{upstream}'\n")
}

fn web_socket(name: &str, address: SocketAddr) -> String {
    format!("[upstreams.{name}]\nkind = 'websocket'\nurl = 'ws://{address}/'\n")
}

const POLLING: &str = "/engine.io/?EIO=4&transport=polling";

#[tokio::test]
async fn a_route_that_is_inserted_at_the_top_leaves_living_sessions_where_they_are() {
    let (listener, address) = backend().await;
    let sessions = route("/engine.io/", "engine.io", "a") + &web_socket("a", address);
    let proxy = Proxy::start(&sessions);
    let mut client = proxy.client().await;
    let (sid, mut peer) = client.begin(&listener).await;
    assert_eq!(client.ask("GET", "/engine.io", "").await.0, 404);

    let other = route("/", "http", "b") + "[upstreams.b]\nkind = 'http'\nurl = 'http://127.0.0.1:1'\n";
    proxy.swap(&[other, sessions.clone()].concat());
    // On the existing connection.
    assert_eq!(client.ask("GET", "/engine.io", "").await.0, 502, "the new route takes it");
    let target = format!("{POLLING}&sid={sid}");
    assert_eq!(client.ask("POST", &target, "4up").await, (200, "ok".to_owned()));
    assert_eq!(text(&mut peer).await, "up");
    peer.send(Message::text("down")).await.unwrap();
    assert_eq!(client.ask("GET", &target, "").await, (200, "4down".to_owned()));

    // The route is removed, and comes back: new sessions notice, this one does not.
    proxy.swap(&(route("/x/", "engine.io", "a") + &web_socket("a", address)));
    assert_eq!(client.ask("GET", POLLING, "").await.0, 404);
    assert_eq!(client.ask("POST", &target, "4still").await.0, 200);
    assert_eq!(text(&mut peer).await, "still");
    proxy.swap(&sessions);
    assert_eq!(client.ask("POST", &target, "4back").await.0, 200);
    assert_eq!(text(&mut peer).await, "back");
}

#[tokio::test]
async fn an_upstream_that_is_removed_goes_on_until_its_last_session_has_left() {
    let ((old, old_address), (new, new_address)) = (backend().await, backend().await);
    let proxy = Proxy::start(&(route("/engine.io/", "engine.io", "a") + &web_socket("a", old_address)));
    let mut client = proxy.client().await;
    let (sid, mut peer) = client.begin(&old).await;
    let retiring: Weak<InUse> = Arc::downgrade(&proxy.upstream("a"));

    proxy.swap(&(route("/engine.io/", "engine.io", "b") + &web_socket("b", new_address)));
    let (_, mut other) = proxy.client().await.begin(&new).await;
    let target = format!("{POLLING}&sid={sid}");
    assert_eq!(client.ask("POST", &target, "4still").await.0, 200);
    assert_eq!(text(&mut peer).await, "still");
    assert!(retiring.upgrade().is_some(), "a session is there");

    assert_eq!(client.ask("POST", &target, "1").await.0, 200);
    assert!(matches!(within(peer.next()).await, Some(Ok(Message::Close(_)))));
    drop(peer);
    within(async {
        while retiring.upgrade().is_some() {
            // The pace of the looks.
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    other.send(Message::text("fine")).await.unwrap();
}

#[tokio::test]
async fn what_is_the_same_goes_on_and_nothing_else() {
    let text = route("/a/", "engine.io", "a")
        + &route("/b/", "engine.io", "b")
        + "[upstreams.a]\nkind = 'websocket'\nurl = 'ws://127.0.0.1:1/'\n\
           [upstreams.b]\nkind = 'websocket'\nurl = 'ws://127.0.0.1:2/'\n";
    let proxy = Proxy::start(&text);
    let handlers = || {
        let running = proxy.current.load();
        [RouteId::new(None, "/a/"), RouteId::new(None, "/b/")].map(|id| {
            match &running.route(&id).unwrap().handler {
                Handler::Gateway { gateway, .. } => Arc::clone(gateway),
                other @ (Handler::Demux(_) | Handler::Forward(_)) => panic!("{other:?}"),
            }
        })
    };
    let same =
        |one: &[Arc<Gateway>; 2], two: &[Arc<Gateway>; 2]| [0, 1].map(|at| Arc::ptr_eq(&one[at], &two[at]));
    let before = (handlers(), proxy.upstream("a"), proxy.upstream("b"));
    proxy.swap(&text);
    assert_eq!(same(&before.0, &handlers()), [true, true]);
    // First one upstream's settings, then one route's.
    proxy.swap(&text.replace("127.0.0.1:2/", "127.0.0.1:3/"));
    assert_eq!(same(&before.0, &handlers()), [true, false]);
    assert!(Arc::ptr_eq(&before.1, &proxy.upstream("a")) && !Arc::ptr_eq(&before.2, &proxy.upstream("b")));
    let before = (handlers(), proxy.upstream("b"));
    proxy.swap(&text.replace("127.0.0.1:2/", "127.0.0.1:3/").replace("'b'\n", "'b'\nlinger = '1ms'\n"));
    assert_eq!(same(&before.0, &handlers()), [true, false]);
    assert!(Arc::ptr_eq(&before.1, &proxy.upstream("b")));
}

/// Returns a shared connection to the proxy, after its hello.
async fn edge(proxy: &Proxy) -> WebSocketStream<TcpStream> {
    let mut request = format!("ws://{}/mux", proxy.address).into_client_request().unwrap();
    let profile = HeaderValue::from_static("polliwog.mux.v1.json");
    request.headers_mut().insert("sec-websocket-protocol", profile);
    let stream = TcpStream::connect(proxy.address).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    let hello =
        json!(["hello", {"v": 1, "epoch": "e", "credit": 1000, "max_message": 1000, "resume_ms": 30_000}]);
    say(&mut socket, &hello).await;
    socket
}

async fn say(socket: &mut WebSocketStream<TcpStream>, frame: &Value) {
    socket.send(Message::text(frame.to_string())).await.unwrap();
}

#[tokio::test]
async fn another_proxys_sessions_go_on_by_the_next_configuration() {
    let (listener, address) = backend().await;
    let sessions = route("/mux", "mux", "a") + &web_socket("a", address);
    let proxy = Proxy::start(&sessions);
    let mut before = edge(&proxy).await;
    let open = json!(["open", "s1", {"path": "/", "dialect": "websocket", "transport": "websocket",
        "client": "203.0.113.9:51234", "headers": [], "protocols": []}]);
    say(&mut before, &open).await;
    let _peer = accept(&listener).await;
    assert!(text(&mut before).await.starts_with(r#"["hello""#));
    assert_eq!(text(&mut before).await, r#"["ok","s1",{}]"#);
    drop(before);

    proxy.swap(&sessions.replace("upstream = 'a'\n", "upstream = 'a'\nmax_payload = '5kB'\n"));
    let mut after = edge(&proxy).await;
    say(&mut after, &json!(["sync", "e", [["s1", 0, 1000]]])).await;
    assert!(text(&mut after).await.starts_with(r#"["hello""#));
    let sync: Value = serde_json::from_str(&text(&mut after).await).unwrap();
    assert_eq!((&sync[0], &sync[1][0][0]), (&json!("sync"), &json!("s1")), "it is there");
}

#[cfg(feature = "demo")]
#[tokio::test]
async fn an_upstream_inside_the_process_is_not_counted_as_one_without_addresses() {
    let proxy = Proxy::start(
        "[[routes]]\npath = '/'\ndialect = 'engine.io'\nupstream = 'demo'\n[upstreams.demo]\nkind = 'demo'\n\
         [[routes]]\npath = '/far/'\ndialect = 'engine.io'\nupstream = 'far'\n\
         [upstreams.far]\nkind = 'websocket'\nurl = 'ws://127.0.0.1:9/'\n",
    );
    let counted = proxy.wiring.metrics.render();
    assert!(counted.contains(r#"polliwog_upstream_addresses{upstream="far",state="up"} 1"#), "{counted}");
    assert!(!counted.contains(r#"polliwog_upstream_addresses{upstream="demo""#), "{counted}");
}
