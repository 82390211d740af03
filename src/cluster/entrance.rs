//! A request at the node that owns its session.

use std::fmt;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame as BodyFrame, SizeHint};
use tokio_util::sync::CancellationToken;

use super::channel::{Channel, ENOUGH, Side};
use super::pump::{self, Ended, Pump};
use super::request::{LetGo, Stop, Stopped};
use super::stream::PeerStream;
use crate::duplex::{Duplex, Receipt};
use crate::meter::Traffic;
use crate::peer::{Ask, Follows, Frame, Number, write_head};
use crate::sid::Node;

/// The end of a connection on which another node asks.
#[derive(Debug)]
pub struct Entrance {
    channel: Arc<Channel>,
}

/// A request of another node. Dropped before its response is complete, it tells that node that the response breaks.
pub struct Inquiry {
    channel: Arc<Channel>,
    number: Number,
    is_answered: bool,
}

/// Why a response cannot be given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gone {
    /// The client hung up at the other node.
    Client,
    /// The connection to the other node broke. Nobody knows about the client: it may be asking again by way of a third
    /// node.
    Unknown,
}

/// The body of such a request; by default it has none.
#[derive(Default, Debug)]
pub struct InquiryBody {
    /// `None` if it has none.
    from: Option<(Arc<Channel>, Number)>,
    /// What its header says.
    len: Option<u64>,
}

/// The request was stopped before its body was complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the request of another node was stopped")]
pub struct InquiryStopped;

impl Entrance {
    /// Creates the end for a node that has introduced itself.
    pub fn new(node: Node, traffic: Traffic) -> Self {
        Self { channel: Arc::new(Channel::new(Side::Owner, node, traffic)) }
    }

    /// Serves the requests that come over `stream` with `serve`, until the connection ends.
    pub async fn run(
        self,
        stream: Duplex,
        silence: Duration,
        sessions: impl Fn() -> u32 + Send,
        leaving: CancellationToken,
        mut serve: impl FnMut(Box<Ask>, Inquiry, InquiryBody) + Send,
    ) {
        let channel = &self.channel;
        let begin = |number, ask: Box<Ask>| {
            let inquiry = Inquiry { channel: Arc::clone(channel), number, is_answered: false };
            let from = ask.flags.has_body.then(|| (Arc::clone(channel), number));
            let len = ask.headers.get(http::header::CONTENT_LENGTH);
            let len = len.and_then(|len| len.to_str().ok()).and_then(|len| len.parse().ok());
            serve(ask, inquiry, InquiryBody { from, len });
        };
        let mut pump = Pump::new(channel, stream, silence, sessions, begin);
        let leave = async {
            leaving.cancelled().await;
            channel.tell(&Frame::Leaving);
            pending::<Ended>().await
        };
        let why = tokio::select! {
            why = pump.run() => why,
            why = leave => why,
        };
        pump::note_end(channel, why);
    }
}

impl Inquiry {
    /// Ready once no response can be given any more.
    pub fn poll_gone(&self, cx: &Context<'_>) -> Poll<Gone> {
        self.channel.poll_stopped(self.number, cx).map(|stopped| match stopped {
            Stopped::Told => Gone::Client,
            Stopped::Broken => Gone::Unknown,
        })
    }

    /// Returns once whether the other node wants a response now, because it stops. The task is woken for it as for
    /// [`poll_gone`](Self::poll_gone).
    pub fn is_released(&self) -> bool {
        self.channel.take_released(self.number)
    }

    /// Sends the header of the response.
    pub fn send_head(&mut self, head: &http::response::Parts, follows: Follows) {
        self.channel.write(self.number, |out| {
            if write_head(out, self.number, head.status, &head.headers, follows).is_err() {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                // An empty header always fits.
                let _ = write_head(out, self.number, status, &http::HeaderMap::new(), Follows::Nothing);
            }
        });
        if follows == Follows::Nothing {
            self.is_answered = true;
            self.channel.forget(self.number);
        }
    }

    /// Ready once there is room for more of the response's body; `false` if nobody needs it.
    pub fn poll_room(&self, cx: &Context<'_>) -> Poll<bool> {
        self.channel.poll_room(self.number, cx).map(|room| room.is_ok())
    }

    /// Sends a piece of the response's body. Its receipt is settled once the client's connection has taken it.
    pub fn send(&self, bytes: Bytes, receipt: Option<Receipt>) {
        self.channel.send(self.number, bytes, receipt);
    }

    /// Completes the response.
    pub fn end(mut self) {
        self.is_answered = true;
        self.channel.end(self.number);
    }

    /// Returns the stream behind a 101. `let_go` is called if the other node's way to its client ends.
    pub fn into_stream(mut self, let_go: Option<LetGo>) -> PeerStream {
        self.is_answered = true;
        PeerStream::new(Arc::clone(&self.channel), self.number, Stop::Lost, let_go)
    }
}

impl Drop for Inquiry {
    fn drop(&mut self) {
        if !self.is_answered {
            self.channel.stop(self.number, Stop::Lost);
        }
    }
}

impl InquiryBody {
    fn poll_piece(&self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, InquiryStopped>>> {
        let Some((channel, number)) = &self.from else { return Poll::Ready(None) };
        // An error, not an end: what was read is not all of it.
        let piece = ready!(channel.poll_piece(*number, cx)).map_err(|_| InquiryStopped)?;
        if let Some(piece) = &piece {
            channel.took(*number, piece.len() as u64, ENOUGH);
        }
        Poll::Ready(piece.map(Ok))
    }
}

impl Body for InquiryBody {
    type Data = Bytes;
    type Error = InquiryStopped;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, InquiryStopped>>> {
        self.poll_piece(cx).map(|piece| piece.map(|piece| piece.map(BodyFrame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.from.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.from, self.len) {
            (None, _) => SizeHint::with_exact(0),
            (Some(_), Some(len)) => SizeHint::with_exact(len),
            (Some(_), None) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Inquiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Inquiry").field(&self.number).finish()
    }
}
