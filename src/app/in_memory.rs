//! A whole proxy in memory: every dialect before the embedded backends, and clients that send any bytes.
//!
//! What a client sends is in pieces. `0xff` ends one, and `0xfe` has the other of two connections send the next. `$ID`
//! stands for the session that was last begun.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::{Service as _, service_fn};

use super::wiring::Wiring;
use crate::client_body::ClientBody;
use crate::config::Config;
use crate::server::{self, ConnectInfo, serve_pipe};
use crate::service::{Client, Connection, Current, Running, Stack};

/// Has clients converse with the proxy. Panics if anything in it does, if a request has two answers, or if one has neither
/// an answer nor the end of its connection.
pub(crate) fn converse(bytes: &[u8]) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let proxy = Proxy::start();
        let mut clients = [proxy.connect(), proxy.connect()];
        let (mut turn, mut id) = (0, Vec::new());
        for piece in bytes.split_inclusive(|byte| *byte >= 0xfe).take(PIECES_MAX) {
            let (sent, last) = match piece.split_last() {
                Some((last @ 0xfe.., sent)) => (sent, *last),
                _ => (piece, 0xff),
            };
            clients[turn].send(&named(sent, &id)).await;
            for client in &mut clients {
                client.read().await;
                id = client.begun().unwrap_or(id);
            }
            turn = if last == 0xfe { 1 - turn } else { turn };
        }
        for client in clients {
            client.leave().await;
        }
        proxy.end().await;
    });
}

struct Proxy {
    current: Current,
    settings: server::Settings,
    wiring: Wiring,
}

impl Proxy {
    fn start() -> Self {
        let config = Config::parse(CONFIG, "this test", std::iter::empty()).unwrap();
        let wiring = Wiring::alone();
        let running = wiring.next(&config, &Running::default()).unwrap();
        Self { current: Current::new(running), settings: config.server, wiring }
    }

    fn connect(&self) -> Conversation {
        let (theirs, ours) = duplex(PIPE_LEN);
        let (current, settings) = (self.current.clone(), self.settings.clone());
        let calls = Arc::new(Mutex::new(Vec::new()));
        let counted = Arc::clone(&calls);
        let ended = CancellationToken::new();
        let over = ended.clone().drop_guard();
        self.wiring.work.connections.spawn(async move {
            let _over = over;
            let make = |info: ConnectInfo| {
                let client = Client { peer: info.peer, secure: info.secure, subject: None };
                let listener = Some(info.listener);
                let connection = Connection::of_client(client, listener, info.patience, info.raw_headers);
                let stack = Stack::new(current, connection);
                let counted = Arc::clone(&counted);
                service_fn(move |request: http::Request<ClientBody>| {
                    counted.lock().unwrap().push(request.method().clone());
                    stack.clone().call(request)
                })
            };
            let _broke = serve_pipe(ours, &settings, make).await;
        });
        Conversation { pipe: theirs, read: Vec::new(), looked_at: 0, calls, ended, has_left: false }
    }

    /// Ends the proxy, and waits until nothing is left of it.
    async fn end(self) {
        let Wiring { work, helpers, registry, .. } = self.wiring;
        let is_over = async {
            while !registry.is_settled() {
                sleep(Duration::from_secs(1)).await;
            }
            for tracker in [&work.connections, &work.forwards, &work.sessions] {
                tracker.close();
                tracker.wait().await;
            }
        };
        timeout(LONG, is_over).await.expect("sessions whose clients are gone end");
        helpers.stop.cancel();
        let failed = timeout(Duration::from_millis(1), helpers.vital.failed()).await;
        assert!(failed.is_err(), "a vital task panicked");
    }
}

/// One connection of a client.
struct Conversation {
    pipe: DuplexStream,
    read: Vec<u8>,
    /// How far it was looked through for ids of sessions.
    looked_at: usize,
    /// The requests that reached the service.
    calls: Arc<Mutex<Vec<Method>>>,
    ended: CancellationToken,
    has_left: bool,
}

impl Conversation {
    async fn send(&mut self, bytes: &[u8]) {
        // A proxy that does not read for so long has closed, or waits for what is read meanwhile.
        let sent = timeout(Duration::from_secs(1), self.pipe.write_all(bytes)).await;
        self.has_left |= !matches!(sent, Ok(Ok(())));
    }

    /// Reads what comes within a while.
    async fn read(&mut self) {
        let while_it_comes = async { while self.pipe.read_buf(&mut self.read).await.unwrap_or(0) > 0 {} };
        let _pending = timeout(Duration::from_millis(20), while_it_comes).await;
    }

    /// Returns the session that was begun in what was read last.
    fn begun(&mut self) -> Option<Vec<u8>> {
        let new = &self.read[self.looked_at..];
        self.looked_at = self.read.len();
        [&br#""sid":""#[..], br#""session":""#].iter().find_map(|key| {
            let at = memchr::memmem::rfind(new, key)? + key.len();
            Some(new[at..].split(|byte| *byte == b'"').next()?.to_vec())
        })
    }

    /// Reads to the end, which comes, and checks what was read.
    async fn leave(mut self) {
        let _gone = self.pipe.shutdown().await;
        let rest = timeout(LONG, self.pipe.read_to_end(&mut self.read)).await;
        assert!(rest.is_ok(), "a connection whose client is gone ends");
        assert!(timeout(LONG, self.ended.cancelled()).await.is_ok(), "its task ends");
        check_answers(&self.read, &self.calls.lock().unwrap());
    }
}

/// Checks that responses come one after another, whole but for the last, and no more than there were requests.
fn check_answers(mut read: &[u8], calls: &[Method]) {
    let mut calls = calls.iter();
    while !read.is_empty() {
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(read).unwrap_or_else(|error| panic!("{error}: {}", shown(read)));
        let httparse::Status::Complete(len) = parsed else { return };
        let status = response.code.unwrap();
        read = &read[len..];
        if (102..200).contains(&status) || status == 100 {
            continue;
        }
        let method = calls.next();
        if status == 101 {
            return;
        }
        let header = |name: &str| {
            let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.map(|header| String::from_utf8_lossy(header.value).into_owned())
        };
        let has_none = method == Some(&Method::HEAD) || matches!(status, 204 | 304);
        let body = match (header("content-length"), header("transfer-encoding")) {
            _ if has_none => Some(0),
            (Some(len), None) => Some(len.parse().expect("a length")),
            (None, Some(coding)) => {
                assert_eq!(coding, "chunked");
                chunked_len(read)
            }
            (None, None) => None,
            (Some(_), Some(_)) => panic!("a length and a coding exclude each other"),
        };
        let Some(rest) = body.and_then(|len| read.get(len..)) else { return };
        read = rest;
        assert!(
            method.is_some() || read.is_empty(),
            "what is no request has the last answer: {}",
            shown(read)
        );
    }
}

/// Returns the length of a body in chunks, if all of it is there.
fn chunked_len(read: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match httparse::parse_chunk_size(&read[at..]).expect("a chunk's length") {
            httparse::Status::Complete((head, len)) => {
                at += head + usize::try_from(len).unwrap();
                assert!(read.get(at..at + 2).is_none_or(|end| end == b"\r\n"), "a chunk ends with its line");
                at += 2;
                if read.len() < at {
                    return None;
                }
                if len == 0 {
                    return Some(at);
                }
            }
            httparse::Status::Partial => return None,
        }
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(500)]).into_owned()
}

/// Returns what is sent, with the id of a session.
fn named(sent: &[u8], id: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(sent.len());
    let mut rest = sent;
    while let Some(at) = memchr::memmem::find(rest, b"$ID") {
        bytes.extend_from_slice(&rest[..at]);
        bytes.extend_from_slice(id);
        rest = &rest[at + 3..];
    }
    bytes.extend_from_slice(rest);
    bytes
}

const CONFIG: &str = r#"
    [server]
    listen = "127.0.0.1:0"
    [admin]
    listen = "127.0.0.1:0"
    [[routes]]
    path = "/engine.io/"
    dialect = "engine.io"
    upstream = "echo"
    [[routes]]
    path = "/socket.io/"
    dialect = "engine.io"
    upstream = "socketio"
    [[routes]]
    path = "/sockjs/"
    dialect = "sockjs"
    upstream = "echo"
    [[routes]]
    path = "/poll/"
    dialect = "longpoll"
    upstream = "echo"
    [[routes]]
    path = "/ws/"
    dialect = "websocket"
    upstream = "echo"
    [[routes]]
    path = "/mux/"
    dialect = "mux"
    upstream = "echo"
    [[routes]]
    path = "/"
    dialect = "http"
    upstream = "echo"
    [upstreams.echo]
    kind = "demo"
    protocol = "websocket"
    [upstreams.socketio]
    kind = "demo"
"#;
const PIECES_MAX: usize = 30;
/// What a connection holds of each direction.
const PIPE_LEN: usize = 64 << 10;
/// Longer than any deadline of the proxy.
const LONG: Duration = Duration::from_hours(1);
