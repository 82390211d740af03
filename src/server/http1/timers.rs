//! The one timer of a connection, and what it fires for.

use std::future::Future as _;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, sleep, sleep_until};

use super::Http;
use crate::server::caller::Serve;

impl<S: Serve> Http<S> {
    /// Ready when a request that was complete at `since` has waited long enough.
    pub(super) fn poll_rest(&mut self, cx: &mut Context<'_>, since: Instant) -> Poll<()> {
        self.poll_due(cx, since + self.settings.waits.rest_after)
    }

    /// Ready when it is that time. The timer may fire earlier.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        loop {
            let rest_timer = self.rest_timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if rest_timer.deadline() > due {
                rest_timer.as_mut().reset(due);
            }
            ready!(rest_timer.as_mut().poll(cx));
            if Instant::now() >= due {
                self.rest_timer = None;
                return Poll::Ready(());
            }
            rest_timer.as_mut().reset(due);
        }
    }

    /// Ready when the connection has been idle for long enough, or for up to twice as long, with so many responses.
    pub(super) fn poll_idle_rest(&mut self, cx: &mut Context<'_>, answers: u32) -> Poll<()> {
        let Some(attached) = &mut self.attached else { return Poll::Pending };
        loop {
            let rest_timer = self.rest_timer.get_or_insert_with(|| {
                attached.answers = answers;
                Box::pin(sleep(self.settings.waits.rest_after))
            });
            ready!(rest_timer.as_mut().poll(cx));
            if attached.answers == answers {
                return Poll::Ready(());
            }
            attached.answers = answers;
            rest_timer.as_mut().reset(Instant::now() + self.settings.waits.rest_after);
        }
    }

    /// A request waits, or its response: it does not keep a timer that has fired.
    pub(super) fn pending<T>(&mut self) -> Poll<T> {
        if self.rest_timer.as_ref().is_some_and(|timer| timer.is_elapsed()) {
            self.rest_timer = None;
        }
        Poll::Pending
    }
}
