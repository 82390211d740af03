//! Reads the body of a POST, which may be neither too large nor too slow.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use crate::bridge::Bridge;
use crate::budget::Charge;
use crate::transport::{InBody, InBroke};
use crate::upstream::{BodyLimits, Pace, TooSlow};

/// Why a body was not read in full.
pub(super) enum ReadFailed {
    TooLarge,
    Slow(TooSlow),
    Broken,
}

/// Reads a whole body, and charges for it until it is complete: then its session counts it.
pub(super) async fn read_body(
    body: &mut InBody,
    len_max: usize,
    limits: BodyLimits,
    bridge: &Bridge,
) -> Result<Bytes, ReadFailed> {
    if body.size_hint().lower() > len_max as u64 {
        return Err(ReadFailed::TooLarge);
    }
    let mut pieces = Pieces { limits, began: None, pace: Pace::new(false) };
    let mut charge: Option<Charge> = None;
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = pieces.next(body).await? {
        let Ok(data) = frame.into_data() else { continue };
        if first.len().max(whole.len()) + data.len() > len_max {
            return Err(ReadFailed::TooLarge);
        }
        // Most bodies arrive in one piece, which is passed on without a copy.
        if first.is_empty() && whole.is_empty() {
            first = data;
        } else {
            whole.extend_from_slice(&std::mem::take(&mut first));
            whole.extend_from_slice(&data);
        }
        // Most are complete by now.
        if !body.is_end_stream() {
            charge.get_or_insert_with(|| bridge.charge()).set(first.len() + whole.len());
        }
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

/// The pieces of a body, and the pace at which they come.
struct Pieces {
    limits: BodyLimits,
    /// When the first of them was awaited.
    began: Option<Instant>,
    pace: Pace,
}

impl Pieces {
    /// Returns the next piece; `None` behind the last.
    async fn next(&mut self, body: &mut InBody) -> Result<Option<Frame<Bytes>>, ReadFailed> {
        // Most are there already, and need neither a clock nor a timer.
        let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut *body).poll_frame(cx))).await;
        let come = match polled {
            Poll::Ready(come) => come,
            Poll::Pending => Box::pin(self.wait(body)).await?,
        };
        let piece = come.transpose().map_err(|_| ReadFailed::Broken)?;
        if !body.is_end_stream() {
            let len = piece.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len);
            self.pace.note(false, len as u64, false, Instant::now());
        }
        Ok(piece)
    }

    /// Waits for the next piece while the client is fast enough.
    async fn wait(&mut self, body: &mut InBody) -> Result<Option<Come>, ReadFailed> {
        let began = *self.began.get_or_insert_with(Instant::now);
        self.pace.note(true, 0, false, Instant::now());
        loop {
            let look = self.pace.check(&self.limits, began, Instant::now()).map_err(ReadFailed::Slow)?;
            let look = look.unwrap_or(began + self.limits.timeout);
            if let Ok(come) = timeout_at(look, body.frame()).await {
                return Ok(come);
            }
        }
    }
}

/// A piece, or why there is none.
type Come = Result<Frame<Bytes>, InBroke>;
