//! Incoming frames: compressed messages become plain ones.

use std::io::Cursor;

use thiserror::Error;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::states::{Inflater, Malformed, TAIL};

/// What no peer that speaks the extension sends.
#[derive(Clone, Copy, PartialEq, Eq, Error, Debug)]
pub enum DeflateFault {
    /// A bit or a frame where none may be (RFC 7692, section 6.1).
    #[error("the compression of messages does not allow this frame")]
    Frame,
    /// What can't be inflated.
    #[error("a compressed message is malformed")]
    Content,
}

impl From<Malformed> for DeflateFault {
    fn from(Malformed: Malformed) -> Self {
        Self::Content
    }
}

/// The state of the reading side, without what it reads.
#[derive(Debug)]
pub(super) struct Inbound {
    /// Bytes of the current frame that have not come yet.
    left: u64,
    /// Whether they are to be inflated.
    is_compressed: bool,
    message: Message,
    /// Bytes that compression saved and nobody has counted.
    saved: u64,
}

/// The message whose last frame has not come.
#[derive(Debug)]
enum Message {
    /// There is none.
    None,
    /// It passes unchanged.
    Plain,
    /// It is inflated. Boxed, because nearly always there is none.
    Compressed(Box<Compressed>),
}

/// A message that is inflated.
#[derive(Debug)]
struct Compressed {
    inflater: Inflater,
    /// The opcode of the next fragment that is passed on.
    opcode: OpCode,
    /// The current frame's mask, turned so that it begins with the next byte.
    mask: Option<[u8; 4]>,
    /// Whether the current frame is the last.
    is_last: bool,
    /// The bytes of its frames, and those of its content.
    wire_len: u64,
    plain_len: u64,
    /// Whether it has any content at all.
    has_content: bool,
}

/// What came of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Passed {
    /// How many bytes were taken; what is left is the beginning of a header, unless there is more.
    pub(super) len: usize,
    /// Whether more comes of what was read, once what was passed on is taken.
    pub(super) has_more: bool,
}

impl Inbound {
    pub(super) const fn new() -> Self {
        Self { left: 0, is_compressed: false, message: Message::None, saved: 0 }
    }

    /// Passes frames on, as far as `bytes` go, up to about [`PASSED_MAX`].
    ///
    /// # Errors
    /// What is wrong with them; what comes then can't be read as frames.
    pub(super) fn pass(&mut self, bytes: &[u8], to: &mut Vec<u8>) -> Result<Passed, DeflateFault> {
        let mut at = 0;
        loop {
            if to.len() >= PASSED_MAX {
                return Ok(Passed { len: at, has_more: true });
            }
            let part = &bytes[at..];
            let part = &part[..part.len().min(usize::try_from(self.left).unwrap_or(usize::MAX))];
            if self.is_compressed {
                let len = self.inflate(part, to)?;
                at += len;
                self.left -= len as u64;
                if self.is_compressed && at == bytes.len() && to.len() < PASSED_MAX {
                    return Ok(Passed { len: at, has_more: false });
                }
            } else if self.left > 0 {
                if part.is_empty() {
                    return Ok(Passed { len: at, has_more: false });
                }
                let part = &part[..part.len().min(PASSED_MAX - to.len())];
                to.extend_from_slice(part);
                at += part.len();
                self.left -= part.len() as u64;
            } else {
                let mut cursor = Cursor::new(&bytes[at..]);
                match FrameHeader::parse(&mut cursor) {
                    Ok(Some((header, len))) => {
                        at += usize::try_from(cursor.position()).unwrap_or(0);
                        self.begin(&header, len, to)?;
                    }
                    Ok(None) => return Ok(Passed { len: at, has_more: false }),
                    // The WebSocket says what is wrong with it.
                    Err(_) => self.left = u64::MAX,
                }
            }
        }
    }

    /// Returns how many bytes compression saved since the last call.
    pub(super) fn take_saved(&mut self) -> usize {
        usize::try_from(std::mem::take(&mut self.saved)).unwrap_or(usize::MAX)
    }

    /// Begins a frame.
    fn begin(&mut self, header: &FrameHeader, len: u64, to: &mut Vec<u8>) -> Result<(), DeflateFault> {
        self.left = len;
        match (header.opcode, &mut self.message) {
            (OpCode::Control(_), _) => {}
            (OpCode::Data(Data::Continue), _) if header.rsv1 => return Err(DeflateFault::Frame),
            (OpCode::Data(Data::Continue), Message::Compressed(message)) => {
                if header.rsv2 || header.rsv3 {
                    return Err(DeflateFault::Frame);
                }
                self.is_compressed = true;
                message.wire_len =
                    message.wire_len.saturating_add(header.len(len) as u64).saturating_add(len);
                (message.mask, message.is_last) = (header.mask, header.is_final);
                return Ok(());
            }
            (OpCode::Data(Data::Continue), Message::None | Message::Plain) => {
                if header.is_final {
                    self.message = Message::None;
                }
            }
            (OpCode::Data(_), Message::Compressed(_) | Message::Plain) => return Err(DeflateFault::Frame),
            (OpCode::Data(_), Message::None) if header.rsv1 => {
                if header.rsv2 || header.rsv3 {
                    return Err(DeflateFault::Frame);
                }
                self.is_compressed = true;
                self.message = Message::Compressed(Box::new(Compressed {
                    inflater: Inflater::take(),
                    opcode: header.opcode,
                    mask: header.mask,
                    is_last: header.is_final,
                    wire_len: len.saturating_add(header.len(len) as u64),
                    plain_len: 0,
                    has_content: false,
                }));
                return Ok(());
            }
            (OpCode::Data(_), Message::None) => {
                if !header.is_final {
                    self.message = Message::Plain;
                }
            }
        }
        header.format(len, to).map_err(|_| DeflateFault::Frame)
    }

    /// Inflates a part of the current frame, and returns how much of it was taken.
    fn inflate(&mut self, part: &[u8], to: &mut Vec<u8>) -> Result<usize, DeflateFault> {
        let Message::Compressed(message) = &mut self.message else { return Err(DeflateFault::Frame) };
        let (len, is_all) = message.inflate(part, to)?;
        if self.left > len as u64 || !is_all {
            return Ok(len);
        }
        self.is_compressed = false;
        if message.is_last {
            message.finish(to)?;
            self.saved += message.saved();
            if let Message::Compressed(message) = std::mem::replace(&mut self.message, Message::None) {
                message.inflater.give_back();
            }
        }
        Ok(len)
    }
}

impl Compressed {
    /// Inflates a part, chunk by chunk, until enough was passed on. Returns how many bytes were taken, and whether
    /// nothing more comes of them.
    fn inflate(&mut self, part: &[u8], to: &mut Vec<u8>) -> Result<(usize, bool), DeflateFault> {
        let mut len = 0;
        self.has_content |= !part.is_empty();
        loop {
            if self.inflater.is_full() {
                self.emit(false, to)?;
                if to.len() >= PASSED_MAX {
                    return Ok((len, false));
                }
            }
            let mut room = [0; PIECE_LEN];
            let piece = &part[len..part.len().min(len + PIECE_LEN)];
            let piece = match self.mask {
                None => piece,
                Some(mask) => {
                    apply_mask(piece, mask, &mut room);
                    &room[..piece.len()]
                }
            };
            let taken = self.inflater.inflate(piece)?;
            if let Some(mask) = &mut self.mask {
                mask.rotate_left(taken % 4);
            }
            len += taken;
            if len == part.len() && !self.inflater.is_full() {
                return Ok((len, true));
            }
        }
    }

    /// Inflates what its sender left out, and passes the last fragment on.
    fn finish(&mut self, to: &mut Vec<u8>) -> Result<(), DeflateFault> {
        // Nothing at all is no stream, but the reference server takes it for an empty message. And a stream that is
        // over has left nothing out.
        if self.has_content && !self.inflater.is_over() {
            let before = self.inflater.chunk().len();
            let taken = self.inflater.inflate(&TAIL)?;
            // Of a message that was cut off, the tail would become something.
            if taken < TAIL.len() || self.inflater.chunk().len() > before || !self.inflater.is_over() {
                return Err(DeflateFault::Content);
            }
        }
        self.emit(true, to)
    }

    /// Returns how many bytes it would have taken more in one plain frame.
    fn saved(&self) -> u64 {
        let header = FrameHeader { mask: self.mask, ..FrameHeader::default() };
        (header.len(self.plain_len) as u64 + self.plain_len).saturating_sub(self.wire_len)
    }

    /// Passes on what is inflated, as a fragment.
    fn emit(&mut self, is_final: bool, to: &mut Vec<u8>) -> Result<(), DeflateFault> {
        let chunk = self.inflater.chunk();
        let header = FrameHeader {
            is_final,
            rsv1: false,
            rsv2: false,
            rsv3: false,
            opcode: std::mem::replace(&mut self.opcode, OpCode::Data(Data::Continue)),
            // The WebSocket wants a mask where there was one.
            mask: self.mask.map(|_| [0; 4]),
        };
        self.plain_len += chunk.len() as u64;
        header.format(chunk.len() as u64, to).map_err(|_| DeflateFault::Frame)?;
        to.extend_from_slice(chunk);
        self.inflater.clear();
        Ok(())
    }
}

/// Writes bytes to the beginning of `to`, with the mask applied (RFC 6455, section 5.3).
pub(super) fn apply_mask(bytes: &[u8], mask: [u8; 4], to: &mut [u8]) {
    for (index, (to, byte)) in to.iter_mut().zip(bytes).enumerate() {
        *to = byte ^ mask[index % 4];
    }
}

/// When a call has passed on so much, the WebSocket takes it first.
const PASSED_MAX: usize = 16 << 10;
/// How much is unmasked at once.
const PIECE_LEN: usize = 2 << 10;
