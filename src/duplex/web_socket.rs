//! WebSocket frames over a byte stream: buffer sizes, compression, and frames of bytes that are known to be valid.

use bytes::Bytes;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::{Carrier, Deflate, Deflating, Duplex, Savings};

/// WebSocket frames over a [`Duplex`].
pub type WebSocket = WebSocketStream<Duplex>;

/// How much a WebSocket reads and writes at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Buffers {
    /// For one client.
    Small,
    /// Shared by many sessions.
    Large,
}

impl Duplex {
    /// Compresses the messages of a WebSocket above this stream, whose next byte is the first of a frame.
    #[must_use]
    pub fn deflated(self, deflate: Deflate, savings: Option<Box<dyn Savings>>) -> Self {
        Self::new(Carrier::Deflated(Box::new(Deflating::new(self, deflate, savings))))
    }

    /// Has nothing more inflated: what is read from now on is only thrown away.
    pub(super) fn stop_inflating(&mut self) {
        if let Carrier::Deflated(stream) = &mut self.carrier {
            stream.stop_inflating();
        }
    }

    /// Speaks WebSocket over this stream, starting with the bytes in `read_ahead`.
    pub async fn into_web_socket(
        self,
        read_ahead: Bytes,
        role: Role,
        message_max: usize,
        buffers: Buffers,
    ) -> WebSocket {
        // Not `from_partially_read`: that would start with a buffer of the given size, which is usually empty, and grow
        // it in steps as small, so that each message takes several reads.
        let config = config(message_max, buffers);
        let stream = Self { reads_ahead: true, ..self.behind(read_ahead) };
        WebSocketStream::from_raw_socket(stream, role, Some(config)).await
    }
}

/// Returns tungstenite's configuration. Its buffers are sized only here: the defaults cost 137 kB for an idle socket.
fn config(message_max: usize, buffers: Buffers) -> WebSocketConfig {
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
pub(super) const WRITE_BUFFER_LEN: usize = 4096;
/// Room for a hundred short messages. Every read clears it, even one that finds nothing, and each outgoing message
/// causes one: at 64 KiB that took a tenth of a POST's instructions.
const SHARED_READ_BUFFER_LEN: usize = 8 << 10;
/// There are few of these, and what many sessions send at once is written in one piece.
const SHARED_WRITE_BUFFER_LEN: usize = 64 << 10;
