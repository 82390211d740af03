//! HTTP/1.1 over one connection, in which a waiting request takes little memory.
//!
//! Hyper has two buffers per connection, and a parked poll would hold both, with the rest of hyper's state, for as long
//! as it waits. So a fully read request that has waited for a while goes on waiting outside: hyper's connection is
//! taken apart around it. When the response is ready, a new one is made around the socket; it reads a stand-in for the
//! request, and answers that.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1::{Builder, Connection, Parts, UpgradeableConnection};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep, sleep_until};

use super::caller::{BoxError, Call, CallStatus, Caller, Serve, SharedCall};
use super::ending::EndingStage;
use crate::duplex::{Duplex, RawHeaders, Tracked, Unflushed};
use crate::hop;

/// Serves HTTP/1.1 over one connection, until it ends or switches to another protocol.
pub(super) struct Http<S: Serve> {
    builder: Builder,
    /// How long a request waits until it is parked: for one that is answered sooner, parking costs more than it saves.
    rest_after: Duration,
    shared: SharedCall<S>,
    raw_headers: RawHeaders,
    unflushed: Unflushed,
    stage: Stage<S>,
    /// Fires when a request may have waited long enough; not reset by requests that are answered earlier.
    rest_timer: Option<Pin<Box<Sleep>>>,
    is_last: bool,
}

enum Stage<S: Serve> {
    /// Hyper has the socket.
    Inside(Box<Connection<TokioIo<Tracked>, Caller<S>>>),
    /// The same, after a request has asked for another protocol.
    Upgradeable(Box<UpgradeableConnection<TokioIo<Tracked>, Caller<S>>>),
    /// A request waits, without hyper.
    Outside(Outside<S>),
    Over,
}

struct Outside<S: Serve> {
    call: Call<S>,
    caller: Caller<S>,
    /// Keeps what comes after the request.
    io: Tracked,
}

impl<S: Serve> Http<S> {
    /// Creates the protocol of a connection. A request that has waited for `rest_after` is parked outside; `raw_headers`
    /// shows the service each request's header.
    pub(super) fn new(
        builder: Builder,
        rest_after: Duration,
        duplex: Duplex,
        service: S,
        raw_headers: RawHeaders,
    ) -> Self {
        let unflushed = Unflushed::default();
        let (caller, shared) = Caller::new(service, raw_headers.clone(), unflushed.clone());
        let io = TokioIo::new(Tracked::new(duplex, unflushed.clone(), raw_headers.clone()));
        let stage = Stage::Inside(Box::new(builder.serve_connection(io, caller)));
        Self { builder, rest_after, shared, raw_headers, unflushed, stage, rest_timer: None, is_last: false }
    }

    /// Does what a stage of the server means for its connections.
    pub(super) fn change(&mut self, stage: EndingStage) {
        match stage {
            EndingStage::Serving | EndingStage::Moving => {}
            EndingStage::Leaving => self.shared.close_behind_answer(),
            EndingStage::Ending => self.end(),
        }
    }

    /// Ends after the current request, or at once if there is none.
    fn end(&mut self) {
        self.is_last = true;
        match &mut self.stage {
            Stage::Inside(connection) => Pin::new(&mut **connection).graceful_shutdown(),
            Stage::Upgradeable(connection) => Pin::new(&mut **connection).graceful_shutdown(),
            // A request that waits is answered first; `reattach_hyper` then closes the connection behind it.
            Stage::Outside(_) | Stage::Over => {}
        }
    }

    /// Ready when a request that was complete at `since` has waited long enough.
    fn poll_rest(&mut self, cx: &mut Context<'_>, since: Instant) -> Poll<()> {
        let due = since + self.rest_after;
        loop {
            let rest_timer = self.rest_timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            ready!(rest_timer.as_mut().poll(cx));
            if Instant::now() >= due {
                self.rest_timer = None;
                return Poll::Ready(());
            }
            rest_timer.as_mut().reset(due);
        }
    }

    /// Takes hyper's connection apart around the one request that it waits for.
    fn detach_hyper(&mut self) {
        let Some(call) = self.shared.take() else { return };
        let Stage::Inside(connection) = std::mem::replace(&mut self.stage, Stage::Over) else { return };
        let parts = connection.into_parts();
        self.raw_headers.rest();
        // Copied, because the buffer is hyper's.
        let io = parts.io.into_inner().behind(Bytes::copy_from_slice(&parts.read_buf));
        self.stage = Stage::Outside(Outside { call, caller: parts.service, io });
    }

    fn allow_upgrade(&mut self) {
        if let Stage::Inside(connection) = std::mem::replace(&mut self.stage, Stage::Over) {
            self.stage = Stage::Upgradeable(Box::new(connection.with_upgrades()));
        }
    }

    /// Returns whether a connection ended because of a header that a higher maximum may fit.
    fn wants_reread(&self, ended: &hyper::Result<()>) -> bool {
        ended.as_ref().is_err_and(hyper::Error::is_parse_too_large) && self.raw_headers.take_refused()
    }

    /// Has the header that hyper refused read again, with the highest maximum. It costs each request some 5,000
    /// instructions, so it is only for connections with such a request.
    fn reread_header(&mut self) {
        self.builder.max_headers(hop::LINES_MAX);
        let again = |parts: Parts<TokioIo<Tracked>, Caller<S>>| {
            let io = parts.io.into_inner().again(Bytes::copy_from_slice(&parts.read_buf));
            Box::new(self.builder.serve_connection(TokioIo::new(io), parts.service))
        };
        self.stage = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Inside(connection) => Stage::Inside(again(connection.into_parts())),
            Stage::Upgradeable(connection) => match connection.into_parts() {
                Some(parts) => Stage::Upgradeable(Box::new(again(parts).with_upgrades())),
                None => Stage::Over,
            },
            other @ (Stage::Outside(_) | Stage::Over) => other,
        };
    }

    /// Gives hyper the response to a request that waited outside.
    fn reattach_hyper(&mut self, caller: Caller<S>, io: Tracked) {
        let stand_in = Bytes::from_static(if self.is_last { LAST_STAND_IN } else { STAND_IN });
        let io = TokioIo::new(io.behind(stand_in));
        self.stage = Stage::Inside(Box::new(self.builder.serve_connection(io, caller)));
    }
}

impl<S: Serve> Future for Http<S> {
    type Output = Result<(), BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match &mut this.stage {
                Stage::Inside(connection) => {
                    if let Poll::Ready(ended) = Pin::new(&mut **connection).poll(cx) {
                        if this.wants_reread(&ended) {
                            this.reread_header();
                            continue;
                        }
                        return Poll::Ready(ended.map_err(Into::into));
                    }
                    match this.shared.status() {
                        CallStatus::WantsUpgrade => this.allow_upgrade(),
                        // What is not written yet would be lost.
                        CallStatus::WaitsSince(since) if !this.unflushed.get() => {
                            ready!(this.poll_rest(cx, since));
                            this.detach_hyper();
                        }
                        CallStatus::WaitsSince(_) | CallStatus::Busy => return Poll::Pending,
                    }
                }
                Stage::Upgradeable(connection) => {
                    let ended = ready!(Pin::new(&mut **connection).poll(cx));
                    if this.wants_reread(&ended) {
                        this.reread_header();
                        continue;
                    }
                    return Poll::Ready(ended.map_err(Into::into));
                }
                Stage::Outside(outside) => {
                    let Poll::Ready(answer) = Pin::new(&mut outside.call).poll(cx) else {
                        // Nothing else reads the socket now, so a client that hangs up would not be noticed before its
                        // response.
                        return outside.io.poll_gone(cx).map(|gone| Err(gone.into()));
                    };
                    let Stage::Outside(Outside { caller, io, .. }) =
                        std::mem::replace(&mut this.stage, Stage::Over)
                    else {
                        return Poll::Ready(Ok(()));
                    };
                    this.shared.answer_next(answer);
                    this.reattach_hyper(caller, io);
                }
                Stage::Over => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// A stand-in for a request that waited outside, with the same effect on its response and its connection.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
/// The same, if the connection closes after it.
const LAST_STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::poll_fn;
    use std::sync::Arc;

    use http::Response;
    use http_body_util::Full;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::sync::Notify;
    use tower::service_fn;

    use super::super::caller::Request;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_leaves_hyper_once_it_has_waited_long_enough_and_not_before() {
        let get = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        let empty_post = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
        let second = Duration::from_secs(1);
        for (rest_after, request) in [(Duration::ZERO, get), (second, get), (second, empty_post)] {
            let (ours, mut theirs) = duplex(4096);
            let release = Arc::new(Notify::new());
            let waits = Arc::clone(&release);
            let service = service_fn(move |_: Request| {
                let waits = Arc::clone(&waits);
                Box::pin(async move {
                    waits.notified().await;
                    Ok::<_, Infallible>(Response::new(Full::from("hello")))
                })
            });
            let mut http =
                Http::new(Builder::new(), rest_after, Duplex::from(ours), service, RawHeaders::default());
            theirs.write_all(request.as_bytes()).await.unwrap();
            let start = Instant::now();
            poll_fn(|cx| {
                assert!(Pin::new(&mut http).poll(cx).is_pending());
                if matches!(http.stage, Stage::Outside(_)) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            assert_eq!(start.elapsed().as_secs(), rest_after.as_secs());
            // Hyper's first buffer alone takes 8 KiB.
            assert!(size_of_val(&http) < 1024, "a request that waits takes little room");
            release.notify_one();
            let mut answer = [0; 256];
            let len = tokio::select! {
                _ = &mut http => panic!("the connection goes on"),
                len = theirs.read(&mut answer) => len.unwrap(),
            };
            assert!(answer[..len].ends_with(b"\r\n\r\nhello"));
            assert!(matches!(http.stage, Stage::Inside(_)), "the next request is hyper's");
        }
    }
}
