//! The headers of requests and responses, as they go from node to node.

use bytes::{Buf as _, BufMut as _, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::prefix::{ASK, HEAD, Malformed, Number, frame};

/// The header of a request, with what the asker knows of its client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Its method.
    pub method: Method,
    /// Its path and query, as the client wrote them.
    pub target: String,
    /// The headers that a session's requests are judged by, and `Host`.
    pub headers: HeaderMap,
    /// The client's address, as trusted proxies tell it.
    pub client: Address,
    /// What else is known.
    pub flags: Flags,
}

/// The header of a response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Whether a body follows, or after a 101 the bytes of another protocol.
    pub has_body: bool,
}

/// An address: as IPv6, to which IPv4 is mapped, and a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    /// The address.
    pub ip: [u8; 16],
    /// The port.
    pub port: u16,
}

/// What is known of a request besides its header.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a bit of its own")]
pub struct Flags {
    /// A body follows.
    pub has_body: bool,
    /// It asks for another protocol.
    pub upgrades: bool,
    /// Its client used TLS.
    pub secure: bool,
    /// It is not passed on: the asker only looks for the session that it is for.
    pub is_search: bool,
}

/// A header is longer than a frame for headers may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the header is too large for another node")]
pub struct HeadTooLarge;

impl Ask {
    pub(super) fn write(&self, number: Number, out: &mut BytesMut) -> Result<(), HeadTooLarge> {
        write_ask(out, number, &self.method, &self.target, self.headers.iter(), self.client, self.flags)
    }
}

impl Head {
    pub(super) fn write(&self, number: Number, out: &mut BytesMut) -> Result<(), HeadTooLarge> {
        write_head(out, number, self.status, &self.headers, self.has_body)
    }
}

/// Writes the header of a request.
///
/// # Errors
/// It is too large; nothing was written.
pub fn write_ask<'h>(
    out: &mut BytesMut,
    number: Number,
    method: &Method,
    target: &str,
    headers: impl Iterator<Item = (&'h HeaderName, &'h HeaderValue)>,
    client: Address,
    flags: Flags,
) -> Result<(), HeadTooLarge> {
    let is_written = frame(out, ASK, number, LEN_MAX, |out| {
        out.put_u8(flags.to_byte());
        out.put_slice(&client.ip);
        out.put_u16(client.port);
        put_short(out, method.as_str().as_bytes());
        put_long(out, target.as_bytes());
        put_headers(out, headers);
    });
    if is_written { Ok(()) } else { Err(HeadTooLarge) }
}

/// Writes the header of a response.
///
/// # Errors
/// It is too large; nothing was written.
pub fn write_head(
    out: &mut BytesMut,
    number: Number,
    status: StatusCode,
    headers: &HeaderMap,
    has_body: bool,
) -> Result<(), HeadTooLarge> {
    let is_written = frame(out, HEAD, number, LEN_MAX, |out| {
        out.put_u8(u8::from(has_body));
        out.put_u16(status.as_u16());
        put_headers(out, headers.iter());
    });
    if is_written { Ok(()) } else { Err(HeadTooLarge) }
}

pub(super) fn read_ask(mut payload: &[u8]) -> Result<Ask, Malformed> {
    let from = &mut payload;
    let flags = Flags::of_byte(take(from, 1)?[0])?;
    let mut ip = [0; 16];
    ip.copy_from_slice(take(from, 16)?);
    let client = Address { ip, port: take(from, 2)?.get_u16() };
    let method = Method::from_bytes(short(from)?).map_err(|_| Malformed("not a method"))?;
    let target = String::from_utf8(long(from)?.to_vec()).map_err(|_| Malformed("not a target"))?;
    Ok(Ask { method, target, headers: headers(from)?, client, flags })
}

pub(super) fn read_head(mut payload: &[u8]) -> Result<Head, Malformed> {
    let from = &mut payload;
    let has_body = match take(from, 1)?[0] {
        0 => false,
        1 => true,
        _ => return Err(Malformed("unknown flags")),
    };
    let status = StatusCode::from_u16(take(from, 2)?.get_u16()).map_err(|_| Malformed("not a status"))?;
    Ok(Head { status, headers: headers(from)?, has_body })
}

impl Flags {
    const fn to_byte(self) -> u8 {
        let Self { has_body, upgrades, secure, is_search } = self;
        has_body as u8 | (upgrades as u8) << 1 | (secure as u8) << 2 | (is_search as u8) << 3
    }

    fn of_byte(byte: u8) -> Result<Self, Malformed> {
        if byte > 15 {
            return Err(Malformed("unknown flags"));
        }
        let is = |bit| byte & bit != 0;
        Ok(Self { has_body: is(1), upgrades: is(2), secure: is(4), is_search: is(8) })
    }
}

fn put_headers<'h>(out: &mut BytesMut, headers: impl Iterator<Item = (&'h HeaderName, &'h HeaderValue)>) {
    for (name, value) in headers {
        put_short(out, name.as_str().as_bytes());
        put_long(out, value.as_bytes());
    }
}

fn headers(from: &mut &[u8]) -> Result<HeaderMap, Malformed> {
    let mut headers = HeaderMap::new();
    while !from.is_empty() {
        let name = HeaderName::from_bytes(short(from)?).map_err(|_| Malformed("not a header's name"))?;
        let value = HeaderValue::from_bytes(long(from)?).map_err(|_| Malformed("not a header's value"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Writes bytes behind their length in one byte. What is longer makes the header unreadable, so the frame is filled until
/// it is refused as too large.
fn put_short(out: &mut BytesMut, bytes: &[u8]) {
    match u8::try_from(bytes.len()) {
        Ok(len) => {
            out.put_u8(len);
            out.put_slice(bytes);
        }
        Err(_) => out.put_bytes(0, LEN_MAX + 1),
    }
}

/// Writes bytes behind their length in two bytes; what is longer is refused as too large anyway.
fn put_long(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
    out.put_slice(bytes);
}

fn short<'p>(from: &mut &'p [u8]) -> Result<&'p [u8], Malformed> {
    let len = take(from, 1)?[0];
    take(from, len.into())
}

fn long<'p>(from: &mut &'p [u8]) -> Result<&'p [u8], Malformed> {
    let len = take(from, 2)?.get_u16();
    take(from, len.into())
}

fn take<'p>(from: &mut &'p [u8], len: usize) -> Result<&'p [u8], Malformed> {
    from.split_off(..len).ok_or(Malformed("a header ends too soon"))
}

/// The longest header: beyond it the client gets 431.
const LEN_MAX: usize = 16 << 10;
