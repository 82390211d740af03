//! What both kinds of links share: WebSocket messages in both directions, automatic control frames, and a clean close.
//!
//! Nothing here knows what a message means. Messages are sent with [`Socket::start_send`] and flushed once per turn;
//! [`Socket::poll_next`] writes the answers to pings even without a flush.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use tokio::io::AsyncWrite;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::close;
use crate::duplex::{DeflateFault, Farewell, Unwritten, WebSocket};
use crate::packet::{Closing, Text};
use crate::upstream::LinkError;

/// A WebSocket, client side.
#[derive(Debug)]
pub(super) struct Socket {
    inner: WebSocket,
    /// A control frame that waits for room. One is enough: a newer pong replaces an older one.
    control: Option<Frame>,
    /// Whether a control frame was written but perhaps not flushed.
    flush_due: bool,
    /// Whether a Close frame was sent.
    goodbye: bool,
    reading: Reading,
    /// How many messages came after our Close frame.
    crossed: usize,
    unwritten: Unwritten,
    /// Pings received since the socket was last known to be flushed.
    pings: usize,
}

/// A received item.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A text message.
    Text(Text),
    /// A binary message.
    Binary(Bytes),
    /// The end and its reason. Nothing comes after it.
    Closed(Closing),
}

/// The state of the reading side.
#[derive(Debug)]
enum Reading {
    Open,
    /// The peer's Close frame was read, or the connection is gone.
    Done,
    /// The peer violated the protocol: its input can no longer be read as frames.
    Failed(Farewell),
}

impl Socket {
    pub(super) fn new(inner: WebSocket) -> Self {
        Self {
            inner,
            control: None,
            flush_due: false,
            goodbye: false,
            reading: Reading::Open,
            crossed: 0,
            unwritten: Unwritten::default(),
            pings: 0,
        }
    }

    /// Returns the bare WebSocket.
    pub(super) fn into_inner(self) -> WebSocket {
        self.inner
    }

    /// Returns whether one more frame can be taken.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        // Before the frame that there is to be room for: messages could fill the buffer again and again.
        ready!(self.poll_control(cx))?;
        ready!(Pin::new(&mut self.inner).poll_ready(cx)).map_err(|_| LinkError)?;
        self.unwritten.note_room();
        Poll::Ready(Ok(()))
    }

    /// Takes one frame; only after [`poll_ready`](Self::poll_ready) was ready.
    pub(super) fn start_send(&mut self, frame: Frame) -> Result<(), LinkError> {
        self.unwritten.add(frame.payload().len());
        Pin::new(&mut self.inner).start_send(Message::Frame(frame)).map_err(|_| LinkError)
    }

    /// Writes the taken frames.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        ready!(self.poll_control(cx))?;
        ready!(Pin::new(&mut self.inner).poll_flush(cx)).map_err(|_| LinkError)?;
        self.unwritten.note_flushed();
        self.flush_due = false;
        self.pings = 0;
        Poll::Ready(Ok(()))
    }

    /// Returns how many bytes wait to be written.
    pub(super) const fn held(&self) -> usize {
        self.unwritten.len()
    }

    /// Queues a frame that is sent as soon as there is room, whichever method is polled next.
    pub(super) fn queue(&mut self, frame: Frame) {
        self.control = Some(frame);
    }

    /// Polls for the next message. It is not called again after [`Incoming::Closed`].
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        loop {
            self.push_control(cx);
            // A backend that sends pings but does not read would let its pongs pile up here.
            if self.pings > PINGS_MAX && ready!(self.poll_flush(cx)).is_err() {
                self.reading = Reading::Done;
                return Poll::Ready(Incoming::Closed(LOST));
            }
            let incoming = match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                // tungstenite has queued the pong and writes it when it is next asked to read.
                Some(Ok(Message::Ping(_))) => {
                    self.pings += 1;
                    continue;
                }
                Some(Ok(Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Text(text))) => Incoming::Text(Text::from_checked(Bytes::from(text))),
                Some(Ok(Message::Binary(bytes))) => Incoming::Binary(bytes),
                Some(Ok(Message::Close(frame))) => {
                    self.reading = Reading::Done;
                    // tungstenite has queued the answer; if there is no room now, poll_close writes it.
                    self.goodbye = true;
                    self.try_flush(cx);
                    Incoming::Closed(close::from_frame(frame))
                }
                Some(Err(error)) => Incoming::Closed(self.handle_error(cx, &error)),
                None => {
                    self.reading = Reading::Done;
                    Incoming::Closed(LOST)
                }
            };
            return Poll::Ready(incoming);
        }
    }

    /// Tells the peer that it violated the protocol, as far as the socket takes it now, and returns what to tell the
    /// client.
    pub(super) fn fail(&mut self, cx: &mut Context<'_>, closing: Closing) -> Closing {
        self.part(cx, close::to_frame(&closing));
        self.reading = Reading::Failed(Farewell::default());
        closing
    }

    /// Closes towards a peer that is not expected to answer.
    pub(super) fn give_up(&mut self, cx: &mut Context<'_>) {
        self.part(cx, None);
        self.reading = Reading::Done;
    }

    /// Sends a Close frame, as far as the socket takes it now; [`poll_close`](Self::poll_close) does the rest.
    pub(super) fn part(&mut self, cx: &mut Context<'_>, frame: Option<CloseFrame>) {
        self.say_goodbye(frame);
        self.try_flush(cx);
    }

    /// Sends a Close frame and waits for the peer's. Returns how many of the peer's messages crossed it: all binary
    /// ones, and the texts that are messages.
    pub(super) fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        frame: Option<CloseFrame>,
        is_message: fn(&str) -> bool,
    ) -> Poll<usize> {
        self.say_goodbye(frame);
        if matches!(self.reading, Reading::Open) {
            ready!(self.poll_answer(cx, is_message));
        }
        if let Reading::Failed(farewell) = &mut self.reading {
            return farewell.poll(cx, &mut self.inner).map(|()| self.crossed);
        }
        if ready!(self.poll_flush(cx)).is_err() {
            return Poll::Ready(self.crossed);
        }
        // TLS has a close of its own: without it, anybody could have ended the stream.
        Pin::new(self.inner.get_mut()).poll_shutdown(cx).map(|_| self.crossed)
    }

    /// Keeps reading until the peer has answered the Close frame, possibly before it reads it: closing earlier would
    /// let its kernel report a reset, and its application an error instead of a close.
    fn poll_answer(&mut self, cx: &mut Context<'_>, is_message: fn(&str) -> bool) -> Poll<()> {
        self.try_flush(cx);
        self.reading = loop {
            match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                Some(Ok(Message::Close(_))) | None => break Reading::Done,
                Some(Ok(Message::Text(text))) => self.crossed += usize::from(is_message(&text)),
                Some(Ok(Message::Binary(_))) => self.crossed += 1,
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(_)) => break Reading::Failed(Farewell::default()),
            }
        };
        Poll::Ready(())
    }

    fn say_goodbye(&mut self, frame: Option<CloseFrame>) {
        if !self.goodbye {
            self.goodbye = true;
            // Nothing follows a Close frame (RFC 6455, section 5.5.1).
            self.control = None;
            // It fails if nothing can be sent any more; poll_flush notices that too.
            let _ = Pin::new(&mut self.inner).start_send(Message::Close(frame));
        }
    }

    /// Writes the pending control frame, if there is room.
    fn poll_control(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if self.control.is_some() {
            ready!(Pin::new(&mut self.inner).poll_ready(cx)).map_err(|_| LinkError)?;
            if let Some(frame) = self.control.take() {
                self.start_send(frame)?;
                self.flush_due = true;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn push_control(&mut self, cx: &mut Context<'_>) {
        if self.control.is_some() || self.flush_due {
            self.try_flush(cx);
        }
    }

    /// Flushes as much as possible now; the waker is registered for the rest.
    fn try_flush(&mut self, cx: &mut Context<'_>) {
        if matches!(self.poll_flush(cx), Poll::Ready(Err(LinkError))) {
            // The reading side finds out why.
            self.control = None;
            self.flush_due = false;
        }
    }

    fn handle_error(&mut self, cx: &mut Context<'_>, error: &tungstenite::Error) -> Closing {
        use tungstenite::Error;
        use tungstenite::error::ProtocolError;

        let closing = match error {
            Error::Io(error) if let Some(fault) = fault_of(error) => match fault {
                DeflateFault::Frame => NONSENSE,
                DeflateFault::Content => Closing::new(1007, "malformed compressed message"),
            },
            Error::Capacity(_) => TOO_BIG,
            Error::Utf8(_) => Closing::new(1007, "invalid UTF-8 in a text message"),
            // The connection is gone; the last four errors do not come from reading.
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
            | Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Io(_)
            | Error::Tls(_)
            | Error::WriteBufferFull(_)
            | Error::Url(_)
            | Error::Http(_)
            | Error::HttpFormat(_) => LOST,
            Error::Protocol(_) | Error::AttackAttempt => NONSENSE,
        };
        if closing == LOST {
            self.reading = Reading::Done;
            return closing;
        }
        self.fail(cx, closing)
    }
}

/// Returns what is wrong with a compressed message, if that is the error.
fn fault_of(error: &io::Error) -> Option<DeflateFault> {
    error.get_ref()?.downcast_ref().copied()
}

/// How many pongs may wait for a backend that does not read.
const PINGS_MAX: usize = 64;

/// The connection broke.
pub(super) const LOST: Closing = Closing::new(1006, "upstream connection lost");
/// The peer violated the protocol.
pub(super) const NONSENSE: Closing = Closing::new(1002, "upstream protocol error");
/// The peer sent a message over the limit.
pub(super) const TOO_BIG: Closing = Closing::new(1009, "upstream message too big");
