//! A client of Socket.IO 1 or 2 with a backend of 3 or 4.
//!
//! Such a client never requests the root namespace, so this is done for it. It may request a namespace twice, or use
//! one that it is not connected to; a backend of its own version ignores that, and the new one would close.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::namespaces::{Namespaces, Stage};
use super::output::{Fault, Out, Peer};
use super::packet::{Head, Kind, ROOT, write};
use super::query;
use super::refusal;
use super::wires::{Fate, Wires};
use crate::packet::Text;

/// The state of an old client and its new backend.
#[derive(Debug)]
pub(super) struct OldClient {
    namespaces: Namespaces,
    /// Whether the handshake still waits for the backend's answer.
    handshaking: bool,
}

impl OldClient {
    pub(super) fn new(wires: &mut Wires) -> Self {
        let mut namespaces = Namespaces::default();
        namespaces.ask(ROOT).expect("the first namespace has room");
        wires.push(Peer::Backend.out(write(Kind::Connect, ROOT, "")));
        Self { namespaces, handshaking: true }
    }

    pub(super) fn handle_client(&mut self, head: &Head<'_>, wires: &mut Wires) -> Result<Fate, Fault> {
        match head.kind {
            Kind::Connect => self.connect(head, wires).map(|()| Fate::Drop),
            Kind::Disconnect => Ok(pass_if(self.namespaces.leave(head.namespace))),
            Kind::Error => Ok(Fate::Drop),
            Kind::Event | Kind::Ack | Kind::BinaryEvent | Kind::BinaryAck => {
                Ok(pass_if(self.namespaces.is_connected(head.namespace)))
            }
        }
    }

    fn connect(&mut self, head: &Head<'_>, wires: &mut Wires) -> Result<(), Fault> {
        let (name, query) = head.split_query();
        match self.namespaces.stage(name) {
            None => {
                self.namespaces.ask(name)?;
                wires.send(Peer::Backend, write(Kind::Connect, name, &query::to_auth(query)))
            }
            // The backend's one answer serves both requests.
            Some(Stage::Pending) => Ok(()),
            // The root was granted automatically; a second grant would be a second `connect` for the client.
            Some(Stage::Connected) if name == ROOT => Ok(()),
            Some(Stage::Connected) => wires.send(Peer::Client, write(Kind::Connect, name, "")),
        }
    }

    pub(super) fn handle_backend(&mut self, head: &Head<'_>, wires: &mut Wires) -> Result<Fate, Fault> {
        let name = head.namespace;
        match head.kind {
            Kind::Connect => {
                if self.namespaces.grant(name) {
                    let sid = sid(head.data).ok_or(Fault::OldBackend)?;
                    self.send_root(name, Ok(Text::from(sid)), wires);
                    wires.send(Peer::Client, write(Kind::Connect, name, ""))?;
                }
                Ok(Fate::Drop)
            }
            Kind::Error => {
                let data = refusal::to_old(head.data);
                if self.namespaces.refuse(name) {
                    self.send_root(name, Err(Text::from(data.as_str())), wires);
                }
                wires.send(Peer::Client, write(Kind::Error, name, &data))?;
                Ok(Fate::Drop)
            }
            Kind::Disconnect => Ok(pass_if(self.namespaces.leave(name))),
            Kind::Event | Kind::Ack | Kind::BinaryEvent | Kind::BinaryAck => Ok(Fate::Pass),
        }
    }

    fn send_root(&mut self, name: &str, answer: Result<Text, Text>, wires: &mut Wires) {
        if name == ROOT && std::mem::take(&mut self.handshaking) {
            wires.push(Out::Root(answer));
        }
    }
}

const fn pass_if(condition: bool) -> Fate {
    if condition { Fate::Pass } else { Fate::Drop }
}

fn sid(data: &[u8]) -> Option<String> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_slice(data).ok()?;
    serde_json::from_str(members.get("sid")?.get()).ok()
}
