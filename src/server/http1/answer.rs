//! Responses that are written without hyper, byte for byte as with it: their headers, and those whose body is there.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, Response, StatusCode, Version};
use http_body::Body;
use hyper::ext::ReasonPhrase;
use tokio::io::AsyncWrite as _;

use crate::date;
use crate::duplex::{Duplex, Receipt, Receipted, spell_header};
use crate::spelling::Spelling;

/// A response that is being written.
pub(super) struct Written {
    /// The header, and a short body behind it.
    first: Bytes,
    /// A long body.
    rest: Bytes,
    receipt: Option<Receipt>,
}

impl Written {
    /// Takes a response's body to write it; `None` if hyper must write the response, of which nothing is taken then.
    pub(super) fn of<B: Body + Receipted>(response: &mut Response<B>) -> Option<Self> {
        if !response.body().is_whole() {
            return None;
        }
        let len = usize::try_from(response.body().size_hint().exact()?).ok()?;
        let mut first = header(response, Framing::Length(len))?;
        let (mut rest, receipt) = response.body_mut().take_whole()?;
        if rest.len() <= SHORT_LEN {
            first.extend_from_slice(&rest);
            rest = Bytes::new();
        }
        Some(Self { first: first.into(), rest, receipt })
    }

    /// Writes it. Once it is written and flushed, its receipt is settled.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, duplex: &mut Duplex) -> Poll<io::Result<()>> {
        while !self.first.is_empty() || !self.rest.is_empty() {
            let pieces = [IoSlice::new(&self.first), IoSlice::new(&self.rest)];
            let mut stream = Pin::new(&mut *duplex);
            let taken = match (self.first.is_empty(), self.rest.is_empty()) {
                (_, true) => ready!(stream.as_mut().poll_write(cx, &self.first))?,
                (true, false) => ready!(stream.as_mut().poll_write(cx, &self.rest))?,
                (false, false) => ready!(stream.as_mut().poll_write_vectored(cx, &pieces))?,
            };
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_first = taken.min(self.first.len());
            self.first.advance(of_first);
            self.rest.advance(taken - of_first);
        }
        ready!(Pin::new(duplex).poll_flush(cx))?;
        if let Some(receipt) = self.receipt.take() {
            receipt.settle();
        }
        Poll::Ready(Ok(()))
    }
}

/// How a response's body is delimited.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(usize),
    Chunked,
}

/// Returns the header of a response whose body is delimited so; `None` if hyper must write it.
pub(super) fn header<B: Receipted>(response: &Response<B>, framing: Framing) -> Option<Vec<u8>> {
    let status = response.status();
    let has_body = status != StatusCode::NO_CONTENT;
    let extensions = response.extensions();
    if response.version() != Version::HTTP_11
        || status.is_informational()
        || status == StatusCode::NOT_MODIFIED
        || !has_body && framing != Framing::Length(0)
        || Spelling::is_applied(extensions)
        || extensions.get::<ReasonPhrase>().is_some()
    {
        return None;
    }
    let shared = match response.body().headers() {
        Some(shared) => shared.written(spelled_lines)?,
        None => &[],
    };
    let body_room = match framing {
        Framing::Length(len) if len <= SHORT_LEN => len,
        Framing::Length(_) | Framing::Chunked => 0,
    };
    let mut header = Vec::with_capacity(HEADER_ROOM + body_room);
    if status == StatusCode::OK {
        header.extend_from_slice(FIRST_LINE);
    } else {
        header.extend_from_slice(b"HTTP/1.1 ");
        header.extend_from_slice(status.as_str().as_bytes());
        header.push(b' ');
        header.extend_from_slice(status.canonical_reason()?.as_bytes());
        header.extend_from_slice(b"\r\n");
    }
    extend_lines(&mut header, response.headers())?;
    header.extend_from_slice(shared);
    // Most often these are all lines, or none.
    let is_spelled = response.headers().is_empty() && !shared.is_empty() && framing != Framing::Chunked;
    match framing {
        Framing::Length(len) if has_body => {
            header.extend_from_slice(if is_spelled { b"Content-Length: " } else { b"content-length: " });
            extend_number(&mut header, len);
            header.extend_from_slice(b"\r\n");
        }
        Framing::Length(_) => {}
        Framing::Chunked => header.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    header.extend_from_slice(if is_spelled { b"Date: " } else { b"date: " });
    date::extend(&mut header);
    header.extend_from_slice(b"\r\n\r\n");
    if !is_spelled {
        spell_header(&mut header);
    }
    Some(header)
}

/// Adds the lines of these headers; `None` if hyper must write them.
#[inline]
fn extend_lines(header: &mut Vec<u8>, headers: &HeaderMap) -> Option<()> {
    for (name, value) in headers {
        if matches!(*name, CONNECTION | CONTENT_LENGTH | DATE | TRAILER | TRANSFER_ENCODING) {
            return None;
        }
        header.extend_from_slice(name.as_str().as_bytes());
        header.extend_from_slice(b": ");
        header.extend_from_slice(value.as_bytes());
        header.extend_from_slice(b"\r\n");
    }
    Some(())
}

/// Returns the lines of these headers with their names spelled; `None` if hyper must write them.
fn spelled_lines(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut lines = FIRST_LINE.to_vec();
    extend_lines(&mut lines, headers)?;
    lines.extend_from_slice(b"\r\n");
    spell_header(&mut lines);
    lines.truncate(lines.len() - b"\r\n".len());
    Some(lines.split_off(FIRST_LINE.len()))
}

fn extend_number(header: &mut Vec<u8>, mut number: usize) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b"0123456789"[number % 10];
        number /= 10;
        if number == 0 {
            break;
        }
    }
    header.extend_from_slice(&digits[at..]);
}

const FIRST_LINE: &[u8] = b"HTTP/1.1 200 OK\r\n";
/// Enough for a usual header.
const HEADER_ROOM: usize = 512;
/// A body is copied behind its header up to this length: one piece is cheaper for the system than two.
pub(super) const SHORT_LEN: usize = 1024;
