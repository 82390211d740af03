//! Incoming frames: bytes become messages and control frames.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::incoming::{Incoming, Violation};
use super::message::PartialMessage;
use crate::duplex::deflate::Inflating;
use crate::frame_header::{BINARY, CLOSE, CONTINUATION, FrameHeader, PING, PONG, RSV1, TEXT, apply_mask};
use crate::packet::{Message, Text};

/// The state of the reading side, without what was read and not taken.
pub(super) struct Reader {
    message_max: usize,
    /// Whether frames must be masked; otherwise none may be.
    is_server: bool,
    /// Whether a message may be compressed.
    pub(super) inflates: bool,
    /// The frame whose payload comes in parts; it belongs to the message.
    frame: Option<PartialFrame>,
    /// The message whose end has not come. Boxed, because nearly always there is none.
    message: Option<Box<PartialMessage>>,
    /// Bytes that compression saved and nobody has counted.
    saved: u64,
}

struct PartialFrame {
    /// Bytes that have not come yet.
    left: u64,
    /// The mask, turned so that it begins with the next byte.
    mask: Option<[u8; 4]>,
    /// Whether it is the last of its message.
    fin: bool,
}

impl Reader {
    /// Returns the length of the largest message that is read.
    pub(super) const fn message_max(&self) -> usize {
        self.message_max
    }

    pub(super) const fn set_message_max(&mut self, len_max: usize) {
        self.message_max = len_max;
    }

    pub(super) const fn new(message_max: usize, is_server: bool) -> Self {
        Self { message_max, is_server, inflates: false, frame: None, message: None, saved: 0 }
    }

    /// Takes bytes up to the end of the next message or control frame, and returns that. `None` if it is not complete:
    /// what is left then is the beginning of a header or of a control frame.
    ///
    /// # Errors
    /// What is wrong with the bytes; what follows can't be read as frames.
    pub(super) fn read(&mut self, bytes: &mut &[u8]) -> Result<Option<Incoming>, Violation> {
        loop {
            if self.frame.is_some() {
                if !self.read_part(bytes)? {
                    return Ok(None);
                }
                if let Some(message) = self.end_frame()? {
                    return Ok(Some(Incoming::Message(message)));
                }
            }
            let Some((header, header_len)) = FrameHeader::read(bytes) else { return Ok(None) };
            let is_compressed = self.check(&header)?;
            let payload_len = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
            let payload = bytes[header_len..].get(..payload_len);
            let is_whole = header.fin && self.message.is_none() && !is_compressed;
            if header.is_control() || is_whole && payload.is_some() {
                let Some(payload) = payload else { return Ok(None) };
                *bytes = &bytes[header_len + payload_len..];
                let mut payload = payload.to_vec();
                if let Some(mask) = header.mask {
                    apply_mask(&mut payload, mask);
                }
                return whole(header.opcode, payload.into()).map(Some);
            }
            *bytes = &bytes[header_len..];
            self.begin_frame(&header, header_len, is_compressed)?;
        }
    }

    /// Returns how many bytes compression saved since the last call.
    pub(super) const fn take_saved(&mut self) -> u64 {
        std::mem::replace(&mut self.saved, 0)
    }

    /// Returns how many bytes a message that is not complete holds.
    pub(super) fn held(&self) -> usize {
        self.message.as_ref().map_or(0, |message| message.held())
    }

    /// Checks a header, and returns whether it begins a compressed message.
    fn check(&self, header: &FrameHeader) -> Result<bool, Violation> {
        let &FrameHeader { fin, reserved, opcode, mask, payload_len } = header;
        let begins = match opcode {
            TEXT | BINARY => true,
            CONTINUATION | CLOSE | PING | PONG => false,
            _ => return Err(Violation::Protocol),
        };
        // RFC 7692, section 6: no other frame has the bit.
        let is_compressed = reserved == RSV1 && begins && self.inflates;
        let is_bound = !is_compressed && self.message.as_ref().is_none_or(|message| !message.is_compressed());
        if header.is_control() {
            if payload_len > CONTROL_MAX && payload_len > self.message_max as u64 {
                return Err(Violation::TooLarge);
            }
            if !fin || payload_len > CONTROL_MAX {
                return Err(Violation::Protocol);
            }
        } else if is_bound && payload_len > self.message_max as u64 {
            return Err(Violation::TooLarge);
        }
        if mask.is_some() != self.is_server
            || reserved != 0 && !is_compressed
            // A message within a message, or the end of none.
            || !header.is_control() && begins == self.message.is_some()
        {
            return Err(Violation::Protocol);
        }
        Ok(is_compressed)
    }

    fn begin_frame(
        &mut self,
        header: &FrameHeader,
        header_len: usize,
        is_compressed: bool,
    ) -> Result<(), Violation> {
        let message = self.message.get_or_insert_with(|| {
            let inflating = is_compressed.then(|| Inflating::new(header.mask.is_some()));
            Box::new(PartialMessage::new(header.opcode == TEXT, inflating))
        });
        message.begin_frame(header_len, header.payload_len, self.message_max)?;
        self.frame = Some(PartialFrame { left: header.payload_len, mask: header.mask, fin: header.fin });
        Ok(())
    }

    /// Takes what has come of the frame's payload. Returns whether that was all.
    fn read_part(&mut self, bytes: &mut &[u8]) -> Result<bool, Violation> {
        let (Some(frame), Some(message)) = (&mut self.frame, &mut self.message) else { return Ok(true) };
        let len = usize::try_from(frame.left).unwrap_or(usize::MAX).min(bytes.len());
        let (part, rest) = bytes.split_at(len);
        *bytes = rest;
        message.take(part, frame.left, frame.mask, self.message_max)?;
        frame.left -= len as u64;
        if let Some(mask) = &mut frame.mask {
            mask.rotate_left(len % 4);
        }
        Ok(frame.left == 0)
    }

    /// Returns the message, if the frame is its last.
    fn end_frame(&mut self) -> Result<Option<Message>, Violation> {
        if self.frame.take().is_some_and(|frame| frame.fin)
            && let Some(message) = self.message.take()
        {
            let (message, saved) = message.finish()?;
            self.saved += saved;
            return Ok(Some(message));
        }
        Ok(None)
    }
}

/// Returns what one frame says.
fn whole(opcode: u8, payload: Bytes) -> Result<Incoming, Violation> {
    Ok(match opcode {
        TEXT => Incoming::Message(Message::Text(Text::new(payload).map_err(|_| Violation::NotUtf8)?)),
        BINARY => Incoming::Message(Message::Binary(payload)),
        PING => Incoming::Ping(payload),
        PONG => Incoming::Pong(payload),
        _ => Incoming::Close(close_frame(&payload)?),
    })
}

/// Reads the payload of a Close frame (RFC 6455, section 5.5.1).
fn close_frame(payload: &Bytes) -> Result<Option<CloseFrame>, Violation> {
    let (code, reason) = match payload.len() {
        0 => return Ok(None),
        1 => return Err(Violation::Protocol),
        _ => (CloseCode::from(u16::from_be_bytes([payload[0], payload[1]])), payload.slice(2..)),
    };
    let reason = Utf8Bytes::try_from(reason).map_err(|_| Violation::NotUtf8)?;
    // One that stands for the absence of a code, or is nobody's (section 7.4), is answered as a violation.
    let violation =
        CloseFrame { code: CloseCode::Protocol, reason: Utf8Bytes::from_static("Protocol violation") };
    Ok(Some(if code.is_allowed() { CloseFrame { code, reason } } else { violation }))
}

/// The longest payload of a control frame (section 5.5).
const CONTROL_MAX: u64 = 125;
