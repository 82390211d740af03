//! Engine.IO on the wire: one packet, a payload of several, and the open packet.

mod open;
mod packet;
mod payload;
pub mod v3;

pub use open::OpenPacket;
pub use packet::{decode_text, encode_frame, encode_text, encoded_len};
pub use payload::{Payload, encode_payload};
