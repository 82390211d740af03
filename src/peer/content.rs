//! The body behind a header, as far as the frame of the header tells of it.

use bytes::{Buf as _, BufMut as _, Bytes};

use super::prefix::{Malformed, PREFIX_LEN};

/// The body behind a header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// There is none.
    Nothing,
    /// This is all of it. Its sender waits for no `TOOK`.
    Whole(Bytes),
    /// This is all of it. Its sender waits for a `TOOK`.
    Awaited(Bytes),
    /// It follows in pieces, and no `END` follows them if its length is known. After a 101, it is another protocol.
    Pieces(Option<u64>),
}

impl Content {
    /// Returns what the frame of a header begins with. What is here of the body ends the frame.
    pub(super) fn start(&self) -> [u8; LEN] {
        let (kind, len) = match self {
            Self::Nothing => (NOTHING, 0),
            Self::Whole(bytes) => (WHOLE, bytes.len() as u64),
            Self::Awaited(bytes) => (AWAITED, bytes.len() as u64),
            Self::Pieces(None) => (PIECES, 0),
            Self::Pieces(Some(len)) => (SIZED, *len),
        };
        let mut start = [kind; LEN];
        start[1..].copy_from_slice(&len.to_be_bytes());
        start
    }

    /// Returns what is here of the body.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) | Self::Awaited(bytes) => bytes,
            Self::Nothing | Self::Pieces(_) => &[],
        }
    }

    /// Has what is here of the body kept for long.
    pub(super) fn keep(&mut self) {
        if let Self::Whole(bytes) | Self::Awaited(bytes) = self {
            *bytes = kept(std::mem::take(bytes));
        }
    }

    /// Takes it from the frame of a header, of which the header is left.
    pub(super) fn split_off(payload: &mut Bytes) -> Result<Self, Malformed> {
        if payload.len() < LEN {
            return Err(Malformed("a header ends too soon"));
        }
        let (kind, len) = (payload.get_u8(), payload.get_u64());
        let mut whole = || {
            let at = usize::try_from(len).ok().and_then(|len| payload.len().checked_sub(len));
            at.map(|at| payload.split_off(at)).ok_or(Malformed("a body ends too soon"))
        };
        Ok(match (kind, len) {
            (NOTHING, 0) => Self::Nothing,
            (WHOLE, _) => Self::Whole(whole()?),
            (AWAITED, _) => Self::Awaited(whole()?),
            (PIECES, 0) => Self::Pieces(None),
            (SIZED, len) => Self::Pieces(Some(len)),
            _ => return Err(Malformed("not a body")),
        })
    }
}

/// Returns bytes that may be kept for long. Few of them are copied: they would keep the whole buffer alive that they are a part of.
pub(super) fn kept(bytes: Bytes) -> Bytes {
    if bytes.len() <= COPIED_LEN_MAX { Bytes::copy_from_slice(&bytes) } else { bytes }
}

/// Makes a written frame of a header one without a body.
pub(super) fn be_empty(frame: &mut [u8]) {
    be_content(frame, NOTHING, 0);
}

/// Makes a written frame of a header one whose body, of this length, ends it.
pub(super) fn be_whole(frame: &mut [u8], len: usize) {
    be_content(frame, WHOLE, len as u64);
}

fn be_content(frame: &mut [u8], kind: u8, len: u64) {
    put_len(frame);
    let mut content = &mut frame[PREFIX_LEN..PREFIX_LEN + LEN];
    content.put_u8(kind);
    content.put_u64(len);
}

/// Notes the length of a written frame, which has grown.
pub(super) fn put_len(frame: &mut [u8]) {
    let payload_len = frame.len() - PREFIX_LEN;
    (&mut frame[..3]).put_uint(payload_len as u64, 3);
}

const COPIED_LEN_MAX: usize = 2 << 10;
/// The length of what is said of it.
pub(super) const LEN: usize = 9;

const NOTHING: u8 = 0;
const WHOLE: u8 = 1;
const AWAITED: u8 = 2;
const PIECES: u8 = 3;
const SIZED: u8 = 4;
