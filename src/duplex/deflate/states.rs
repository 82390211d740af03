//! The states of DEFLATE. Each thread keeps a few, because a new one costs more than a short message.

use std::cell::RefCell;
use std::fmt;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// Compresses a message, and appends it without the last four bytes (RFC 7692, section 7.2.1). Returns whether it could.
pub(super) fn compress(payload: &[u8], window_bits: u8, to: &mut Vec<u8>) -> bool {
    let Some(index) = usize::from(window_bits).checked_sub(usize::from(WINDOW_BITS_MIN)) else {
        return false;
    };
    COMPRESSORS.with_borrow_mut(|states| {
        let Some(slot) = states.get_mut(index) else { return false };
        let new = || Compress::new_with_window_bits(LEVEL, false, window_bits);
        let state = slot.get_or_insert_with(new);
        let begin = to.len();
        let is_done = compress_with(state, payload, to);
        // The next message may be of anybody else.
        state.reset();
        if is_done && to[begin..].ends_with(&TAIL[..TAIL_LEN]) {
            to.truncate(to.len() - TAIL_LEN);
            return true;
        }
        to.truncate(begin);
        false
    })
}

fn compress_with(state: &mut Compress, payload: &[u8], to: &mut Vec<u8>) -> bool {
    let mut left = payload;
    to.reserve(payload.len() / 2 + ROOM);
    loop {
        let before = state.total_in();
        if state.compress_vec(left, to, FlushCompress::Sync).is_err() {
            return false;
        }
        let read = usize::try_from(state.total_in() - before).unwrap_or(left.len());
        left = &left[read..];
        // Room that is left shows that everything was flushed.
        if left.is_empty() && to.len() < to.capacity() {
            return true;
        }
        to.reserve(payload.len() / 4 + ROOM);
    }
}

/// Inflates one message.
pub(super) struct Inflater {
    state: Decompress,
    /// What is inflated and not taken yet, at most [`CHUNK_LEN`].
    chunk: Vec<u8>,
    /// Whether a block was the last of its stream. Another may follow, as if it were of a new one (RFC 7692, section
    /// 7.2.3.4).
    is_over: bool,
}

/// What can't be inflated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Malformed;

impl Inflater {
    /// Takes one from this thread's, or creates it.
    pub(super) fn take() -> Self {
        INFLATERS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Self {
            state: Decompress::new(false),
            chunk: Vec::with_capacity(CHUNK_LEN),
            is_over: false,
        })
    }

    /// Keeps it for this thread's next message.
    pub(super) fn give_back(mut self) {
        self.state.reset(false);
        self.chunk.clear();
        self.is_over = false;
        INFLATERS.with_borrow_mut(|states| {
            if states.len() < INFLATERS_MAX {
                states.push(self);
            }
        });
    }

    /// Inflates as much as the chunk has room for, and returns how many bytes were taken. If the chunk is not full
    /// then, everything that could be inflated was.
    pub(super) fn inflate(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut len = 0;
        while !self.is_full() {
            if self.is_over {
                if len == bytes.len() {
                    break;
                }
                self.state.reset(false);
                self.is_over = false;
            }
            let before = (self.state.total_in(), self.chunk.len());
            let inflated = self.state.decompress_vec(&bytes[len..], &mut self.chunk, FlushDecompress::Sync);
            let read = self.state.total_in() - before.0;
            len += usize::try_from(read).map_err(|_| Malformed)?;
            match inflated {
                Ok(Status::StreamEnd) => self.is_over = true,
                Ok(Status::Ok | Status::BufError) if len == bytes.len() && !self.is_full() => break,
                Ok(Status::Ok | Status::BufError) if read == 0 && self.chunk.len() == before.1 => {
                    return Err(Malformed);
                }
                Ok(Status::Ok | Status::BufError) => {}
                Err(_) => return Err(Malformed),
            }
        }
        Ok(len)
    }

    /// Returns whether the chunk must be taken first.
    pub(super) const fn is_full(&self) -> bool {
        self.chunk.len() >= CHUNK_LEN
    }

    /// Returns whether the stream is over with the last byte that was taken.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Returns what is inflated.
    pub(super) fn chunk(&self) -> &[u8] {
        &self.chunk
    }

    /// Makes room for more.
    pub(super) fn clear(&mut self) {
        self.chunk.clear();
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inflater")
    }
}

thread_local! {
    static COMPRESSORS: RefCell<[Option<Compress>; WINDOWS]> = const { RefCell::new([const { None }; WINDOWS]) };
    static INFLATERS: RefCell<Vec<Inflater>> = const { RefCell::new(Vec::new()) };
}

/// What follows each message: the empty block that its sender left out, and a last one, which ends the stream if and
/// only if the message was whole.
pub(super) const TAIL: [u8; 9] = [0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff];
/// The length of the first of the two.
const TAIL_LEN: usize = 4;
/// How much is inflated at once.
pub(super) const CHUNK_LEN: usize = 16 << 10;
/// Room for what DEFLATE adds to a short message.
const ROOM: usize = 64;
/// Most messages come in one piece; only those that don't take theirs from other messages of the thread.
const INFLATERS_MAX: usize = 4;
/// The smallest window that zlib writes without a header.
pub(super) const WINDOW_BITS_MIN: u8 = 9;
/// The largest window that there is.
pub(super) const WINDOW_BITS_MAX: u8 = 15;
const WINDOWS: usize = (WINDOW_BITS_MAX - WINDOW_BITS_MIN + 1) as usize;
/// Nearly as good as the default of zlib, for half of its instructions: a message waits for it.
const LEVEL: Compression = Compression::new(2);
