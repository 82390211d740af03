//! A message that comes in several parts: its content so far, unmasked, inflated, and checked to be UTF-8 if it is text.

use bytes::Bytes;

use super::incoming::Violation;
use crate::duplex::deflate::{INFLATER_LEN, Inflating, Uninflatable};
use crate::frame_header::apply_mask;
use crate::packet::{Message, Text};

/// A message whose last byte has not come.
pub(super) struct PartialMessage {
    is_text: bool,
    content: Vec<u8>,
    /// How much of a text is known to be whole characters.
    checked: usize,
    inflating: Option<Inflating>,
}

impl PartialMessage {
    /// Begins a message.
    pub(super) const fn new(is_text: bool, inflating: Option<Inflating>) -> Self {
        Self { is_text, content: Vec::new(), checked: 0, inflating }
    }

    /// Returns whether it is inflated.
    pub(super) const fn is_compressed(&self) -> bool {
        self.inflating.is_some()
    }

    /// Returns how many bytes it holds.
    pub(super) const fn held(&self) -> usize {
        self.content.capacity() + if self.inflating.is_some() { INFLATER_LEN } else { 0 }
    }

    /// Begins a frame of the message.
    ///
    /// # Errors
    /// The message would be too large.
    pub(super) fn begin_frame(
        &mut self,
        header_len: usize,
        payload_len: u64,
        message_max: usize,
    ) -> Result<(), Violation> {
        if let Some(inflating) = &mut self.inflating {
            inflating.count_frame(header_len, payload_len);
            // Empty blocks make a message longer without end, and never larger.
            let len_max = (message_max as u64).saturating_mul(WIRE_FACTOR).saturating_add(WIRE_LEN_MIN);
            return if inflating.wire_len() > len_max { Err(Violation::TooLarge) } else { Ok(()) };
        }
        if payload_len > (message_max - self.content.len()) as u64 {
            return Err(Violation::TooLarge);
        }
        Ok(())
    }

    /// Takes some of the payload of a frame, of which `left` bytes are still to come, these included.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn take(
        &mut self,
        part: &[u8],
        left: u64,
        mask: Option<[u8; 4]>,
        message_max: usize,
    ) -> Result<(), Violation> {
        if let Some(inflating) = &mut self.inflating {
            inflating.inflate(part, mask, message_max, &mut self.content)?;
        } else {
            let begin = self.content.len();
            if self.content.capacity() - begin < part.len() {
                // A header may claim what never comes; and the last step leaves no room unused.
                let left = usize::try_from(left).unwrap_or(usize::MAX);
                self.content.reserve_exact(left.min(begin.max(FIRST_LEN)).max(part.len()));
            }
            self.content.extend_from_slice(part);
            if let Some(mask) = mask {
                apply_mask(&mut self.content[begin..], mask);
            }
        }
        self.check()
    }

    /// Ends the message, and returns it with the bytes that its compression saved.
    ///
    /// # Errors
    /// What is wrong with its end.
    pub(super) fn finish(mut self) -> Result<(Message, u64), Violation> {
        let saved = self.inflating.map_or(Ok(0), |inflating| inflating.finish(self.content.len()))?;
        self.content.shrink_to_fit();
        let content = Bytes::from(self.content);
        match self.is_text {
            true if self.checked < content.len() => Err(Violation::NotUtf8),
            true => Ok((Message::Text(Text::from_checked(content)), saved)),
            false => Ok((Message::Binary(content), saved)),
        }
    }

    /// Checks what has come of a text, at once and not at its end.
    fn check(&mut self) -> Result<(), Violation> {
        if self.is_text {
            match std::str::from_utf8(&self.content[self.checked..]) {
                Ok(_) => self.checked = self.content.len(),
                // The last character is not whole.
                Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
                Err(_) => return Err(Violation::NotUtf8),
            }
        }
        Ok(())
    }
}

impl From<Uninflatable> for Violation {
    fn from(why: Uninflatable) -> Self {
        match why {
            Uninflatable::Malformed => Self::Malformed,
            Uninflatable::TooLarge => Self::TooLarge,
        }
    }
}

/// What a message that comes in parts begins with.
const FIRST_LEN: usize = 16 << 10;

/// How many times its largest size a compressed message may have on the wire. A sender that flushes after each byte, in a frame of
/// its own, takes twelve.
const WIRE_FACTOR: u64 = 16;
/// However small that size is.
const WIRE_LEN_MIN: u64 = 64 << 10;
