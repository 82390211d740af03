//! Upstreams against small backends in this process: over sockets, and over pipes if the clock must be paused.

mod addresses;
mod asking;
mod checks;
mod closing;
#[cfg(feature = "demo")]
mod demo;
mod engineio;
#[cfg(feature = "demo")]
mod feed;
mod health;
mod mux;
mod opening;
mod tls;
mod versions;
mod websocket;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;

use crate::background::Background;
use crate::budget::Budget;
use crate::meter::Dials;
use crate::packet::{Closing, Message};
use crate::upstream::{Kind, Link, LinkEvent, OpenError, OpenRequest, Opened, Settings, Upstream, build};

/// An upstream with its parts. Its tasks end with it.
struct Front {
    upstream: Arc<dyn Upstream>,
    tracker: TaskTracker,
    cancel: DropGuard,
}

impl Front {
    fn new(settings: &Settings) -> Self {
        let background = Background::default();
        let upstream = build(settings, background.clone(), Dials::default(), &Budget::default()).unwrap();
        Self { upstream, tracker: background.tracker, cancel: background.stop.drop_guard() }
    }

    async fn open(&self, request: OpenRequest) -> Result<(Opened, Box<dyn Link>), OpenError> {
        within(self.upstream.open(request)).await
    }

    /// Opens a link while `backend` does its part.
    async fn open_with<T>(&self, backend: impl Future<Output = T>) -> (Opened, Box<dyn Link>, T) {
        let (link, backend) = tokio::join!(self.open(request()), within(backend));
        let (opened, link) = link.unwrap();
        (opened, link, backend)
    }

    /// Expects that a link cannot be opened while `backend` does its part.
    async fn fail_with<T>(&self, backend: impl Future<Output = T>) -> (OpenError, T) {
        let (link, backend) = tokio::join!(self.open(request()), within(backend));
        (link.map(|(opened, _)| opened).unwrap_err(), backend)
    }
}

/// Returns a backend that listens, and settings that lead to it.
async fn listen(kind: Kind) -> (TcpListener, Settings) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings { kind, urls: vec![url(&listener)], ..Settings::default() };
    (listener, settings)
}

/// Returns two backends, and settings that lead to both, to the first one first.
async fn two(kind: Kind) -> (TcpListener, TcpListener, Settings) {
    let (one, settings) = listen(kind).await;
    let (two, _) = listen(kind).await;
    let urls = vec![url(&one), url(&two)];
    (one, two, Settings { urls, ..settings })
}

fn url(listener: &TcpListener) -> http::Uri {
    format!("ws://{}/socket.io/", listener.local_addr().unwrap()).parse().unwrap()
}

fn request() -> OpenRequest {
    OpenRequest {
        prefix: String::new(),
        dialect: "engine.io",
        transport: crate::packet::Transport::Polling,
        path: String::new(),
        query: "room=7".to_owned(),
        headers: HeaderMap::new(),
        client: SocketAddr::from(([127, 0, 0, 1], 1)).into(),
        revision: None,
        spelling: crate::spelling::Spelling::default(),
    }
}

/// Accepts a WebSocket as a plain server does.
async fn accept(listener: &TcpListener) -> WebSocketStream<TcpStream> {
    let stream = listener.accept().await.unwrap().0;
    tokio_tungstenite::accept_async(stream).await.unwrap()
}

/// Accepts a WebSocket and opens an Engine.IO session on it.
async fn accept_engine(listener: &TcpListener) -> WebSocketStream<TcpStream> {
    let mut socket = accept(listener).await;
    send_frame(&mut socket, OPEN).await;
    socket
}

const OPEN: &str =
    r#"0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;

/// Reads a request's header and answers with these bytes.
async fn answer(listener: &TcpListener, bytes: &[u8]) -> (String, TcpStream) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let head = read_head(&mut stream).await;
    stream.write_all(bytes).await.unwrap();
    (head, stream)
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn send_frame<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    frame: impl Into<Frame>,
) {
    within(socket.send(frame.into())).await.unwrap();
}

/// Returns the next frame that a backend gets.
async fn next_frame<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) -> Frame {
    within(socket.next()).await.unwrap().unwrap()
}

async fn send(link: &mut dyn Link, message: Message) {
    within(poll_fn(|cx| link.poll_ready(cx))).await.unwrap();
    link.start_send(message).unwrap();
    within(poll_fn(|cx| link.poll_flush(cx))).await.unwrap();
}

async fn next(link: &mut dyn Link) -> LinkEvent {
    within(poll_fn(|cx| link.poll_next(cx))).await
}

async fn next_message(link: &mut dyn Link) -> Message {
    match next(link).await {
        LinkEvent::Message(message) => message,
        LinkEvent::Closed(closing) => panic!("closed instead of a message: {closing:?}"),
        LinkEvent::Stalled => panic!("stalled instead of a message"),
    }
}

async fn next_closing(link: &mut dyn Link) -> Closing {
    match next(link).await {
        LinkEvent::Closed(closing) => closing,
        LinkEvent::Message(message) => panic!("a message instead of the end: {message:?}"),
        LinkEvent::Stalled => panic!("stalled instead of a close"),
    }
}

/// Reads the link, which delivers nothing, while `work` runs.
async fn reading<T>(link: &mut dyn Link, work: impl Future<Output = T>) -> T {
    tokio::select! {
        event = poll_fn(|cx| link.poll_next(cx)) => panic!("{event:?}"),
        output = work => output,
    }
}

async fn close(link: &mut dyn Link, closing: &Closing) -> usize {
    poll_fn(|cx| link.poll_close(cx, closing)).await
}

/// Bounds the wait: nothing here takes long, so a longer wait is a hang.
async fn within<F: Future>(work: F) -> F::Output {
    timeout(Duration::from_mins(1), work).await.expect("it hangs")
}
