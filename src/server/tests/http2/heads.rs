//! Headers of responses that a client does not read: there is no window for them.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};

use hyper::body;
use tokio::net::TcpSocket;

use super::frames::{END_HEADERS, END_STREAM, INITIAL_WINDOW};
use super::*;
use crate::duplex::{Piece, Receipted};

/// A response's body, which is empty, or a byte and trailers.
struct Last {
    frames: Vec<body::Frame<Piece>>,
    /// How many there are that hyper is not done with.
    alive: Arc<AtomicUsize>,
}

impl Last {
    fn new(frames: Vec<body::Frame<Piece>>, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, SeqCst);
        Self { frames, alive: Arc::clone(alive) }
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, SeqCst);
    }
}

impl From<&'static str> for Last {
    fn from(_: &'static str) -> Self {
        Self::new(Vec::new(), &Arc::default())
    }
}

impl Receipted for Last {}

impl http_body::Body for Last {
    type Data = Piece;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<body::Frame<Piece>, Infallible>>> {
        Poll::Ready(self.frames.pop().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }
}

/// Returns a header section of this length.
fn long(len: usize) -> http::HeaderMap {
    let line = ("x".parse().unwrap(), "~".repeat(len).parse().unwrap());
    http::HeaderMap::from_iter([line])
}

/// Serves responses without a body whose header is long, to clients that may read nothing for so long. Returns how many of
/// them there are that hyper does not have.
fn serve(patience: Duration) -> (Running, Arc<AtomicUsize>) {
    let alive = Arc::<AtomicUsize>::default();
    let bodies = Arc::clone(&alive);
    let server = Running::start_each(h2c(), move |info: ConnectInfo| {
        info.patience.set(patience);
        let bodies = Arc::clone(&bodies);
        service_fn(move |_: Request| {
            let mut response = Response::new(Last::new(Vec::new(), &bodies));
            *response.headers_mut() = long(HEAD_LEN);
            std::future::ready(Ok::<_, Infallible>(response))
        })
    });
    (server, alive)
}

/// Connects, with little room for what is not read.
async fn connect(server: &Running) -> Frames<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    Frames::begin(socket.connect(server.addresses[0]).await.unwrap(), &[]).await
}

fn counted(server: &Running) -> usize {
    let metrics = server.metrics.render();
    let line = metrics.lines().find_map(|line| line.strip_prefix("polliwog_buffers_bytes "));
    line.unwrap().parse().unwrap()
}

/// Waits until it is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waits = async {
        while !is_so() {
            // The interval between two looks: no event shows what hyper takes.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(PATIENCE, waits).await.is_ok(), "{what}");
}

/// Asks for as many responses as one connection may at once, and reads none; returns how many wait outside hyper.
async fn ask(server: &Running, frames: &mut Frames<TcpStream>, alive: &AtomicUsize) -> usize {
    for stream in (1..).step_by(2).take(STREAMS) {
        frames.get(stream, "/").await;
    }
    // Those that hyper has are a few; what the others take shows that all are asked for.
    until("most of them wait", || counted(server) > alive.load(SeqCst) * HEAD_LEN + (128 << 10)).await;
    let mut held = 0;
    while held < STREAMS / 4 || held != alive.load(SeqCst) {
        held = alive.load(SeqCst);
        // No event shows that hyper takes no more.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    held
}

#[tokio::test]
async fn headers_that_are_not_read_count_and_hyper_gets_no_more_of_them_than_some() {
    let (server, alive) = serve(PATIENCE);
    let mut frames = connect(&server).await;
    let held = ask(&server, &mut frames, &alive).await;
    let unwritten = counted(&server) - held * HEAD_LEN;
    assert!(unwritten < (128 << 10) + 2 * HEAD_LEN, "{unwritten} are with hyper");
    // Who gives up leaves room for nobody, and counts no more.
    let last = u32::try_from(STREAMS).unwrap() * 2 - 1;
    frames.reset(last).await;
    until("one is given up", || alive.load(SeqCst) == held - 1).await;
    let mut streams = Vec::new();
    while streams.len() < STREAMS - 1 {
        let Frame { kind, flags, stream, .. } = frames.next().await.unwrap();
        if kind == Kind::HEADERS {
            assert_eq!(flags & END_STREAM, END_STREAM);
            streams.push(stream);
        }
    }
    assert!(streams.iter().copied().eq((1..last).step_by(2)), "in the order of their requests: {streams:?}");
    // The rest of the last one comes with the next.
    frames.get(last + 2, "/").await;
    while frames.until(Kind::HEADERS).await.stream != last + 2 {}
    while frames.until(Kind::CONTINUATION).await.flags & END_HEADERS == 0 {}
    counts(&server, 0).await;
}

#[tokio::test]
async fn a_client_that_reads_no_headers_is_disconnected() {
    let (server, alive) = serve(Duration::from_millis(500));
    let mut frames = connect(&server).await;
    ask(&server, &mut frames, &alive).await;
    counts(&server, 0).await;
    assert_eq!(alive.load(SeqCst), 0);
    assert!(frames.ends().await);
}

#[tokio::test]
async fn trailers_wait_for_the_body_and_count() {
    let alive = Arc::<AtomicUsize>::default();
    let bodies = Arc::clone(&alive);
    let server = Running::start_each(h2c(), move |_: ConnectInfo| {
        let bodies = Arc::clone(&bodies);
        service_fn(move |_: Request| {
            let data = body::Frame::data(Piece::from(Bytes::from_static(b"body")));
            let frames = vec![body::Frame::trailers(long(HEAD_LEN)), data];
            std::future::ready(Ok::<_, Infallible>(Response::new(Last::new(frames, &bodies))))
        })
    });
    let mut frames = Frames::connect(&server, &[(INITIAL_WINDOW, 3)]).await;
    for stream in [1, 3] {
        frames.get(stream, "/").await;
    }
    until("they count", || counted(&server) > 2 * HEAD_LEN).await;
    assert_eq!(alive.load(SeqCst), 2, "each body waits");
    frames.open(3, 1).await;
    assert_eq!(frames.body(3).await, b"body");
    frames.open(1, 1).await;
    // The first three bytes came before.
    assert_eq!(frames.body(1).await, b"y");
    while frames.until(Kind::CONTINUATION).await.flags & END_HEADERS == 0 {}
    until("nothing is left", || counted(&server) == 0).await;
}

/// How many requests a connection may have at once.
const STREAMS: usize = 100;
/// The length of a response's header.
const HEAD_LEN: usize = 60_000;
