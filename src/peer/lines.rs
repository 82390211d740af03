//! The header lines behind a frame's fixed part. Those that come again and again are read once.

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::names::{self, SPELLED};
use super::prefix::Malformed;
use crate::hop::LINES_MAX;
use crate::shared_headers::SharedHeaders;

/// The lines that one connection has brought lately, as they were read. Most clients of a site send the same ones, and all
/// get the same ones.
#[derive(Default, Debug)]
pub struct Lines {
    known: Vec<Known>,
    /// Which one is the next to make way.
    next: usize,
}

#[derive(Debug)]
struct Known {
    bytes: Bytes,
    headers: SharedHeaders,
    /// How often it may stay when it is to make way.
    holds: u8,
}

impl Lines {
    /// Returns lines that have come before.
    pub(super) fn find(&mut self, bytes: &[u8]) -> Option<SharedHeaders> {
        let known = self.known.iter_mut().find(|known| *known.bytes == *bytes)?;
        known.holds = HOLDS;
        Some(known.headers.clone())
    }

    /// Reads the lines that `from` consists of, which is a part of `payload`.
    pub(super) fn read(&mut self, from: &mut &[u8], payload: &Bytes) -> Result<SharedHeaders, Malformed> {
        let bytes = *from;
        if let Some(headers) = self.find(bytes) {
            return Ok(headers);
        }
        let (headers, is_common) = read(from, payload)?;
        if is_common && bytes.len() <= KEPT_LEN_MAX && self.has_room() {
            // A copy: they are a part of a buffer that is much longer.
            let bytes = Bytes::copy_from_slice(bytes);
            let headers = SharedHeaders::from(read(&mut &bytes[..], &bytes)?.0);
            let known = Known { bytes, headers: headers.clone(), holds: 0 };
            match self.known.get_mut(self.next) {
                Some(before) => *before = known,
                None => self.known.push(known),
            }
            return Ok(headers);
        }
        Ok(headers.into())
    }

    /// Returns whether there is room for other lines.
    fn has_room(&mut self) -> bool {
        if self.known.len() < KNOWN_MAX {
            self.next = self.known.len();
            return true;
        }
        self.next = (self.next + 1) % KNOWN_MAX;
        let holds = &mut self.known[self.next].holds;
        let is_free = *holds == 0;
        *holds = holds.saturating_sub(1);
        is_free
    }
}

/// Returns also whether other clients may send or get the same lines.
fn read(from: &mut &[u8], payload: &Bytes) -> Result<(HeaderMap, bool), Malformed> {
    let mut headers = HeaderMap::with_capacity(USUAL);
    let mut is_common = true;
    while !from.is_empty() {
        let byte = take(from, 1)?[0];
        let name = match byte {
            SPELLED => HeaderName::from_bytes(short(from)?).ok(),
            byte => names::of_byte(byte),
        };
        let name = name.ok_or(Malformed("not a header's name"))?;
        let value = HeaderValue::from_maybe_shared(payload.slice_ref(long(from)?));
        is_common &= !names::is_of_one_client(byte);
        // A map of headers has an end, and panics beyond it.
        if headers.len() >= 2 * LINES_MAX {
            return Err(Malformed("too many headers"));
        }
        headers.append(name, value.map_err(|_| Malformed("not a header's value"))?);
    }
    Ok((headers, is_common))
}

/// Takes bytes behind their length in one byte.
pub(super) fn short<'p>(from: &mut &'p [u8]) -> Result<&'p [u8], Malformed> {
    let len = take(from, 1)?[0];
    take(from, len.into())
}

/// Takes bytes behind their length in two bytes.
pub(super) fn long<'p>(from: &mut &'p [u8]) -> Result<&'p [u8], Malformed> {
    let len = take(from, 2)?.get_u16();
    take(from, len.into())
}

/// Takes so many bytes.
pub(super) fn take<'p>(from: &mut &'p [u8], len: usize) -> Result<&'p [u8], Malformed> {
    from.split_off(..len).ok_or(Malformed("a header ends too soon"))
}

/// How many lines most requests have, and most responses: their maps have room from the beginning.
const USUAL: usize = 6;
/// Enough for the requests and responses of a few kinds of clients.
const KNOWN_MAX: usize = 8;
/// So others that do not come again cost little.
const HOLDS: u8 = 4;
const KEPT_LEN_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(byte: u8, value: &str) -> Vec<u8> {
        [&[byte, 0, u8::try_from(value.len()).unwrap()], value.as_bytes()].concat()
    }

    fn read(lines: &mut Lines, wire: &[u8]) -> Result<HeaderMap, Malformed> {
        let payload = Bytes::copy_from_slice(wire);
        lines.read(&mut &payload[..], &payload).map(SharedHeaders::into_map)
    }

    #[test]
    fn lines_that_come_again_are_the_same_and_stay() {
        let mut lines = Lines::default();
        let host = |index: usize| format!("{index}.example");
        for round in 0..30 {
            for index in [0, 1, 2 + round] {
                let headers = read(&mut lines, &line(1, &host(index))).unwrap();
                assert_eq!((headers.len(), headers["host"].to_str().unwrap()), (1, &*host(index)));
            }
        }
        assert_eq!(lines.known.len(), KNOWN_MAX);
        for index in [0, 1] {
            assert!(lines.known.iter().any(|known| *known.bytes == *line(1, &host(index))));
        }
        // What does not come any more makes way.
        for index in 100..200 {
            read(&mut lines, &line(1, &host(index))).unwrap();
        }
        assert!(lines.known.iter().all(|known| *known.bytes != *line(1, &host(0))));
    }

    #[test]
    fn what_is_of_one_client_or_wrong_or_long_is_not_kept() {
        let mut lines = Lines::default();
        assert!(read(&mut lines, &line(7, "secret=1")).unwrap().contains_key("cookie"));
        assert!(read(&mut lines, &line(19, "secret=1")).unwrap().contains_key("set-cookie"));
        assert!(read(&mut lines, &line(1, "a\n")).is_err());
        assert!(read(&mut lines, &line(1, "a")[..3]).is_err());
        assert!(read(&mut lines, &[line(1, "a"), line(200, "a")].concat()).is_err());
        let long = (0..3).flat_map(|_| line(3, &"x".repeat(200))).collect::<Vec<_>>();
        assert_eq!(read(&mut lines, &long).unwrap().get_all("origin").iter().count(), 3);
        assert_eq!(lines.known.len(), 0);
    }
}
