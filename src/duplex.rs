//! A byte stream in both directions over any carrier, and the WebSocket that runs over it.

mod ahead;
mod asking;
mod deflate;
mod farewell;
mod heads;
mod interim;
mod keepalive;
mod merging;
mod outside;
mod patience;
mod raw_headers;
mod read_ahead;
mod receipts;
mod settling;
mod socket;
mod speller;
mod stream;
mod tls_stream;
mod tracked;
mod web_socket;
mod written_ahead;

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures_util::FutureExt as _;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, Interest, ReadBuf, Ready};
use tokio::time::Sleep;

pub use self::ahead::Ahead;
pub use self::asking::Asking;
pub use self::deflate::{Agreed, Deflate, Savings};
pub use self::farewell::Farewell;
pub use self::heads::{Heads, Room};
pub use self::interim::{Answers, TooManyInterim};
pub use self::keepalive::set_keepalive;
pub use self::outside::Outside;
pub use self::patience::{Patience, Stalled};
pub use self::raw_headers::{RawHeaders, SpelledNames};
pub use self::read_ahead::Reader;
pub use self::receipts::{
    Carrying, Piece, Receipt, Receipted, Settle, Unflushed, give_to_hyper, settle_headers,
};
pub use self::settling::{Begun, Settling};
pub use self::socket::Socket;
pub use self::speller::spell_header;
pub use self::stream::StreamTerms;
pub use self::tls_stream::TlsStream;
pub use self::tracked::Tracked;
#[cfg_attr(not(fuzzing), cfg(test))]
pub(crate) use self::web_socket::tests::any::{check_deflate, check_web_socket};
pub use self::web_socket::{
    Buffers, Fault, Incoming, Violation, WebSocket, binary_frame, random_mask, text_frame,
};
pub use self::written_ahead::{Writer, WrittenAhead};
use crate::descriptors;

/// A carrier of bytes in both directions.
///
/// If it has [`Patience`], a write fails with [`Stalled`] once the other side has read nothing for too long.
#[derive(Debug)]
pub struct Duplex {
    carrier: Carrier,
    /// Read before anything else.
    ahead: Bytes,
    /// How many more bytes may be read.
    left: usize,
    patience: Option<Patience>,
    /// The deadline of the pending write.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Dropped with the stream.
    _companion: Option<Box<dyn Companion>>,
}

/// An enum and not a trait object, so that a read costs no indirect call.
#[derive(Debug)]
enum Carrier {
    Socket(Socket),
    Tls(Box<TlsStream>),
    Memory(DuplexStream),
    /// Boxed, because few connections are carried so.
    Other(Box<dyn Carries>),
}

/// What another module counts as long as a stream lives.
pub trait Companion: Send + Sync + std::fmt::Debug {}

/// A stream that another module makes.
pub trait Carries: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug> Carries for S {}

impl Duplex {
    const fn new(carrier: Carrier) -> Self {
        Self {
            carrier,
            ahead: Bytes::new(),
            left: usize::MAX,
            patience: None,
            deadline: None,
            _companion: None,
        }
    }

    /// Returns the same stream with bytes before all that is still to be read.
    #[must_use]
    pub fn behind(mut self, bytes: Bytes) -> Self {
        self.put_before(bytes);
        self
    }

    fn put_before(&mut self, bytes: Bytes) {
        self.ahead = joined(bytes, self.take_ahead());
    }

    /// Takes back the part of what was put before the stream that has not been read.
    pub fn take_ahead(&mut self) -> Bytes {
        std::mem::take(&mut self.ahead)
    }

    /// Bounds its writes; with `None` the writer bounds them.
    #[must_use]
    pub fn with_patience(self, patience: Option<Patience>) -> Self {
        Self { patience, deadline: None, ..self }
    }

    /// Does the same for a stream that is in use.
    pub fn set_patience(&mut self, patience: Patience) {
        (self.patience, self.deadline) = (Some(patience), None);
    }

    /// Has no more than so many bytes read from now on: a peer that has been told of the end may send on without end.
    pub fn read_at_most(&mut self, len: usize) {
        self.left = self.left.min(len);
    }

    /// Returns whether a write has failed because the other side read nothing for too long.
    pub fn is_stalled(&self) -> bool {
        self.patience.as_ref().is_some_and(Patience::is_over)
    }

    /// Keeps a value until the stream is dropped.
    #[must_use]
    pub fn with_companion(self, companion: Box<dyn Companion>) -> Self {
        Self { _companion: Some(companion), ..self }
    }

    /// Reads ahead while the reader waits for something else. If pending, it is woken by any event of the stream.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ReadAheadEnd>> {
        while self.ahead.len() < READ_AHEAD_LEN {
            let mut room = [const { MaybeUninit::uninit() }; READ_AHEAD_LEN];
            let mut read = ReadBuf::uninit(&mut room[self.ahead.len()..]);
            match ready!(self.poll_read_carrier(cx, &mut read)) {
                Ok(()) if read.filled().is_empty() => return Poll::Ready(Ok(ReadAheadEnd::End)),
                Ok(()) => {
                    let read = Bytes::copy_from_slice(read.filled());
                    self.ahead = joined(self.take_ahead(), read);
                }
                // TLS that ends without a close_notify.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Poll::Ready(Ok(ReadAheadEnd::End));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(ReadAheadEnd::Full))
    }

    /// Returns the socket's readiness as last reported; the system is not asked.
    fn signs(&self) -> Ready {
        let socket = match &self.carrier {
            Carrier::Socket(stream) => stream,
            Carrier::Tls(stream) => stream.socket(),
            Carrier::Memory(_) | Carrier::Other(_) => return Ready::EMPTY,
        };
        let every = Interest::READABLE | Interest::WRITABLE;
        socket.ready(every).now_or_never().and_then(Result::ok).unwrap_or(Ready::EMPTY)
    }

    /// Returns how long a stopped stream may stand still.
    fn limit(&self, stopped: ReadAheadEnd) -> Duration {
        let limit = |patience: &Patience| match stopped {
            ReadAheadEnd::Full => patience.unread(),
            // A client that only listens is disconnected first to make room.
            ReadAheadEnd::End if descriptors::are_scarce() => Duration::ZERO,
            ReadAheadEnd::End => patience.half_close(),
        };
        self.patience.as_ref().map(limit).unwrap_or_default()
    }

    fn poll_read_carrier(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Socket(stream) => Pin::new(stream).poll_read(cx, buf),
            Carrier::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Carrier::Memory(stream) => Pin::new(stream).poll_read(cx, buf),
            Carrier::Other(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }

    /// Checks the result of a write.
    fn judge<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let Some(patience) = &self.patience else { return written };
        if written.is_ready() {
            self.deadline = None;
            return written;
        }
        let limit = || Box::pin(tokio::time::sleep(patience.limit()));
        ready!(self.deadline.get_or_insert_with(limit).as_mut().poll(cx));
        Poll::Ready(Err(patience.run_out()))
    }

    /// Takes the stream out of a connection that hyper has upgraded, with the bytes that hyper read ahead.
    ///
    /// # Errors
    /// The connection was made over neither a [`Tracked`] nor an [`Asking`].
    pub fn from_upgraded(upgraded: Upgraded) -> io::Result<(Self, Bytes)> {
        let (mut duplex, read_buf) = match upgraded.downcast::<TokioIo<Tracked>>() {
            Ok(parts) => (parts.io.into_inner().into_outside().into_inner(), parts.read_buf),
            Err(upgraded) => match upgraded.downcast::<TokioIo<Asking>>() {
                Ok(parts) => (parts.io.into_inner().into_inner(), parts.read_buf),
                Err(_) => return Err(io::Error::other("an upgraded connection was not carried by a Duplex")),
            },
        };
        let rest = duplex.take_ahead();
        // Copied, because its buffer is hyper's: even an empty slice would keep the whole buffer alive.
        Ok((duplex, joined(Bytes::copy_from_slice(&read_buf), rest)))
    }
}

/// Why reading ahead has stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ReadAheadEnd {
    /// The buffer is full.
    Full,
    /// The other side has closed its sending side.
    End,
}

/// Returns two byte buffers as one; usually at most one is not empty.
pub fn joined(first: Bytes, second: Bytes) -> Bytes {
    match (first.is_empty(), second.is_empty()) {
        (_, true) => first,
        (true, false) => second,
        (false, false) => Bytes::from([first, second].concat()),
    }
}

/// Returns the contents of `bufs` in one piece, if they fit into `room`.
fn concat<'r>(bufs: &[io::IoSlice<'_>], room: &'r mut [u8]) -> Option<&'r [u8]> {
    let mut len = 0;
    for buf in bufs {
        room.get_mut(len..len + buf.len())?.copy_from_slice(buf);
        len += buf.len();
    }
    Some(&room[..len])
}

/// How much is still read of a side that has been told of the end: more than is on its way.
pub const LINGER_LEN_MAX: usize = 16 << 20;
/// The size of a WebSocket's read, and of what is read ahead of a waiting request.
const READ_AHEAD_LEN: usize = 8 << 10;
/// Shorter pieces are copied together rather than written separately.
const SHORT_LEN: usize = 512;

/// A connection in the clear.
impl From<Socket> for Duplex {
    fn from(socket: Socket) -> Self {
        Self::new(Carrier::Socket(socket))
    }
}

/// A TLS connection, from a client or to a backend.
impl From<TlsStream> for Duplex {
    fn from(stream: TlsStream) -> Self {
        Self::new(Carrier::Tls(Box::new(stream)))
    }
}

/// A pipe inside this process, for the embedded backend and tests.
impl From<DuplexStream> for Duplex {
    fn from(stream: DuplexStream) -> Self {
        Self::new(Carrier::Memory(stream))
    }
}

/// A stream that another module makes.
impl From<Box<dyn Carries>> for Duplex {
    fn from(stream: Box<dyn Carries>) -> Self {
        Self::new(Carrier::Other(stream))
    }
}

impl AsyncRead for Duplex {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.ahead.is_empty() {
            let len = this.ahead.len().min(buf.remaining());
            buf.put_slice(&this.ahead[..len]);
            // Not split: that would take a counter for the two halves.
            this.ahead.advance(len);
            if this.ahead.is_empty() {
                // An empty buffer would keep its memory.
                this.ahead = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        if this.left == usize::MAX {
            return this.poll_read_carrier(cx, buf);
        }
        if this.left == 0 {
            return Poll::Ready(Err(io::Error::other("the other side sends on after the end")));
        }
        let before = buf.filled().len();
        let read = this.poll_read_carrier(cx, buf);
        this.left = this.left.saturating_sub(buf.filled().len() - before);
        read
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.carrier {
            Carrier::Socket(stream) => Pin::new(stream).poll_write(cx, buf),
            Carrier::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Carrier::Memory(stream) => Pin::new(stream).poll_write(cx, buf),
            Carrier::Other(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        this.judge(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut room = [0; SHORT_LEN];
        let written = match &mut this.carrier {
            // A short header and its short body: one piece is cheaper for the system than two.
            Carrier::Socket(stream) => match concat(bufs, &mut room) {
                Some(short) => Pin::new(stream).poll_write(cx, short),
                None => Pin::new(stream).poll_write_vectored(cx, bufs),
            },
            Carrier::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Carrier::Memory(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Carrier::Other(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        };
        this.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.carrier {
            Carrier::Socket(stream) => stream.is_write_vectored(),
            Carrier::Tls(stream) => stream.is_write_vectored(),
            Carrier::Memory(stream) => stream.is_write_vectored(),
            Carrier::Other(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match &mut this.carrier {
            // Nothing is kept here, so there is nothing to flush: a flush says nothing about the other side.
            Carrier::Socket(stream) => Pin::new(stream).poll_flush(cx),
            Carrier::Tls(stream) => {
                let flushed = Pin::new(stream).poll_flush(cx);
                this.judge(cx, flushed)
            }
            Carrier::Memory(stream) => Pin::new(stream).poll_flush(cx),
            Carrier::Other(stream) => {
                let flushed = Pin::new(stream).poll_flush(cx);
                this.judge(cx, flushed)
            }
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let ended = match &mut this.carrier {
            Carrier::Socket(stream) => Pin::new(stream).poll_shutdown(cx),
            Carrier::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Carrier::Memory(stream) => Pin::new(stream).poll_shutdown(cx),
            Carrier::Other(stream) => Pin::new(stream).poll_shutdown(cx),
        };
        this.judge(cx, ended)
    }
}
