//! The body of a response, as hyper gets it.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};

use crate::duplex::Carrying;

/// A response's body, while a connection carries it.
pub(super) struct Carried<B> {
    body: B,
    _carrying: Carrying,
}

impl<B> Carried<B> {
    pub(super) const fn new(body: B, carrying: Carrying) -> Self {
        Self { body, _carrying: carrying }
    }
}

impl<B: Body + Unpin> Body for Carried<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
