//! The body of a request, until it is passed to another node.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Body as _;
use tokio_util::task::TaskTracker;

use crate::peer::{Content, PIECE_LEN_MAX};
use crate::transport::{InBody, InBroke, polling};

/// What has not been sent of a request's body. A short one usually came with its header, and crosses with it.
#[derive(Debug)]
pub(super) struct Unsent {
    /// What was read before there was a node to send it to.
    read: Option<Bytes>,
    /// `None` if all of it was read.
    rest: Option<InBody>,
}

impl Unsent {
    /// Returns a request's body; `None` if it has none.
    pub(super) fn new(body: InBody) -> Option<Self> {
        (!body.is_end_stream()).then_some(Self { read: None, rest: Some(body) })
    }

    /// Returns what the request's header says of it.
    pub(super) fn content(this: Option<&Self>) -> Content {
        match this {
            None => Content::Nothing,
            Some(Self { rest, .. }) => {
                Content::Pieces(rest.as_ref().and_then(|rest| rest.size_hint().exact()))
            }
        }
    }

    /// Reads a short body, as far as it is there.
    ///
    /// # Errors
    /// It breaks.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> Result<(), InBroke> {
        if self.read.is_some() {
            return Ok(());
        }
        let Some(rest) = &mut self.rest else { return Ok(()) };
        if rest.size_hint().exact().is_none_or(|len| len > PIECE_LEN_MAX as u64) {
            return Ok(());
        }
        if let Poll::Ready(Some(frame)) = Pin::new(&mut *rest).poll_frame(cx)
            && let Ok(bytes) = frame?.into_data()
        {
            self.read = Some(bytes);
            if rest.is_end_stream() {
                self.rest = None;
            }
        }
        Ok(())
    }

    /// Returns all of it, if it was read.
    pub(super) fn whole(&self) -> Option<&Bytes> {
        self.read.as_ref().filter(|_| self.rest.is_none())
    }

    /// Returns what was read, and the rest.
    pub(super) fn into_parts(self) -> (Option<Bytes>, Option<InBody>) {
        (self.read, self.rest)
    }

    /// Has the rest read by a task of `tracker`.
    pub(super) fn discard(self, tracker: &TaskTracker) {
        if let Some(rest) = self.rest {
            polling::discard(rest, tracker);
        }
    }
}
