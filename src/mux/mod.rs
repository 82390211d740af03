//! Many sessions on one connection (`docs/mux.md`): the frames, and the state of each side, so that nothing is lost.
//! Pure: no I/O, no clock.
//!
//! A [`Frame`] is one message of the shared WebSocket, written in one of two [`Profile`]s. A [`Line`] is one side of an
//! epoch: its sessions, their credit, and what must be sent again after a break.
//!
//! ```
//! use polliwog::mux::{Frame, Id, Profile};
//! use polliwog::packet::Message;
//!
//! // The first message of session 7. Both profiles carry the same frames.
//! let frame = Frame::Message(Id::new(7).expect("not 0"), 1, Message::text("hi"));
//! let json = Profile::Json.encode(&frame);
//! assert_eq!(json, Message::text(r#"["t","s7",1,"hi"]"#));
//! assert_eq!(Profile::Json.decode(json), Ok(frame.clone()));
//! let binary = Profile::Binary.encode(&frame);
//! assert_eq!(Profile::Binary.decode(binary), Ok(frame));
//!
//! // What is no frame ends the connection with 1002 and this reason.
//! assert_eq!(Profile::Json.decode(Message::text("{")).unwrap_err().to_string(), "not JSON");
//! ```

mod binary;
mod bounds;
mod ends;
mod frame;
mod json;
mod line;
mod parts;
mod profile;
mod receive;
mod stream;
mod sync;
#[cfg_attr(not(fuzzing), cfg(test))]
pub(crate) mod tests;

pub use crate::budget::Budget;
pub use frame::{Accepted, Ack, ById, Denied, Frame, Held, Hello, Id, Malformed, Open, Violation};
pub use line::{Event, Line, Notice, Side};
pub use profile::{Profile, Written};
