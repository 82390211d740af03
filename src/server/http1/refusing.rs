//! The last response of a connection whose client took too long for a request's header.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use crate::date;
use crate::duplex::Duplex;

/// A 408 that is written, and then the end.
pub(super) struct Refusing {
    duplex: Duplex,
    rest: Bytes,
}

impl Refusing {
    /// Takes the stream from hyper, which has written everything.
    pub(super) fn new(duplex: Duplex) -> Self {
        let mut response = HEAD.to_vec();
        response.extend_from_slice(b"Date: ");
        date::extend(&mut response);
        response.extend_from_slice(b"\r\n\r\n");
        response.extend_from_slice(TEXT);
        Self { duplex, rest: response.into() }
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
        let mut room = [const { MaybeUninit::uninit() }; UNREAD_MAX];
        let _ = Pin::new(&mut self.duplex).poll_read(cx, &mut ReadBuf::uninit(&mut room));
        Poll::Ready(Ok(()))
    }
}

const HEAD: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 35\r\n\
    Content-Type: text/plain; charset=utf-8\r\n";
const TEXT: &[u8] = b"the request's header took too long\n";
const _: () = assert!(TEXT.len() == 35);
const UNREAD_MAX: usize = 8 << 10;
