//! A connection to a backend while it serves a request.

use std::sync::Arc;
use std::time::Duration;

use crate::upstream::address::Place;
use crate::upstream::pinned::Pinned;
use crate::upstream::pool::{Connection, Pool};

/// A connection in use. It returns to its pool, or stays with the client's connection that it belongs to.
pub(super) struct Lease {
    pool: Arc<Pool>,
    pinned: Pinned,
    connection: Option<Connection>,
    /// Counts the request.
    _place: Option<Place>,
}

impl Lease {
    pub(super) fn new(
        pool: &Arc<Pool>,
        pinned: Pinned,
        connection: Connection,
        place: Option<Place>,
    ) -> Self {
        Self { pool: Arc::clone(pool), pinned, connection: Some(connection), _place: place }
    }

    /// Returns how long the backend had stopped reading, if the connection ended because of that.
    pub(super) fn stalled(&self) -> Option<Duration> {
        let patience = &self.connection.as_ref()?.patience;
        patience.is_over().then(|| patience.limit())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            if connection.is_personal {
                self.pinned.keep(&self.pool, connection);
            } else {
                self.pool.give_back(connection);
            }
        }
    }
}
