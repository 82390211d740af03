//! The last response of a connection whose client took too long for a request's header, or which memory is too short for.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use crate::date;
use crate::duplex::Duplex;
use crate::limited::Limit;

/// A response that is written, and then the end.
pub(super) struct Refusing {
    /// Why the client is refused.
    pub(super) limit: Limit,
    duplex: Duplex,
    rest: Bytes,
}

impl Refusing {
    /// Takes the stream from hyper, which has written everything.
    pub(super) fn new(limit: Limit, duplex: Duplex) -> Self {
        let (status, text) = if limit == Limit::MemoryMax {
            (SHORT_OF_MEMORY, "the proxy is short of memory\n")
        } else {
            ("408 Request Timeout", "the request's header took too long\n")
        };
        let mut response = format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\
             Content-Type: text/plain; charset=utf-8\r\nDate: ",
            text.len()
        )
        .into_bytes();
        date::extend(&mut response);
        response.extend_from_slice(b"\r\n\r\n");
        response.extend_from_slice(text.as_bytes());
        Self { limit, duplex, rest: response.into() }
    }

    /// Writes it, and ends the sending side. Ready when the stream can be dropped.
    ///
    /// # Errors
    /// The stream is broken, or the client has read nothing for too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.rest.is_empty() {
            let taken = ready!(Pin::new(&mut self.duplex).poll_write(cx, &self.rest))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.rest.advance(taken);
        }
        ready!(Pin::new(&mut self.duplex).poll_flush(cx))?;
        ready!(Pin::new(&mut self.duplex).poll_shutdown(cx))?;
        // What lies unread would make the close a reset, which overtakes the response. More than it sent for a header is
        // not waited for.
        let mut room = [const { MaybeUninit::uninit() }; ROOM_LEN];
        for _ in 0..UNREAD_MAX / ROOM_LEN {
            let mut read = ReadBuf::uninit(&mut room);
            let is_read = Pin::new(&mut self.duplex).poll_read(cx, &mut read);
            if !matches!(is_read, Poll::Ready(Ok(()))) || read.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// With when to come again, as for every request that memory is too short for.
const SHORT_OF_MEMORY: &str = "503 Service Unavailable\r\nRetry-After: 5";
const ROOM_LEN: usize = 8 << 10;
/// More than the rest of a header.
const UNREAD_MAX: usize = 128 << 10;
