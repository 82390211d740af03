//! A connection that has been idle for a while: all that is left of it is the stream.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::ReadBuf;
use tokio::time::{Instant, Sleep, sleep};

use super::outside::{Idle, READ_LEN};
use super::{Http, Http1Settings, Stage, Waits};
use crate::duplex::Duplex;
use crate::server::caller::{Last, Serve};

impl<S: Serve> Http<S> {
    /// Ready when an idle connection outside hyper ends. Until it may rest, its timer fires sooner: if a request waits by
    /// then, it does not keep the timer.
    pub(super) fn poll_idle_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Waits { rest_after, idle_timeout } = self.settings.waits;
        let soon = (REST_FACTOR * rest_after).min(idle_timeout);
        let Stage::Idle(idle) = &mut self.stage else { return Poll::Pending };
        let timer = self.rest_timer.get_or_insert_with(|| Box::pin(sleep(soon)));
        loop {
            ready!(timer.as_mut().poll(cx));
            let (now, end) = (Instant::now(), idle.since + idle_timeout);
            if now >= end {
                return Poll::Ready(());
            }
            let rests_at = idle.since + soon;
            // Otherwise it must be remembered that it is not certain where requests begin.
            idle.may_rest = now >= rests_at && self.raw_headers.is_between_requests();
            timer.as_mut().reset(if now >= rests_at { end } else { rests_at });
        }
    }

    /// Goes on with what the connection has left to serve.
    pub(in crate::server) const fn go_on(&mut self, last: Last) {
        (self.answers_left, self.last_from) = (last.answers, last.from);
    }

    /// Returns what is left of the connection if it may rest; then this is over.
    pub(in crate::server) fn rest(&mut self) -> Option<Resting> {
        if !matches!(self.stage, Stage::Idle(Idle { may_rest: true, .. })) {
            return None;
        }
        let end = self.rest_timer.take()?;
        let Stage::Idle(idle) = std::mem::replace(&mut self.stage, Stage::Over) else { return None };
        Some(Resting::new(Arc::clone(&self.settings), self.last(), idle.io.into_inner(), end))
    }
}

/// A connection that waits for its client's next request, and remembers nothing of those before.
pub(in crate::server) struct Resting {
    /// Until it rests no more.
    left: Option<Left>,
    /// Ends the connection if no request has come by then; `None` ends it now.
    end: Option<Pin<Box<Sleep>>>,
}

struct Left {
    settings: Arc<Http1Settings>,
    last: Last,
    io: Duplex,
}

/// What is left of a connection behind its rest.
pub(in crate::server) struct Rested {
    pub(in crate::server) settings: Arc<Http1Settings>,
    /// When the connection has served enough.
    pub(in crate::server) last: Last,
    /// What was read of the next request is before what is still to be read.
    pub(in crate::server) io: Duplex,
    /// Whether there is no request, and the connection ends.
    pub(in crate::server) is_over: bool,
}

impl Resting {
    fn new(settings: Arc<Http1Settings>, last: Last, io: Duplex, end: Pin<Box<Sleep>>) -> Self {
        Self { left: Some(Left { settings, last, io: io.with_patience(None) }), end: Some(end) }
    }

    /// Has the connection end.
    pub(in crate::server) fn end(&mut self) {
        self.end = None;
    }

    /// Ready once it does not rest any more.
    ///
    /// # Errors
    /// The stream is broken.
    pub(in crate::server) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Rested>> {
        let Some(Left { io, .. }) = &mut self.left else { return Poll::Pending };
        let mut room = [const { MaybeUninit::uninit() }; READ_LEN];
        let mut read = ReadBuf::uninit(&mut room);
        let is_over = match io.poll_begun(cx, &mut read)? {
            Poll::Ready(()) => read.filled().is_empty(),
            Poll::Pending => {
                if let Some(end) = &mut self.end {
                    ready!(end.as_mut().poll(cx));
                }
                true
            }
        };
        let Some(Left { settings, last, io }) = self.left.take() else { return Poll::Pending };
        let io = io.behind(Bytes::copy_from_slice(read.filled()));
        Poll::Ready(Ok(Rested { settings, last, io, is_over }))
    }
}

/// A connection rests once it has been idle for as many times `rest_after`. To end a rest costs 6,000 instructions, a fifth of
/// what a POST does, and to look for one more often costs each poll.
const REST_FACTOR: u32 = 4;
