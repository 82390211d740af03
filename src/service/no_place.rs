//! Why there is no place for a session, and what its client is told.

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use super::Response;
use super::replies::{SHORT_OF_MEMORY, plain, retry_after};
use crate::limits::TooEarly;
use crate::meter::Outcome;

/// Why there is no place for a session.
#[derive(Clone, Copy, Debug)]
pub(super) enum NoPlace {
    /// There are `max_sessions`.
    Full,
    /// Buffers take nearly all of `memory_max`.
    Memory,
    /// Its client has `client_sessions`.
    TooMany,
    /// Its client, or all together, have begun too many in a short time.
    TooEarly(TooEarly),
}

impl NoPlace {
    /// Returns the outcome to count.
    pub(super) const fn outcome(self) -> Outcome {
        match self {
            Self::Full => Outcome::Full,
            Self::Memory => Outcome::Memory,
            Self::TooMany | Self::TooEarly(_) => Outcome::Limited,
        }
    }

    /// Returns the response's status.
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Full | Self::Memory => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooMany | Self::TooEarly(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// Returns the response's text.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Full => "the proxy is full\n",
            Self::Memory => SHORT_OF_MEMORY,
            Self::TooMany => "this client has too many sessions\n",
            Self::TooEarly(_) => "too many new sessions at once\n",
        }
    }

    /// Returns when the client should try again.
    pub(super) fn retry_after(self) -> HeaderValue {
        match self {
            Self::Full | Self::Memory | Self::TooMany => retry_after(),
            // Rounded up: earlier it would be refused again.
            Self::TooEarly(TooEarly { wait }) => {
                HeaderValue::from((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1))
            }
        }
    }

    /// Returns the response.
    pub(super) fn response(self) -> Response {
        let mut response = plain(self.status(), self.text());
        response.headers_mut().insert(RETRY_AFTER, self.retry_after());
        response
    }
}
