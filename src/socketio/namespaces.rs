//! The namespaces that a client has requested.

use std::collections::BTreeMap;

use super::output::Fault;

/// The state of a namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Requested, and not answered yet.
    Pending,
    /// Granted.
    Connected,
}

/// The namespaces that a client has requested, with their states.
#[derive(Debug, Default)]
pub(super) struct Namespaces(BTreeMap<String, Stage>);

impl Namespaces {
    pub(super) fn stage(&self, name: &str) -> Option<Stage> {
        self.0.get(name).copied()
    }

    pub(super) fn is_connected(&self, name: &str) -> bool {
        self.stage(name) == Some(Stage::Connected)
    }

    /// Handles a request for a namespace.
    pub(super) fn ask(&mut self, name: &str) -> Result<(), Fault> {
        if name.len() > NAME_MAX || self.0.len() >= NAMESPACES_MAX {
            return Err(Fault::TooMuch);
        }
        self.0.insert(name.to_owned(), Stage::Pending);
        Ok(())
    }

    /// Handles the backend's consent to a namespace. Returns whether it was awaited.
    pub(super) fn grant(&mut self, name: &str) -> bool {
        let pending = self.0.get_mut(name).filter(|stage| **stage == Stage::Pending);
        pending.map(|stage| *stage = Stage::Connected).is_some()
    }

    /// Handles the backend's refusal of a namespace. Returns whether it was awaited.
    pub(super) fn refuse(&mut self, name: &str) -> bool {
        self.stage(name) == Some(Stage::Pending) && self.0.remove(name).is_some()
    }

    /// Handles a disconnect from a namespace, by either side. Returns whether it was connected.
    pub(super) fn leave(&mut self, name: &str) -> bool {
        self.is_connected(name) && self.0.remove(name).is_some()
    }

    /// Refuses all pending namespaces, and returns them.
    pub(super) fn refuse_pending(&mut self) -> Vec<String> {
        let pending = self.0.extract_if(.., |_, stage| *stage == Stage::Pending);
        pending.map(|(name, _)| name).collect()
    }
}

/// How many namespaces one connection may have.
pub(super) const NAMESPACES_MAX: usize = 256;

/// How long the name of one may be, in bytes.
pub(super) const NAME_MAX: usize = 1024;
