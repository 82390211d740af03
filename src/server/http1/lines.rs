//! The lines of a request's header. A client sends the same ones with each request, but for the length of a body, so those
//! that came lately are kept with what they mean, and are not read again. Cookies and credentials are among them: they stay in
//! the memory of the thread until another header takes their slot.

use std::cell::RefCell;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use memchr::memchr;
use memchr::memmem::Finder;

/// Reads lines that each end with CRLF, at most `count_max` of them. `None` if they are not all as usual.
pub(super) fn read(lines: &Bytes, has_body: bool, count_max: usize) -> Option<HeaderMap> {
    if lines.len() > KEPT_MAX {
        return parse(lines, count_max);
    }
    KNOWN.with_borrow_mut(|known| known.read(lines, has_body, count_max))
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::new(Known::default());
}

/// What a thread knows: at most [`SLOTS`] headers of [`KEPT_MAX`] bytes. Each has one slot, which the next one takes over.
struct Known {
    slots: Vec<Slot>,
    before_length: Finder<'static>,
}

#[derive(Clone, Default)]
struct Slot {
    /// The hash of those that came last: what comes only once is not worth its place.
    seen: u64,
    lines: Box<[u8]>,
    /// Where the length of the body was cut out.
    cut: Option<usize>,
    headers: Option<HeaderMap>,
}

impl Default for Known {
    fn default() -> Self {
        Self { slots: vec![Slot::default(); SLOTS], before_length: Finder::new(BEFORE_LENGTH) }
    }
}

impl Known {
    fn read(&mut self, lines: &Bytes, has_body: bool, count_max: usize) -> Option<HeaderMap> {
        let length = if has_body { self.length(lines) } else { None };
        let (before, after) =
            length.map_or((&lines[..], &[][..]), |(at, len)| (&lines[..at], &lines[at + len..]));
        let cut = length.map(|(at, _)| at);
        let hash = hash(hash(0, before), after);
        // Its upper bits, on which all bytes have an effect.
        let slot = &mut self.slots[(hash >> 48) as usize % SLOTS];
        if let Some(headers) = &slot.headers
            && slot.cut == cut
            && slot.lines.split_at_checked(before.len()) == Some((before, after))
        {
            let mut headers = headers.clone();
            if let Some((at, len)) = length {
                let value = HeaderValue::from_maybe_shared(lines.slice(at..at + len)).ok()?;
                headers.insert(header::CONTENT_LENGTH, value);
            }
            return Some(headers);
        }
        let headers = parse(lines, count_max)?;
        if slot.seen != hash {
            slot.seen = hash;
        // An `insert` would make one of two lengths.
        } else if headers.get_all(header::CONTENT_LENGTH).iter().nth(1).is_none() {
            // Its own: the values must not keep a whole request.
            let kept = Bytes::copy_from_slice(lines);
            slot.headers = parse(&kept, count_max);
            slot.lines = [before, after].concat().into();
            slot.cut = cut;
        }
        Some(headers)
    }

    /// Returns where the body's length is, and how many digits it has.
    fn length(&self, lines: &[u8]) -> Option<(usize, usize)> {
        let at = self.before_length.find(lines)? + BEFORE_LENGTH.len();
        let len = lines[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        (len > 0 && lines[at + len..].starts_with(b"\r\n")).then_some((at, len))
    }
}

/// Returns a number that differs for most contents. Contents made to have the same one are only read again.
fn hash(before: u64, bytes: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(before, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, byte| mix(hash, (*byte).into()))
}

fn parse(lines: &Bytes, count_max: usize) -> Option<HeaderMap> {
    let count = memchr::memchr_iter(b'\n', lines).count();
    if count > count_max {
        return None;
    }
    let mut headers = HeaderMap::with_capacity(count);
    let mut rest = &lines[..];
    while !rest.is_empty() {
        let (line, others) = rest.split_at(memchr(b'\n', rest)?);
        let line = line.strip_suffix(b"\r")?;
        let (name, value) = line.split_at(memchr(b':', line)?);
        let value = HeaderValue::from_maybe_shared(lines.slice_ref(trimmed(&value[1..]))).ok()?;
        headers.try_append(self::name(name)?, value).ok()?;
        rest = &others[1..];
    }
    Some(headers)
}

/// Returns a value without the spaces around it.
fn trimmed(value: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_space(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// Returns a header's name. The usual ones, as browsers spell them, are recognised without looking at each letter.
fn name(spelled: &[u8]) -> Option<HeaderName> {
    Some(match spelled {
        b"Host" => header::HOST,
        b"Accept" => header::ACCEPT,
        b"Cookie" => header::COOKIE,
        b"Origin" => header::ORIGIN,
        b"Referer" => header::REFERER,
        b"Connection" => header::CONNECTION,
        b"User-Agent" => header::USER_AGENT,
        b"Content-Type" => header::CONTENT_TYPE,
        b"Cache-Control" => header::CACHE_CONTROL,
        b"Content-Length" => header::CONTENT_LENGTH,
        b"Accept-Encoding" => header::ACCEPT_ENCODING,
        b"Accept-Language" => header::ACCEPT_LANGUAGE,
        other => HeaderName::from_bytes(other).ok()?,
    })
}

/// What is before a body's length, as browsers write it. A header never begins with it: its first line is `Host`.
const BEFORE_LENGTH: &[u8] = b"\r\nContent-Length: ";
/// How many headers a thread keeps, with up to some 3 kB each.
const SLOTS: usize = 512;
/// The longest header that is kept, in bytes.
const KEPT_MAX: usize = 1024;
