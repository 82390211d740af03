//! The task of a connection that speaks HTTP/1.1. A task takes as much memory as it may ever need, so a connection that has
//! been idle for a while goes on in another, which needs little: the socket, and what its service is made with again.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::HeaderValue;
use tracing::debug;

use super::caller::{BoxError, Serve};
use super::connect_info::ConnectInfo;
use super::connection_limits::Exceeded;
use super::ending::{Ending, EndingStage, Watch};
use super::http1::{Http, Http1Settings, Rested, Resting};
use super::tasks::Tasks;
use crate::address::RemoteAddress;
use crate::duplex::Duplex;
use crate::limited::Limited;
use crate::meter::{Connections, OpenConnection};
use crate::upstream::Pinned;

/// What all connections of a socket share.
pub(super) struct Serving<M> {
    /// Makes the service of a connection.
    pub(super) make: Arc<M>,
    pub(super) tasks: Tasks,
    pub(super) connections: Connections,
    pub(super) limited: Limited,
}

/// What a connection keeps from one task to the next.
struct Kept<M> {
    serving: Arc<Serving<M>>,
    peer: RemoteAddress,
    subject: Option<Arc<HeaderValue>>,
    pinned: Pinned,
    watch: Watch,
    #[expect(dead_code, reason = "held for its drop")]
    open: OpenConnection,
}

/// A connection whose requests are served.
struct Busy<M, S: Serve> {
    http: Http<S>,
    /// Until another task has it.
    kept: Option<Kept<M>>,
}

/// An idle connection.
struct Idle<M> {
    resting: Resting,
    /// Until another task has it.
    kept: Option<Kept<M>>,
}

/// Serves a connection to its end, in tasks of their own.
pub(super) fn begin<M, S>(
    serving: Arc<Serving<M>>,
    settings: Arc<Http1Settings>,
    io: Duplex,
    info: ConnectInfo,
    open: OpenConnection,
    ending: Ending,
) where
    M: Fn(ConnectInfo) -> S + Send + Sync + 'static,
    S: Serve,
{
    let ConnectInfo { peer, subject, pinned, .. } = &info;
    let (peer, subject, pinned) = (*peer, subject.clone(), pinned.clone());
    let kept = Kept { serving, peer, subject, pinned, watch: Watch::new(ending), open };
    kept.serve(settings, io, info, |_| {});
}

/// Logs how a connection ended, and counts the limit that ended it, if one did.
pub(super) fn note_end(peer: RemoteAddress, ended: Result<(), BoxError>, limited: &Limited) {
    if let Err(error) = ended {
        if let Some(Exceeded(limit)) = error.downcast_ref() {
            limited.reached(*limit, Some(&peer));
        }
        debug!(%peer, error = &*error as &dyn std::error::Error, "a connection broke");
    }
}

impl<M, S> Kept<M>
where
    M: Fn(ConnectInfo) -> S + Send + Sync + 'static,
    S: Serve,
{
    /// Has requests served, once `prepare` has changed what serves them.
    fn serve(
        self,
        settings: Arc<Http1Settings>,
        io: Duplex,
        info: ConnectInfo,
        prepare: impl FnOnce(&mut Http<S>),
    ) {
        let serving = Arc::clone(&self.serving);
        let io = io.with_patience(Some(info.patience.clone()));
        let raw_headers = info.raw_headers.clone().counted(serving.connections.charge());
        let mut http = Http::new(settings, io, (serving.make)(info), raw_headers);
        prepare(&mut http);
        serving.tasks.spawn(Busy { http, kept: Some(self) });
    }

    /// Has the next request served, for which the service is made again; without one, the connection ends.
    fn wake(mut self, Rested { settings, last, io, is_over }: Rested) {
        let info = settings.connect_info(self.peer, self.subject.clone(), self.pinned.clone());
        self.watch.renew();
        self.serve(settings, io, info, |http| {
            http.go_on(last);
            if is_over {
                http.change(EndingStage::Ending);
            }
        });
    }
}

impl<M, S> Future for Busy<M, S>
where
    M: Fn(ConnectInfo) -> S + Send + Sync + 'static,
    S: Serve,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let Some(kept) = &mut this.kept else { return Poll::Ready(()) };
        while let Some(stage) = kept.watch.poll_change(cx) {
            if stage == EndingStage::Cut {
                return Poll::Ready(());
            }
            this.http.change(stage);
        }
        if let Poll::Ready(ended) = Pin::new(&mut this.http).poll(cx) {
            note_end(kept.peer, ended, &kept.serving.limited);
            return Poll::Ready(());
        }
        let Some(resting) = this.http.rest() else { return Poll::Pending };
        if let Some(mut kept) = this.kept.take() {
            kept.watch.renew();
            let tasks = kept.serving.tasks.clone();
            tasks.spawn(Idle { resting, kept: Some(kept) });
        }
        Poll::Ready(())
    }
}

impl<M, S> Future for Idle<M>
where
    M: Fn(ConnectInfo) -> S + Send + Sync + 'static,
    S: Serve,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let Some(kept) = &mut this.kept else { return Poll::Ready(()) };
        while let Some(stage) = kept.watch.poll_change(cx) {
            match stage {
                // What serves the next request learns of it.
                EndingStage::Serving | EndingStage::Moving | EndingStage::Leaving => {}
                EndingStage::Ending => this.resting.end(),
                EndingStage::Cut => return Poll::Ready(()),
            }
        }
        match ready!(this.resting.poll(cx)) {
            Ok(rested) => {
                if let Some(kept) = this.kept.take() {
                    kept.wake(rested);
                }
            }
            Err(error) => note_end(kept.peer, Err(error.into()), &kept.serving.limited),
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_takes_little_room() {
        // Beside a future, its task takes 112 bytes and what watches over it 16; in all it is a multiple of 128.
        assert!(size_of::<Idle<()>>() <= 384 - 112 - 16, "{}", size_of::<Idle<()>>());
    }
}
