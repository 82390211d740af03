//! WebSocket frames over a byte stream: buffer sizes, and frames of bytes that are known to be valid.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

/// How much a WebSocket reads and writes at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Buffers {
    /// For one client.
    Small,
    /// Shared by many sessions.
    Large,
}

/// Returns tungstenite's configuration. Its buffers are sized only here: the defaults cost 137 kB for an idle socket.
pub(super) fn config(message_max: usize, buffers: Buffers) -> WebSocketConfig {
    let (read, write) = match buffers {
        Buffers::Small => (READ_BUFFER_LEN, WRITE_BUFFER_LEN),
        Buffers::Large => (SHARED_READ_BUFFER_LEN, SHARED_WRITE_BUFFER_LEN),
    };
    WebSocketConfig::default()
        .read_buffer_size(read)
        .write_buffer_size(write)
        // The writer bounds it: after a write that blocked, nothing is taken until everything before it is written, so
        // the buffer never exceeds its size by more than one message.
        .max_write_buffer_size(usize::MAX)
        .max_message_size(Some(message_max))
        .max_frame_size(Some(message_max))
}

/// Returns a text message whose bytes are known to be UTF-8.
pub fn text_frame(text: Bytes) -> Frame {
    Frame::message(text, OpCode::Data(Data::Text), true)
}

/// Returns a binary message.
pub fn binary_frame(bytes: Bytes) -> Frame {
    Frame::message(bytes, OpCode::Data(Data::Binary), true)
}

/// Every socket keeps this much, idle or not, and every read clears it; longer messages take several reads.
const READ_BUFFER_LEN: usize = 1024;
/// Allocated when there is something to write.
const WRITE_BUFFER_LEN: usize = 4096;
/// Room for a hundred short messages. Every read clears it, even one that finds nothing, and each outgoing message
/// causes one: at 64 KiB that took a tenth of a POST's instructions.
const SHARED_READ_BUFFER_LEN: usize = 8 << 10;
/// There are few of these, and what many sessions send at once is written in one piece.
const SHARED_WRITE_BUFFER_LEN: usize = 64 << 10;
