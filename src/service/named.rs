//! The id that a client made for a session, which another of its requests may have, or have had a moment ago.

use std::time::Duration;

use crate::bridge::{Located, Registry, Reservation};
use crate::route_id::RouteId;

/// An id that a client made.
pub(super) enum Named {
    /// It is reserved when the backend is asked.
    Chosen(String),
    /// It is reserved for this request.
    Reserved(Reservation),
    /// Another request has it.
    Taken,
}

impl Named {
    /// Returns whether the id is taken, and stays so for as long as [`reserve_soon`] waits.
    pub(super) async fn is_taken(&self, registry: &Registry, route: &RouteId) -> bool {
        let name = match self {
            Self::Chosen(name) => name,
            Self::Reserved(_) => return false,
            Self::Taken => return true,
        };
        for _ in 0..ATTEMPTS {
            match registry.find(route, name) {
                Located::Here(_) | Located::Opening => tokio::time::sleep(PAUSE).await,
                Located::Gone(_) | Located::Nowhere => return false,
            }
        }
        true
    }

    /// Reserves the id; `None` if it is taken.
    pub(super) async fn reserve(self, registry: &Registry, route: &RouteId) -> Option<Reservation> {
        match self {
            Self::Chosen(name) => reserve_soon(registry, route, &name).await,
            Self::Reserved(reservation) => Some(reservation),
            Self::Taken => None,
        }
    }
}

/// Reserves an id that a client chose, if it is free or becomes so in a moment. The client may have hung up on a
/// request that still asks the backend, and come again before the end of that connection was read.
pub(super) async fn reserve_soon(registry: &Registry, route: &RouteId, name: &str) -> Option<Reservation> {
    soon(|| registry.reserve_named(route, name)).await
}

/// Returns what `reserve` does, if it can, or can in a moment.
pub(super) async fn soon<T>(reserve: impl Fn() -> Option<T>) -> Option<T> {
    for _ in 0..ATTEMPTS {
        if let Some(reserved) = reserve() {
            return Some(reserved);
        }
        tokio::time::sleep(PAUSE).await;
    }
    reserve()
}

/// Enough attempts to see the other's end even on a busy machine.
pub(super) const ATTEMPTS: usize = 25;
pub(super) const PAUSE: Duration = Duration::from_millis(1);
