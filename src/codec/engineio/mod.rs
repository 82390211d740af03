//! Engine.IO on the wire: one packet, a payload of several, and the open packet.

mod base64;
mod open;
mod packet;
mod payload;
pub mod v3;

pub use open::OpenPacket;
pub use packet::{Frame, decode_text, encode_frame, encode_text, encoded_len};
pub use payload::{Payload, encode_payload};

/// Bytes that no packet looks like. The session ends: a peer that is out of step can't be followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not an Engine.IO packet")]
pub struct Malformed;
