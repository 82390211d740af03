//! A backend's response to a forwarded request: its header, made consistent, and its body as it streams in.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::time::{Sleep, sleep};

use crate::hop;
use crate::upstream::OpenError;
use crate::upstream::lease::Lease;
use crate::upstream::request_body::Watch;

/// A backend's response, once its header is read.
#[derive(Debug)]
pub struct Forwarded {
    /// Status, all headers, and the body.
    pub response: Response<AnswerBody>,
    /// The connection, if the response is a 101.
    pub upgrade: Option<OnUpgrade>,
    /// Whether the client asked before sending its body, and this is the response instead of a 100.
    pub refused_body: bool,
}

/// What a request asks for, which decides how its response is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Requested {
    /// The header of a GET's response, without its body.
    Head,
    /// Another protocol, if the backend agrees.
    Upgrade,
    /// A body.
    Body,
}

impl Forwarded {
    /// Makes the header of a [checked](check) response consistent.
    pub(super) fn new(
        mut response: Response<Incoming>,
        lease: Lease,
        watch: &Arc<Watch>,
        requested: Requested,
        stall_timeout: Duration,
    ) -> Self {
        let refused_body = watch.answered();
        let status = response.status();
        let upgrade = (status == StatusCode::SWITCHING_PROTOCOLS).then(|| hyper::upgrade::on(&mut response));
        let coded = response.headers().contains_key(TRANSFER_ENCODING);
        let given = response.headers_mut().remove(CONTENT_LENGTH);
        let of_get = || given.as_ref().and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let mut declared = None;
        let length = if coded {
            // RFC 9112, section 6.3: if a body is chunked, any other length is void.
            None
        } else if requested == Requested::Head {
            of_get()
        } else if status == StatusCode::NOT_MODIFIED {
            declared = of_get();
            declared
        } else {
            // The backend may have written it several times and in several ways.
            response.body().size_hint().exact().filter(|_| given.is_some())
        };
        if let Some(length) = length {
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        let watch = refused_body.then(|| Arc::clone(watch));
        let response = response.map(|incoming| AnswerBody {
            incoming,
            declared,
            watch,
            stall_timeout,
            overdue: None,
            lease,
        });
        Self { response, upgrade, refused_body }
    }
}

/// Finds what cannot be passed on. The connection is not used again in that case.
pub(super) fn check(response: &Response<Incoming>, requested: Requested) -> Result<(), OpenError> {
    let fault = if response.status() == StatusCode::SWITCHING_PROTOCOLS && requested != Requested::Upgrade {
        "it switches protocols unasked"
    } else if hop::is_coded(response.headers()) {
        "its answer has a transfer coding that is not known"
    } else {
        return Ok(());
    };
    Err(OpenError::Protocol(fault.to_owned()))
}

/// The body of a backend's response. When it is dropped, its connection goes back to the pool, or closes if not all was
/// read.
pub struct AnswerBody {
    incoming: Incoming,
    /// The declared length of a body that is absent: a 304's.
    declared: Option<u64>,
    /// Set if the request's body will never be read.
    watch: Option<Arc<Watch>>,
    /// How long the backend may pause in a body whose length it has declared.
    stall_timeout: Duration,
    /// The deadline for more of it.
    overdue: Option<Pin<Box<Sleep>>>,
    lease: Lease,
}

/// Why a response's body is incomplete.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The backend's connection broke, or it sent a malformed body.
    #[error("the backend's response is incomplete")]
    Broken(#[source] hyper::Error),
    /// The backend stopped in the middle of it, or stopped reading the request that was still being sent.
    #[error("the backend stalled for {} ms", .0.as_millis())]
    Stalled(Duration),
    /// What permitted its client to come in has expired.
    #[error("the client's permission has expired")]
    Expired,
}

impl AnswerBody {
    /// Returns whether there is nothing left to read.
    pub fn is_read(&self) -> bool {
        self.incoming.is_end_stream()
    }

    /// Returns whether more must come: a stream without a length may be silent for any time.
    fn is_owed(&self) -> bool {
        self.incoming.size_hint().exact().is_some_and(|left| left > 0)
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        if polled.is_ready() || !self.is_owed() {
            self.overdue = None;
            return polled.map_err(|error| match self.lease.stalled() {
                Some(limit) => AnswerError::Stalled(limit),
                None => AnswerError::Broken(error),
            });
        }
        let limit = self.stall_timeout;
        ready!(self.overdue.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(cx));
        Poll::Ready(Some(Err(AnswerError::Stalled(limit))))
    }

    fn is_end_stream(&self) -> bool {
        self.declared.is_none() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.declared.map_or_else(|| self.incoming.size_hint(), SizeHint::with_exact)
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.finish();
        }
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerBody").field("incoming", &self.incoming).finish_non_exhaustive()
    }
}
