//! Servers on real sockets, and clients that write raw bytes.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::net::{self, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tower::service_fn;

use super::caller::{BoxError, Request};
use super::*;
use crate::duplex::Duplex;
use crate::limited::Limited;
use crate::meter::Metrics;

mod dates;
mod ending;
mod gone;
mod hang_up;
mod http2;
mod outside;
mod proxied;
mod receipts;
mod reload;
mod tls;

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let server = Running::start(settings(), hello);
    let mut client = server.connect().await;
    for _ in 0..3 {
        let answer = client.ask("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_is_streamed_to_the_service() {
    let service = |request: Request| async {
        Ok::<_, hyper::Error>(Response::new(Full::new(request.into_body().collect().await?.to_bytes())))
    };
    let server = Running::start(settings(), service);
    let answer =
        server.connect().await.ask("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody").await;
    assert!(answer.ends_with("\r\n\r\nbody"), "{answer}");
}

#[tokio::test]
async fn a_connection_that_never_asks_is_closed() {
    let server = Running::start(impatient(), hello);
    let mut client = server.connect().await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_header_that_does_not_end_is_not_waited_for() {
    let server = Running::start(impatient(), hello);
    let mut client = server.connect().await;
    client.write("GET / HTTP/1.1\r\nhost: ").await;
    assert!(!client.rest().await.contains("200 OK"));
}

#[tokio::test]
async fn a_connection_that_asks_no_more_is_closed() {
    let server = Running::start(impatient(), hello);
    let mut client = server.connect().await;
    assert!(client.ask("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.ends_with("hello"));
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_poll_outlives_the_idle_timeout() {
    let (server, parked) = Running::park(impatient());
    let mut client = server.connect().await;
    client.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    parked.entered().await;
    // A second connection shows that the timeout has passed.
    assert_eq!(server.connect().await.rest().await, "");
    parked.release.notify_waiters();
    assert!(client.answer().await.ends_with("parked"));
}

#[tokio::test]
async fn too_long_or_too_many_headers_are_refused() {
    let server = Running::start(settings(), hello);
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\ncookie: {}\r\n\r\n", "c".repeat(70_000));
    assert!(server.connect().await.ask(&long).await.starts_with("HTTP/1.1 431 "));
    for (count, status) in [(99, 200), (100, 200), (200, 200), (499, 200), (500, 431)] {
        let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x-y: z\r\n".repeat(count));
        let mut client = server.connect().await;
        assert!(client.ask(&many).await.starts_with(&format!("HTTP/1.1 {status} ")), "{count}");
    }
    let fits = format!("GET / HTTP/1.1\r\nhost: x\r\ncookie: {}\r\n\r\n", "c".repeat(30_000));
    assert!(server.connect().await.ask(&fits).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_malformed_request_is_answered_400() {
    let server = Running::start(settings(), hello);
    assert!(server.connect().await.ask("nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn a_service_error_drops_the_connection_without_an_answer() {
    let service = |_: Request| async { Err::<Response<Full<Bytes>>, _>(io::Error::other("not this one")) };
    let server = Running::start(settings(), service);
    let mut client = server.connect().await;
    client.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_panic_takes_its_own_connection_and_no_other() {
    let service = |request: Request| {
        assert_eq!(request.uri().path(), "/", "this test panics on purpose");
        hello(request)
    };
    let server = Running::start(settings(), service);
    let mut unlucky = server.connect().await;
    unlucky.write("GET /panic HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(unlucky.rest().await, "");
    assert!(server.connect().await.ask("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.ends_with("hello"));
}

#[tokio::test]
async fn a_client_that_hangs_up_frees_its_parked_request() {
    let (server, parked) = Running::park(settings());
    let mut client = server.connect().await;
    client.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    parked.entered().await;
    drop(client);
    parked.left().await;
}

#[tokio::test]
async fn two_listeners_serve_the_same_and_know_which_they_are() {
    let settings = listening(vec![any_port(), any_port()]);
    let infos = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&infos);
    let server = Running::start_each(settings, move |info: ConnectInfo| {
        seen.lock().unwrap().push((info.peer, info.secure));
        service_fn(|request| Box::pin(hello(request)))
    });
    let mut clients = Vec::new();
    for address in server.addresses.clone() {
        let mut client = Client(TcpStream::connect(address).await.unwrap());
        // Twice: the service that is made again for an idle connection is told the same.
        assert!(client.ask("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.ends_with("hello"));
        assert!(client.ask("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.ends_with("hello"));
        clients.push(client);
    }
    let expected: Vec<_> =
        clients.iter().map(|client| (client.0.local_addr().unwrap().into(), false)).collect();
    assert_ne!(server.addresses[0].port(), server.addresses[1].port());
    infos.lock().unwrap().dedup();
    assert_eq!(*infos.lock().unwrap(), expected);
    let metrics = server.metrics.render();
    assert!(metrics.contains("polliwog_connections{listener=\"default\"} 2\n"), "{metrics}");
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let taken = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = Server::bind(&listening(vec![any_port(), address]), |_| None).unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    assert!(matches!(error, BindError::Address { source, .. } if source.kind() == io::ErrorKind::AddrInUse));
}

#[tokio::test]
async fn an_upgraded_connection_is_handed_over_with_what_was_read_ahead() {
    let server = Running::start(settings(), upgrade_to_echo);
    let mut client = server.connect().await;
    let answer =
        client.ask("GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nearly").await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    client.write(" and late").await;
    client.0.shutdown().await.unwrap();
    let echoed = answer.split_once("\r\n\r\n").unwrap().1.to_owned() + &client.rest().await;
    assert_eq!(echoed, "early and late");
}

#[tokio::test]
async fn the_answer_to_head_has_no_body() {
    let server = Running::start(settings(), hello);
    let mut client = server.connect().await;
    client.write("HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let answer = client.rest().await;
    assert!(answer.contains("Content-Length: 5\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

/// A running server, which is cut when the test ends.
struct Running {
    addresses: Vec<SocketAddr>,
    open: Open,
    signals: Signals,
    tracker: TaskTracker,
    metrics: Metrics,
}

impl Running {
    /// Serves every connection with the same function.
    fn start<F, R, E>(settings: Settings, service: F) -> Self
    where
        F: Fn(Request) -> R + Clone + Send + Sync + Unpin + 'static,
        R: Future<Output = Result<Response<Full<Bytes>>, E>> + Send + 'static,
        E: Into<BoxError> + Send + 'static,
    {
        let make = move |_| {
            let service = service.clone();
            service_fn(move |request| Box::pin(service(request)))
        };
        Self::start_each(settings, make)
    }

    #[expect(clippy::needless_pass_by_value, reason = "settings are made where the test begins")]
    fn start_each<M, S>(settings: Settings, make: M) -> Self
    where
        M: Fn(ConnectInfo) -> S + Send + Sync + 'static,
        S: Serve,
    {
        let (signals, tracker, metrics) = (Signals::default(), TaskTracker::new(), Metrics::new());
        let limits = Limits::new(crate::limits::Settings::default(), &[], Limited::new(&metrics));
        let server = Server::bind(&settings, |_| None).unwrap().with_limits(limits);
        let addresses = server.local_addrs().into_iter().filter_map(|name| name.address.ip()).collect();
        let open = server.serve(make, &tracker, &Vital::default(), &signals, &metrics);
        tracker.close();
        Self { addresses, open, signals, tracker, metrics }
    }

    /// Serves every request with a call that waits until it is released.
    fn park(settings: Settings) -> (Self, Arc<Parked>) {
        let (parked, own) = Parked::new();
        let server = Self::start(settings, move |_| Arc::clone(&own).wait());
        (server, parked)
    }

    async fn connect(&self) -> Client<TcpStream> {
        Client(TcpStream::connect(self.addresses[0]).await.unwrap())
    }

    /// Waits until every task of the server has ended by itself.
    async fn ended(&self) {
        timeout(PATIENCE, self.tracker.wait()).await.expect("the server ends");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signals.cut.cancel();
    }
}

/// A client that writes and reads bytes.
struct Client<T>(T);

impl<T: AsyncRead + AsyncWrite + Unpin> Client<T> {
    async fn write(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn ask(&mut self, request: &str) -> String {
        self.write(request).await;
        self.answer().await
    }

    /// Returns one answer, as long as its `content-length` says, with what was sent behind it in one piece.
    async fn answer(&mut self) -> String {
        let mut read = Vec::new();
        let mut part = [0; 4096];
        loop {
            let count = timeout(PATIENCE, self.0.read(&mut part)).await.expect("an answer in time").unwrap();
            assert_ne!(count, 0, "the server closed behind {:?}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&part[..count]);
            let text = String::from_utf8(read.clone()).unwrap();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if length.is_none_or(|length| body.len() >= length.parse().unwrap()) {
                return text;
            }
        }
    }

    /// Returns everything up to the end of the connection, gentle or not.
    async fn rest(&mut self) -> String {
        let mut read = Vec::new();
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut read)).await.expect("the server closes in time");
        String::from_utf8(read).unwrap()
    }
}

/// A waiting request that reports when it came and when it went.
struct Parked {
    release: Notify,
    events: tokio::sync::Mutex<mpsc::Receiver<&'static str>>,
    tell: mpsc::Sender<&'static str>,
}

impl Parked {
    fn new() -> (Arc<Self>, Arc<Self>) {
        let (tell, events) = mpsc::channel(16);
        let parked = Arc::new(Self { release: Notify::new(), events: tokio::sync::Mutex::new(events), tell });
        (Arc::clone(&parked), parked)
    }

    async fn wait(self: Arc<Self>) -> Result<Response<Full<Bytes>>, Infallible> {
        struct Leaving(mpsc::Sender<&'static str>);
        impl Drop for Leaving {
            fn drop(&mut self) {
                let _ = self.0.try_send("left");
            }
        }
        let _leaving = Leaving(self.tell.clone());
        let released = self.release.notified();
        let _ = self.tell.try_send("entered");
        released.await;
        Ok(Response::new(Full::from("parked")))
    }

    async fn entered(&self) {
        self.expect("entered").await;
    }

    async fn left(&self) {
        self.expect("left").await;
    }

    async fn expect(&self, event: &str) {
        let next = async { self.events.lock().await.recv().await };
        assert_eq!(timeout(PATIENCE, next).await.expect("an event in time"), Some(event));
    }
}

async fn hello(_: Request) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("hello")))
}

async fn upgrade_to_echo(mut request: Request) -> Result<Response<Full<Bytes>>, Infallible> {
    let upgrade = hyper::upgrade::on(&mut request);
    TaskTracker::new().spawn(async move {
        let (mut duplex, read_ahead) = Duplex::from_upgraded(upgrade.await.unwrap()).unwrap();
        duplex.write_all(&read_ahead).await.unwrap();
        let mut rest = Vec::new();
        duplex.read_to_end(&mut rest).await.unwrap();
        duplex.write_all(&rest).await.unwrap();
        duplex.shutdown().await.unwrap();
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert("connection", http::HeaderValue::from_static("upgrade"));
    response.headers_mut().insert("upgrade", http::HeaderValue::from_static("echo"));
    Ok(response)
}

fn settings() -> Settings {
    listening(vec![any_port()])
}

fn listening(addresses: Vec<SocketAddr>) -> Settings {
    // Every waiting request waits outside hyper.
    let (rest_after, half_close_timeout) = (Duration::ZERO, Duration::ZERO);
    let addresses = addresses.into_iter().map(Into::into).collect();
    let listeners = vec![ListenerSettings::at(ListenerSettings::DEFAULT, addresses)];
    Settings { listeners, rest_after, half_close_timeout, ..Settings::default() }
}

fn impatient() -> Settings {
    Settings { idle_timeout: Duration::from_millis(300), ..settings() }
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Far longer than anything takes; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(10);
