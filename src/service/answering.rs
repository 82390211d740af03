//! The response of this node to a request of another one.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use http::StatusCode;
use http_body::Body as _;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::Response;
use super::moves::Moves;
use super::serving::Serving;
use crate::cluster::{Gone, Inquiry, LetGo, News};
use crate::duplex::{Carries, Duplex, settle_headers};
use crate::meter::{Asked, OpenAsk};
use crate::peer::PIECE_LEN_MAX;
use crate::transport::{Abort, Body};

/// Waits for the response to a request of another node and sends it. Each receipt in it is settled once that node's client
/// has its piece. What it returns is left to be sent. Written by hand, because polls wait in it.
pub(super) struct Answering(Option<Waiting>);

struct Waiting {
    serving: Serving,
    inquiry: Inquiry,
    /// Where a client's stream is awaited.
    upgrade: Option<oneshot::Sender<Duplex>>,
    open: OpenAsk,
}

impl Answering {
    pub(super) const fn new(
        serving: Serving,
        inquiry: Inquiry,
        upgrade: Option<oneshot::Sender<Duplex>>,
        open: OpenAsk,
    ) -> Self {
        Self(Some(Waiting { serving, inquiry, upgrade, open }))
    }

    /// Sends the response: at once if it is there, otherwise in a task of its own.
    pub(super) fn start(mut self, tracker: &TaskTracker) {
        // Most POSTs are answered in one turn, and a task would cost as much as that. Polls usually wait.
        if let Some(waiting) = &mut self.0
            && !waiting.serving.is_parked()
            && let Poll::Ready(answered) =
                Pin::new(&mut waiting.serving).poll(&mut Context::from_waker(Waker::noop()))
        {
            if let Some((inquiry, body)) = self.finish(Ok(answered)) {
                tracker.spawn(send_pieces(inquiry, body));
            }
            return;
        }
        tracker.spawn(async move {
            if let Some((inquiry, body)) = self.await {
                send_pieces(inquiry, body).await;
            }
        });
    }

    /// Sends what there is; returns a body that follows in pieces.
    fn finish(&mut self, answered: Result<Result<Response, Abort>, Gone>) -> Option<(Inquiry, Body)> {
        let Waiting { serving, inquiry, upgrade, open } = self.0.take()?;
        let response = match answered {
            Ok(Ok(mut response)) => {
                settle_headers(&mut response);
                response
            }
            // Without a response, that node drops its client's connection.
            Ok(Err(_)) => {
                open.end(Asked::Lost);
                return None;
            }
            Err(Gone::Client) => {
                open.end(Asked::HungUp);
                return None;
            }
            Err(Gone::Unknown) => {
                open.end(Asked::Lost);
                serving.give_up();
                return None;
            }
        };
        open.end(Asked::Answered);
        drop(serving);
        let (mut head, mut body) = response.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            inquiry.send_head(&head, None);
            let let_go =
                head.extensions.remove::<Moves>().map(|moves| -> LetGo { Box::new(move || moves.let_go()) });
            let stream: Box<dyn Carries> = Box::new(inquiry.into_stream(let_go));
            // If the session needs it no more, it is dropped here, and the client's connection ends.
            let _ = upgrade.map(|upgrade| upgrade.send(stream.into()));
            return None;
        }
        if let Some((bytes, receipt)) = body.take_up_to(PIECE_LEN_MAX) {
            inquiry.answer(&head, bytes, receipt);
            return None;
        }
        inquiry.send_head(&head, body.size_hint().exact());
        Some((inquiry, body))
    }
}

impl Future for Answering {
    type Output = Option<(Inquiry, Body)>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(waiting) = &mut this.0 else { return Poll::Ready(None) };
        let answered = ready!(waiting.poll(cx));
        Poll::Ready(this.finish(answered))
    }
}

impl Waiting {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Response, Abort>, Gone>> {
        let gone = match self.inquiry.poll_news(cx) {
            Poll::Ready(News::Gone(Gone::Unknown)) if self.serving.is_parked() => {
                return Poll::Ready(Err(Gone::Unknown));
            }
            Poll::Ready(News::Gone(gone)) => Some(gone),
            Poll::Ready(News::Released) => {
                self.serving.release();
                None
            }
            Poll::Pending => None,
        };
        // Served first, even if the client is gone by now: its session has to notice.
        match Pin::new(&mut self.serving).poll(cx) {
            Poll::Ready(answered) => Poll::Ready(Ok(answered)),
            Poll::Pending => gone.map_or(Poll::Pending, |gone| Poll::Ready(Err(gone))),
        }
    }
}

/// Sends a body that is long, or not complete yet.
async fn send_pieces(inquiry: Inquiry, mut body: Body) {
    while poll_fn(|cx| inquiry.poll_room(cx)).await {
        let frame = poll_fn(|cx| {
            match inquiry.poll_news(cx) {
                Poll::Ready(News::Gone(_)) => return Poll::Ready(Some(None)),
                Poll::Ready(News::Released) => body.release(),
                Poll::Pending => {}
            }
            Pin::new(&mut body).poll_frame(cx).map(|frame| frame.map(Result::ok))
        });
        match frame.await {
            Some(Some(frame)) => {
                if let Ok(piece) = frame.into_data() {
                    let (bytes, receipt) = piece.into_parts();
                    inquiry.send(bytes, receipt);
                }
            }
            // It breaks here, or nobody needs it.
            Some(None) => return,
            None => return inquiry.end(),
        }
    }
}
