//! A request at the node that owns its session.

use std::fmt;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame as BodyFrame, SizeHint};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::channel::{Channel, ENOUGH, Side};
use super::pump::{self, Ended, Pump};
use super::request::{LetGo, Stop, Stopped};
use super::stream::PeerStream;
use crate::duplex::{Duplex, Receipt};
use crate::meter::Traffic;
use crate::peer::{Ask, Content, Frame, Number, write_head};
use crate::sid::Node;

/// The end of a connection on which another node asks.
#[derive(Debug)]
pub struct Entrance {
    pub(super) channel: Arc<Channel>,
}

/// How long a node that stops waits until its answers were taken.
pub const FINISH_TIMEOUT: Duration = Duration::from_millis(500);

/// A request of another node. Dropped before its response is complete, it tells that node that the response breaks.
pub struct Inquiry {
    channel: Arc<Channel>,
    number: Number,
    is_answered: bool,
}

/// What another node says of a request that waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum News {
    /// It stops, and wants a response now. It says so once.
    Released,
    /// No response can be given any more.
    Gone(Gone),
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

/// The body of such a request.
#[derive(Default, Debug)]
pub enum InquiryBody {
    /// There is none, or no more.
    #[default]
    Nothing,
    /// It came with the header.
    Whole(Bytes),
    /// It comes in pieces.
    Pieces(Pieces),
}

/// A body that comes in pieces.
#[derive(Debug)]
pub struct Pieces {
    channel: Arc<Channel>,
    number: Number,
    /// What its header says.
    len: Option<u64>,
}

/// The request was stopped before its body was complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the request of another node was stopped")]
pub struct InquiryStopped;

impl Entrance {
    /// Creates the end for a node that has introduced itself.
    pub(super) fn new(node: Node, traffic: Traffic) -> Self {
        Self { channel: Arc::new(Channel::new(Side::Owner, node, traffic)) }
    }

    /// Serves the requests that come over `stream` with `serve`, until the connection ends, or `stop` is cancelled: then
    /// it ends behind the responses that were given, after [`FINISH_TIMEOUT`] at the latest. What was not taken by then is lost.
    pub async fn run(
        self,
        stream: Duplex,
        silence: Duration,
        sessions: impl Fn() -> u32 + Send,
        leaving: CancellationToken,
        stop: CancellationToken,
        mut serve: impl FnMut(Box<Ask>, Inquiry, InquiryBody) + Send,
    ) {
        let channel = &self.channel;
        let begin = |number, mut ask: Box<Ask>| {
            let inquiry = Inquiry { channel: Arc::clone(channel), number, is_answered: false };
            let body = match std::mem::replace(&mut ask.content, Content::Nothing) {
                Content::Nothing => InquiryBody::Nothing,
                Content::Whole(bytes) | Content::Awaited(bytes) => InquiryBody::Whole(bytes),
                Content::Pieces(len) => {
                    InquiryBody::Pieces(Pieces { channel: Arc::clone(channel), number, len })
                }
            };
            serve(ask, inquiry, body);
        };
        let mut pump = Pump::new(channel, stream, silence, sessions, begin);
        let leave = async {
            leaving.cancelled().await;
            channel.tell(&Frame::Leaving);
            pending::<Ended>().await
        };
        let why = tokio::select! {
            why = pump.run() => Some(why),
            why = leave => Some(why),
            () = stop.cancelled() => None,
        };
        match why {
            Some(why) => pump::note_end(channel, why),
            // Its drop has each receipt report what became of it.
            None => drop(timeout(FINISH_TIMEOUT, pump.finish()).await),
        }
    }
}

impl Inquiry {
    /// Polls for what the other node says of the request while it waits.
    pub fn poll_news(&self, cx: &Context<'_>) -> Poll<News> {
        self.channel.poll_news(self.number, cx).map(|news| match news {
            Ok(()) => News::Released,
            Err(Stopped::Told) => News::Gone(Gone::Client),
            Err(Stopped::Broken) => News::Gone(Gone::Unknown),
        })
    }

    /// Sends a whole response. A receipt is settled once the client's connection has taken the body.
    pub fn answer(mut self, head: &Parts, body: Bytes, receipt: Option<Receipt>) {
        self.is_answered = true;
        let mut receipt = receipt;
        if body.is_empty() {
            // There is nothing to wait for.
            receipt.take().into_iter().for_each(Receipt::settle);
        }
        let len = body.len();
        let content = match receipt {
            _ if len == 0 => Content::Nothing,
            Some(_) => Content::Awaited(body),
            None => Content::Whole(body),
        };
        let number = self.number;
        let awaited = receipt.map(|receipt| (len, receipt));
        self.channel.write_whole(number, awaited, |out| put_head(out, number, head, &content));
    }

    /// Sends the header of a response whose body follows in pieces, of this length if it is known.
    pub fn send_head(&self, head: &Parts, len: Option<u64>) {
        let content = Content::Pieces(len);
        self.channel.write_head(self.number, len, |out| put_head(out, self.number, head, &content));
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

impl Pieces {
    fn poll_piece(&self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, InquiryStopped>>> {
        let Self { channel, number, .. } = self;
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
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, InquiryStopped>>> {
        match &mut *self {
            Self::Nothing => Poll::Ready(None),
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Nothing;
                Poll::Ready(Some(Ok(BodyFrame::data(bytes))))
            }
            Self::Pieces(pieces) => {
                pieces.poll_piece(cx).map(|piece| piece.map(|piece| piece.map(BodyFrame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Nothing => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Pieces(Pieces { len, .. }) => len.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

/// Writes the header of a response. Returns whether it fits; if not, what is written has nothing behind it.
fn put_head(out: &mut BytesMut, number: Number, head: &Parts, content: &Content) -> bool {
    let written = write_head(out, number, head.status, &head.headers, content);
    if written.is_err() {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        // An empty header always fits.
        let _ = write_head(out, number, status, &HeaderMap::new(), &Content::Nothing);
    }
    written.is_ok()
}

impl fmt::Debug for Inquiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Inquiry").field(&self.number).finish()
    }
}
