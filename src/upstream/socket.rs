//! What both kinds of links share: WebSocket messages in both directions, automatic control frames, and a clean close.
//!
//! Nothing here knows what a message means. Messages are sent with [`Socket::start_send`] and flushed once per turn;
//! [`Socket::poll_next`] writes the answers to pings even without a flush.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;

use crate::close;
use crate::duplex::{self, Farewell, Fault, Patience, Violation, WebSocket};
use crate::packet::{Closing, Message};
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
}

/// A received item.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A message.
    Message(Message),
    /// The end and its reason. Nothing comes after it.
    Closed(Closing),
    /// The end, because the peer read nothing for too long.
    Stalled,
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
    pub(super) const fn new(inner: WebSocket) -> Self {
        Self { inner, control: None, flush_due: false, goodbye: false, reading: Reading::Open, crossed: 0 }
    }

    /// Returns the bare WebSocket.
    pub(super) fn into_inner(self) -> WebSocket {
        self.inner
    }

    /// Returns whether one more frame can be taken.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        // Before the frame that there is to be room for: messages could fill the buffer again and again.
        ready!(self.poll_control(cx))?;
        self.inner.poll_ready(cx).map_err(|_| LinkError)
    }

    /// Takes one frame; only after [`poll_ready`](Self::poll_ready) was ready.
    pub(super) fn start_send(&mut self, frame: &Frame) -> Result<(), LinkError> {
        self.inner.start_send(frame).map_err(|_| LinkError)
    }

    /// Writes the taken frames.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        ready!(self.poll_control(cx))?;
        ready!(self.inner.poll_flush(cx)).map_err(|_| LinkError)?;
        self.flush_due = false;
        Poll::Ready(Ok(()))
    }

    /// Bounds how long the peer may read nothing while something waits for it, be it a pong.
    pub(super) fn set_stall_timeout(&mut self, limit: Duration) {
        self.inner.get_mut().set_patience(Patience::new(limit));
    }

    /// Returns how many bytes its buffers hold.
    pub(super) fn held(&self) -> usize {
        self.inner.held()
    }

    /// Queues a frame that is sent as soon as there is room, whichever method is polled next.
    pub(super) fn queue(&mut self, frame: Frame) {
        self.control = Some(frame);
    }

    /// Polls for the next message. It is not called again after an end.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        loop {
            self.push_control(cx);
            let incoming = match ready!(self.inner.poll_next(cx)) {
                // The pong is written when more is read.
                Some(Ok(duplex::Incoming::Ping(_) | duplex::Incoming::Pong(_))) => continue,
                Some(Ok(duplex::Incoming::Message(message))) => Incoming::Message(message),
                Some(Ok(duplex::Incoming::Close(frame))) => {
                    self.reading = Reading::Done;
                    // The answer waits already, and nothing follows it; if there is no room now, poll_close writes it.
                    (self.goodbye, self.control) = (true, None);
                    self.try_flush(cx);
                    Incoming::Closed(close::from_frame(frame))
                }
                Some(Err(Fault::Stalled)) => {
                    self.reading = Reading::Done;
                    Incoming::Stalled
                }
                Some(Err(fault)) => Incoming::Closed(self.handle_fault(cx, fault)),
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
            match ready!(self.inner.poll_next(cx)) {
                Some(Ok(duplex::Incoming::Close(_))) | None => break Reading::Done,
                Some(Ok(duplex::Incoming::Message(Message::Text(text)))) => {
                    self.crossed += usize::from(is_message(text.as_str()));
                }
                Some(Ok(duplex::Incoming::Message(Message::Binary(_)))) => self.crossed += 1,
                Some(Ok(duplex::Incoming::Ping(_) | duplex::Incoming::Pong(_))) => {}
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
            let _ = self.inner.start_send(&Frame::close(frame));
        }
    }

    /// Writes the pending control frame, if there is room.
    fn poll_control(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if self.control.is_some() {
            ready!(self.inner.poll_ready(cx)).map_err(|_| LinkError)?;
            if let Some(frame) = self.control.take() {
                self.start_send(&frame)?;
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

    fn handle_fault(&mut self, cx: &mut Context<'_>, fault: Fault) -> Closing {
        let closing = match fault {
            Fault::Lost | Fault::Stalled => {
                self.reading = Reading::Done;
                return LOST;
            }
            Fault::Violation(Violation::Protocol) => NONSENSE,
            Fault::Violation(Violation::TooLarge) => TOO_BIG,
            Fault::Violation(Violation::NotUtf8) => Closing::new(1007, "invalid UTF-8 in a text message"),
            Fault::Violation(Violation::Malformed) => Closing::new(1007, "malformed compressed message"),
        };
        self.fail(cx, closing)
    }
}

/// The connection broke.
pub(super) const LOST: Closing = Closing::new(1006, "upstream connection lost");
/// The peer violated the protocol.
pub(super) const NONSENSE: Closing = Closing::new(1002, "upstream protocol error");
/// The peer sent a message over the limit.
pub(super) const TOO_BIG: Closing = Closing::new(1009, "upstream message too big");
