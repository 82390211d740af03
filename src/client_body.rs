//! The body of a client's request, whether hyper reads it or it came together with the request's header.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// The body of a request at this node.
#[derive(Debug)]
pub enum ClientBody {
    /// Hyper reads it. The connection may look whether it is still held.
    Incoming(Incoming, #[expect(dead_code, reason = "held for its drop")] Option<Arc<()>>),
    /// All of it has been read.
    Whole(Bytes),
}

impl From<Incoming> for ClientBody {
    fn from(body: Incoming) -> Self {
        Self::Incoming(body, None)
    }
}

impl ClientBody {
    /// Returns the same body, with a mark that is dropped with it.
    #[must_use]
    pub fn marked(self, mark: Arc<()>) -> Self {
        match self {
            Self::Incoming(body, _) => Self::Incoming(body, Some(mark)),
            whole @ Self::Whole(_) => whole,
        }
    }
}

impl From<Bytes> for ClientBody {
    fn from(body: Bytes) -> Self {
        Self::Whole(body)
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Incoming(body, _) => Pin::new(body).poll_frame(cx),
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Incoming(body, _) => body.is_end_stream(),
            Self::Whole(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Incoming(body, _) => body.size_hint(),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}
