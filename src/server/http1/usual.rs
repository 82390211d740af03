//! Usual requests, read without hyper: a GET, or a POST with a short body, that came in one piece.
//!
//! The parser is hyper's own (`httparse`), so a header means here what it means there. Everything for which hyper does
//! more than to pass it on is left to hyper, and so is everything that it refuses.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{
    self, CONNECTION, CONTENT_LENGTH, EXPECT, HeaderMap, HeaderName, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderValue, Method, Uri};
use memchr::memmem;

use super::super::caller::Request;
use crate::client_body::ClientBody;

/// A usual request, and the bytes of its header.
pub(super) struct Usual {
    pub(super) request: Request,
    pub(super) header: Bytes,
}

/// Returns the request that these bytes are; `None` if they are more, or less, or hyper must read them.
pub(super) fn read(bytes: &[u8]) -> Option<Usual> {
    let (method, header_len) = if bytes.starts_with(b"GET ") && bytes.ends_with(END) {
        // A body would end it earlier.
        (Method::GET, bytes.len())
    } else if bytes.starts_with(b"POST ") {
        (Method::POST, memmem::find(bytes, END)? + END.len())
    } else {
        return None;
    };
    // Its own: the values of the header share it, as long as any of them is kept.
    let header = Bytes::copy_from_slice(&bytes[..header_len]);
    let mut room = [const { MaybeUninit::uninit() }; LINES_MAX];
    let mut parsed = httparse::Request::new(&mut []);
    let len = match parsed.parse_with_uninit_headers(&header, &mut room) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) | Err(_) => return None,
    };
    if len != header_len || parsed.version != Some(1) {
        return None;
    }
    let uri = Uri::from_maybe_shared(header.slice_ref(parsed.path?.as_bytes())).ok()?;
    let mut body_len = None;
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for line in &*parsed.headers {
        let name = name(line.name)?;
        match name {
            TRANSFER_ENCODING | UPGRADE | EXPECT | TE => return None,
            CONNECTION if !line.value.eq_ignore_ascii_case(b"keep-alive") => return None,
            CONTENT_LENGTH if body_len.is_some() => return None,
            CONTENT_LENGTH => body_len = Some(length(line.value)?),
            _ => {}
        }
        let value = HeaderValue::from_maybe_shared(header.slice_ref(line.value)).ok()?;
        headers.try_append(name, value).ok()?;
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

/// Returns a header's name. The usual ones, as browsers spell them, are recognised without looking at each letter.
fn name(spelled: &str) -> Option<HeaderName> {
    Some(match spelled {
        "Host" => header::HOST,
        "Accept" => header::ACCEPT,
        "Cookie" => header::COOKIE,
        "Origin" => header::ORIGIN,
        "Referer" => header::REFERER,
        "Connection" => CONNECTION,
        "User-Agent" => header::USER_AGENT,
        "Content-Type" => header::CONTENT_TYPE,
        "Cache-Control" => header::CACHE_CONTROL,
        "Content-Length" => CONTENT_LENGTH,
        "Accept-Encoding" => header::ACCEPT_ENCODING,
        "Accept-Language" => header::ACCEPT_LANGUAGE,
        other => HeaderName::from_bytes(other.as_bytes()).ok()?,
    })
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
/// More lines are unusual. Hyper reads 100, or more if it must.
const LINES_MAX: usize = 64;
