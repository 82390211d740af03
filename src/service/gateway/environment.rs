//! What a dialect may ask when it reads a request, as the gateway of its route knows it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;

use crate::dialect::Environment;
use crate::service::SessionRoute;

/// What a route tells its dialect.
#[derive(Debug)]
pub(super) struct RouteEnvironment<'r>(pub(super) &'r SessionRoute);

impl Environment for RouteEnvironment<'_> {
    fn unix_time(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    fn random(&self) -> u32 {
        // The random number is not a secret, so 0 will do if the system provides none.
        getrandom::u32().unwrap_or_default()
    }

    fn allows_origin(&self, headers: &HeaderMap) -> bool {
        self.0.allows_origin(headers)
    }

    fn is_restricted(&self) -> bool {
        self.0.restricts_origins()
    }

    fn handshakes_take(&self) -> Duration {
        self.0.upstream.handshakes_take()
    }
}
