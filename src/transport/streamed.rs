//! The body of a forwarded response. A drain waits until it is complete, and an aborted one is counted.

use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::budget::Budget;
use crate::duplex::{Patience, Piece};
use crate::limits::HeldRequest;
use crate::meter::{Broken, Meter};
use crate::upstream::{AnswerBody, AnswerError, InUse, Pass};

/// A backend's response while it is forwarded to the client.
#[derive(Debug)]
pub struct Streamed {
    body: AnswerBody,
    under_way: UnderWay,
    /// Counts its pieces until they are written.
    budget: Budget,
    /// When its client may receive no more.
    expiry: Option<Pin<Box<Sleep>>>,
    /// Whether the end of the body, complete or broken, was reported to the connection.
    told: bool,
}

/// A forwarded request, from its head to the end of its response.
pub struct UnderWay {
    /// Keeps a drain waiting.
    _token: TaskTrackerToken,
    /// Keeps the upstream from being retired before the response is complete.
    _upstream: Arc<InUse>,
    /// Its places among those of its client, and among those of its route and its upstream.
    _places: (HeldRequest, [Pass; 2]),
    /// The patience of the client's connection: tells a stalled client from one that disconnected.
    patience: Patience,
    meter: Meter,
}

impl UnderWay {
    /// Creates a request that has just arrived.
    pub fn new(
        token: TaskTrackerToken,
        upstream: Arc<InUse>,
        places: (HeldRequest, [Pass; 2]),
        patience: Patience,
        meter: Meter,
    ) -> Self {
        Self { _token: token, _upstream: upstream, _places: places, patience, meter }
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
    /// Creates the response to a forwarded request. If it may go on without end, it breaks at `expires_at`.
    pub fn new(body: AnswerBody, under_way: UnderWay, budget: Budget, expires_at: Option<Instant>) -> Self {
        // One of a known length ends by itself, and was permitted when it was asked for.
        let expires_at = expires_at.filter(|_| body.size_hint().exact().is_none());
        let expiry = expires_at.map(|at| Box::pin(sleep_until(at)));
        Self { body, under_way, budget, expiry, told: false }
    }
}

impl Body for Streamed {
    type Data = Piece;
    type Error = AnswerError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, AnswerError>>> {
        if let Some(expiry) = &mut self.expiry
            && expiry.as_mut().poll(cx).is_ready()
        {
            (self.expiry, self.told) = (None, true);
            self.under_way.broke(Broken::Expired);
            return Poll::Ready(Some(Err(AnswerError::Expired)));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.told |= !matches!(frame, Some(Ok(_)));
        match &frame {
            Some(Err(AnswerError::Broken(_))) => self.under_way.broke(Broken::UpstreamClosed),
            Some(Err(AnswerError::Stalled(_))) => self.under_way.broke(Broken::Stalled),
            // It is told above.
            Some(Err(AnswerError::Expired) | Ok(_)) | None => {}
        }
        let counted = |bytes| Piece::charged(bytes, self.budget.charge());
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(counted))))
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
