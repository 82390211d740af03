//! What the client has sent and the link has not accepted yet.

use std::fmt;

use crate::frame::Malformed;
use crate::packet::{Message, Packet};

/// The packets of one POST, decoded one by one.
pub type Packets = Box<dyn Iterator<Item = Result<Packet, Malformed>> + Send>;

/// Holds at most one POST's body or one WebSocket message: nothing more is read until the link has accepted it.
#[derive(Default)]
pub(super) struct Inbox {
    /// The next message for the link.
    pub(super) ahead: Option<Message>,
    /// What follows it in the same POST.
    pub(super) rest: Option<Packets>,
}

impl Inbox {
    pub(super) fn is_empty(&self) -> bool {
        self.ahead.is_none() && self.rest.is_none()
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("ahead", &self.ahead).field("rest", &self.rest.is_some()).finish()
    }
}
