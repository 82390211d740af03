//! permessage-deflate (RFC 7692) as a byte stream below the WebSocket: it inflates what is read and compresses what is
//! written, frame by frame, so that what runs above reads and writes plain frames.
//!
//! No message depends on the one before it ("no context takeover"), so a connection keeps no window: each thread has a
//! few states of DEFLATE, which a message uses while it passes ([`states`]). What is invalid only without the extension
//! (masks, opcodes, sizes, UTF-8) is left for the WebSocket to find.

mod inbound;
mod offer;
mod outbound;
mod states;
#[cfg(test)]
mod tests;

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use self::inbound::DeflateFault;
use self::inbound::Inbound;
pub use self::offer::{Agreed, Deflate};
use super::{Duplex, READ_AHEAD_LEN};

/// Whatever counts the bytes that compression saved.
pub trait Savings: Send + Sync + std::fmt::Debug {
    /// Counts bytes saved, in either direction.
    fn saved(&self, bytes: usize);
}

/// A [`Duplex`] whose messages are compressed, seen from the WebSocket above.
#[derive(Debug)]
pub struct Deflating {
    duplex: Duplex,
    deflate: Deflate,
    savings: Option<Box<dyn Savings>>,
    inbound: Inbound,
    /// What was read and is not inflated yet: the beginning of a header, or what follows a long message.
    rest: Bytes,
    /// Frames for the WebSocket.
    plain: Bytes,
    /// Whether more comes without reading.
    has_more: bool,
    /// What is wrong with what follows the plain frames.
    fault: Option<DeflateFault>,
    /// Whether what is read is passed on unchanged, because nobody reads it as frames any more.
    is_raw: bool,
    outgoing: Outgoing,
}

/// What a write has begun. The WebSocket repeats a write that is pending with the same bytes, and perhaps with more
/// behind them.
#[derive(Debug)]
enum Outgoing {
    /// So many of its bytes are written unchanged.
    Unchanged(usize),
    /// So many of its bytes are written in this form. They count as written when all of it is: until then nothing has
    /// been settled, and the WebSocket keeps them.
    Compressed(usize, Bytes),
}

impl Deflating {
    /// Creates the stream above `duplex`, whose next byte is the first of a frame.
    pub(super) fn new(duplex: Duplex, deflate: Deflate, savings: Option<Box<dyn Savings>>) -> Self {
        Self {
            duplex,
            deflate,
            savings,
            inbound: Inbound::new(),
            rest: Bytes::new(),
            plain: Bytes::new(),
            has_more: false,
            fault: None,
            is_raw: false,
            outgoing: Outgoing::Unchanged(0),
        }
    }

    /// Inflates nothing more: what is read from now on is only thrown away.
    pub(super) fn stop_inflating(&mut self) {
        self.is_raw = true;
        (self.rest, self.plain, self.inbound) = (Bytes::new(), Bytes::new(), Inbound::new());
    }

    /// Inflates what was read, and returns how much of it that was.
    fn inflate(&mut self, read: &[u8]) -> usize {
        let mut plain = Vec::new();
        let passed = self.inbound.pass(read, &mut plain);
        self.plain = plain.into();
        if let Some(savings) = &self.savings {
            savings.saved(self.inbound.take_saved());
        }
        match passed {
            Ok(passed) => {
                self.has_more = passed.has_more;
                passed.len
            }
            Err(fault) => {
                self.fault = Some(fault);
                read.len()
            }
        }
    }

    /// Reads more, and inflates it; false at the end of the stream.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut room = [const { MaybeUninit::uninit() }; READ_AHEAD_LEN + HEADER_LEN_MAX];
        let mut read = ReadBuf::uninit(&mut room);
        read.put_slice(&self.rest);
        ready!(Pin::new(&mut self.duplex).poll_read(cx, &mut read))?;
        if read.filled().len() == self.rest.len() {
            return Poll::Ready(Ok(false));
        }
        let len = self.inflate(read.filled());
        self.rest = Bytes::copy_from_slice(&read.filled()[len..]);
        Poll::Ready(Ok(true))
    }

    /// Decides how a write is made, if none is under way.
    fn begin(&mut self, buf: &[u8]) {
        let Outgoing::Unchanged(0) = self.outgoing else { return };
        let (len, compressed) = outbound::compress(buf, self.deflate);
        self.outgoing = match compressed {
            Some(bytes) => {
                if let Some(savings) = &self.savings {
                    savings.saved(len.saturating_sub(bytes.len()));
                }
                Outgoing::Compressed(len, bytes.into())
            }
            None => Outgoing::Unchanged(len),
        };
    }
}

impl AsyncRead for Deflating {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.plain.is_empty() {
                let len = this.plain.len().min(buf.remaining());
                buf.put_slice(&this.plain[..len]);
                this.plain.advance(len);
                if this.plain.is_empty() {
                    // An empty buffer would keep its memory.
                    this.plain = Bytes::new();
                }
                return Poll::Ready(Ok(()));
            }
            if let Some(fault) = this.fault.take() {
                this.stop_inflating();
                return Poll::Ready(Err(io::Error::other(fault)));
            }
            if this.is_raw {
                return Pin::new(&mut this.duplex).poll_read(cx, buf);
            }
            if this.has_more {
                let rest = std::mem::take(&mut this.rest);
                let len = this.inflate(&rest);
                this.rest = Bytes::copy_from_slice(&rest[len..]);
            } else if !ready!(this.poll_more(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Deflating {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.begin(buf);
        match &mut this.outgoing {
            Outgoing::Unchanged(left) => {
                let len = ready!(Pin::new(&mut this.duplex).poll_write(cx, &buf[..buf.len().min(*left)]))?;
                *left -= len;
                Poll::Ready(Ok(len))
            }
            Outgoing::Compressed(len, bytes) => {
                while !bytes.is_empty() {
                    let written = ready!(Pin::new(&mut this.duplex).poll_write(cx, bytes))?;
                    if written == 0 {
                        return Poll::Ready(Ok(0));
                    }
                    bytes.advance(written);
                }
                let len = *len;
                this.outgoing = Outgoing::Unchanged(0);
                Poll::Ready(Ok(len))
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().duplex).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().duplex).poll_shutdown(cx)
    }
}

/// The longest header of a frame: two bytes, eight of length and four of mask.
const HEADER_LEN_MAX: usize = 14;
