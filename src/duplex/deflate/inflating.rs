//! A compressed message that comes in several parts.

use super::states::{CHUNK_LEN, Inflater, Malformed, TAIL};
use crate::frame_header::{apply_mask, header_len};

/// A message that is inflated as its bytes come.
pub(in crate::duplex) struct Inflating {
    inflater: Inflater,
    /// The bytes of its frames.
    wire_len: u64,
    is_masked: bool,
    /// Whether it has any content at all.
    has_content: bool,
}

/// What a message holds while it is inflated: what is inflated and not taken yet, and zlib's window and tables.
pub(in crate::duplex) const INFLATER_LEN: usize = CHUNK_LEN + (42 << 10);

/// Why a message can't be inflated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::duplex) enum Uninflatable {
    Malformed,
    /// It becomes longer than it may.
    TooLarge,
}

impl Inflating {
    /// Begins a message.
    pub(in crate::duplex) fn new(is_masked: bool) -> Self {
        Self { inflater: Inflater::take(), wire_len: 0, is_masked, has_content: false }
    }

    /// Counts a frame of the message.
    pub(in crate::duplex) const fn count_frame(&mut self, header_len: usize, payload_len: u64) {
        self.wire_len = self.wire_len.saturating_add(header_len as u64).saturating_add(payload_len);
    }

    /// Returns how many bytes its frames have, as far as they have begun.
    pub(in crate::duplex) const fn wire_len(&self) -> u64 {
        self.wire_len
    }

    /// Inflates some of the message to the end of `to`, which may have `len_max` bytes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(in crate::duplex) fn inflate(
        &mut self,
        part: &[u8],
        mask: Option<[u8; 4]>,
        len_max: usize,
        to: &mut Vec<u8>,
    ) -> Result<(), Uninflatable> {
        self.has_content |= !part.is_empty();
        for piece in part.chunks(PIECE_LEN) {
            let mut room = [0; PIECE_LEN];
            let mut rest = match mask {
                None => piece,
                Some(mask) => {
                    let room = &mut room[..piece.len()];
                    room.copy_from_slice(piece);
                    apply_mask(room, mask);
                    room
                }
            };
            loop {
                let taken = self.inflater.inflate(rest)?;
                rest = &rest[taken..];
                let may_be_more = self.inflater.is_full();
                self.pass_on(len_max, to)?;
                if !may_be_more {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Inflates what its sender left out. Returns how many bytes it would have taken more in one plain frame.
    ///
    /// # Errors
    /// The message was cut off.
    pub(in crate::duplex) fn finish(mut self, content_len: usize) -> Result<u64, Uninflatable> {
        // Nothing at all is no stream, but the reference server takes it for an empty message. And a stream that is
        // over has left nothing out.
        if self.has_content && !self.inflater.is_over() {
            let taken = self.inflater.inflate(&TAIL)?;
            // Of a message that was cut off, the tail would become something.
            if taken < TAIL.len() || !self.inflater.chunk().is_empty() || !self.inflater.is_over() {
                return Err(Uninflatable::Malformed);
            }
        }
        self.inflater.give_back();
        let plain_len = header_len(content_len, self.is_masked) + content_len;
        Ok((plain_len as u64).saturating_sub(self.wire_len))
    }

    fn pass_on(&mut self, len_max: usize, to: &mut Vec<u8>) -> Result<(), Uninflatable> {
        let chunk = self.inflater.chunk();
        if chunk.len() > len_max.saturating_sub(to.len()) {
            return Err(Uninflatable::TooLarge);
        }
        to.extend_from_slice(chunk);
        self.inflater.clear();
        Ok(())
    }
}

impl From<Malformed> for Uninflatable {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

/// How much is unmasked at once: some whole masks.
const PIECE_LEN: usize = 2 << 10;
