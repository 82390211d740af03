//! The POSTs of a session that may have several at once, and how many those are.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::session::{Line, Packets, PushOutcome};

/// The POSTs of one session that have been read, and places for those that are being read.
pub(super) struct Queue {
    pub(super) line: Line<Whole, Waiting>,
    pub(super) places: Arc<Semaphore>,
}

/// A POST whose body is there.
pub(super) struct Whole {
    pub(super) packets: Packets,
    pub(super) len: usize,
}

/// A request that waits for what becomes of its POST. One that is gone does not hear it, and keeps its place until then.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) verdict: oneshot::Sender<PushOutcome>,
    _place: PushPlace,
}

impl Waiting {
    pub(super) fn new(verdict: oneshot::Sender<PushOutcome>, place: PushPlace) -> Self {
        Self { verdict, _place: place }
    }
}

/// A place for one POST's body.
#[derive(Debug)]
pub struct PushPlace {
    _permit: Option<OwnedSemaphorePermit>,
}

impl PushPlace {
    /// Waits until one is free.
    pub(super) async fn take(places: Arc<Semaphore>) -> Self {
        // They are never closed.
        Self { _permit: places.acquire_owned().await.ok() }
    }
}

/// What a POST waits for.
pub type Verdict = oneshot::Receiver<PushOutcome>;

impl Default for Queue {
    fn default() -> Self {
        Self { line: Line::default(), places: Arc::new(Semaphore::new(PLACES)) }
    }
}

/// How many POSTs of a session may be there at once, being read or in its line.
const PLACES: usize = 8;
