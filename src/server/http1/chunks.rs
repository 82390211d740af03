//! Responses of unknown length that are written without hyper, chunk by chunk and in the same bytes (RFC 9112, section
//! 7.1). Between two parts, no buffer is kept.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, BytesMut};
use http::Response;
use http_body::Body;
use tokio::io::AsyncWrite as _;

use super::answer::{Framing, SHORT_LEN, header};
use crate::duplex::{Duplex, Outside, Receipted, Unflushed};
use crate::server::caller::BoxError;

/// A response that continues.
pub(super) struct Chunks<B: Body> {
    /// Until its end has come.
    body: Option<B>,
    /// The header, what frames the chunks, and short chunks.
    first: BytesMut,
    /// A long chunk, which follows.
    data: Option<B::Data>,
    unflushed: Unflushed,
}

impl<B: Body<Error: Into<BoxError>> + Receipted + Unpin> Chunks<B> {
    /// Returns a response's header, if it can be written here.
    pub(super) fn header_of(response: &Response<B>) -> Option<Vec<u8>> {
        if response.body().is_stream() { header(response, Framing::Chunked) } else { None }
    }

    /// Creates what writes such a header and the body that belongs to it.
    pub(super) fn new(header: &[u8], mut body: B) -> Self {
        let unflushed = Unflushed::default();
        body.set_connection(&unflushed);
        Self { body: Some(body), first: BytesMut::from(header), data: None, unflushed }
    }

    /// Writes it to its end. Each part's receipt is settled by the flush that follows it.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut Outside,
    ) -> Poll<Result<(), BoxError>> {
        let mut may_have_more = true;
        loop {
            if may_have_more {
                may_have_more = self.poll_parts(cx)?.is_ready();
            }
            if self.first.is_empty() && self.data.is_none() {
                break;
            }
            ready!(self.poll_out(cx, io.writer()))?;
        }
        ready!(io.poll_settle(cx, &self.unflushed))?;
        if self.body.is_none() {
            return Poll::Ready(Ok(()));
        }
        // Nothing else reads the socket now.
        io.poll_gone(cx).map(|gone| Err(gone.into()))
    }

    /// Takes parts of the body, as many as are written at once. Pending if there are no more now.
    fn poll_parts(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        while self.data.is_none() && self.first.len() < FULL_LEN {
            let Some(body) = &mut self.body else { return Poll::Pending };
            let Some(frame) = ready!(Pin::new(body).poll_frame(cx)) else {
                self.body = None;
                self.first.put_slice(b"0\r\n\r\n");
                continue;
            };
            // Of these bodies, none has trailers.
            let Ok(mut data) = frame.map_err(Into::into)?.into_data() else { continue };
            let len = data.remaining();
            if len == 0 {
                continue;
            }
            put_length(&mut self.first, len);
            if len <= SHORT_LEN {
                self.first.put(&mut data);
                self.first.put_slice(b"\r\n");
            } else {
                self.data = Some(data);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what was taken.
    fn poll_out(&mut self, cx: &mut Context<'_>, duplex: &mut Duplex) -> Poll<io::Result<()>> {
        let mut stream = Pin::new(duplex);
        while !self.first.is_empty() || self.data.is_some() {
            let long = self.data.as_ref().map_or(&[][..], |data| data.chunk());
            let taken = if long.is_empty() {
                ready!(stream.as_mut().poll_write(cx, &self.first))?
            } else {
                let pieces = [IoSlice::new(&self.first), IoSlice::new(long)];
                ready!(stream.as_mut().poll_write_vectored(cx, &pieces))?
            };
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_first = taken.min(self.first.len());
            self.first.advance(of_first);
            if let Some(data) = &mut self.data {
                data.advance(taken - of_first);
                if !data.has_remaining() {
                    self.data = None;
                    self.first.put_slice(b"\r\n");
                }
            }
        }
        // An empty buffer would keep its memory.
        self.first = BytesMut::new();
        Poll::Ready(Ok(()))
    }
}

fn put_length(first: &mut BytesMut, len: usize) {
    let mut digits = [0; 16];
    let (mut at, mut left) = (digits.len(), len);
    while left > 0 {
        at -= 1;
        digits[at] = b"0123456789ABCDEF"[left % 16];
        left /= 16;
    }
    first.put_slice(&digits[at..]);
    first.put_slice(b"\r\n");
}

/// More is not gathered for one write.
const FULL_LEN: usize = 16 << 10;
