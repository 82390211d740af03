//! The differences between dialects, as data.

use std::time::Duration;

use crate::end::End;
use crate::packet::{Closing, Packet};

/// How sessions of a dialect behave.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// What happens if a poll's client disconnects before the response is written.
    pub hang_up: HangUp,
    /// What happens if a second receiver arrives while there is one.
    pub second: Second,
    /// When a message counts as delivered.
    pub acks: Acks,
    /// What happens if a second POST arrives during one.
    pub pushes: Pushes,
    /// Which side sends heartbeats.
    pub pinger: Pinger,
    /// How long a client's goodbye waits, a few times over, for a poll that the client sent before it: two requests on
    /// two connections may be handled in the other order. If it is not zero, packets of an upgrade candidate are also
    /// read before a poll is handled.
    pub crossing: Duration,
    /// How long a poll after POSTs is held at most, while the backend has sent fewer messages than they contained: an
    /// application that answers each of them is a round trip away. Zero means no longer than the linger.
    pub echoes: Duration,
    /// The only packet that may follow the open packet in a handshake's response.
    pub piggyback: Option<Piggyback>,
    /// The packets that end a poll that is parked when the session ends.
    pub goodbye_waiting: &'static [Packet],
    /// The packets that end a poll that arrives after the session's end.
    pub goodbye_late: &'static [Packet],
    /// Returns the code and reason that a client is sent for this end, given those of its backend; `None` if the
    /// packets that end a poll contain neither.
    pub why: Option<fn(End, &Closing) -> Closing>,
    /// How long an ended session's id keeps reporting the end; zero means that the id is unknown at once. It is also
    /// unknown at once if the client has not been told of the session: the client may then try again under the same id.
    pub remembered: Duration,
    /// What happens to the backend's binary messages.
    pub binary: Binary,
    /// The packets that end a receiver which a newer one replaces.
    pub replaced: &'static [Packet],
    /// Returns a packet's length on the wire, in bytes, for splitting batches, and for what they count while they are
    /// written.
    pub encoded_len: fn(&Packet) -> usize,
}

/// A packet that a server sends in one response with its open packet, if it has one in time.
#[derive(Clone, Copy, Debug)]
pub struct Piggyback {
    /// Returns whether this is the packet.
    pub is_it: fn(&Packet) -> bool,
    /// How long the handshake waits for it; the wait ends with the backend's first message, and there is none if
    /// `linger` is off.
    pub patience: Duration,
}

/// What happens if a poll's client disconnects before the response is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HangUp {
    /// The session ends (Engine.IO's reference server: "poll connection closed prematurely").
    Ends,
    /// The batch returns to the front of the outbox, and the next poll gets it.
    Returns,
}

/// What happens if a second receiver arrives while there is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Second {
    /// The session ends (Engine.IO's reference server: "overlap from client").
    Ends,
    /// The second is refused, and the first continues.
    Refused,
    /// The first is ended, and the second replaces it.
    Replaces,
}

/// When a message counts as delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acks {
    /// When the client's connection has accepted it.
    OnWrite,
    /// When the client acknowledges it: until then it is kept, counts against `outbox_max`, and can be handed out
    /// again.
    OnCursor,
}

/// What happens if a second POST arrives during one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pushes {
    /// The session ends (Engine.IO's reference server: "overlap from client"). It also ends if a POST's body is
    /// aborted.
    One,
    /// It is queued behind the first. A POST whose body is aborted, too large or malformed has no effect.
    Queued,
}

/// What happens to a backend's binary messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binary {
    /// They are passed on unchanged.
    Crosses,
    /// Clients can receive text only: valid UTF-8 is sent as text, and anything else ends the session towards the
    /// backend with 1003 (RFC 6455, section 7.4.1: "data it cannot accept"). What the backend sent before that still
    /// reaches the client.
    AsText,
    /// Clients can receive text only: each is sent as its base64.
    AsBase64,
}

/// Which side sends heartbeats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pinger {
    /// The server pings, and the client must send its pong in time (protocol 4, "Heartbeat").
    Server,
    /// The client pings, and must send its next ping in time (protocol 3).
    Client,
    /// Neither pings: the client counts as alive while it has a receiver, or opens another in time.
    Nobody(Liveness),
}

/// How the liveness of a client without heartbeats is judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Liveness {
    /// How often a receiver is sent a ping that needs no answer, so that neither the client nor a proxy closes it as
    /// idle; zero means never.
    pub beat: Duration,
    /// How long the client may have no receiver.
    pub absence: Duration,
    /// Whether anything that the client sends also shows that it is alive.
    pub is_heard: bool,
}
