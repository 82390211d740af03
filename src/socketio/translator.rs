//! The translator between a client and a backend of different versions.

use super::new_client::NewClient;
use super::old_client::OldClient;
use super::output::{Fault, Out, Peer};
use super::packet::Head;
use super::wires::{Fate, Wires};
use crate::packet::{Message, Text};

/// Stands between a client and a backend of different versions of Socket.IO.
///
/// `handle_*` takes what either side sends, and [`poll`](Self::poll) returns the outputs; the caller polls until there
/// are none before it calls `handle_*` again. Messages keep their order, and nothing ever comes between the header of a
/// packet and its attachments. The state is bounded: the names of 256 namespaces of 1 KiB each, and 64 KiB to 512 KiB
/// of messages in each place where one may have to wait. After [`Out::Close`] it does nothing.
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

impl Translator {
    /// Creates a translator for a client of Socket.IO 1 or 2 and a backend of 3 or 4. Its first output requests the
    /// root namespace from the backend, which such a client never does.
    pub fn old_client() -> Self {
        let mut wires = Wires::new();
        let role = Role::OldClient(OldClient::new(&mut wires));
        Self { role, wires, over: false }
    }

    /// Creates a translator for a client of Socket.IO 3 or 4 and a backend of 2. `backend_sid` is the sid in the
    /// backend's open packet, from which the backend derives the ids of its sockets.
    pub fn new_client(backend_sid: &str) -> Self {
        Self { role: Role::NewClient(NewClient::new(backend_sid)), wires: Wires::new(), over: false }
    }

    /// Handles a message of the client.
    pub fn handle_client(&mut self, message: Message) {
        self.handle(Peer::Client, message);
    }

    /// Handles a message of the backend.
    pub fn handle_backend(&mut self, message: Message) {
        self.handle(Peer::Backend, message);
    }

    /// Returns the next output.
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
            Message::Binary(_) => self.wires.take_attachment(from).ok_or(Fault::Parser(from))?,
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
        let head = Head::read(text.as_bytes()).filter(|_| !self.wires.expects_attachments(from));
        let head = head.ok_or(Fault::Malformed(from))?;
        let wires = &mut self.wires;
        let fate = match (&mut self.role, from) {
            (Role::OldClient(role), Peer::Client) => role.handle_client(&head, wires),
            (Role::OldClient(role), Peer::Backend) => role.handle_backend(&head, wires),
            (Role::NewClient(role), Peer::Client) => role.handle_client(&head, wires),
            (Role::NewClient(role), Peer::Backend) => role.handle_backend(&head, wires),
        }?;
        wires.expect_attachments(from, head.attachments, fate);
        Ok(fate)
    }
}

impl Role {
    /// Keeps a message until the client requests its namespace.
    fn hold(&mut self, message: Message) {
        match self {
            // Everything that an old client's backend sends was requested.
            Self::OldClient(_) => {}
            Self::NewClient(role) => role.hold(message),
        }
    }
}
