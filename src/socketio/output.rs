//! What a translator hands out: a message for one side or the other, or why it cannot go on.

use thiserror::Error;

use crate::packet::{Message, Text};

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Out {
    /// Send this to the client.
    ToClient(Message),
    /// Send this to the backend.
    ToBackend(Message),
    /// The backend has answered the CONNECT that was sent for an old client: with the sid of its socket, or with the JSON of a
    /// refusal. It comes once, before what the client hears of it, so that the client's handshake can wait for it.
    Root(Result<Text, Text>),
    /// Close both sides. It is the last thing that comes.
    Close(Fault),
}

/// Who speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    /// The client.
    Client,
    /// The backend.
    Backend,
}

impl Peer {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Backend,
            Self::Backend => Self::Client,
        }
    }

    pub(super) const fn out(self, message: Message) -> Out {
        match self {
            Self::Client => Out::ToClient(message),
            Self::Backend => Out::ToBackend(message),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Client => "the client",
            Self::Backend => "the backend",
        }
    }
}

/// Why a translation can't go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Fault {
    /// A binary message came where a packet begins.
    #[error("{} uses a parser other than the default one, which can't be translated", .0.name())]
    Parser(Peer),
    /// A text is no packet, or came where an attachment was owed.
    #[error("{} sent a malformed Socket.IO packet", .0.name())]
    Malformed(Peer),
    /// The backend granted a namespace as the old protocol does it.
    #[error("the backend does not speak Socket.IO 3 or 4")]
    OldBackend,
    /// The client's first packet was no CONNECT, as Socket.IO 4 requires it.
    #[error("the client sent a packet before it was connected")]
    NotConnected,
    /// The client asked for a namespace that it has, which Socket.IO 4 does not take.
    #[error("the client connected twice to a namespace")]
    ConnectedTwice,
    /// The root namespace was left, and Socket.IO 2 connects to nothing without it. A client that comes back has it again.
    #[error("the client requested a namespace after it left the root namespace")]
    RootLeft,
    /// More namespaces, or longer names, than are kept for one client; or more packets of ours than may wait.
    #[error("the client requested too many namespaces")]
    TooMuch,
}
