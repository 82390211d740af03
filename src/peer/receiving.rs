//! A body at the side that receives it.

use bytes::Bytes;

use super::queue::Queue;
use super::window::{Violation, WINDOW};

/// The pieces of one body that have come, until they are taken, and how many bytes the other side was told of.
#[derive(Default, Debug)]
pub struct Receiving {
    pieces: Queue<Bytes>,
    came: u64,
    took: u64,
    told: u64,
    /// What its header says.
    len: Option<u64>,
    has_ended: bool,
}

impl Receiving {
    /// Notes how long the body will be: it ends there.
    pub fn expect(&mut self, len: u64) {
        self.len = Some(len);
        self.has_ended |= len == 0;
    }

    /// Notes that all of it has come in another way, and was taken out of here.
    pub fn read_whole(&mut self, len: usize) {
        self.came = len as u64;
        self.has_ended = true;
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// It comes behind the end, or exceeds the window.
    pub fn push(&mut self, bytes: Bytes) -> Result<(), Violation> {
        if self.has_ended {
            return Err(Violation("a piece behind the end"));
        }
        self.came += bytes.len() as u64;
        if self.came - self.told > WINDOW {
            return Err(Violation("a piece beyond the window"));
        }
        if let Some(len) = self.len {
            if self.came > len {
                return Err(Violation("a piece beyond the length"));
            }
            self.has_ended = self.came == len;
        }
        if !bytes.is_empty() {
            self.pieces.push_back(bytes);
        }
        Ok(())
    }

    /// Notes that the body is complete.
    pub fn end(&mut self) {
        self.has_ended = true;
    }

    /// Returns whether all of it has come.
    pub const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Takes the next piece, which has not gone on yet.
    pub fn pop(&mut self) -> Option<Bytes> {
        self.pieces.pop_front()
    }

    /// Puts back what was left of a piece.
    pub fn put_back(&mut self, rest: Bytes) {
        if !rest.is_empty() {
            self.pieces.push_front(rest);
        }
    }

    /// Notes that so many more bytes have gone on.
    pub fn take(&mut self, count: u64) {
        self.took = self.came.min(self.took + count);
    }

    /// Returns the number for a `TOOK`, if at least `count` bytes have gone on since the last one.
    pub fn tell(&mut self, count: u64) -> Option<u64> {
        if self.took - self.told < count.max(1) {
            return None;
        }
        self.told = self.took;
        Some(self.told)
    }

    /// Returns how many bytes have come and not gone on yet.
    pub const fn held(&self) -> u64 {
        self.came - self.took
    }

    /// Returns whether all of it has come and was taken out of here.
    pub fn is_read(&self) -> bool {
        self.has_ended && self.pieces.is_empty()
    }

    /// Returns whether all of it has come and gone on.
    pub const fn is_over(&self) -> bool {
        self.has_ended && self.told == self.came
    }
}
