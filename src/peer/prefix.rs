//! How every frame begins: a length of three bytes, a verb, and the number of a request.

use bytes::{BufMut as _, BytesMut};

/// The number of a request on its connection, which the asker chooses and does not use again soon.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Number(pub u32);

impl Number {
    /// The first number of a connection. 0 belongs to frames of no request.
    pub const FIRST: Self = Self(1);

    /// Returns the number behind this one; behind the last comes the first again.
    #[must_use]
    pub fn following(self) -> Self {
        self.0.checked_add(1).map_or(Self::FIRST, Self)
    }

    /// Puts it into a frame that was written for another request.
    pub(super) fn put(self, frame: &mut [u8]) {
        if let Some(number) = frame.get_mut(4..PREFIX_LEN) {
            number.copy_from_slice(&self.0.to_be_bytes());
        }
    }
}

/// Bytes that are no frame: the connection is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// Begins a frame with a payload of this length.
pub(super) fn begin(out: &mut BytesMut, verb: u8, number: Number, len: usize) {
    out.reserve(PREFIX_LEN + len);
    put_prefix(out, verb, number, len);
}

fn put_prefix(mut out: impl bytes::BufMut, verb: u8, Number(number): Number, len: usize) {
    out.put_uint(len as u64, 3);
    out.put_u8(verb);
    out.put_u32(number);
}

/// Writes a frame whose payload `write` appends, unless that is longer than `len_max`. Returns whether it was written.
pub(super) fn frame(
    out: &mut BytesMut,
    verb: u8,
    number: Number,
    len_max: usize,
    write: impl FnOnce(&mut BytesMut),
) -> bool {
    let start = out.len();
    out.put_bytes(0, PREFIX_LEN);
    write(out);
    let len = out.len() - start - PREFIX_LEN;
    if len > len_max {
        out.truncate(start);
        return false;
    }
    put_prefix(&mut out[start..start + PREFIX_LEN], verb, number, len);
    true
}

pub(super) const ASK: u8 = 1;
pub(super) const HEAD: u8 = 2;
pub(super) const BODY: u8 = 3;
pub(super) const END: u8 = 4;
pub(super) const TOOK: u8 = 5;
pub(super) const GONE: u8 = 6;
pub(super) const LOST: u8 = 7;
pub(super) const RELEASE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;
pub(super) const LEAVING: u8 = 11;

/// The number in a frame that belongs to no request.
pub(super) const NO_REQUEST: Number = Number(0);
pub(super) const PREFIX_LEN: usize = 8;
