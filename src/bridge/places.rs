//! The POSTs of a session that may have several at once, and their limit.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::session::{Line, Packets, PushOutcome};

/// The POSTs of one session that have been read, and places for those still being read.
pub(super) struct Queue {
    pub(super) line: Line<CompletePush, Waiting>,
    pub(super) places: Arc<Semaphore>,
}

/// A POST whose body was read completely.
pub(super) struct CompletePush {
    pub(super) packets: Packets,
    pub(super) len: usize,
}

/// A request that waits for the outcome of its POST. If it is dropped, it receives no outcome, and its place stays
/// taken until there is one.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) outcome: oneshot::Sender<PushOutcome>,
    _place: PushPlace,
}

impl Waiting {
    pub(super) fn new(outcome: oneshot::Sender<PushOutcome>, place: PushPlace) -> Self {
        Self { outcome, _place: place }
    }
}

/// A place for one POST's body.
#[derive(Debug)]
pub struct PushPlace {
    _permit: Option<OwnedSemaphorePermit>,
}

impl PushPlace {
    /// Waits until a place is free.
    pub(super) async fn take(places: Arc<Semaphore>) -> Self {
        // The semaphore is never closed.
        Self { _permit: places.acquire_owned().await.ok() }
    }
}

/// The outcome that a POST waits for.
pub type PendingOutcome = oneshot::Receiver<PushOutcome>;

impl Default for Queue {
    fn default() -> Self {
        Self { line: Line::default(), places: Arc::new(Semaphore::new(PLACES)) }
    }
}

/// How many POSTs of a session may be in progress at once, being read or queued.
const PLACES: usize = 8;
