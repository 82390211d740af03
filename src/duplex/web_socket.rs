//! A WebSocket over a byte stream: messages and control frames (RFC 6455), of which an idle one keeps no buffer.
//!
//! What is read is taken apart where it lies, on the stack; only what the caller has not taken yet is kept, and the
//! beginning of a message. What is written waits in one buffer until a flush, or until enough waits.

mod incoming;
mod masks;
mod message;
mod reader;
#[cfg_attr(not(fuzzing), cfg(test))]
pub(crate) mod tests;
mod writer;

use std::fmt;
use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use thiserror::Error;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

pub use self::incoming::{Fault, Incoming, Violation};
pub use self::masks::random_mask;
use self::reader::Reader;
use self::writer::Writer;
use super::deflate::Compression;
use super::{Deflate, Duplex, LINGER_LEN_MAX, READ_AHEAD_LEN, Savings};
use crate::frame_header::{BINARY, CLOSE, HEADER_LEN_MAX, PONG, RSV1, TEXT};

/// One end of a WebSocket.
///
/// Pings are answered by itself, and so is a Close: the answer is written when more is read, or with the next flush.
/// All methods are polled by one task, which any event of the stream wakes.
pub struct WebSocket {
    duplex: Duplex,
    reader: Reader,
    /// What was read and not taken yet.
    rest: Bytes,
    writer: Writer,
    /// The content of the last ping, until there is room for its pong. Without room one is enough: a newer pong replaces an
    /// older one (section 5.5.3).
    pong: Option<Bytes>,
    /// Whether an answer was added to what is written that nobody else may flush.
    is_answer_due: bool,
    /// Whether a Close frame was sent: nothing follows it.
    has_closed: bool,
    reading: Reading,
    compression: Option<Box<Compression>>,
}

/// The state of the reading side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reading {
    Open,
    /// The peer's Close frame was read.
    Closed,
    /// Nothing more can be read.
    Over,
}

/// A frame can't be written: the connection is broken, or a Close frame was sent or read.
#[derive(Clone, Copy, PartialEq, Eq, Error, Debug)]
#[error("nothing can be sent")]
pub struct Unsendable;

/// How much waits before it is written without a flush.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Buffers {
    /// For one client.
    Small,
    /// Shared by many sessions.
    Large,
}

impl Duplex {
    /// Speaks WebSocket over this stream, starting with the bytes in `read_ahead`.
    pub fn into_web_socket(
        self,
        read_ahead: Bytes,
        role: Role,
        message_max: usize,
        buffers: Buffers,
    ) -> WebSocket {
        let len_max = match buffers {
            Buffers::Small => WRITE_BUFFER_LEN,
            Buffers::Large => SHARED_WRITE_BUFFER_LEN,
        };
        WebSocket {
            duplex: self.behind(read_ahead),
            reader: Reader::new(message_max, role == Role::Server),
            rest: Bytes::new(),
            writer: Writer::new(len_max, role == Role::Client),
            pong: None,
            is_answer_due: false,
            has_closed: false,
            reading: Reading::Open,
            compression: None,
        }
    }
}

impl WebSocket {
    /// Sets the length of the largest message; it does not fall.
    pub const fn set_message_max(&mut self, len_max: usize) {
        self.reader.set_message_max(len_max);
    }

    /// Inflates and compresses messages, as both sides have agreed.
    #[must_use]
    pub fn compressed(mut self, deflate: Deflate, savings: Option<Box<dyn Savings>>) -> Self {
        self.reader.inflates = true;
        self.compression = Some(Box::new(Compression::new(deflate, savings)));
        self
    }

    /// Returns the stream below.
    pub const fn get_mut(&mut self) -> &mut Duplex {
        &mut self.duplex
    }

    /// Returns how many bytes wait to be written or taken, with the message that has not come in full.
    pub fn held(&self) -> usize {
        self.writer.held() + self.rest.len() + self.reader.held()
    }

    /// Polls for what arrives. `None` after the peer's Close frame, once it is answered, and after a fault.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Incoming, Fault>>> {
        if self.reading == Reading::Over {
            return Poll::Ready(None);
        }
        self.answer(cx);
        if self.duplex.is_stalled() {
            self.reading = Reading::Over;
            return Poll::Ready(Some(Err(Fault::Stalled)));
        }
        if self.reading == Reading::Closed {
            // It is of no interest any more whether the peer reads the answer.
            let _ = ready!(self.poll_flush(cx));
            self.reading = Reading::Over;
            return Poll::Ready(None);
        }
        let read = match self.read_rest() {
            Ok(Some(incoming)) => Ok(incoming),
            Ok(None) => ready!(self.poll_read(cx)),
            Err(violation) => Err(violation.into()),
        };
        match &read {
            Ok(incoming) => self.note(incoming),
            Err(_) => self.reading = Reading::Over,
        }
        Poll::Ready(Some(read))
    }

    /// Waits for what arrives.
    pub async fn next(&mut self) -> Option<Result<Incoming, Fault>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Returns whether one more frame can be taken.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unsendable>> {
        if self.writer.is_full() { self.poll_write(cx) } else { Poll::Ready(Ok(())) }
    }

    /// Takes one frame; only after [`poll_ready`](Self::poll_ready) was ready, unless it is a short one that ends the
    /// connection.
    pub fn start_send(&mut self, frame: &Frame) -> Result<(), Unsendable> {
        if self.has_closed {
            return Err(Unsendable);
        }
        self.add_pong();
        let opcode = u8::from(frame.header().opcode);
        let compressed = match (&self.compression, opcode) {
            (Some(compression), TEXT | BINARY) => compression.compress(frame.payload()),
            _ => None,
        };
        match compressed {
            Some(payload) => self.writer.add(opcode, RSV1, &payload),
            None => self.writer.add(opcode, 0, frame.payload()),
        }
        if opcode == CLOSE {
            self.has_closed = true;
            // Nothing follows a Close (RFC 6455, section 5.5.1).
            self.pong = None;
            // A message that has begun may come to its end.
            self.duplex.read_at_most(LINGER_LEN_MAX.saturating_add(self.reader.message_max()));
        }
        Ok(())
    }

    /// Writes everything that waits.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unsendable>> {
        loop {
            self.add_pong();
            ready!(self.poll_write(cx))?;
            // One that had no room has it now, and nothing else would write it.
            if self.pong.is_none() {
                break;
            }
        }
        ready!(Pin::new(&mut self.duplex).poll_flush(cx)).map_err(|_| Unsendable)?;
        self.is_answer_due = false;
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unsendable>> {
        self.writer.poll_write(cx, &mut self.duplex).map_err(|_| Unsendable)
    }

    /// Takes the next item out of what was read before.
    fn read_rest(&mut self) -> Result<Option<Incoming>, Violation> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut bytes = &self.rest[..];
        let read = self.reader.read(&mut bytes)?;
        let left = bytes.len();
        if left == 0 {
            // An empty buffer would keep its memory.
            self.rest = Bytes::new();
        } else {
            self.rest.advance(self.rest.len() - left);
        }
        Ok(read)
    }

    /// Reads until there is an item.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, Fault>> {
        loop {
            let mut room = [const { MaybeUninit::uninit() }; READ_AHEAD_LEN + REST_MAX];
            let mut read = ReadBuf::uninit(&mut room);
            // What is not complete is less than this.
            read.put_slice(&self.rest[..self.rest.len().min(REST_MAX)]);
            let before = read.filled().len();
            if ready!(Pin::new(&mut self.duplex).poll_read(cx, &mut read)).is_err()
                || read.filled().len() == before
            {
                return Poll::Ready(Err(Fault::Lost));
            }
            let mut bytes = read.filled();
            let read = self.reader.read(&mut bytes)?;
            self.rest = Bytes::copy_from_slice(bytes);
            if let Some(incoming) = read {
                return Poll::Ready(Ok(incoming));
            }
        }
    }

    /// Prepares the answer to what was read.
    fn note(&mut self, incoming: &Incoming) {
        match incoming {
            Incoming::Message(_) => {
                if let Some(compression) = &self.compression {
                    compression.count(usize::try_from(self.reader.take_saved()).unwrap_or(usize::MAX));
                }
            }
            // After a Close frame nothing is sent (section 5.5.1).
            Incoming::Ping(content) if !self.has_closed => self.pong = Some(content.clone()),
            Incoming::Ping(_) | Incoming::Pong(_) => {}
            Incoming::Close(frame) => {
                self.pong = None;
                if !self.has_closed {
                    let _ = self.start_send(&Frame::close(frame.clone()));
                    self.is_answer_due = true;
                }
                self.reading = Reading::Closed;
            }
        }
    }

    /// Writes answers, as far as the stream takes them now; the task is woken for the rest.
    fn answer(&mut self, cx: &mut Context<'_>) {
        self.is_answer_due |= self.pong.is_some();
        if self.is_answer_due && matches!(self.poll_flush(cx), Poll::Ready(Err(Unsendable))) {
            // The reading side finds out why.
            (self.pong, self.is_answer_due) = (None, false);
        }
    }

    /// Adds the pong that waits for room. Behind a Close there is none.
    fn add_pong(&mut self) {
        if self.pong.is_some()
            && self.writer.has_room()
            && let Some(content) = self.pong.take()
        {
            self.writer.add(PONG, 0, &content);
        }
    }
}

/// Bodies are private.
impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebSocket")
    }
}

/// Returns a text message whose bytes are known to be UTF-8.
pub fn text_frame(text: Bytes) -> Frame {
    Frame::message(text, OpCode::Data(Data::Text), true)
}

/// Returns a binary message.
pub fn binary_frame(bytes: Bytes) -> Frame {
    Frame::message(bytes, OpCode::Data(Data::Binary), true)
}

/// The longest beginning of a header or of a control frame.
const REST_MAX: usize = HEADER_LEN_MAX + 125;
/// Allocated when there is something to write.
const WRITE_BUFFER_LEN: usize = 4096;
/// There are few of these, and what many sessions send at once is written in one piece.
const SHARED_WRITE_BUFFER_LEN: usize = 64 << 10;
