//! A body at the side that sends it.

use bytes::Bytes;

use super::queue::Queue;
use super::window::{PIECE_LEN_MAX, Violation, WINDOW};

/// The pieces of one body, from the moment when they are added until the other side took them. A piece may have a receipt
/// `R`, which is returned once the other side took all of it; receipts that are dropped with the body were not.
#[derive(Debug)]
pub struct Sending<R> {
    /// What has not been sent.
    pieces: Queue<Bytes>,
    /// Where each piece with a receipt ends.
    receipts: Queue<(u64, R)>,
    added: u64,
    sent: u64,
    took: u64,
    /// What its header says.
    len: Option<u64>,
    end: End,
}

/// The next thing to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sent {
    /// A piece, of [`PIECE_LEN_MAX`] bytes at most.
    Piece(Bytes),
    /// There will be none.
    End,
}

/// Whether a body is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Open,
    /// The other side does not know it yet.
    Known,
    /// The other side knows it by the length.
    Implied,
    Sent,
}

impl<R> Default for Sending<R> {
    fn default() -> Self {
        Self {
            pieces: Queue::default(),
            receipts: Queue::default(),
            added: 0,
            sent: 0,
            took: 0,
            len: None,
            end: End::Open,
        }
    }
}

impl<R> Sending<R> {
    /// Notes how long the body will be: once so much was sent, it has ended.
    pub fn expect(&mut self, len: u64) {
        self.len = Some(len);
        self.end = if len == 0 { End::Sent } else { End::Open };
    }

    /// Notes that all of it was sent in another way. Its receipt waits for a `TOOK`.
    pub fn sent_whole(&mut self, len: usize, receipt: R) {
        (self.added, self.sent, self.end) = (len as u64, len as u64, End::Sent);
        self.receipts.push_back((self.added, receipt));
    }

    /// Adds a piece. Returns its receipt if there is nothing to wait for, because it is empty and everything before it was
    /// taken: no `TOOK` would come for it.
    #[must_use]
    pub fn push(&mut self, bytes: Bytes, receipt: Option<R>) -> Option<R> {
        self.added += bytes.len() as u64;
        if self.end == End::Open && self.len.is_some_and(|len| self.added >= len) {
            self.end = End::Implied;
        }
        if !bytes.is_empty() {
            self.pieces.push_back(bytes);
        }
        if self.added == self.took {
            return receipt;
        }
        if let Some(receipt) = receipt {
            self.receipts.push_back((self.added, receipt));
        }
        None
    }

    /// Notes that the body is complete.
    pub fn end(&mut self) {
        if self.end == End::Open {
            self.end = End::Known;
        }
    }

    /// Returns whether everything that was added has been sent, so that more is wanted.
    pub fn wants_more(&self) -> bool {
        self.pieces.is_empty() && self.end == End::Open
    }

    /// Returns whether the body is complete.
    pub fn has_ended(&self) -> bool {
        self.end != End::Open
    }

    /// Returns whether something has not been sent yet, perhaps because the window is full.
    pub fn is_pending(&self) -> bool {
        !self.pieces.is_empty() || self.end == End::Known
    }

    /// Returns whether there is something to send now.
    pub fn is_ready(&self) -> bool {
        match self.pieces.front() {
            Some(_) => self.sent - self.took < WINDOW,
            None => self.end == End::Known,
        }
    }

    /// Takes what is to be sent next, as far as the window is open.
    pub fn pop(&mut self) -> Option<Sent> {
        if !self.is_ready() {
            return None;
        }
        let Some(piece) = self.pieces.front_mut() else {
            self.end = End::Sent;
            return Some(Sent::End);
        };
        let room = usize::try_from(WINDOW - (self.sent - self.took)).unwrap_or(usize::MAX);
        let bytes = piece.split_to(piece.len().min(PIECE_LEN_MAX).min(room));
        if piece.is_empty() {
            self.pieces.pop_front();
        }
        if self.pieces.is_empty() && self.end == End::Implied {
            self.end = End::Sent;
        }
        self.sent += bytes.len() as u64;
        Some(Sent::Piece(bytes))
    }

    /// Handles a `TOOK`; returns the receipts of the pieces that the other side has now taken.
    ///
    /// # Errors
    /// The other side claims more than was sent, or less than before.
    pub fn took(&mut self, count: u64) -> Result<Vec<R>, Violation> {
        if count > self.sent || count < self.took {
            return Err(Violation("a TOOK that cannot be"));
        }
        self.took = count;
        Ok(self.receipts.drain_while(|(end, _)| *end <= count).map(|(_, receipt)| receipt).collect())
    }

    /// Returns how many bytes have not been sent yet, unless one who waits for a receipt counts them.
    pub fn held(&self) -> u64 {
        if self.receipts.is_empty() { self.added - self.sent } else { 0 }
    }

    /// Returns whether the body was sent in full, and nothing waits for a `TOOK`.
    pub fn is_over(&self) -> bool {
        self.end == End::Sent && self.receipts.is_empty()
    }
}
