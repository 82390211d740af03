//! permessage-deflate (RFC 7692): messages of a WebSocket are inflated as they are read, and compressed before they are
//! written.
//!
//! No message depends on the one before it ("no context takeover"), so a connection keeps no window: each thread has a
//! few states of DEFLATE, which a message uses while it passes ([`states`]).

mod inflating;
mod offer;
mod states;

pub(super) use self::inflating::{INFLATER_LEN, Inflating, Uninflatable};
pub use self::offer::{Agreed, Deflate};

use crate::frame_header::header_len;

/// Whatever counts the bytes that compression saved.
pub trait Savings: Send + Sync + std::fmt::Debug {
    /// Counts bytes saved, in either direction.
    fn saved(&self, bytes: usize);
}

/// What a WebSocket with compression has beyond others.
#[derive(Debug)]
pub(super) struct Compression {
    deflate: Deflate,
    savings: Option<Box<dyn Savings>>,
}

impl Compression {
    pub(super) const fn new(deflate: Deflate, savings: Option<Box<dyn Savings>>) -> Self {
        Self { deflate, savings }
    }

    /// Compresses a message from the threshold on, even if that makes it longer, as the reference server does.
    pub(super) fn compress(&self, payload: &[u8]) -> Option<Vec<u8>> {
        if payload.len() < self.deflate.threshold {
            return None;
        }
        let mut compressed = Vec::new();
        if !states::compress(payload, self.deflate.agreed.window_bits(), &mut compressed) {
            return None;
        }
        let frame_len = |len| header_len(len, false) + len;
        self.count(frame_len(payload.len()).saturating_sub(frame_len(compressed.len())));
        Some(compressed)
    }

    /// Counts what a message has saved.
    pub(super) fn count(&self, saved: usize) {
        if let Some(savings) = &self.savings
            && saved > 0
        {
            savings.saved(saved);
        }
    }
}
