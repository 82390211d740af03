//! A connection to a backend while a request is asked over it.

use std::sync::Arc;
use std::time::Duration;

use crate::upstream::pinned::Pinned;
use crate::upstream::pool::{Connection, Pool};

/// A connection in use, which goes back to its pool, or stays with the client's connection that it belongs to.
pub(super) struct Lease {
    pool: Arc<Pool>,
    pinned: Pinned,
    connection: Option<Connection>,
}

impl Lease {
    pub(super) fn new(pool: &Arc<Pool>, pinned: Pinned, connection: Connection) -> Self {
        Self { pool: Arc::clone(pool), pinned, connection: Some(connection) }
    }

    /// For how long the backend had taken nothing, where the connection ended for that.
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
