//! Usual requests, read without hyper: a GET, or a POST with a short body, that came in one piece.
//!
//! A header means here what it means to hyper. Everything for which hyper does more than to pass it on is left to hyper, and
//! so is everything that it refuses, or that looks unusual.

use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRANSFER_ENCODING, UPGRADE};
use http::{Method, Uri};
use memchr::memchr;
use memchr::memmem::Finder;

use super::super::caller::Request;
use super::super::connection_limits::ConnectionLimits;
use super::lines;
use crate::client_body::ClientBody;

/// A usual request, and the bytes of its header.
pub(super) struct Usual {
    pub(super) request: Request,
    pub(super) header: Bytes,
}

impl Usual {
    /// Returns whether it is not larger than a request may be.
    pub(super) fn is_within(&self, limits: &ConnectionLimits) -> bool {
        self.header.len() <= limits.header_max && limits.exceeded(&self.request).is_none()
    }
}

/// Returns the request that these bytes are; `None` if they are more, or less, or hyper must read them.
pub(super) fn read(bytes: &[u8]) -> Option<Usual> {
    let (method, header_len) = if bytes.starts_with(b"GET ") && bytes.ends_with(END) {
        // A body would end it earlier.
        (Method::GET, bytes.len())
    } else if bytes.starts_with(b"POST ") {
        (Method::POST, FIND_END.find(bytes)? + END.len())
    } else {
        return None;
    };
    // Its own: values of the header share it, as long as any of them is kept.
    let header = Bytes::copy_from_slice(&bytes[..header_len]);
    let first_len = memchr(b'\n', &header)? + 1;
    let target = header[method.as_str().len() + 1..first_len].strip_suffix(VERSION)?;
    if !target.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let uri = Uri::from_maybe_shared(header.slice_ref(target)).ok()?;
    let headers = lines::read(
        &header.slice(first_len..header_len - EMPTY_LINE.len()),
        method == Method::POST,
        LINES_MAX,
    )?;
    let mut body_len = None;
    for (name, value) in &headers {
        match *name {
            TRANSFER_ENCODING | UPGRADE | EXPECT | TE => return None,
            CONNECTION if !value.as_bytes().eq_ignore_ascii_case(b"keep-alive") => return None,
            CONTENT_LENGTH if body_len.is_some() => return None,
            CONTENT_LENGTH => body_len = Some(length(value.as_bytes())?),
            _ => {}
        }
    }
    let body = &bytes[header_len..];
    if body.len() != body_len.unwrap_or_default() {
        return None;
    }
    let mut request = Request::new(ClientBody::Whole(Bytes::copy_from_slice(body)));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Some(Usual { request, header })
}

/// Returns the value of a `Content-Length` that is not longer than usual.
fn length(value: &[u8]) -> Option<usize> {
    if value.is_empty() || value.len() > 6 {
        return None;
    }
    value
        .iter()
        .try_fold(0, |length, digit| digit.is_ascii_digit().then(|| length * 10 + usize::from(digit - b'0')))
}

/// Ends a header.
const END: &[u8] = b"\r\n\r\n";
/// Finds it. Made once, as that takes longer than most searches.
static FIND_END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(END));
/// The part of it that is a line of its own.
const EMPTY_LINE: &[u8] = b"\r\n";
/// Ends the first line.
const VERSION: &[u8] = b" HTTP/1.1\r\n";
/// More lines are unusual. Hyper reads 100, or more if it must.
const LINES_MAX: usize = 64;
