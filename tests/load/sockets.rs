//! Sessions that come as a proxy in front brings them: by a Unix socket, behind a PROXY header, with TLS or without.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

use crate::polling::{Ask, Session};

/// A load that runs until it is told to finish.
pub(crate) struct SocketLoad {
    stop: Arc<AtomicBool>,
    running: JoinHandle<Counted>,
}

/// What a load has seen.
#[derive(Default, Debug)]
pub(crate) struct Counted {
    pub(crate) messages: u64,
    /// How often a WebSocket began and ended meanwhile.
    pub(crate) sockets: u64,
    pub(crate) connections: u64,
}

/// Where a load connects, and how.
pub(crate) struct Entrance {
    pub(crate) to: To,
    /// What goes before everything else.
    pub(crate) header: &'static [u8],
    /// Which certificate the proxy must show, if it is by TLS.
    pub(crate) ca: Option<PathBuf>,
}

pub(crate) enum To {
    Port(SocketAddr),
    File(PathBuf),
}

impl SocketLoad {
    /// Starts as many sessions by each entrance, half of them with a new connection for each request, and a WebSocket that stays beside
    /// others that come and go.
    pub(crate) fn start(entrances: Vec<Entrance>, sessions: usize) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let told = Arc::clone(&stop);
        let running = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let (mut polling, mut staying, mut coming) = (Vec::new(), Vec::new(), Vec::new());
                let connections = Arc::<AtomicU64>::default();
                for entrance in entrances {
                    let entrance = Arc::new(Dialler::of(entrance, Arc::clone(&connections)));
                    for number in 0..sessions {
                        let keeps = number % 2 == 0;
                        let page = Page { entrance: Arc::clone(&entrance), keeps, kept: Mutex::default() };
                        polling.push(tokio::spawn(Session::at(Arc::new(page)).run(Arc::clone(&told))));
                    }
                    staying.push(tokio::spawn(Arc::clone(&entrance).stay(Arc::clone(&told))));
                    coming.push(tokio::spawn(entrance.come_and_go(Arc::clone(&told))));
                }
                let mut counted = Counted::default();
                for session in polling.into_iter().chain(staying) {
                    counted.messages += session.await.expect("a session loses nothing");
                }
                for sockets in coming {
                    counted.sockets += sockets.await.expect("each WebSocket is served");
                }
                counted.connections = connections.load(Ordering::Relaxed);
                counted
            })
        });
        Self { stop, running }
    }

    /// Has the sessions end, each once it has an answer to all that it has sent. Fails if a connection or a request failed, or if
    /// a message was lost, duplicated or reordered.
    #[track_caller]
    pub(crate) fn finish(self) -> Counted {
        self.stop.store(true, Ordering::Relaxed);
        self.running.join().expect("the load succeeds")
    }
}

/// Makes connections by one entrance.
struct Dialler {
    to: To,
    header: &'static [u8],
    tls: Option<TlsConnector>,
    made: Arc<AtomicU64>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Dialler {
    fn of(entrance: Entrance, made: Arc<AtomicU64>) -> Self {
        let Entrance { to, header, ca } = entrance;
        Self { to, header, tls: ca.map(|ca| connector(&ca)), made }
    }

    async fn connect(&self) -> Box<dyn Stream> {
        let mut stream: Box<dyn Stream> = match &self.to {
            To::Port(address) => {
                let stream = TcpStream::connect(address).await.expect("connections are accepted");
                stream.set_nodelay(true).unwrap();
                Box::new(stream)
            }
            To::File(path) => Box::new(UnixStream::connect(path).await.expect("connections are accepted")),
        };
        self.made.fetch_add(1, Ordering::Relaxed);
        stream.write_all(self.header).await.expect("the header is taken");
        let Some(tls) = &self.tls else { return stream };
        let name = ServerName::try_from("localhost").unwrap();
        Box::new(tls.connect(name, stream).await.expect("TLS is spoken"))
    }

    /// Echoes on one WebSocket until it is told to stop.
    async fn stay(self: Arc<Self>, stop: Arc<AtomicBool>) -> u64 {
        self.echo(|_| !stop.load(Ordering::Relaxed)).await
    }

    /// Opens one WebSocket after the other until it is told to stop.
    async fn come_and_go(self: Arc<Self>, stop: Arc<AtomicBool>) -> u64 {
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            self.echo(|sent| sent < 2).await;
            count += 1;
        }
        count
    }

    /// Echoes messages on a new WebSocket. Returns how many.
    async fn echo(&self, goes_on: impl Fn(u64) -> bool) -> u64 {
        let stream = self.connect().await;
        let (mut socket, _answer) = client_async(SOCKET, stream).await.expect("a WebSocket is accepted");
        let mut sent = 0;
        while goes_on(sent) {
            socket.send(Message::text(sent.to_string())).await.expect("it is open");
            let echo = socket.next().await.expect("it is open").expect("it is whole");
            assert_eq!(echo, Message::text(sent.to_string()));
            sent += 1;
            // The pace of the load.
            sleep(PACE).await;
        }
        socket.close(None).await.expect("it is open");
        while socket.next().await.is_some_and(|said| said.is_ok()) {}
        sent
    }
}

fn connector(ca: &Path) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// The connections of a session.
struct Page {
    entrance: Arc<Dialler>,
    /// Whether a connection is used again.
    keeps: bool,
    kept: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Page {
    async fn sender(&self) -> SendRequest<Full<Bytes>> {
        while let Some(mut sender) = self.kept.lock().await.pop() {
            // Not one whose last response said that it closes.
            if sender.ready().await.is_ok() {
                return sender;
            }
        }
        let stream = TokioIo::new(self.entrance.connect().await);
        let (sender, connection) = handshake(stream).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

impl Ask for Page {
    async fn ask(&self, method: Method, target: &str, body: String) -> String {
        let mut sender = self.sender().await;
        let wish = if self.keeps { "keep-alive" } else { "close" };
        let request = Request::builder()
            .method(method.clone())
            .uri(target)
            .header("Host", "localhost")
            .header("Connection", wish)
            .body(Full::from(body))
            .unwrap();
        let answer = sender.send_request(request).await.expect("a request is answered");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("a whole response").to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!(status, 200, "{method} {body}");
        if self.keeps {
            self.kept.lock().await.push(sender);
        }
        body
    }
}

/// A plain WebSocket, to the embedded WebSocket server.
const SOCKET: &str = "ws://localhost/sockjs/websocket";
/// The pace of the load.
const PACE: Duration = Duration::from_millis(200);
/// Version 1 of the PROXY protocol.
pub(crate) const PROXY_1: &[u8] = b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 80\r\n";
/// Version 2 of it, with the same addresses.
pub(crate) const PROXY_2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\x7f\0\0\x01\x12\x67\0\x50";
