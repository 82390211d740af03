//! TLS over a socket, of which an idle connection keeps no buffer.
//!
//! The protocol is rustls'; here bytes are moved between it and the socket. What is read is decrypted where it lies, on the
//! stack; only the beginning of a record is kept, and what the reader has not taken.

mod handshake;
mod side;
#[cfg(test)]
mod tests;

use std::io;
use std::mem::{MaybeUninit, take};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use rustls::CommonState;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::side::{Side, Step, Wish};
use super::{READ_AHEAD_LEN, Socket, joined};
use crate::budget::Charge;

/// One end of a TLS connection.
///
/// A write or flush that is pending has left encrypted bytes behind; only a flush that is ready says that the socket has
/// taken everything. All methods are polled by one task.
#[derive(Debug)]
pub struct TlsStream {
    socket: Socket,
    side: Side,
    /// The beginning of a record, or of a handshake message.
    incoming: Vec<u8>,
    /// What was decrypted, and not taken yet.
    plain: Bytes,
    /// What was encrypted.
    outgoing: Vec<u8>,
    /// How much of that is written.
    written: usize,
    reading: Reading,
    /// Whether our `close_notify` was sent.
    has_closed: bool,
    /// Counts what it holds.
    charge: Option<Charge>,
}

/// The state of the reading side.
#[derive(Debug)]
enum Reading {
    Open,
    /// The other side said that this was all.
    Closed,
    /// The connection ended, and the other side had not said so.
    Cut,
    /// What was read is not TLS, or was changed on its way.
    Failed(rustls::Error),
}

impl TlsStream {
    const fn new(socket: Socket, side: Side) -> Self {
        Self {
            socket,
            side,
            incoming: Vec::new(),
            plain: Bytes::new(),
            outgoing: Vec::new(),
            written: 0,
            reading: Reading::Open,
            has_closed: false,
            charge: None,
        }
    }

    /// Counts what it holds from now on.
    #[must_use]
    pub fn charged(self, charge: Charge) -> Self {
        Self { charge: Some(charge), ..self }
    }

    /// Counts what it holds; returns the result of what has changed it.
    fn counted<T>(&mut self, polled: T) -> T {
        if let Some(charge) = &mut self.charge {
            charge.set(self.incoming.len() + self.plain.len() + self.outgoing.len());
        }
        polled
    }

    /// Returns the socket below.
    pub const fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Returns what was agreed in the handshake.
    pub fn agreed(&self) -> &CommonState {
        self.side.common()
    }

    /// Reads from the socket once, and decrypts that: first into `buf`, and beyond it to be taken next.
    fn poll_decrypt(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut room = [const { MaybeUninit::uninit() }; READ_AHEAD_LEN];
        let mut read = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut read))?;
        let bytes = read.filled_mut();
        if bytes.is_empty() {
            self.reading = Reading::Cut;
        } else if self.incoming.is_empty() {
            let len = self.decrypt(bytes, buf);
            self.incoming = bytes[len..].to_vec();
        } else {
            self.incoming.extend_from_slice(bytes);
            self.decrypt_rest(buf);
        }
        Poll::Ready(Ok(()))
    }

    /// Decrypts what was kept.
    fn decrypt_rest(&mut self, buf: &mut ReadBuf<'_>) {
        let mut incoming = take(&mut self.incoming);
        let len = self.decrypt(&mut incoming, buf);
        incoming.drain(..len);
        if !incoming.is_empty() {
            self.incoming = incoming;
        }
    }

    /// Decrypts whole records, and returns how many bytes they were. What is to be answered to them is encrypted.
    fn decrypt(&mut self, bytes: &mut [u8], buf: &mut ReadBuf<'_>) -> usize {
        let (mut len, mut rest) = (0, Vec::new());
        let mut plain = |payload: &[u8]| {
            let now = payload.len().min(buf.remaining());
            buf.put_slice(&payload[..now]);
            rest.extend_from_slice(&payload[now..]);
        };
        loop {
            let (step, taken) = self.side.step(&mut bytes[len..], Wish::Read, &mut plain, &mut self.outgoing);
            len += taken;
            match step {
                Ok(Step::Further) => {}
                Ok(Step::Closed) => self.reading = Reading::Closed,
                Ok(Step::Done | Step::Blocked) => break,
                Err(error) => {
                    self.reading = Reading::Failed(error);
                    self.side.alert(&mut self.outgoing);
                    break;
                }
            }
        }
        if !rest.is_empty() {
            self.plain = joined(self.plain.split_off(0), rest.into());
        }
        len
    }

    /// Reads what was decrypted, or what comes next.
    fn poll_plain(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        while buf.filled().len() == before && buf.remaining() > 0 {
            if !self.plain.is_empty() {
                let len = self.plain.len().min(buf.remaining());
                buf.put_slice(&self.plain[..len]);
                self.plain.advance(len);
                if self.plain.is_empty() {
                    // An empty buffer would keep its memory.
                    self.plain = Bytes::new();
                }
                break;
            }
            if !self.outgoing.is_empty() {
                // An answer that nobody else may write. A fault of the writing side is told to the writer.
                let _ = self.poll_drain(cx);
            }
            match &self.reading {
                Reading::Open => ready!(self.poll_decrypt(cx, buf))?,
                Reading::Closed => break,
                Reading::Cut => return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, CUT))),
                Reading::Failed(error) => return Poll::Ready(Err(invalid(error.clone()))),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Encrypts what is wished.
    fn encrypt(&mut self, wish: Wish<'_>) -> io::Result<()> {
        let (mut incoming, mut rest) = (take(&mut self.incoming), Vec::new());
        let mut len = 0;
        let encrypted = loop {
            let mut plain = |payload: &[u8]| rest.extend_from_slice(payload);
            let (step, taken) = self.side.step(&mut incoming[len..], wish, &mut plain, &mut self.outgoing);
            len += taken;
            match step {
                Ok(Step::Further) => {}
                Ok(Step::Closed) => self.reading = Reading::Closed,
                Ok(Step::Done) => break Ok(()),
                Ok(Step::Blocked) => break Err(io::ErrorKind::BrokenPipe.into()),
                Err(error) => break Err(invalid(error)),
            }
        };
        incoming.drain(..len);
        if !incoming.is_empty() {
            self.incoming = incoming;
        }
        if !rest.is_empty() {
            self.plain = joined(self.plain.split_off(0), rest.into());
        }
        encrypted
    }

    /// Writes what was encrypted.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.outgoing.len() {
            match ready!(Pin::new(&mut self.socket).poll_write(cx, &self.outgoing[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                len => self.written += len,
            }
        }
        // An empty buffer would keep its memory.
        (self.outgoing, self.written) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }

    /// Encrypts and writes a part of `buf`, once everything before it is written.
    fn poll_write_part(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_drain(cx))?;
        // Nothing follows an alert that ends the connection (RFC 8446, section 6).
        if self.has_closed || matches!(self.reading, Reading::Failed(_)) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let part = &buf[..buf.len().min(WRITE_LEN_MAX)];
        if !part.is_empty() {
            self.encrypt(Wish::Write(part))?;
            // What the socket does not take now is written by the next write or flush.
            if let Poll::Ready(Err(error)) = self.poll_drain(cx) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(part.len()))
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = this.poll_plain(cx, buf);
        this.counted(polled)
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = this.poll_write_part(cx, buf);
        this.counted(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut bufs = bufs.iter().filter(|buf| !buf.is_empty());
        let (first, second) = (bufs.next(), bufs.next());
        let (Some(first), Some(second)) = (first, second) else {
            return self.poll_write(cx, first.map_or(&[][..], |first| first));
        };
        // In one record, if they fit.
        let mut part = Vec::new();
        for buf in [first, second].into_iter().chain(bufs) {
            part.extend_from_slice(&buf[..buf.len().min(WRITE_LEN_MAX - part.len())]);
        }
        self.poll_write(cx, &part)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let drained = this.poll_drain(cx);
        ready!(this.counted(drained))?;
        Pin::new(&mut this.socket).poll_flush(cx)
    }

    /// Says that this was all (RFC 8446, section 6.1), and closes the writing side.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.has_closed {
            this.has_closed = true;
            if !matches!(this.reading, Reading::Failed(_)) {
                this.encrypt(Wish::Close)?;
            }
        }
        let drained = this.poll_drain(cx);
        ready!(this.counted(drained))?;
        Pin::new(&mut this.socket).poll_shutdown(cx)
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// How much is encrypted at once: four records.
const WRITE_LEN_MAX: usize = 64 << 10;
const CUT: &str = "the connection ended without a close_notify";
