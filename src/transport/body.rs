//! The body of an answer, which settles the delivery that it carries.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::bridge::Delivery;

/// A body that is whole, with its length known.
///
/// Where it carries a [`Delivery`], this is settled at the moment when the connection takes the bytes. A body that is
/// dropped before that, because the client is gone, takes the delivery with it, and the session hears of the loss.
#[derive(Debug, Default)]
pub struct Body {
    bytes: Option<Bytes>,
    delivery: Option<Delivery>,
}

impl Body {
    /// A body that carries a batch.
    pub fn delivery(bytes: Bytes, delivery: Delivery) -> Self {
        Self { bytes: Some(bytes), delivery: Some(delivery) }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self { bytes: Some(bytes).filter(|bytes| !bytes.is_empty()), delivery: None }
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::from(Bytes::from_static(text.as_bytes()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(delivery) = self.delivery.take() {
            delivery.settle();
        }
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
