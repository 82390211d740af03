//! What nodes say to each other (`polliwog.peer.v1`): requests for the sessions of another node, and their responses.
//! Pure: no I/O, no clock.
//!
//! The node with the client is the *asker*, the node with the session is the *owner*. One connection leads from an asker
//! to an owner, and carries all requests of the one for sessions of the other.
//!
//! ```text
//! asker > owner    ASK   BODY*  END    GONE    TOOK n   RELEASE   PING
//! owner > asker    HEAD  BODY*  END    LOST    TOOK n   LEAVING   PONG
//! ```
//!
//! An `ASK` has the request as its client wrote it, and may also say what the asker has [`Read`] in it, if its owner has told that it
//! takes that. A [`Frame`] is one of these words. A short body that is complete crosses with its header ([`Content`]). Any other has two lists: at its sender, the [`Sending`] pieces, each with what waits
//! for it to arrive; at its receiver, the [`Receiving`] ones. `TOOK n` says that the first `n` bytes have gone on: those of
//! a response to the kernel of the asker's host, for the client. So a receipt that is attached to a piece at the owner
//! means the same as one of a client of its own.
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use polliwog::peer::{Frame, Lines, Number, Sent, Sending};
//!
//! let mut body = Sending::default();
//! assert_eq!(body.push(Bytes::from_static(b"4hi"), Some("receipt")), None, "it waits for a TOOK");
//! body.end();
//! assert_eq!(body.pop(), Some(Sent::Piece(Bytes::from_static(b"4hi"))));
//! assert_eq!(body.pop(), Some(Sent::End));
//! assert_eq!(body.took(2), Ok(vec![]), "not all of it");
//! assert_eq!(body.took(3), Ok(vec!["receipt"]));
//!
//! let (mut wire, frame) = (BytesMut::new(), Frame::Took(Number(7), 3));
//! frame.write(&mut wire);
//! assert_eq!(Frame::read(&mut wire, &mut Lines::default()), Ok(Some(frame)));
//! ```

mod content;
mod frame;
mod head;
mod lines;
mod names;
mod prefix;
mod queue;
mod read;
mod receiving;
mod sending;
#[cfg(test)]
mod tests;
mod window;

pub use content::Content;
pub use frame::{Frame, Load};
pub use head::{Address, Ask, Head, HeadTooLarge, Known, Line, search_of, write_ask, write_head};
pub use lines::Lines;
pub use prefix::{Malformed, Number};
pub use read::Read;
pub use receiving::Receiving;
pub use sending::{Sending, Sent};
pub use window::{PIECE_LEN_MAX, Violation, WINDOW};

/// The name of the protocol in `Upgrade`.
pub const PROTOCOL: &str = "polliwog.peer.v1";
