//! What the byte streams of an HTTP/2 connection have written, and the connection itself has not; and what it has taken of
//! headers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::heads::Heads;
use super::merging::{CONTINUATION, DATA, END_HEADERS, FLAGS, HEADER_LEN, HEADERS, KIND, payload_len};
use crate::budget::Charge;

/// Counts what hyper has taken of a connection's byte streams and not written. It copies that, and does not tell how much
/// is left. The pieces of bodies are counted as they are taken, so whatever else DATA frames carry is of byte streams.
/// Clones share the count.
#[derive(Clone, Debug)]
pub struct WrittenAhead(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// While there is none, nothing is counted and nothing is locked.
    writers: AtomicUsize,
    count: Mutex<Count>,
    heads: Heads,
}

#[derive(Debug)]
struct Count {
    waiting: usize,
    charge: Charge,
    /// What hyper has taken of bodies for its next frames.
    of_bodies: usize,
}

/// A byte stream, as far as it writes.
///
/// What is left of one that ends early is forgotten with the last of them: how much of it was written is not known.
#[derive(Debug)]
pub struct Writer(WrittenAhead);

impl WrittenAhead {
    /// Creates the count of a connection.
    pub fn new(charge: Charge) -> Self {
        let heads = Heads::new(charge.another());
        let count = Mutex::new(Count { waiting: 0, charge, of_bodies: 0 });
        Self(Arc::new(Shared { writers: AtomicUsize::new(0), count, heads }))
    }

    /// Returns the count of the headers of responses.
    pub fn heads(&self) -> &Heads {
        &self.0.heads
    }

    /// Counts a byte stream.
    pub fn writer(&self) -> Writer {
        self.0.writers.fetch_add(1, Ordering::Relaxed);
        Writer(self.clone())
    }

    /// Notes that hyper takes so many bytes of a body, to write them.
    pub fn took_of_body(&self, len: usize) {
        if self.writers() > 0 {
            self.count().of_bodies += len;
        }
    }

    /// Notes that so many bytes of DATA frames were written.
    pub(super) fn wrote(&self, len: usize) {
        if self.writers() > 0 {
            let mut count = self.count();
            let of_bodies = count.of_bodies.min(len);
            count.of_bodies -= of_bodies;
            let waiting = count.waiting.saturating_sub(len - of_bodies);
            count.set(waiting);
        }
    }

    fn writers(&self) -> usize {
        self.0.writers.load(Ordering::Relaxed)
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.0.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    fn set(&mut self, waiting: usize) {
        self.waiting = waiting;
        self.charge.set(waiting);
    }
}

impl Writer {
    /// Notes that hyper takes so many bytes. To be called before it can write them.
    pub(super) fn took(&self, len: usize) {
        let mut count = self.0.count();
        let waiting = (count.waiting + len).min(self.0.writers() * WRITER_MAX);
        count.set(waiting);
    }

    /// Notes that it did not take so many of them.
    pub(super) fn kept(&self, len: usize) {
        let mut count = self.0.count();
        let waiting = count.waiting.saturating_sub(len);
        count.set(waiting);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut count = self.0.count();
        let left = self.0.0.writers.fetch_sub(1, Ordering::Relaxed) - 1;
        let waiting = count.waiting.min(left * WRITER_MAX);
        count.set(waiting);
        if left == 0 {
            count.of_bodies = 0;
        }
    }
}

/// Finds the DATA frames, and the ends of header sections, in what a connection writes.
#[derive(Default, Debug)]
pub(super) struct WrittenFrames {
    /// How much of the current payload is left.
    rest: usize,
    is_data: bool,
    /// Whether it is the last of a header section.
    ends_head: bool,
    header: [u8; HEADER_LEN],
    header_len: usize,
}

/// What some bytes are.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Found {
    /// How many of them are data.
    pub(super) data_len: usize,
    /// How many header sections end in them.
    pub(super) head_ends: usize,
}

impl WrittenFrames {
    /// Returns what the next bytes are.
    pub(super) fn find(&mut self, mut bytes: &[u8]) -> Found {
        let mut found = Found::default();
        loop {
            let len = self.rest.min(bytes.len());
            bytes = &bytes[len..];
            self.rest -= len;
            found.data_len += if self.is_data { len } else { 0 };
            if self.rest == 0 && std::mem::take(&mut self.ends_head) {
                found.head_ends += 1;
            }
            if bytes.is_empty() {
                return found;
            }
            let len = bytes.len().min(HEADER_LEN - self.header_len);
            self.header[self.header_len..][..len].copy_from_slice(&bytes[..len]);
            bytes = &bytes[len..];
            self.header_len += len;
            if self.header_len == HEADER_LEN {
                self.header_len = 0;
                self.rest = payload_len(&self.header);
                let kind = self.header[KIND];
                self.is_data = kind == DATA;
                self.ends_head =
                    matches!(kind, HEADERS | CONTINUATION) && self.header[FLAGS] & END_HEADERS != 0;
            }
        }
    }
}

/// More than hyper takes of one: three writes that it copies, and what it lets wait for a socket.
const WRITER_MAX: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    #[test]
    fn what_was_written_ahead_counts_until_it_is_written_or_nobody_writes_any_more() {
        let budget = Budget::new(Some(1 << 30));
        let ahead = WrittenAhead::new(budget.charge());
        ahead.took_of_body(50);
        ahead.wrote(50);
        let (one, other) = (ahead.writer(), ahead.writer());
        one.took(300);
        other.took(400);
        other.kept(400);
        ahead.took_of_body(50);
        ahead.wrote(150);
        assert_eq!(budget.used(), 200, "a part of it was of a body");
        ahead.wrote(1000);
        assert_eq!(budget.used(), 0);
        one.took(usize::MAX >> 1);
        assert_eq!(budget.used(), 2 * WRITER_MAX);
        drop(one);
        assert_eq!(budget.used(), WRITER_MAX, "some of it may be the other's");
        drop(other);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn data_and_the_ends_of_headers_are_found_however_they_are_written() {
        let frame = |kind, payload: &[u8]| {
            let len = u8::try_from(payload.len()).unwrap();
            [&[0, 0, len, kind, 0, 0, 0, 0, 1], payload].concat()
        };
        let flagged = |kind, payload| {
            let mut frame = frame(kind, payload);
            frame[FLAGS] = END_HEADERS;
            frame
        };
        let all = [
            flagged(4, b""),
            frame(1, b"headers"),
            flagged(9, b"and more"),
            frame(0, b"one"),
            frame(0, b""),
            flagged(1, b""),
            flagged(0, b"three"),
            flagged(1, b"headers"),
        ];
        let all = all.concat();
        for len in 1..=all.len() {
            let mut frames = WrittenFrames::default();
            let found: Vec<_> = all.chunks(len).map(|bytes| frames.find(bytes)).collect();
            assert_eq!(found.iter().map(|found| found.data_len).sum::<usize>(), 8, "by {len}");
            assert_eq!(found.iter().map(|found| found.head_ends).sum::<usize>(), 3, "by {len}");
        }
        let mut frames = WrittenFrames::default();
        assert_eq!(frames.find(&all[..all.len() - 1]).head_ends, 2, "the last has not ended");
    }
}
