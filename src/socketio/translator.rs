//! The translator between a client and a backend of different versions.

use thiserror::Error;

use super::new_client::NewClient;
use super::old_client::OldClient;
use super::packet::Head;
use super::wires::{Fate, Wires};
use crate::packet::{Message, Text};

/// Stands between a client and a backend of different versions of Socket.IO.
///
/// What either side sends is told by `handle_*`, and [`poll`](Self::poll) says what is to be done; the caller polls until
/// there is nothing more before it tells the next. Messages keep their order, and nothing ever comes between the head of a
/// packet and its attachments. What it keeps is bounded: the names of 256 namespaces of 1 KiB each, and 64 KiB to 512 KiB of
/// messages in each place where one may have to wait. After [`Out::Close`] it does nothing.
#[derive(Debug)]
pub struct Translator {
    role: Role,
    wires: Wires,
    over: bool,
}

#[derive(Debug)]
enum Role {
    OldClient(OldClient),
    NewClient(NewClient),
}

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

/// Why a translation can't go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Fault {
    /// A binary message came where a packet begins.
    #[error("{} speaks with another parser than the default one, which can't be translated", .0.name())]
    Parser(Peer),
    /// A text is no packet, or came where an attachment was owed.
    #[error("{} sent what is no Socket.IO packet", .0.name())]
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
    #[error("a namespace was asked for after the root namespace was left")]
    RootLeft,
    /// More namespaces, or longer names, than are kept for one client; or more packets of ours than may wait.
    #[error("the client asked for too many namespaces")]
    TooMuch,
}

impl Translator {
    /// For a client of Socket.IO 1 or 2, and a backend of 3 or 4. Its first output asks the backend for the root namespace, which
    /// such a client never does.
    pub fn old_client() -> Self {
        let mut wires = Wires::new();
        let role = Role::OldClient(OldClient::new(&mut wires));
        Self { role, wires, over: false }
    }

    /// For a client of Socket.IO 3 or 4, and a backend of 2. `backend_sid` is the sid in the backend's open packet, from which
    /// it makes the ids of its sockets.
    pub fn new_client(backend_sid: &str) -> Self {
        Self { role: Role::NewClient(NewClient::new(backend_sid)), wires: Wires::new(), over: false }
    }

    /// The client sent a message.
    pub fn handle_client(&mut self, message: Message) {
        self.handle(Peer::Client, message);
    }

    /// The backend sent a message.
    pub fn handle_backend(&mut self, message: Message) {
        self.handle(Peer::Backend, message);
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Out> {
        self.wires.pop()
    }

    fn handle(&mut self, from: Peer, message: Message) {
        if self.over {
            return;
        }
        if let Err(fault) = self.translate(from, message) {
            self.over = true;
            self.wires.push(Out::Close(fault));
        }
    }

    fn translate(&mut self, from: Peer, message: Message) -> Result<(), Fault> {
        let fate = match &message {
            Message::Binary(_) => self.wires.pay(from).ok_or(Fault::Parser(from))?,
            Message::Text(text) => self.read(from, text)?,
        };
        match fate {
            Fate::Pass => self.wires.push(from.other().out(message)),
            Fate::Drop => {}
            Fate::Hold => self.role.hold(message),
        }
        self.wires.settle(from);
        Ok(())
    }

    fn read(&mut self, from: Peer, text: &Text) -> Result<Fate, Fault> {
        let head = Head::read(text.as_bytes()).filter(|_| !self.wires.owes(from));
        let head = head.ok_or(Fault::Malformed(from))?;
        let wires = &mut self.wires;
        let fate = match (&mut self.role, from) {
            (Role::OldClient(role), Peer::Client) => role.hear_client(&head, wires),
            (Role::OldClient(role), Peer::Backend) => role.hear_backend(&head, wires),
            (Role::NewClient(role), Peer::Client) => role.hear_client(&head, wires),
            (Role::NewClient(role), Peer::Backend) => role.hear_backend(&head, wires),
        }?;
        wires.owe(from, head.attachments, fate);
        Ok(fate)
    }
}

impl Role {
    /// Keeps a message until the client asks for its namespace.
    fn hold(&mut self, message: Message) {
        match self {
            // Whatever an old client's backend sends was asked for.
            Self::OldClient(_) => {}
            Self::NewClient(role) => role.hold(message),
        }
    }
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
