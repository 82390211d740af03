//! The body of an answer: whole, or a batch whose delivery it settles, or a backend's own as it streams in.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::bridge::Delivery;
use crate::transport::streamed::Streamed;
use crate::upstream::AnswerError;

/// The body of an answer.
///
/// Where it carries a [`Delivery`], this is settled at the moment when the connection takes the last of its bytes. A body
/// that is dropped before that, because the client is gone, takes the delivery with it, and the session hears of the loss.
#[derive(Debug)]
pub struct Body(Kind);

#[derive(Debug)]
enum Kind {
    /// Its bytes until they are taken.
    Whole(Option<Bytes>),
    Delivery(Bytes, Delivery),
    /// Boxed, as each connection keeps room for a body, and most are parked polls.
    Streamed(Box<Streamed>),
}

impl Body {
    /// A body that carries a batch.
    pub fn delivery(bytes: Bytes, delivery: Delivery) -> Self {
        Self(Kind::Delivery(bytes, delivery))
    }
}

impl Default for Body {
    fn default() -> Self {
        Self(Kind::Whole(None))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Kind::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::from(Bytes::from_static(text.as_bytes()))
    }
}

impl From<Streamed> for Body {
    fn from(body: Streamed) -> Self {
        Self(Kind::Streamed(Box::new(body)))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        if let Kind::Streamed(body) = &mut self.0 {
            return Pin::new(&mut **body).poll_frame(cx);
        }
        let bytes = match std::mem::replace(&mut self.0, Kind::Whole(None)) {
            Kind::Whole(bytes) => bytes,
            Kind::Delivery(mut bytes, delivery) => {
                let piece = bytes.split_to(bytes.len().min(PIECE_LEN_MAX));
                if bytes.is_empty() {
                    delivery.settle();
                } else {
                    self.0 = Kind::Delivery(bytes, delivery);
                }
                Some(piece)
            }
            Kind::Streamed(_) => None,
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::Delivery(..) => false,
            Kind::Streamed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Delivery(bytes, _) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Streamed(body) => body.size_hint(),
        }
    }
}

/// As much as hyper takes before it waits for the socket: it asks for the next piece when this one has been written, so that
/// a client which hangs up in the midst of a long answer is missed.
const PIECE_LEN_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_keeps_no_more_room_than_a_batch_needs() {
        assert!(size_of::<Body>() <= size_of::<(Option<Bytes>, Option<Delivery>)>());
    }
}
