//! A client of Socket.IO 3 or 4 with a backend of 2.
//!
//! Such a backend grants the root namespace automatically, and no other without it. Such a client requests the
//! namespaces that it wants, often only the root, and knows its sockets by the ids in the answers; the backend's ids
//! are derived from its Engine.IO sid.

use serde_json::json;

use super::bounded_queue::BoundedQueue;
use super::namespaces::{NAME_MAX, Namespaces, Stage};
use super::output::{Fault, Peer};
use super::packet::{Head, Kind, ROOT, write};
use super::query;
use super::refusal;
use super::root::{Backend, Client, Root};
use super::wires::{Fate, Wires};
use crate::packet::Message;

/// The state of a new client and its old backend.
#[derive(Debug)]
pub(super) struct NewClient {
    sid: String,
    root: Root,
    /// All but the root.
    namespaces: Namespaces,
    /// CONNECTs that wait until the backend has granted the root: before that, their queries would be lost.
    knocking: BoundedQueue,
    /// Whether the client has requested anything.
    began: bool,
}

impl NewClient {
    pub(super) fn new(sid: &str) -> Self {
        Self {
            sid: sid.to_owned(),
            root: Root::new(),
            namespaces: Namespaces::default(),
            knocking: BoundedQueue::new(KNOCKING_BYTES_MAX),
            began: false,
        }
    }

    pub(super) fn hold(&mut self, message: Message) {
        self.root.held.push(message);
    }

    pub(super) fn handle_client(&mut self, head: &Head<'_>, wires: &mut Wires) -> Result<Fate, Fault> {
        let name = head.namespace;
        let is_connected = match head.kind {
            Kind::Connect => return self.connect(head, wires).map(|()| Fate::Drop),
            Kind::Error => return Err(Fault::Malformed(Peer::Client)),
            Kind::Disconnect if name == ROOT => self.root.leave(),
            Kind::Disconnect => self.namespaces.leave(name),
            Kind::Event | Kind::Ack | Kind::BinaryEvent | Kind::BinaryAck => {
                if name == ROOT {
                    self.root.client == Client::Connected
                } else {
                    self.namespaces.is_connected(name)
                }
            }
        };
        match is_connected {
            true => Ok(Fate::Pass),
            // The namespace was disconnected while this was in transit. The reference closes; the old version ignores
            // it.
            false if self.began => Ok(Fate::Drop),
            false => Err(Fault::NotConnected),
        }
    }

    fn connect(&mut self, head: &Head<'_>, wires: &mut Wires) -> Result<(), Fault> {
        let name = head.namespace;
        let query = query::from_auth(head.data).ok_or(Fault::Malformed(Peer::Client))?;
        self.began = true;
        if name.len() > NAME_MAX {
            return Err(Fault::TooMuch);
        }
        // The backend would read these as a query or a fragment, and grant another namespace.
        if name.contains(['?', '#']) {
            return wires.send(Peer::Client, write(Kind::Error, name, INVALID_NAMESPACE));
        }
        if name == ROOT {
            return self.connect_root(query, wires);
        }
        match self.namespaces.stage(name) {
            Some(Stage::Pending) => return Ok(()),
            Some(Stage::Connected) => return Err(Fault::ConnectedTwice),
            None => {}
        }
        let packet = write(Kind::Connect, &query::attach(name, &query), "");
        match self.root.backend {
            Backend::Silent => {
                self.namespaces.ask(name)?;
                if self.knocking.push(packet) { Ok(()) } else { Err(Fault::TooMuch) }
            }
            Backend::Granted => {
                self.namespaces.ask(name)?;
                wires.send(Peer::Backend, packet)
            }
            // It would never answer.
            Backend::Refused | Backend::Withdrawn => {
                wires.send(Peer::Client, write(Kind::Error, name, WITHOUT_ROOT))
            }
            Backend::Left => Err(Fault::RootLeft),
        }
    }

    fn connect_root(&mut self, query: String, wires: &mut Wires) -> Result<(), Fault> {
        match self.root.client {
            Client::Connected => return Err(Fault::ConnectedTwice),
            Client::Asking { .. } => return Ok(()),
            Client::Away => {}
        }
        match self.root.backend {
            Backend::Silent => {
                self.root.client = Client::Asking { untried: query };
                Ok(())
            }
            // It was not asked yet; if it was, the client's new query may succeed.
            Backend::Refused => self.ask_again(&query, wires),
            Backend::Granted | Backend::Withdrawn => self.welcome(wires),
            Backend::Left => Err(Fault::RootLeft),
        }
    }

    /// Asks the backend for the root again: a backend that has refused it has a middleware, so it answers the request.
    fn ask_again(&mut self, query: &str, wires: &mut Wires) -> Result<(), Fault> {
        self.root.backend = Backend::Silent;
        self.root.client = Client::Asking { untried: String::new() };
        wires.send(Peer::Backend, write(Kind::Connect, &query::attach(ROOT, query), ""))
    }

    pub(super) fn handle_backend(&mut self, head: &Head<'_>, wires: &mut Wires) -> Result<Fate, Fault> {
        let name = head.namespace;
        match head.kind {
            Kind::Connect if name == ROOT => self.root_granted(wires)?,
            Kind::Connect => {
                if self.namespaces.grant(name) {
                    wires.send(Peer::Client, self.grant(name))?;
                }
            }
            Kind::Error if name == ROOT => self.root_refused(head.data, wires)?,
            Kind::Error => {
                if self.namespaces.is_connected(name) {
                    wires.send(Peer::Client, write(Kind::Event, name, &refusal::to_event(head.data)))?;
                } else if self.namespaces.refuse(name) {
                    wires.send(Peer::Client, write(Kind::Error, name, &refusal::to_new(head.data)))?;
                }
            }
            Kind::Disconnect if name == ROOT => return Ok(self.root.withdraw()),
            Kind::Disconnect => return Ok(if self.namespaces.leave(name) { Fate::Pass } else { Fate::Drop }),
            Kind::Event | Kind::Ack | Kind::BinaryEvent | Kind::BinaryAck => {
                let is_known = self.namespaces.stage(name).is_some();
                return Ok(match name {
                    ROOT => self.root.event(),
                    _ if is_known => Fate::Pass,
                    _ => Fate::Drop,
                });
            }
        }
        Ok(Fate::Drop)
    }

    fn root_granted(&mut self, wires: &mut Wires) -> Result<(), Fault> {
        if self.root.backend != Backend::Silent {
            return Ok(());
        }
        self.root.backend = Backend::Granted;
        for packet in self.knocking.take() {
            wires.send(Peer::Backend, packet)?;
        }
        if self.root.client == Client::Away { Ok(()) } else { self.welcome(wires) }
    }

    fn root_refused(&mut self, data: &[u8], wires: &mut Wires) -> Result<(), Fault> {
        match (&self.root.backend, &self.root.client) {
            (Backend::Silent, Client::Asking { untried }) if !untried.is_empty() => {
                let query = untried.clone();
                self.ask_again(&query, wires)
            }
            (Backend::Silent, asking) => {
                if *asking != Client::Away {
                    wires.send(Peer::Client, write(Kind::Error, ROOT, &refusal::to_new(data)))?;
                }
                (self.root.backend, self.root.client) = (Backend::Refused, Client::Away);
                self.knocking.take();
                for name in self.namespaces.refuse_pending() {
                    wires.send(Peer::Client, write(Kind::Error, &name, WITHOUT_ROOT))?;
                }
                Ok(())
            }
            (_, Client::Connected) => {
                wires.send(Peer::Client, write(Kind::Event, ROOT, &refusal::to_event(data)))
            }
            (_, Client::Away | Client::Asking { .. }) => Ok(()),
        }
    }

    /// Grants the client the root, and sends it what came for it before.
    fn welcome(&mut self, wires: &mut Wires) -> Result<(), Fault> {
        wires.send(Peer::Client, self.grant(ROOT))?;
        let (held, rest) = self.root.held.take();
        for message in held {
            wires.send(Peer::Client, message)?;
        }
        wires.release(Peer::Backend, rest);
        if self.root.backend == Backend::Withdrawn {
            (self.root.backend, self.root.client) = (Backend::Left, Client::Away);
            return wires.send(Peer::Client, write(Kind::Disconnect, ROOT, ""));
        }
        self.root.client = Client::Connected;
        Ok(())
    }

    /// Returns the answer, with the backend's id of the socket.
    fn grant(&self, name: &str) -> Message {
        let id = if name == ROOT { self.sid.clone() } else { format!("{name}#{}", self.sid) };
        write(Kind::Connect, name, &json!({ "sid": id }).to_string())
    }
}

/// The reference's error for an unknown namespace.
const INVALID_NAMESPACE: &str = r#"{"message":"Invalid namespace"}"#;

/// The error for a namespace that the backend would never answer for.
const WITHOUT_ROOT: &str = r#"{"message":"The backend refused the root namespace"}"#;

/// How much may be requested before the backend has granted the root.
const KNOCKING_BYTES_MAX: usize = 64 * 1024;
