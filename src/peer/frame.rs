//! The frames, and their payloads.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::content::kept;
use super::head::{self, Ask, Head};
use super::lines::Lines;
use super::prefix::{
    ASK, BODY, END, GONE, HEAD, LEAVING, LOST, Malformed, NO_REQUEST, Number, PING, PONG, PREFIX_LEN,
    RELEASE, TOOK, begin,
};

/// One frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// The header of a request.
    Ask(Number, Box<Ask>),
    /// The header of its response.
    Head(Number, Box<Head>),
    /// A piece of a body, in either direction.
    Body(Number, Bytes),
    /// The body of the same direction is complete.
    End(Number),
    /// So many bytes of the body in the other direction have gone on, in all.
    Took(Number, u64),
    /// The asker needs no response any more: its client is gone.
    Gone(Number),
    /// The response breaks here, behind its header.
    Lost(Number),
    /// The asker stops: a poll that waits is to be answered now.
    Release(Number),
    /// Asks whether the other side is there.
    Ping,
    /// It is.
    Pong(Load),
    /// The owner drains. It still answers.
    Leaving,
}

/// What a node says of itself with each `PONG`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Load {
    /// Its sessions.
    pub sessions: u32,
    /// The requests of the other side that wait there.
    pub asked: u32,
}

impl Frame {
    /// Writes the frame. Headers are usually written by [`write_ask`](super::write_ask) and
    /// [`write_head`](super::write_head), which need no copy of them; too large a header is left out.
    pub fn write(&self, out: &mut BytesMut) {
        match self {
            // Only a test writes a header that it has read.
            Self::Ask(number, ask) => drop(ask.write(*number, out)),
            Self::Head(number, head) => drop(head.write(*number, out)),
            Self::Body(number, bytes) => {
                begin(out, BODY, *number, bytes.len());
                out.extend_from_slice(bytes);
            }
            Self::End(number) => begin(out, END, *number, 0),
            Self::Took(number, count) => {
                begin(out, TOOK, *number, 8);
                out.put_u64(*count);
            }
            Self::Gone(number) => begin(out, GONE, *number, 0),
            Self::Lost(number) => begin(out, LOST, *number, 0),
            Self::Release(number) => begin(out, RELEASE, *number, 0),
            Self::Ping => begin(out, PING, NO_REQUEST, 0),
            Self::Pong(load) => {
                begin(out, PONG, NO_REQUEST, 8);
                out.put_u32(load.sessions);
                out.put_u32(load.asked);
            }
            Self::Leaving => begin(out, LEAVING, NO_REQUEST, 0),
        }
    }

    /// Takes the next frame from what was read, if it is there in full.
    ///
    /// # Errors
    /// What comes next is no frame; nothing behind it can be read.
    pub fn read(read: &mut BytesMut, lines: &mut Lines) -> Result<Option<Self>, Malformed> {
        let Some((prefix, rest)) = read.split_at_checked(PREFIX_LEN) else { return Ok(None) };
        let len = usize::from(prefix[0]) << 16 | usize::from(prefix[1]) << 8 | usize::from(prefix[2]);
        if len > PAYLOAD_LEN_MAX {
            return Err(Malformed("a frame is too long"));
        }
        let verb = prefix[3];
        if !(ASK..=LEAVING).contains(&verb) {
            return Err(Malformed("an unknown verb"));
        }
        if rest.len() < len {
            return Ok(None);
        }
        let number = Number(u32::from_be_bytes([prefix[4], prefix[5], prefix[6], prefix[7]]));
        read.advance(PREFIX_LEN);
        let payload = read.split_to(len);
        Self::of(verb, number, payload, lines).map(Some)
    }

    fn of(verb: u8, number: Number, mut payload: BytesMut, lines: &mut Lines) -> Result<Self, Malformed> {
        let of_len = |len: usize| {
            if payload.len() == len { Ok(()) } else { Err(Malformed("a frame of the wrong length")) }
        };
        Ok(match verb {
            // But for its body, it is read and dropped before more is read into the buffer that it is a part of.
            ASK => {
                let mut ask = head::read_ask(payload.freeze(), lines)?;
                ask.content.keep();
                Self::Ask(number, Box::new(ask))
            }
            HEAD => {
                let mut head = head::read_head(payload.freeze(), lines)?;
                head.content.keep();
                Self::Head(number, Box::new(head))
            }
            BODY => Self::Body(number, kept(payload.freeze())),
            TOOK => {
                of_len(8)?;
                Self::Took(number, payload.get_u64())
            }
            PONG => {
                of_len(8)?;
                Self::Pong(Load { sessions: payload.get_u32(), asked: payload.get_u32() })
            }
            _ => {
                of_len(0)?;
                match verb {
                    END => Self::End(number),
                    GONE => Self::Gone(number),
                    LOST => Self::Lost(number),
                    RELEASE => Self::Release(number),
                    PING => Self::Ping,
                    LEAVING => Self::Leaving,
                    _ => return Err(Malformed("an unknown verb")),
                }
            }
        })
    }
}

/// A longer body comes in several frames.
const PAYLOAD_LEN_MAX: usize = 64 << 10;
