//! Outgoing frames: what waits to be written, in one piece.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite as _;

use super::masks::random_mask;
use crate::duplex::Duplex;
use crate::frame_header::{FrameHeader, HEADER_LEN_MAX, apply_mask};

/// What waits to be written. It holds no memory when nothing does.
pub(super) struct Writer {
    bytes: Vec<u8>,
    /// How many of the bytes are written.
    written: usize,
    /// When so much waits, it is written before more is taken.
    len_max: usize,
    /// Whether the stream did not take everything: then nothing is taken before it has.
    is_blocked: bool,
    /// Whether frames are masked, as a client's are.
    masks: bool,
}

impl Writer {
    pub(super) const fn new(len_max: usize, masks: bool) -> Self {
        Self { bytes: Vec::new(), written: 0, len_max, is_blocked: false, masks }
    }

    /// Returns whether what waits is to be written before a frame is added.
    pub(super) const fn is_full(&self) -> bool {
        self.is_blocked || !self.has_room()
    }

    /// Returns whether the answer to a ping may be added. That is short, and need not wait for a stream that is blocked.
    pub(super) const fn has_room(&self) -> bool {
        self.bytes.len() < self.len_max
    }

    /// Returns how many bytes its buffer holds.
    pub(super) const fn held(&self) -> usize {
        self.bytes.len()
    }

    #[cfg(test)]
    pub(super) const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Adds a whole frame.
    pub(super) fn add(&mut self, opcode: u8, reserved: u8, payload: &[u8]) {
        let mask = self.masks.then(random_mask);
        let payload_len = payload.len() as u64;
        let frame_len = HEADER_LEN_MAX + payload.len();
        if self.bytes.is_empty() {
            self.bytes.reserve_exact(frame_len.max(FIRST_LEN));
        } else {
            self.bytes.reserve(frame_len);
        }
        FrameHeader { fin: true, reserved, opcode, mask, payload_len }.write(&mut self.bytes);
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(payload);
        if let Some(mask) = mask {
            apply_mask(&mut self.bytes[begin..], mask);
        }
    }

    /// Writes what waits.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, duplex: &mut Duplex) -> Poll<io::Result<()>> {
        while self.written < self.bytes.len() {
            self.is_blocked = true;
            match ready!(Pin::new(&mut *duplex).poll_write(cx, &self.bytes[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                len => self.written += len,
            }
        }
        if self.written > 0 {
            // An empty buffer would keep its memory.
            (self.bytes, self.written, self.is_blocked) = (Vec::new(), 0, false);
        }
        Poll::Ready(Ok(()))
    }
}

/// Room for some short messages.
const FIRST_LEN: usize = 256;
