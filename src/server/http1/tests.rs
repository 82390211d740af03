//! When a connection leaves hyper, and when it must not.

pub(crate) mod alike;
mod limits;
mod lines;
mod outside;
mod resting;
mod streams;

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep, timeout};
use tower::service_fn;

use super::super::caller::Request;
use super::super::connection_limits::ConnectionLimits;
use super::*;
use crate::duplex::Patience;

const SECOND: Duration = Duration::from_secs(1);
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
/// Hyper reads it, because of an option that is unusual and means nothing.
const HYPERS_GET: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: x\r\n\r\n";

/// Serves one end of a stream; returns the other.
fn serve<S: Serve>(rest_after: Duration, service: S) -> (Http<S>, DuplexStream) {
    serve_within(ConnectionLimits::default(), rest_after, service)
}

/// Does the same within these limits.
fn serve_within<S: Serve>(
    limits: ConnectionLimits,
    rest_after: Duration,
    service: S,
) -> (Http<S>, DuplexStream) {
    let (ours, theirs) = duplex(4096);
    let patience = Patience::new(IDLE_TIMEOUT);
    patience.set_half_close(5 * SECOND);
    let ours = Duplex::from(ours).with_patience(Some(patience));
    let waits = Waits { rest_after, idle_timeout: IDLE_TIMEOUT };
    let about = About { listener: "".into(), secure: false, half_close_timeout: Duration::ZERO };
    let settings = Arc::new(Http1Settings::new(waits, limits, about));
    let http = Http::new(settings, ours, service, RawHeaders::default());
    (http, theirs)
}

/// Returns a service that answers with the length of a request's body, which it reads unless the target is `/unread`.
fn counting() -> impl Serve<Body = Full<Bytes>> {
    service_fn(|request: Request| {
        Box::pin(async move {
            let is_unread = request.uri().path() == "/unread";
            let len = if is_unread { 0 } else { request.collect().await.unwrap().to_bytes().len() };
            Ok::<_, Infallible>(Response::new(Full::from(format!("<{len}>"))))
        })
    })
}

/// Returns a service whose requests wait, each until it is told to go on.
fn waiting() -> (impl Serve<Body = Full<Bytes>>, Arc<Notify>) {
    let release = Arc::new(Notify::new());
    let waits = Arc::clone(&release);
    let service = service_fn(move |_: Request| {
        let waits = Arc::clone(&waits);
        Box::pin(async move {
            waits.notified().await;
            Ok::<_, Infallible>(Response::new(Full::from("hello")))
        })
    });
    (service, release)
}

impl<S: Serve> Http<S> {
    /// Goes on until its stage is this one.
    async fn until(&mut self, is_there: impl Fn(&Stage<S>) -> bool) {
        poll_fn(|cx| {
            assert!(Pin::new(&mut *self).poll(cx).is_pending(), "the connection goes on");
            if is_there(&self.stage) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Goes on for some time, in which it does not end.
    async fn goes_on(&mut self, time: Duration) {
        assert!(timeout(time, &mut *self).await.is_err(), "the connection goes on");
    }

    /// Goes on until the other side has read what ends so.
    async fn answers(&mut self, theirs: &mut DuplexStream, end: &str) -> String {
        let mut answer = Vec::new();
        while !answer.ends_with(end.as_bytes()) {
            tokio::select! {
                _ = &mut *self => panic!("the connection goes on"),
                read = theirs.read_buf(&mut answer) => assert_ne!(read.unwrap(), 0),
            }
        }
        String::from_utf8(answer).unwrap()
    }
}

fn is_idle<S: Serve>(stage: &Stage<S>) -> bool {
    matches!(stage, Stage::Idle(_))
}

#[tokio::test(start_paused = true)]
async fn a_request_leaves_hyper_once_it_has_waited_long_enough_and_not_before() {
    let empty_post = "POST / HTTP/1.1\r\nhost: x\r\nconnection: x\r\ncontent-length: 0\r\n\r\n";
    for (rest_after, request) in [(Duration::ZERO, HYPERS_GET), (SECOND, HYPERS_GET), (SECOND, empty_post)] {
        let (service, release) = waiting();
        let (mut http, mut theirs) = serve(rest_after, service);
        theirs.write_all(request.as_bytes()).await.unwrap();
        let start = Instant::now();
        http.until(|stage| matches!(stage, Stage::Waiting(_))).await;
        assert_eq!(start.elapsed().as_secs(), rest_after.as_secs());
        // Hyper's first buffer alone takes 8 KiB.
        assert!(size_of_val(&http) < 1024, "a request that waits takes little room");
        release.notify_one();
        http.answers(&mut theirs, "\r\n\r\nhello").await;
        assert!(is_idle(&http.stage), "hyper has no part in the response");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_leaves_hyper_between_two_requests() {
    let (mut http, mut theirs) = serve(SECOND, counting());
    http.until(is_idle).await;
    let posted = "POST / HTTP/1.1\r\nhost: x\r\nconnection: x\r\ncontent-length: 4\r\n\r\nbody";
    for (request, answer) in [(HYPERS_GET, "<0>"), (posted, "<4>"), (posted, "<4>"), (HYPERS_GET, "<0>")] {
        // In one piece, and byte by byte, with a rest in the middle.
        for piece in [request.len(), 1] {
            for (number, bytes) in request.as_bytes().chunks(piece).enumerate() {
                theirs.write_all(bytes).await.unwrap();
                http.goes_on(if number == 3 { 3 * SECOND } else { Duration::from_millis(1) }).await;
                assert!(matches!(http.stage, Stage::Inside(_)), "{number}");
            }
            http.answers(&mut theirs, answer).await;
            let answered = Instant::now();
            http.until(is_idle).await;
            let after = answered.elapsed();
            let at_least = SECOND.saturating_sub(Duration::from_millis(1));
            assert!((at_least..=2 * SECOND).contains(&after), "{after:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_connection_never_leaves() {
    let (mut http, mut theirs) = serve(SECOND, counting());
    for _ in 0..20 {
        theirs.write_all(HYPERS_GET.as_bytes()).await.unwrap();
        http.answers(&mut theirs, "<0>").await;
        assert!(timeout(SECOND * 9 / 10, http.until(is_idle)).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_stays_where_the_next_request_may_not_begin_with_what_comes() {
    let chunked = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    let pipelined = format!("{GET}GET / HTTP/1.1\r\nho");
    for (request, answer) in [(chunked, "<1>"), (&pipelined, "<0>"), ("GET / HTTP/1.1\r\nho", "")] {
        let (mut http, mut theirs) = serve(SECOND, counting());
        theirs.write_all(request.as_bytes()).await.unwrap();
        if !answer.is_empty() {
            http.answers(&mut theirs, answer).await;
        }
        // Not as long as a header may take.
        assert!(timeout(9 * SECOND, http.until(is_idle)).await.is_err(), "{request}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_body_is_never_a_request() {
    // Nothing of the body has come, a part, and all of it, which hyper reads to its end.
    for (come, goes_on) in [("", false), ("GET / ", false), ("GET / HTTP/1.1\r\n\r\n", true)] {
        let (mut http, mut theirs) = serve(SECOND, counting());
        theirs
            .write_all(
                format!("POST /unread HTTP/1.1\r\nhost: x\r\ncontent-length: 18\r\n\r\n{come}").as_bytes(),
            )
            .await
            .unwrap();
        let mut answer = Vec::new();
        let ended = timeout(5 * SECOND, async {
            tokio::select! {
                _ = &mut http => {}
                () = async { while theirs.read_buf(&mut answer).await.unwrap() > 0 {} } => {}
            }
        });
        assert_eq!(ended.await.is_err(), goes_on, "{come}");
        assert_eq!(is_idle(&http.stage), goes_on, "{come}");
        drop(http);
        theirs.read_to_end(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8(answer).unwrap().matches("HTTP/1.1 200").count(), 1, "{come}");
    }
}

/// A body that has sent a piece, and ends when its time is over.
struct Slow(Option<&'static str>, Pin<Box<Sleep>>);

impl http_body::Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(piece) => Poll::Ready(Some(Ok(http_body::Frame::data(piece.into())))),
            None => self.1.as_mut().poll(cx).map(|()| None),
        }
    }
}

impl crate::duplex::Receipted for Slow {}

impl From<&'static str> for Slow {
    fn from(piece: &'static str) -> Self {
        Self(Some(piece), Box::pin(sleep(10 * SECOND)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_goes_on_keeps_its_connection() {
    let service =
        service_fn(|_: Request| Box::pin(async { Ok::<_, Infallible>(Response::new(Slow::from("piece"))) }));
    let (mut http, mut theirs) = serve(SECOND, service);
    theirs.write_all(GET.as_bytes()).await.unwrap();
    let start = Instant::now();
    http.answers(&mut theirs, "piece\r\n").await;
    http.until(is_idle).await;
    assert!(start.elapsed() >= 10 * SECOND, "{:?}", start.elapsed());
    let mut end = [0; 5];
    theirs.read_exact(&mut end).await.unwrap();
    assert_eq!(&end, b"0\r\n\r\n");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends_as_it_would_in_hyper() {
    // By its timeout, by its client, and by the server.
    let ways = [("time", IDLE_TIMEOUT.as_secs()), ("client", 2), ("server", 2)];
    for ((how, seconds), request) in ways.into_iter().flat_map(|way| [(way, GET), (way, HYPERS_GET)]) {
        let (mut http, mut theirs) = serve(SECOND, counting());
        theirs.write_all(request.as_bytes()).await.unwrap();
        http.answers(&mut theirs, "<0>").await;
        let start = Instant::now();
        http.until(is_idle).await;
        http.goes_on((2 * SECOND).saturating_sub(start.elapsed())).await;
        match how {
            "client" => theirs.shutdown().await.unwrap(),
            "server" => http.change(EndingStage::Ending),
            _ => {}
        }
        (&mut http).await.unwrap();
        let after = start.elapsed().as_secs();
        assert!(after == seconds || how == "time" && after == seconds + 1, "{how}: {after}");
        drop(http);
        assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_told_of_a_leave_with_its_next_response() {
    let (mut http, mut theirs) = serve(SECOND, counting());
    http.until(is_idle).await;
    http.change(EndingStage::Leaving);
    http.goes_on(3 * SECOND).await;
    theirs.write_all(GET.as_bytes()).await.unwrap();
    (&mut http).await.unwrap();
    drop(http);
    let mut answer = String::new();
    theirs.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.to_lowercase().contains("\r\nconnection: close\r\n") && answer.ends_with("<0>"),
        "{answer}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_not_taken_keeps_its_connection() {
    let body = "x".repeat(20_000);
    let service = service_fn(move |_: Request| {
        let body = body.clone();
        Box::pin(async move { Ok::<_, Infallible>(Response::new(Full::from(body))) })
    });
    let (mut http, mut theirs) = serve(SECOND, service);
    theirs.write_all(GET.as_bytes()).await.unwrap();
    assert!(timeout(10 * SECOND, http.until(is_idle)).await.is_err());
    let all = async {
        let mut len = 0;
        while len < 20_000 {
            len += theirs.read(&mut [0; 4096]).await.unwrap();
        }
        pending::<()>().await;
    };
    tokio::select! {
        () = http.until(is_idle) => {}
        () = all => {}
    }
}
