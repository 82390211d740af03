//! The binary profile: a byte for the verb, then its fields.

use bytes::{Buf as _, BufMut as _, Bytes};
use serde_json::Value;

use super::frame::{Ack, Frame, Held, Id, Malformed, NUMBER_MAX};
use super::{bounds, json, parts};
use crate::packet::{Closing, Message, Text};

const HELLO: u8 = 1;
const OPEN: u8 = 2;
const OK: u8 = 3;
const DENY: u8 = 4;
const TEXT: u8 = 5;
const BINARY: u8 = 6;
const ACKS: u8 = 7;
const CLOSE: u8 = 8;
const TRANSPORT: u8 = 9;
const DRAIN: u8 = 10;
const SYNC: u8 = 11;
const CLOSE_BY_PACKET: u8 = 12;

/// Writes a frame.
pub(super) fn encode(frame: &Frame) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + payload_len(frame));
    match frame {
        Frame::Hello(_) => out.put_u8(HELLO),
        Frame::Open(id, _) => head(&mut out, OPEN, *id),
        Frame::Ok(id, _) => head(&mut out, OK, *id),
        Frame::Deny(id, _) => head(&mut out, DENY, *id),
        Frame::Transport(id, _) => head(&mut out, TRANSPORT, *id),
        Frame::Drain(_) => out.put_u8(DRAIN),
        Frame::Message(id, seq, message) => {
            let (verb, payload) = match message {
                Message::Text(text) => (TEXT, text.as_bytes()),
                Message::Binary(bytes) => (BINARY, bytes),
            };
            head(&mut out, verb, *id);
            put(&mut out, *seq);
            out.extend_from_slice(payload);
        }
        Frame::Acks(acks) => {
            out.put_u8(ACKS);
            for ack in acks {
                for number in [ack.id.get(), ack.seq, ack.limit] {
                    put(&mut out, number);
                }
            }
        }
        Frame::Close(id, seq, Closing { code, reason, by_packet }) => {
            head(&mut out, if *by_packet { CLOSE_BY_PACKET } else { CLOSE }, *id);
            put(&mut out, *seq);
            put(&mut out, code.unwrap_or(json::NO_CODE).into());
            out.extend_from_slice(reason.as_bytes());
        }
        Frame::Sync { epoch, sessions, more } => {
            out.put_u8(SYNC);
            let epoch = epoch.as_deref().unwrap_or_default();
            put(&mut out, epoch.len() as u64);
            out.extend_from_slice(epoch.as_bytes());
            out.put_u8(u8::from(*more));
            for held in sessions {
                let seq = held.seq.map_or(0, |seq| seq + 1);
                for number in [held.id.get(), seq, held.limit] {
                    put(&mut out, number);
                }
            }
        }
    }
    if let Value::Array(elements) = parts::write(frame)
        && !elements.is_empty()
    {
        out.extend_from_slice(Value::Array(elements).to_string().as_bytes());
    }
    out
}

const fn payload_len(frame: &Frame) -> usize {
    if let Frame::Message(_, _, message) = frame { message.len() } else { 0 }
}

fn head(out: &mut Vec<u8>, verb: u8, id: Id) {
    out.put_u8(verb);
    put(out, id.get());
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.put_u8(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.put_u8(number.to_le_bytes()[0]);
}

/// Reads a frame; payloads share its buffer.
pub(super) fn decode(mut frame: Bytes) -> Result<Frame, Malformed> {
    let verb = byte(&mut frame)?;
    if !matches!(verb, TEXT | BINARY) {
        bounds::short(&frame)?;
    }
    Ok(match verb {
        HELLO => parts::hello(&elements(&frame)?)?,
        DRAIN => parts::drain(&elements(&frame)?)?,
        OPEN => parts::open(id(&mut frame)?, &elements(&frame)?)?,
        OK => parts::ok(id(&mut frame)?, &elements(&frame)?)?,
        DENY => parts::deny(id(&mut frame)?, &elements(&frame)?)?,
        TRANSPORT => parts::transport(id(&mut frame)?, &elements(&frame)?)?,
        TEXT => {
            let (id, seq) = (id(&mut frame)?, number(&mut frame)?);
            Frame::Message(id, seq, Message::Text(text(frame)?))
        }
        BINARY => {
            let (id, seq) = (id(&mut frame)?, number(&mut frame)?);
            Frame::Message(id, seq, Message::Binary(frame))
        }
        CLOSE | CLOSE_BY_PACKET => {
            let (id, seq, code) = (id(&mut frame)?, number(&mut frame)?, number(&mut frame)?);
            Frame::Close(id, seq, json::closing(code, text(frame)?, verb == CLOSE_BY_PACKET)?)
        }
        ACKS => {
            let mut acks = Vec::new();
            while !frame.is_empty() {
                let (id, seq) = (id(&mut frame)?, number(&mut frame)?);
                acks.push(Ack { id, seq, limit: number(&mut frame)? });
            }
            Frame::Acks(acks)
        }
        SYNC => sync(frame)?,
        _ => return Err(Malformed("an unknown verb")),
    })
}

fn sync(mut frame: Bytes) -> Result<Frame, Malformed> {
    let len = usize::try_from(number(&mut frame)?).unwrap_or(usize::MAX);
    if len > frame.len() {
        return Err(CUT);
    }
    let epoch = text(frame.split_to(len))?;
    let more = match byte(&mut frame)? {
        0 => false,
        1 => true,
        _ => return Err(Malformed("sync: more is 0 or 1")),
    };
    let mut sessions = Vec::new();
    while !frame.is_empty() {
        let (id, seq) = (id(&mut frame)?, number(&mut frame)?);
        sessions.push(Held { id, seq: seq.checked_sub(1), limit: number(&mut frame)? });
    }
    let epoch = Some(epoch.as_str().to_owned()).filter(|epoch| !epoch.is_empty());
    Ok(Frame::Sync { epoch, sessions, more })
}

fn elements(rest: &Bytes) -> Result<Vec<Value>, Malformed> {
    bounds::few_values(rest, bounds::VALUES_MAX)?;
    serde_json::from_slice(rest).map_err(|_| Malformed("not a JSON array"))
}

fn text(bytes: Bytes) -> Result<Text, Malformed> {
    Text::new(bytes).map_err(|_| Malformed("a text is not UTF-8"))
}

fn id(frame: &mut Bytes) -> Result<Id, Malformed> {
    Id::new(number(frame)?).ok_or(Malformed("a session id is not 0"))
}

fn number(frame: &mut Bytes) -> Result<u64, Malformed> {
    let mut number = 0;
    for at in 0..NUMBER_LEN_MAX {
        let byte = byte(frame)?;
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return if number <= NUMBER_MAX { Ok(number) } else { Err(TOO_LARGE) };
        }
    }
    Err(TOO_LARGE)
}

fn byte(frame: &mut Bytes) -> Result<u8, Malformed> {
    if frame.is_empty() { Err(CUT) } else { Ok(frame.get_u8()) }
}

/// 53 bits, seven per byte.
const NUMBER_LEN_MAX: usize = 8;
const CUT: Malformed = Malformed("the frame is cut off");
const TOO_LARGE: Malformed = Malformed("a number is larger than 2^53-1");
