//! The body of a forwarded answer: while it is under way a drain waits for it, and what breaks it off is counted.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::duplex::Patience;
use crate::meter::{Broken, Meter};
use crate::upstream::{AnswerBody, AnswerError, InUse};

/// A backend's answer as it streams to the client.
#[derive(Debug)]
pub struct Streamed {
    body: AnswerBody,
    under_way: UnderWay,
    /// Whether its end has been told, good or bad.
    told: bool,
}

/// A request that is forwarded, from its head to the end of its answer.
pub struct UnderWay {
    /// The drain's.
    _token: TaskTrackerToken,
    /// It does not retire before the answer is over.
    _upstream: Arc<InUse>,
    /// With the client's connection.
    patience: Patience,
    meter: Meter,
}

impl UnderWay {
    /// Creates a request that has just come.
    pub fn new(token: TaskTrackerToken, upstream: Arc<InUse>, patience: Patience, meter: Meter) -> Self {
        Self { _token: token, _upstream: upstream, patience, meter }
    }

    fn broke(&self, reason: Broken) {
        self.meter.forward_broke(reason);
        tracing::debug!(reason = reason.word(), "a forwarded response was aborted");
    }
}

impl fmt::Debug for UnderWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnderWay").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Streamed {
    /// Creates the answer to a request that is under way.
    pub fn new(body: AnswerBody, under_way: UnderWay) -> Self {
        Self { body, under_way, told: false }
    }
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.told |= !matches!(frame, Some(Ok(_)));
        match &frame {
            Some(Err(AnswerError::Broken(_))) => self.under_way.broke(Broken::UpstreamClosed),
            Some(Err(AnswerError::Stalled(_))) => self.under_way.broke(Broken::Stalled),
            Some(Ok(_)) | None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        if !self.told && !self.body.is_read() {
            let stalled = self.under_way.patience.is_over();
            self.under_way.broke(if stalled { Broken::Stalled } else { Broken::ClientGone });
        }
    }
}
