//! What is held: each value counts until it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::duplex::Companion;

/// How many there are of something.
#[derive(Default, Debug)]
pub(super) struct Count(Arc<AtomicUsize>);

/// One of them.
#[derive(Debug)]
pub(super) struct Held(Arc<AtomicUsize>);

/// A connection, which counts among all, and among those of its client once that is known.
#[derive(Debug)]
pub struct HeldConnection {
    _all: Held,
    client: Option<Held>,
}

/// A session of a client. The default is that of a client which is not counted.
#[derive(Default, Debug)]
pub struct HeldSession {
    _client: Option<Held>,
}

/// A tunnel, which counts among all, and among those of its client.
#[derive(Debug)]
pub struct HeldTunnel {
    _all: Held,
    _client: Option<Held>,
}

/// A request of a client.
#[derive(Debug)]
pub struct HeldRequest {
    _client: Option<Held>,
}

impl Count {
    /// Takes one more, if there are fewer than `max`.
    pub(super) fn take(&self, max: usize) -> Option<Held> {
        let one_more = |count: usize| (count < max).then_some(count + 1);
        let was = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        was.ok().map(|_| Held(Arc::clone(&self.0)))
    }
}

impl HeldConnection {
    pub(super) const fn new(all: Held) -> Self {
        Self { _all: all, client: None }
    }

    /// Has it count as a client's, too; returns whether it may.
    pub(super) fn is_of(&mut self, client: Option<Held>) -> bool {
        self.client = client;
        self.client.is_some()
    }
}

impl HeldTunnel {
    pub(super) const fn new(all: Held, client: Option<Held>) -> Self {
        Self { _all: all, _client: client }
    }
}

impl HeldRequest {
    pub(super) const fn new(client: Option<Held>) -> Self {
        Self { _client: client }
    }
}

impl HeldSession {
    pub(super) const fn new(client: Option<Held>) -> Self {
        Self { _client: client }
    }
}

/// A connection counts for as long as its stream lives, whatever it is upgraded to.
impl Companion for HeldConnection {}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
