//! Headers that hyper reads, and that take too long or are too large.

use std::task::{Context, Poll};

use tokio::time::Instant;

use super::refusing::Refusing;
use super::{Http, Stage};
use crate::limited::Limit;
use crate::server::caller::{BoxError, Serve};
use crate::server::connection_limits::Exceeded;

impl<S: Serve> Http<S> {
    /// Ready with why a request's header that hyper reads is refused before it has come in full: it has taken too long, or it
    /// is large and memory is short. Hyper's own timeout covers the wait before its first byte, too.
    pub(super) fn poll_refused_header(&mut self, cx: &mut Context<'_>) -> Poll<Limit> {
        let Some(attached) = &mut self.attached else { return Poll::Pending };
        // What is read while a body is held, or was until now, may belong to it.
        let has_body = attached.shared.is_body_held();
        if std::mem::replace(&mut attached.had_body, has_body) || has_body {
            self.raw_headers.forget();
        }
        if !attached.unflushed.is_done() || !self.raw_headers.has_begun() {
            attached.header_since = None;
            return Poll::Pending;
        }
        if self.raw_headers.is_too_much() {
            return Poll::Ready(Limit::MemoryMax);
        }
        let answers = attached.shared.answers();
        let begun = attached.header_since.filter(|(before, _)| *before == answers);
        let (_, since) = *attached.header_since.insert(begun.unwrap_or_else(|| (answers, Instant::now())));
        self.poll_due(cx, since + self.settings.limits.header_timeout).map(|()| Limit::HeaderTimeout)
    }

    /// Returns whether hyper has nothing on its way out.
    pub(super) fn is_done(&self) -> bool {
        self.attached.as_ref().is_none_or(|attached| attached.unflushed.is_done())
    }

    /// Takes the stream from hyper, to refuse a header that has not come in full.
    pub(super) fn refuse_header(&mut self, limit: Limit) {
        let io = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Inside(connection) => Some(connection.into_parts().io),
            Stage::Upgradeable(connection) => connection.into_parts().map(|parts| parts.io),
            Stage::Waiting(_) | Stage::Answering(_) | Stage::Idle(_) | Stage::Refusing(_) | Stage::Over => {
                None
            }
        };
        self.rest_timer = None;
        if let Some(io) = io {
            let duplex = io.into_inner().into_outside().into_inner();
            self.stage = Stage::Refusing(Box::new(Refusing::new(limit, duplex)));
        }
    }

    /// Returns what the end of hyper's connection means.
    pub(super) fn ended(&self, ended: hyper::Result<()>) -> Result<(), BoxError> {
        let refused = self.attached.as_ref().and_then(|attached| attached.shared.exceeded());
        let exceeded = match &ended {
            Err(error) if error.is_parse_too_large() => {
                let has_many = self.raw_headers.has_lines_over(self.settings.limits.header_lines);
                Some(if has_many { Limit::HeaderLines } else { Limit::HeaderMax })
            }
            Ok(()) | Err(_) => refused,
        };
        exceeded.map_or_else(|| ended.map_err(Into::into), |limit| Err(Exceeded(limit).into()))
    }
}
