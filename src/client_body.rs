//! The body of a client's request, whether hyper reads it or it came together with the request's header.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http::header::EXPECT;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::duplex::Reader;

/// The body of a request at this node.
#[derive(Debug)]
pub enum ClientBody {
    /// Hyper reads it. The connection may look whether it is still held.
    Incoming(Incoming, Option<Arc<Mark>>),
    /// All of it has been read.
    Whole(Bytes),
}

/// What the connection knows of a body, dropped with it.
#[derive(Debug)]
pub struct Mark {
    unasked: Option<Unasked>,
    /// Notes what is taken of what the connection has read ahead.
    reader: Option<Reader>,
}

/// Whether a client waits for a 100 before it sends its body, and has not been asked for it: hyper asks once the body is
/// read (RFC 9110, section 10.1.1).
#[derive(Clone, Debug)]
pub struct Unasked(Arc<AtomicBool>);

impl Unasked {
    /// Returns the same for a request with a body and this header; `None` if its client does not wait.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        headers.contains_key(EXPECT).then(|| Self(Arc::new(AtomicBool::new(true))))
    }

    /// Returns whether the client waits.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Mark {
    /// Creates the mark of a body.
    pub const fn new(unasked: Option<Unasked>, reader: Option<Reader>) -> Self {
        Self { unasked, reader }
    }
}

impl From<Incoming> for ClientBody {
    fn from(body: Incoming) -> Self {
        Self::Incoming(body, None)
    }
}

impl ClientBody {
    /// Returns the same body, with a mark that is dropped with it.
    #[must_use]
    pub fn marked(self, mark: Arc<Mark>) -> Self {
        match self {
            Self::Incoming(body, _) => Self::Incoming(body, Some(mark)),
            whole @ Self::Whole(_) => whole,
        }
    }

    /// Returns whether its client waits to be asked for it.
    pub fn is_unasked(&self) -> bool {
        self.unasked().is_some_and(Unasked::get)
    }

    fn unasked(&self) -> Option<&Unasked> {
        match self {
            Self::Incoming(_, mark) => mark.as_ref()?.unasked.as_ref(),
            Self::Whole(_) => None,
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
        let this = self.get_mut();
        if let Some(unasked) = this.unasked() {
            unasked.0.store(false, Ordering::Relaxed);
        }
        match this {
            Self::Incoming(body, mark) => {
                let polled = Pin::new(body).poll_frame(cx);
                if let Some(reader) = mark.as_ref().and_then(|mark| mark.reader.as_ref())
                    && let Poll::Ready(Some(Ok(frame))) = &polled
                {
                    reader.took(frame.data_ref().map_or(0, Bytes::len));
                }
                polled
            }
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
