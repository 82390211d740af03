//! HTTP/2 over one connection (RFC 9113): each request is a stream of it, and all streams run in the connection's task.
//!
//! So whatever ends the connection ends them too. Hyper limits what a client can have it keep; this limits what hyper
//! leaves open: a connection without requests, one that gives up request after request, and a response whose client
//! opens no window for it.

mod calls;
mod message;
mod progress;
mod streams;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::server::conn::http2::{Builder, Connection};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Instant, Sleep, sleep_until};

use self::calls::Calls;
use self::streams::{Starts, Streams};
use super::caller::{BoxError, Serve};
use super::connect_info::ConnectInfo;
use super::ending::EndingStage;
use crate::duplex::{Duplex, Settling, Unflushed};
use crate::hop;

/// Serves HTTP/2 over one connection, until it ends.
pub(super) struct Http2<M, S>
where
    M: Fn(ConnectInfo) -> S,
    S: Serve,
{
    connection: Box<Connection<TokioIo<Settling>, Calls<M>, Starts>>,
    streams: Streams,
    /// How long a connection may be without requests.
    idle_timeout: Duration,
    idle_since: Option<Instant>,
    /// Whether the client was told to make no more requests here.
    is_leaving: bool,
    /// Whether it carries the requests of many clients.
    is_shared: bool,
    /// Fires when a limit may be exceeded.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<M, S> Http2<M, S>
where
    M: Fn(ConnectInfo) -> S,
    S: Serve,
{
    /// Creates the protocol of a connection. `make` makes a service for each of its requests.
    pub(super) fn new(make: Arc<M>, info: ConnectInfo, duplex: Duplex, idle_timeout: Duration) -> Self {
        let (starts, unflushed) = (Starts::default(), Unflushed::default());
        let io = TokioIo::new(Settling::new(duplex, unflushed.clone()));
        let calls = Calls::new(make, info, starts.clone(), unflushed);
        let connection = Box::new(builder(starts.clone()).serve_connection(io, calls));
        let streams = Streams::new(starts);
        Self {
            connection,
            streams,
            idle_timeout,
            idle_since: None,
            is_leaving: false,
            is_shared: false,
            timer: None,
        }
    }

    /// Has the connection carry the requests of many clients: those that leave give up requests, as many as there are.
    pub(super) const fn share(&mut self) {
        self.is_shared = true;
    }

    /// Does what a stage of the server means for its connections: no more requests are accepted, and the current ones
    /// are served to their end.
    pub(super) fn change(&mut self, stage: EndingStage) {
        match stage {
            EndingStage::Serving => {}
            EndingStage::Moving | EndingStage::Leaving | EndingStage::Ending => self.leave(),
        }
    }

    fn leave(&mut self) {
        if !self.is_leaving {
            (self.is_leaving, self.idle_since) = (true, None);
            Pin::new(&mut *self.connection).graceful_shutdown();
        }
    }

    /// Ready when a limit is exceeded and the connection must end.
    fn poll_limits(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if !self.is_shared && self.streams.are_given_up() {
            return Poll::Ready(Err(Box::new(io::Error::other("too many requests were given up"))));
        }
        if self.streams.are_last() && !self.is_leaving {
            self.leave();
            cx.waker().wake_by_ref();
        }
        loop {
            let now = Instant::now();
            let Some(due) = self.due(now) else { return Poll::Pending };
            if due > now {
                let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
                // One that fires earlier is kept.
                if timer.is_elapsed() || timer.deadline() > due {
                    timer.as_mut().reset(due);
                }
                ready!(timer.as_mut().poll(cx));
            } else if self.idle_since.is_none() {
                self.streams.end_stalled(now)?;
                cx.waker().wake_by_ref();
            } else if self.is_leaving {
                return Poll::Ready(Ok(()));
            } else {
                self.leave();
                cx.waker().wake_by_ref();
            }
        }
    }

    /// Returns when the next limit is exceeded, unless something happens before.
    fn due(&mut self, now: Instant) -> Option<Instant> {
        if !self.streams.is_empty() {
            self.idle_since = None;
            return self.streams.stalled_at();
        }
        let limit = if self.is_leaving { LEAVE_TIMEOUT } else { self.idle_timeout };
        Some(*self.idle_since.get_or_insert(now) + limit)
    }
}

impl<M, S> Future for Http2<M, S>
where
    M: Fn(ConnectInfo) -> S,
    S: Serve,
{
    type Output = Result<(), BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            this.streams.poll(cx);
            if let Poll::Ready(ended) = Pin::new(&mut *this.connection).poll(cx) {
                return Poll::Ready(ended.map_err(Into::into));
            }
            if !this.streams.are_started() {
                return this.poll_limits(cx);
            }
        }
    }
}

fn builder(starts: Starts) -> Builder<Starts> {
    let mut builder = Builder::new(starts);
    builder
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_LEN)
        .initial_connection_window_size(WINDOW_LEN)
        .max_send_buf_size(SEND_BUFFER_LEN)
        .max_header_list_size(u32::try_from(hop::HEADER_MAX).unwrap_or(u32::MAX))
        // A client that vanished silently: nothing else would notice while all of its requests wait.
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Each poll, stream and WebSocket of a browser counts.
const STREAMS_MAX: u32 = 100;
/// How much of a request's body is received ahead.
const STREAM_WINDOW_LEN: u32 = 256 << 10;
/// The same for all requests of a connection.
const WINDOW_LEN: u32 = 1 << 20;
/// How much of a response hyper takes ahead of its client's window.
const SEND_BUFFER_LEN: usize = 64 << 10;
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the client may take to acknowledge that it makes no more requests: hyper waits for that without end.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);
