//! The list of all nodes, and whether it is up to date: the seam between what knows the nodes and what asks them.
//!
//! A list that is written down is [fixed](Roster::fixed). Any other source holds the [`Keeper`] of a [`Roster`], publishes the
//! list whenever it has looked, and looks at once if it is [wanted](Keeper::wanted).

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::sid::Tag;

/// All nodes, with this one: the addresses at which a node of that name is said to listen, as `host:port`. Usually it is one.
pub type Nodes = BTreeMap<Tag, Vec<String>>;

/// The nodes as their source knows them.
#[derive(Clone, Debug)]
pub struct Roster {
    /// `None` before the first look.
    look: watch::Receiver<Option<Look>>,
    /// `None` if the list never changes.
    again: Option<Arc<Notify>>,
}

/// The source's side.
#[derive(Debug)]
pub struct Keeper {
    look: watch::Sender<Option<Look>>,
    again: Arc<Notify>,
}

/// What a look has found.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) nodes: Nodes,
    /// Who came after this may not be in it.
    pub(super) begun: Instant,
}

impl Roster {
    /// Creates a list that never changes.
    pub fn fixed(nodes: Nodes) -> Self {
        let look = Look { nodes, begun: Instant::now() };
        Self { look: watch::Sender::new(Some(look)).subscribe(), again: None }
    }

    /// Creates a list that its keeper publishes.
    pub fn kept() -> (Keeper, Self) {
        let (sender, look) = watch::channel(None);
        let again = Arc::new(Notify::new());
        (Keeper { look: sender, again: Arc::clone(&again) }, Self { look, again: Some(again) })
    }

    /// Returns whether the list never changes.
    pub(super) const fn is_fixed(&self) -> bool {
        self.again.is_none()
    }

    /// Returns the latest look, if there was one yet.
    pub(super) fn look(&mut self) -> Option<Look> {
        self.look.borrow_and_update().clone()
    }

    /// Has the source look again soon.
    pub(super) fn look_again(&self) {
        if let Some(again) = &self.again {
            again.notify_one();
        }
    }

    /// Waits until the source has looked. Returns `false` if it never will again.
    pub(super) async fn looked(&mut self) -> bool {
        self.look.changed().await.is_ok()
    }
}

impl Keeper {
    /// Publishes what a look has found that began then, even if it is what was known.
    pub fn publish(&self, nodes: Nodes, begun: Instant) {
        self.look.send_replace(Some(Look { nodes, begun }));
    }

    /// Waits until somebody needs a fresh look.
    pub async fn wanted(&self) {
        self.again.notified().await;
    }
}
