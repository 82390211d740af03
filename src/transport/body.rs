//! The body of a response: complete, a batch with its receipt, a sequence of batches, or a body that is passed on as it
//! arrives, a backend's or another node's.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http_body::{Body as _, Frame, SizeHint};

use crate::access_log::OpenRequest;
use crate::cluster::{AnswerBody, AnswerBroken};
use crate::duplex::{Piece, Receipt, Receipted, Unflushed};
use crate::shared_headers::SharedHeaders;
use crate::transport::stream::Stream;
use crate::transport::streamed::Streamed;
use crate::upstream::AnswerError;

/// The body of a response.
///
/// A batch's receipt travels with its bytes, so that its session learns whether they were written. A body that is
/// dropped before then drops the receipt too, which reports the loss to the session.
#[derive(Debug)]
pub struct Body(Kind, Option<SharedHeaders>);

#[derive(Debug)]
enum Kind {
    /// The bytes, until they are taken.
    Whole(Option<Bytes>),
    Batch(Batch),
    /// Pieces that are sent in order, each as a piece of its own.
    Pieces(std::vec::IntoIter<Bytes>),
    /// Boxed because each connection reserves space for a body, and most connections hold a parked poll.
    Stream(Box<Stream>),
    /// Boxed for the same reason.
    Streamed(Box<Streamed>),
    /// Another node's.
    Foreign(Box<AnswerBody>),
    /// Any of those that come in parts, with the line of the request.
    Recorded(Box<(Body, OpenRequest)>),
}

#[derive(Debug)]
struct Batch {
    bytes: Bytes,
    receipt: Receipt,
    connection: Option<Unflushed>,
}

impl Body {
    const fn of(kind: Kind) -> Self {
        Self(kind, None)
    }

    /// Returns the same body, which is whole, and brings headers for its response.
    #[must_use]
    pub fn with_headers(self, headers: SharedHeaders) -> Self {
        Self(self.0, Some(headers))
    }

    /// Returns a body that carries a batch.
    pub fn delivery(bytes: Bytes, receipt: Receipt) -> Self {
        Self::of(Kind::Batch(Batch { bytes, receipt, connection: None }))
    }

    /// Returns a body that sends each of these pieces separately.
    pub fn pieces(pieces: Vec<Bytes>) -> Self {
        Self::of(Kind::Pieces(pieces.into_iter()))
    }

    /// Returns the same body, whose bytes are counted for a line of the access log. The line is written now if the body is
    /// whole, else at its end.
    #[must_use]
    pub fn recorded(self, mut line: OpenRequest) -> Self {
        if self.is_whole() {
            line.count(self.size_hint().lower());
            return self;
        }
        Self::of(Kind::Recorded(Box::new((self, line))))
    }

    /// Takes all of it, with its receipt, if it is there and not longer than this.
    pub fn take_up_to(&mut self, len_max: usize) -> Option<(Bytes, Option<Receipt>)> {
        match &self.0 {
            Kind::Whole(bytes) if bytes.as_ref().is_none_or(|bytes| bytes.len() <= len_max) => {}
            Kind::Batch(batch) if batch.bytes.len() <= len_max => {}
            Kind::Whole(_)
            | Kind::Batch(_)
            | Kind::Pieces(_)
            | Kind::Stream(_)
            | Kind::Streamed(_)
            | Kind::Foreign(_)
            | Kind::Recorded(_) => return None,
        }
        match std::mem::take(self).0 {
            Kind::Whole(bytes) => Some((bytes.unwrap_or_default(), None)),
            Kind::Batch(Batch { bytes, receipt, .. }) => Some((bytes, Some(receipt))),
            Kind::Pieces(_) | Kind::Stream(_) | Kind::Streamed(_) | Kind::Foreign(_) | Kind::Recorded(_) => {
                None
            }
        }
    }

    /// Ends a stream soon, because the way of its client ends. Any other body ends by itself.
    pub fn release(&mut self) {
        match &mut self.0 {
            Kind::Stream(stream) => stream.release(),
            Kind::Recorded(recorded) => recorded.0.release(),
            Kind::Whole(_) | Kind::Batch(_) | Kind::Pieces(_) | Kind::Streamed(_) | Kind::Foreign(_) => {}
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::of(Kind::Whole(None))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::of(Kind::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::from(Bytes::from_static(text.as_bytes()))
    }
}

impl From<Stream> for Body {
    fn from(body: Stream) -> Self {
        Self::of(Kind::Stream(Box::new(body)))
    }
}

impl From<Streamed> for Body {
    fn from(body: Streamed) -> Self {
        Self::of(Kind::Streamed(Box::new(body)))
    }
}

impl From<AnswerBody> for Body {
    fn from(body: AnswerBody) -> Self {
        Self::of(Kind::Foreign(Box::new(body)))
    }
}

/// Why a body breaks.
#[derive(Debug, thiserror::Error)]
pub enum Broke {
    /// The backend's did.
    #[error(transparent)]
    Forwarded(#[from] AnswerError),
    /// The other node's did.
    #[error(transparent)]
    Foreign(#[from] AnswerBroken),
}

impl Receipted for Body {
    fn set_connection(&mut self, unflushed: &Unflushed) {
        match &mut self.0 {
            Kind::Batch(batch) => batch.connection = Some(unflushed.clone()),
            Kind::Stream(stream) => stream.set_connection(unflushed),
            Kind::Foreign(body) => body.set_connection(unflushed),
            Kind::Recorded(recorded) => recorded.0.set_connection(unflushed),
            Kind::Whole(_) | Kind::Pieces(_) | Kind::Streamed(_) => {}
        }
    }

    fn is_stream(&self) -> bool {
        match &self.0 {
            Kind::Pieces(_) | Kind::Stream(_) => true,
            Kind::Foreign(body) => body.len().is_none(),
            Kind::Recorded(recorded) => recorded.0.is_stream(),
            Kind::Whole(_) | Kind::Batch(_) | Kind::Streamed(_) => false,
        }
    }

    fn is_whole(&self) -> bool {
        matches!(self.0, Kind::Whole(_) | Kind::Batch(_))
    }

    fn take_whole(&mut self) -> Option<(Bytes, Option<Receipt>)> {
        self.take_up_to(usize::MAX)
    }

    fn headers(&self) -> Option<&SharedHeaders> {
        self.1.as_ref()
    }

    fn take_headers(&mut self) -> Option<SharedHeaders> {
        self.1.take()
    }
}

impl http_body::Body for Body {
    type Data = Piece;
    type Error = Broke;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Broke>>> {
        let piece = match &mut self.0 {
            Kind::Stream(stream) => ready!(stream.poll_piece(cx)),
            Kind::Streamed(body) => {
                let frame = ready!(Pin::new(&mut **body).poll_frame(cx));
                return Poll::Ready(frame.map(|frame| frame.map_err(Broke::from)));
            }
            Kind::Foreign(body) => {
                let piece = ready!(body.poll_piece(cx));
                return Poll::Ready(piece.map(|piece| piece.map(Frame::data).map_err(Broke::from)));
            }
            Kind::Recorded(recorded) => {
                let (body, line) = &mut **recorded;
                let frame = ready!(Pin::new(body).poll_frame(cx));
                if let Some(piece) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
                    line.count(piece.remaining() as u64);
                }
                return Poll::Ready(frame);
            }
            Kind::Whole(bytes) => bytes.take().map(Piece::from),
            Kind::Pieces(pieces) => pieces.next().map(Piece::from),
            // The receipt moves into the piece, so the batch is taken out and a second poll finds an empty body.
            Kind::Batch(_) => match std::mem::take(&mut *self).0 {
                Kind::Batch(Batch { bytes, receipt, connection }) => {
                    Some(Piece::with_receipt(bytes, receipt, connection))
                }
                Kind::Whole(_)
                | Kind::Pieces(_)
                | Kind::Stream(_)
                | Kind::Streamed(_)
                | Kind::Foreign(_)
                | Kind::Recorded(_) => None,
            },
        };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_none(),
            // False even for an empty batch: hyper drops an ended body without polling it, and the receipt would report
            // a loss.
            Kind::Batch(_) | Kind::Pieces(_) | Kind::Stream(_) | Kind::Foreign(_) => false,
            Kind::Streamed(body) => body.is_end_stream(),
            Kind::Recorded(recorded) => recorded.0.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Batch(batch) => SizeHint::with_exact(batch.bytes.len() as u64),
            Kind::Pieces(_) | Kind::Stream(_) => SizeHint::default(),
            Kind::Streamed(body) => body.size_hint(),
            Kind::Recorded(recorded) => recorded.0.size_hint(),
            Kind::Foreign(body) => body.len().map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_keeps_no_more_room_than_a_batch_needs() {
        assert!(size_of::<Body>() <= size_of::<(Option<Bytes>, Option<crate::bridge::Delivery>)>());
    }
}
