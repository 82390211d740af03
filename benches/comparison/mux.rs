//! The backend's side of a shared connection (docs/mux.md), without credit: each message is one of the binary profile.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use anyhow::Context as _;
use bytes::Bytes;
use polliwog::mux::{Frame, Hello, Id, Profile};
use polliwog::packet::Message;
use tokio::net::tcp::OwnedWriteHalf;

use crate::frame;
use crate::words::{Answering, number_in};

/// A shared connection.
pub(crate) struct MuxLine {
    writer: Rc<OwnedWriteHalf>,
    /// How many messages each session has been sent.
    sent: RefCell<HashMap<Id, u64>>,
}

impl MuxLine {
    pub(crate) const PROTOCOL: &str = Profile::Binary.subprotocol();

    pub(crate) fn new(writer: Rc<OwnedWriteHalf>) -> Self {
        Self { writer, sent: RefCell::default() }
    }

    pub(crate) fn writer(&self) -> &OwnedWriteHalf {
        &self.writer
    }

    /// Returns a message to a session, as it goes on the wire.
    pub(crate) fn message(&self, id: Id, message: Message) -> Vec<u8> {
        let mut sent = self.sent.borrow_mut();
        let seq = sent.entry(id).or_default();
        *seq += 1;
        encode(&Frame::Message(id, *seq, message))
    }

    /// Reads what the proxy sent and adds the responses. Returns the session that has begun, with its number.
    pub(crate) fn hear(
        &self,
        read: frame::Frame,
        answering: Answering,
        answer: &mut Vec<u8>,
    ) -> anyhow::Result<Option<(usize, Id)>> {
        match read.opcode {
            frame::BINARY => {}
            frame::PING => {
                answer.extend(frame::from_server(frame::PONG, &read.payload));
                return Ok(None);
            }
            frame::CLOSE => anyhow::bail!("the proxy has gone"),
            _ => return Ok(None),
        }
        match Profile::Binary.decode(Message::Binary(Bytes::from(read.payload)))? {
            Frame::Hello(_) => answer.extend(encode(&Frame::Hello(Hello::default()))),
            Frame::Open(id, open) => {
                answer.extend(encode(&Frame::Ok(id, Box::default())));
                let number = number_in(&open.path).context("no number")?;
                return Ok(Some((number, id)));
            }
            Frame::Message(id, _, message) if answering == Answering::Echo => {
                answer.extend(self.message(id, message));
            }
            Frame::Close(id, ..) => {
                self.sent.borrow_mut().remove(&id);
            }
            Frame::Message(..)
            | Frame::Ok(..)
            | Frame::Deny(..)
            | Frame::Acks(_)
            | Frame::Transport(..)
            | Frame::Drain(_)
            | Frame::Sync { .. } => {}
        }
        Ok(None)
    }
}

fn encode(frame: &Frame) -> Vec<u8> {
    let bytes = match Profile::Binary.encode(frame) {
        Message::Binary(bytes) => bytes,
        Message::Text(text) => text.into_bytes(),
    };
    frame::from_server(frame::BINARY, &bytes)
}
