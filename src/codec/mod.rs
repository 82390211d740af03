//! Wire formats, without I/O, for fronts and backs.
//!
//! ```
//! use bytes::Bytes;
//! use polliwog::codec::engineio::{Payload, encode_payload};
//! use polliwog::packet::{Message, Packet};
//!
//! // One answer to a poll carries several packets, with a record separator between them.
//! let packets = [Packet::Message(Message::text("hi")), Packet::Message(Message::Binary(Bytes::from_static(&[1, 2, 3])))];
//! let body = encode_payload(&packets);
//! assert_eq!(body, "4hi\u{1e}bAQID");
//! assert!(Payload::new(body).map(Result::unwrap).eq(packets));
//!
//! // Reading ends at the first packet that is none; those before it count.
//! let mut packets = Payload::new(Bytes::from("4one\u{1e}x\u{1e}4two"));
//! assert_eq!(packets.next(), Some(Ok(Packet::Message(Message::text("one")))));
//! assert!(packets.next().is_some_and(|second| second.is_err()));
//! assert_eq!(packets.next(), None);
//! ```

pub(crate) mod base64;
pub mod engineio;
pub mod frames;
pub(crate) mod urlencoded;
