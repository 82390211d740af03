//! The output of a translator: a message for one side, or why it cannot continue.

use thiserror::Error;

use crate::packet::{Message, Text};

/// One output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Out {
    /// Send this to the client.
    ToClient(Message),
    /// Send this to the backend.
    ToBackend(Message),
    /// The backend has answered the CONNECT that was sent for an old client: with the sid of its socket, or with the
    /// JSON of a refusal. It comes once, before the output for the client, so that the client's handshake can wait for
    /// it.
    Root(Result<Text, Text>),
    /// Close both sides. It is the last output.
    Close(Fault),
}

/// The side that sends.
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

/// Why a translation can't continue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Fault {
    /// A binary message came where a packet should begin.
    #[error("{} uses a parser other than the default one, which can't be translated", .0.name())]
    Parser(Peer),
    /// A text is not a packet, or came where an attachment was expected.
    #[error("{} sent a malformed Socket.IO packet", .0.name())]
    Malformed(Peer),
    /// The backend granted a namespace in the old protocol's way.
    #[error("the backend does not speak Socket.IO 3 or 4")]
    OldBackend,
    /// The client's first packet was not the CONNECT that Socket.IO 4 requires.
    #[error("the client sent a packet before it was connected")]
    NotConnected,
    /// The client requested a namespace that it already has, which Socket.IO 4 does not allow.
    #[error("the client connected twice to a namespace")]
    ConnectedTwice,
    /// The root namespace was disconnected, and Socket.IO 2 connects to no namespace without it. A client that
    /// reconnects has it again.
    #[error("the client requested a namespace after it left the root namespace")]
    RootLeft,
    /// More or longer names of namespaces than are kept for one client, or more pending packets of ours than allowed.
    #[error("the client requested too many namespaces")]
    TooMuch,
}
