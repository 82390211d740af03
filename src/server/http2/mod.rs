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
use super::connection_limits::{ConnectionLimits, Exceeded};
use super::ending::EndingStage;
use crate::budget::Charge;
use crate::duplex::{Ahead, Begun, Duplex, Heads, Settling, Unflushed};
use crate::limited::{Limit, Limited};

/// Serves HTTP/2 over one connection, until it ends.
pub(super) struct Http2<M, S>
where
    M: Fn(ConnectInfo) -> S,
    S: Serve,
{
    connection: Box<Connection<TokioIo<Settling>, Calls<M>, Starts>>,
    streams: Streams,
    /// What the client has not taken of headers.
    heads: Heads,
    /// How long a connection may be without requests.
    idle_timeout: Duration,
    idle_since: Option<Instant>,
    /// Since when a header section, or something else that must come whole, comes in.
    begun: Begun,
    header_timeout: Duration,
    /// From when on no more requests are accepted.
    last_from: Instant,
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
    /// Creates the protocol of a connection. `make` makes a service for each of its requests, `charge` counts what is taken
    /// ahead.
    pub(super) fn new(
        make: Arc<M>,
        info: ConnectInfo,
        duplex: Duplex,
        idle_timeout: Duration,
        limits: ConnectionLimits,
        limited: Limited,
        charge: Charge,
    ) -> Self {
        let (starts, unflushed) = (Starts::default(), Unflushed::default());
        let ahead = Ahead::new(charge, WINDOW_LEN as usize);
        let heads = ahead.written.heads().clone();
        let io = Settling::new(duplex, unflushed.clone(), ahead.clone());
        let begun = io.begun();
        let calls = Calls::new(make, info, starts.clone(), unflushed, ahead, limits, limited);
        let builder = builder(starts.clone(), limits.header_max);
        let connection = Box::new(builder.serve_connection(TokioIo::new(io), calls));
        let streams = Streams::new(starts);
        Self {
            connection,
            streams,
            heads,
            idle_timeout,
            idle_since: None,
            begun,
            header_timeout: limits.header_timeout,
            last_from: Instant::now() + limits.connection_lifetime,
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
            EndingStage::Moving | EndingStage::Leaving | EndingStage::Ending | EndingStage::Cut => {
                self.leave();
            }
        }
    }

    fn leave(&mut self) {
        if !self.is_leaving {
            (self.is_leaving, self.idle_since) = (true, None);
            self.streams.note_left(Instant::now() + PING_TIMEOUT);
            Pin::new(&mut *self.connection).graceful_shutdown();
        }
    }

    /// Ready when a limit is exceeded and the connection must end.
    fn poll_limits(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if !self.is_shared && self.streams.are_given_up() {
            return Poll::Ready(Err(Box::new(io::Error::other("too many requests were given up"))));
        }
        if self.streams.are_too_late() {
            return Poll::Ready(Err(Box::new(io::Error::other("requests go on after GOAWAY"))));
        }
        if self.streams.are_last() && !self.is_leaving {
            self.leave();
            cx.waker().wake_by_ref();
        }
        loop {
            let now = Instant::now();
            let Some((due, what)) = self.due(now) else { return Poll::Pending };
            if due > now {
                let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
                // One that fires earlier is kept.
                if timer.is_elapsed() || timer.deadline() > due {
                    timer.as_mut().reset(due);
                }
                ready!(timer.as_mut().poll(cx));
                continue;
            }
            match what {
                Due::Header => return Poll::Ready(Err(Exceeded(Limit::HeaderTimeout).into())),
                Due::Stalled => self.streams.end_stalled(now)?,
                // They are written in turn: no stream can be reset before those of the others are.
                Due::Unread => return Poll::Ready(Err(self.heads.run_out().into())),
                Due::Idle if self.is_leaving => return Poll::Ready(Ok(())),
                Due::Idle | Due::Last => self.leave(),
            }
            cx.waker().wake_by_ref();
        }
    }

    /// Returns when the next limit is exceeded, unless something happens before, and which that is.
    fn due(&mut self, now: Instant) -> Option<(Instant, Due)> {
        let header = self.begun.since().map(|since| (since + self.header_timeout, Due::Header));
        let last = (!self.is_leaving).then_some((self.last_from, Due::Last));
        let other = if self.streams.is_empty() {
            let limit = if self.is_leaving { LEAVE_TIMEOUT } else { self.idle_timeout };
            Some((*self.idle_since.get_or_insert(now) + limit, Due::Idle))
        } else {
            self.idle_since = None;
            self.streams.stalled_at().map(|at| (at, Due::Stalled))
        };
        let unread = self.heads.stalled_at().map(|at| (at, Due::Unread));
        header.into_iter().chain(last).chain(unread).chain(other).min_by_key(|(due, _)| *due)
    }
}

/// Which limit is exceeded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Due {
    /// How long a header section may take.
    Header,
    /// How long a client may take nothing of a response.
    Stalled,
    /// How long it may take nothing while headers wait.
    Unread,
    /// How long a connection may be without requests.
    Idle,
    /// How long a connection accepts requests.
    Last,
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
            this.heads.settle();
            if !this.streams.are_started() {
                return this.poll_limits(cx);
            }
        }
    }
}

fn builder(starts: Starts, header_max: usize) -> Builder<Starts> {
    let mut builder = Builder::new(starts);
    builder
        .timer(TokioTimer::new())
        // Each response has a date, as `Calls` gives it one.
        .auto_date_header(false)
        .enable_connect_protocol()
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_LEN)
        .initial_connection_window_size(WINDOW_LEN)
        .max_send_buf_size(SEND_BUFFER_LEN)
        .max_header_list_size(u32::try_from(header_max).unwrap_or(u32::MAX))
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
