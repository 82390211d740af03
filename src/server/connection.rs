//! One connection: TLS where the listener speaks it, then HTTP/1.1 until it ends, is upgraded or is told to end.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsStream};
use tower::Service;
use tower::util::{Oneshot, ServiceExt};
use tracing::debug;

use super::ConnectInfo;
use crate::duplex::{Duplex, Patience};
use crate::meter::Connections;

/// What all connections of a server have in common.
#[derive(Clone, Debug)]
pub(super) struct Connecting {
    tls: Option<Arc<ServerConfig>>,
    http: http1::Builder,
}

impl Connecting {
    pub(super) fn new(tls: Option<Arc<ServerConfig>>, idle_timeout: Duration) -> Self {
        let mut http = http1::Builder::new();
        // The one time limit covers the wait for a first request, a slow header and the wait for the next request.
        http.timer(TokioTimer::new()).header_read_timeout(idle_timeout);
        // A client that half-closes is gone: only so does a parked poll notice that its client hung up.
        http.half_close(false);
        http.max_header_size(BUFFER_MAX).max_buf_size(BUFFER_MAX);
        Self { tls, http }
    }
}

/// Serves one connection to its end.
pub(super) async fn run<M, S, B>(
    connecting: Arc<Connecting>,
    stream: TcpStream,
    peer: SocketAddr,
    make: Arc<M>,
    ending: Ending,
    connections: Connections,
) where
    M: Fn(ConnectInfo) -> S,
    S: Service<http::Request<Incoming>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let _open = connections.opened();
    let (io, info) = match open(&connecting, stream, peer, &ending, &connections).await {
        Ok(opened) => opened,
        Err(error) => return debug!(%peer, %error, "a connection did not come about"),
    };
    let service = ByClone(make(info));
    let connection = connecting.http.serve_connection(TokioIo::new(io), service).with_upgrades();
    drop((connecting, make));

    let mut connection = pin!(connection);
    let mut told = pin!(ending.told());
    let (mut is_listening, mut is_ending) = (false, false);
    // Not a select: to poll `told` takes a lock that all connections share, and this is polled twice for each request.
    // Once is enough to register the waker, as a task's waker stays the same.
    let ended = poll_fn(|cx| {
        if !is_listening {
            is_listening = true;
            let _ = told.as_mut().poll(cx);
        }
        if !is_ending && ending.has_begun() {
            is_ending = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx)
    });
    if let Err(error) = ended.await {
        debug!(%peer, error = &error as &dyn std::error::Error, "a connection broke");
    }
}

/// Makes the socket ready for HTTP.
async fn open(
    connecting: &Connecting,
    stream: TcpStream,
    peer: SocketAddr,
    ending: &Ending,
    connections: &Connections,
) -> io::Result<(Duplex, ConnectInfo)> {
    // Polls are short answers that somebody waits for.
    stream.set_nodelay(true)?;
    let patience = Patience::new(STALL_TIMEOUT);
    let info = ConnectInfo {
        peer,
        local: stream.local_addr()?,
        secure: connecting.tls.is_some(),
        patience: patience.clone(),
    };
    let with_patience = |stream: Duplex| stream.with_patience(Some(patience));
    let Some(tls) = &connecting.tls else { return Ok((with_patience(stream.into()), info)) };
    // Boxed, so that a connection is not kept larger by what its handshake needed.
    let handshake = Box::pin(timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(Arc::clone(tls)).accept(stream)));
    let shaken = tokio::select! {
        shaken = handshake => shaken.map_err(io::Error::from).flatten(),
        () = ending.told() => return Err(io::Error::other("the server ends")),
    };
    match shaken {
        Ok(stream) => Ok((with_patience(TlsStream::from(stream).into()), info)),
        Err(error) => {
            connections.tls_failed();
            Err(error)
        }
    }
}

/// The word to all connections that the server ends.
#[derive(Clone, Default, Debug)]
pub(super) struct Ending(Arc<EndingInner>);

#[derive(Default, Debug)]
struct EndingInner {
    begun: AtomicBool,
    told: Notify,
}

impl Ending {
    /// Tells every connection.
    pub(super) fn begin(&self) {
        self.0.begun.store(true, Ordering::SeqCst);
        self.0.told.notify_waiters();
    }

    fn has_begun(&self) -> bool {
        self.0.begun.load(Ordering::SeqCst)
    }

    async fn told(&self) {
        let told = self.0.told.notified();
        if !self.has_begun() {
            told.await;
        }
    }
}

/// A tower service as hyper wants it: called through a shared reference, each call on a clone that was asked first
/// whether it is ready.
struct ByClone<S>(S);

impl<S> hyper::service::Service<http::Request<Incoming>> for ByClone<S>
where
    S: Service<http::Request<Incoming>> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Calling<S, http::Request<Incoming>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let mut service = self.0.clone();
        match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Calling::Called { called: service.call(request) },
            Poll::Ready(Err(_)) | Poll::Pending => {
                Calling::Waiting { waiting: Box::pin(service.oneshot(request)) }
            }
        }
    }
}

pin_project! {
    /// A call under way. Ours are always ready: then nothing waits but what they make of the request, and the request takes
    /// no room beside it.
    #[project = CallingProjection]
    enum Calling<S: Service<R>, R> {
        Called { #[pin] called: S::Future },
        Waiting { waiting: Pin<Box<Oneshot<S, R>>> },
    }
}

impl<S: Service<R>, R> Future for Calling<S, R> {
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            CallingProjection::Called { called } => called.poll(cx),
            CallingProjection::Waiting { waiting } => waiting.as_mut().poll(cx),
        }
    }
}

/// The longest request line with its headers; more is answered 431 by hyper.
const BUFFER_MAX: usize = 64 * 1024;
/// How long a client may take nothing of an answer, until its request's route has its say.
const STALL_TIMEOUT: Duration = Duration::from_mins(1);
/// Long enough for a distant client with a lost packet or two.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
