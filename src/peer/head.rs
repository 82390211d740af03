//! The headers of requests and responses, as they go from node to node.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::content::{self, Content, kept};
use super::lines::{Lines, long, short, take};
use super::names::{self, SPELLED};
use super::prefix::{ASK, HEAD, Malformed, Number, PREFIX_LEN, frame};
use super::read::{self, Read};
use crate::shared_headers::SharedHeaders;

/// The header of a request, with what the asker knows of its client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Its method.
    pub method: Method,
    /// Its path and query, as the client wrote them.
    pub target: Bytes,
    /// The headers that a session's requests are judged by, and `Host`.
    pub headers: SharedHeaders,
    /// The client's address, as trusted proxies tell it.
    pub client: Address,
    /// What else is known.
    pub known: Known,
    /// Its body.
    pub content: Content,
}

/// The header of a response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, without the length of its body.
    pub headers: SharedHeaders,
    /// Its body.
    pub content: Content,
}

/// A header line, as it goes from node to node.
#[derive(Debug)]
pub struct Line<'h> {
    /// What stands for its name.
    byte: u8,
    name: &'h HeaderName,
    value: &'h HeaderValue,
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
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Known {
    /// How long its header was.
    pub head_len: u32,
    /// It asks for another protocol.
    pub upgrades: bool,
    /// Its client used TLS.
    pub secure: bool,
    /// It is not passed on: the asker only looks for the session that it is for.
    pub is_search: bool,
    /// One of its header lines names the listener at which its client came in.
    pub names_listener: bool,
    /// What the asker has read in it. The id is a part of its target.
    pub read: Option<Read>,
}

/// A header is longer than a frame for headers may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the header is too large for another node")]
pub struct HeadTooLarge;

impl Ask {
    pub(super) fn write(&self, number: Number, out: &mut BytesMut) -> Result<(), HeadTooLarge> {
        let lines = self.headers.map().iter().map(Line::from);
        write_ask(out, number, &self.method, &self.target, lines, self.client, self.known, &self.content)
    }
}

impl Head {
    pub(super) fn write(&self, number: Number, out: &mut BytesMut) -> Result<(), HeadTooLarge> {
        write_head(out, number, self.status, self.headers.map(), &self.content)
    }
}

impl<'h> From<(&'h HeaderName, &'h HeaderValue)> for Line<'h> {
    fn from((name, value): (&'h HeaderName, &'h HeaderValue)) -> Self {
        Self { byte: names::byte_of(name), name, value }
    }
}

impl Line<'_> {
    /// Returns whether a session's requests are judged by it.
    pub fn crosses(&self, upgrades: bool) -> bool {
        names::crosses(self.byte, self.name, self.value, upgrades)
    }

    fn write(&self, out: &mut BytesMut) {
        let value = self.value.as_bytes();
        if self.byte == SPELLED {
            out.put_u8(SPELLED);
            put_short(out, self.name.as_str().as_bytes());
            put_long(out, value);
        } else {
            let [high, low] = long_len(value);
            out.extend_from_slice(&[self.byte, high, low]);
            out.extend_from_slice(value);
        }
    }
}

/// Writes the header of a request.
///
/// # Errors
/// It is too large; nothing was written.
#[expect(clippy::too_many_arguments, reason = "they are the parts of a request")]
pub fn write_ask<'l>(
    out: &mut BytesMut,
    number: Number,
    method: &Method,
    target: &[u8],
    lines: impl Iterator<Item = Line<'l>>,
    client: Address,
    known: Known,
    content: &Content,
) -> Result<(), HeadTooLarge> {
    let bytes = content.bytes();
    let is_written = frame(out, ASK, number, LEN_MAX + bytes.len(), |out| {
        // One piece of a known length is written in a few steps.
        let mut fixed = [0; content::LEN + FIXED_LEN];
        let (start, rest) = fixed.split_at_mut(content::LEN);
        start.copy_from_slice(&content.start());
        rest[0] = known.flags();
        rest[1..5].copy_from_slice(&known.head_len.to_be_bytes());
        rest[5..21].copy_from_slice(&client.ip);
        rest[21..].copy_from_slice(&client.port.to_be_bytes());
        out.extend_from_slice(&fixed);
        if let Some(read) = known.read {
            out.extend_from_slice(&read.to_bytes());
        }
        put_short(out, method.as_str().as_bytes());
        put_long(out, target);
        lines.for_each(|line| line.write(out));
        out.put_slice(bytes);
    });
    if is_written { Ok(()) } else { Err(HeadTooLarge) }
}

impl Number {
    /// Writes the frame of a request's header again that was written for another number. `read` is what the asker has read in it,
    /// which the frame itself leaves out, and `whole` its body, if all of it is there.
    pub fn write_again(self, frame: &[u8], read: Option<Read>, whole: Option<&Bytes>, out: &mut BytesMut) {
        let start = out.len();
        out.reserve(frame.len() + read::LEN + whole.map_or(0, Bytes::len));
        if let Some(read) = read
            && let Some((fixed, rest)) = frame.split_at_checked(READ_AT)
        {
            out.extend_from_slice(fixed);
            out.extend_from_slice(&read.to_bytes());
            out.extend_from_slice(rest);
            out[start + FLAGS_AT] |= HAS_READ;
            content::put_len(&mut out[start..]);
        } else {
            out.extend_from_slice(frame);
        }
        self.put(&mut out[start..]);
        if let Some(bytes) = whole {
            out.extend_from_slice(bytes);
            content::be_whole(&mut out[start..], bytes.len());
        }
    }
}

/// Returns the frame of a request's header as one that only looks for the session.
pub fn search_of(ask: &[u8]) -> Box<[u8]> {
    let mut search: Box<[u8]> = Box::from(ask);
    if let Some(flags) = search.get_mut(FLAGS_AT) {
        *flags |= Known { is_search: true, ..Known::default() }.flags();
        content::be_empty(&mut search);
    }
    search
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
    content: &Content,
) -> Result<(), HeadTooLarge> {
    let bytes = content.bytes();
    let is_written = frame(out, HEAD, number, LEN_MAX + bytes.len(), |out| {
        out.extend_from_slice(&content.start());
        out.extend_from_slice(&status.as_u16().to_be_bytes());
        for line in headers.iter().map(Line::from) {
            line.write(out);
        }
        out.put_slice(bytes);
    });
    if is_written { Ok(()) } else { Err(HeadTooLarge) }
}

/// Its target, its values and its body are parts of `payload`.
pub(super) fn read_ask(mut payload: Bytes, lines: &mut Lines) -> Result<Ask, Malformed> {
    let content = Content::split_off(&mut payload)?;
    let from = &mut &payload[..];
    let flags = take(from, 1)?[0];
    let mut known = Known::of_flags(flags)?;
    known.head_len = take(from, 4)?.get_u32();
    let mut ip = [0; 16];
    ip.copy_from_slice(take(from, 16)?);
    let client = Address { ip, port: take(from, 2)?.get_u16() };
    if flags & HAS_READ != 0 {
        known.read = Some(Read::take(from)?);
    }
    let method = Method::from_bytes(short(from)?).map_err(|_| Malformed("not a method"))?;
    let target = payload.slice_ref(long(from)?);
    if known.read.is_some_and(|read| read.sid(&target).is_none()) {
        return Err(Malformed("an id that is not in its target"));
    }
    let headers = lines.read(from, &payload)?;
    Ok(Ask { method, target, headers, client, known, content })
}

/// Its body is a part of `payload`. Its values may be kept for long.
pub(super) fn read_head(mut payload: Bytes, lines: &mut Lines) -> Result<Head, Malformed> {
    let content = Content::split_off(&mut payload)?;
    let from = &mut &payload[..];
    let status = StatusCode::from_u16(take(from, 2)?.get_u16()).map_err(|_| Malformed("not a status"))?;
    if let Some(headers) = lines.find(from) {
        return Ok(Head { status, headers, content });
    }
    let rest = kept(payload.slice_ref(from));
    Ok(Head { status, headers: lines.read(&mut &rest[..], &rest)?, content })
}

impl Known {
    const fn flags(self) -> u8 {
        let Self { head_len: _, upgrades, secure, is_search, names_listener, read } = self;
        let read = if read.is_some() { HAS_READ } else { 0 };
        upgrades as u8 | (secure as u8) << 1 | (is_search as u8) << 2 | (names_listener as u8) << 3 | read
    }

    fn of_flags(flags: u8) -> Result<Self, Malformed> {
        if flags > 31 {
            return Err(Malformed("unknown flags"));
        }
        let is = |bit| flags & bit != 0;
        let (upgrades, secure, is_search, names_listener) = (is(1), is(2), is(4), is(8));
        Ok(Self { head_len: 0, upgrades, secure, is_search, names_listener, read: None })
    }
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
    out.extend_from_slice(&long_len(bytes));
    out.extend_from_slice(bytes);
}

fn long_len(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes()
}

/// The longest header: beyond it the client gets 431.
const LEN_MAX: usize = 16 << 10;
/// What stands before a request's method, behind what is said of its body, but for what the asker has read.
const FIXED_LEN: usize = 23;
/// Where the flags of a request's frame are.
const FLAGS_AT: usize = PREFIX_LEN + content::LEN;
/// Where it says what the asker has read.
const READ_AT: usize = FLAGS_AT + FIXED_LEN;
/// The flag of a frame that says so.
const HAS_READ: u8 = 16;
