//! The proxy's own short responses: if no dialect has one, or the backend was not reached.

use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};

use super::Response;
use crate::meter::Outcome;
use crate::transport::Body;
use crate::upstream::OpenError;

/// Returns a short answer of the proxy's own.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Returns the response while the proxy accepts no more, with the time to retry.
pub(super) fn unavailable(text: &'static str) -> Response {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(RETRY_AFTER, retry_after());
    response
}

/// Returns the response to a client that has too much under way itself.
pub(super) fn too_many(text: &'static str) -> Response {
    let mut response = unavailable(text);
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    response
}

/// Returns the time to retry if it is not known when there will be room.
pub(super) const fn retry_after() -> HeaderValue {
    HeaderValue::from_static(RETRY_AFTER_SECONDS)
}

/// The response if a backend was not reached, or its answer was not understood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unreached {
    /// The outcome to count, if a session was to be opened.
    pub(super) outcome: Outcome,
    /// The response's status.
    pub(super) status: StatusCode,
    /// The response's text.
    pub(super) text: &'static str,
}

impl Unreached {
    /// Explains an error. A refusal has a response of its own; this one is for requests that it does not answer.
    pub(super) const fn new(error: &OpenError) -> Self {
        let (outcome, status, text) = match error {
            OpenError::Down(_) => (Outcome::Down, StatusCode::BAD_GATEWAY, "the upstream is down\n"),
            OpenError::Slow(_) => (Outcome::Slow, StatusCode::GATEWAY_TIMEOUT, "the upstream timed out\n"),
            OpenError::Refused(_) => (Outcome::Refused, StatusCode::BAD_GATEWAY, "the upstream refused\n"),
            OpenError::Protocol(_) => {
                (Outcome::Down, StatusCode::BAD_GATEWAY, "the upstream violated its protocol\n")
            }
            OpenError::HeaderTooLarge => (Outcome::Down, StatusCode::BAD_GATEWAY, HEADER_TOO_LARGE),
            OpenError::Full => (Outcome::Full, StatusCode::SERVICE_UNAVAILABLE, FULL),
            OpenError::NoDescriptor(_) => (Outcome::Full, StatusCode::SERVICE_UNAVAILABLE, NO_DESCRIPTOR),
            OpenError::NoRandomness(_) => {
                (Outcome::Failed, StatusCode::INTERNAL_SERVER_ERROR, "the system's random source failed\n")
            }
        };
        Self { outcome, status, text }
    }

    /// Returns the response. If this process can't open a connection, the client's is closed.
    pub(super) fn response(self) -> Response {
        if self.status != StatusCode::SERVICE_UNAVAILABLE {
            return plain(self.status, self.text);
        }
        let mut response = unavailable(self.text);
        if self.text == NO_DESCRIPTOR {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

const HEADER_TOO_LARGE: &str = "the upstream's response header is larger than 64 KiB or 500 lines\n";
const FULL: &str = "the upstream is full\n";
const NO_DESCRIPTOR: &str = "the proxy has no file descriptors left\n";
/// The response while buffers take nearly all of their budget.
pub(super) const SHORT_OF_MEMORY: &str = "the proxy is short of memory\n";
/// The response if the dot segments of a path leave its route.
pub(super) const OUT_OF_ROUTE: &str = "the path leaves its route\n";
/// Long enough for a drain to end elsewhere, or for a place to become free; clients add their own jitter.
const RETRY_AFTER_SECONDS: &str = "5";

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_system_without_randomness_is_not_blamed_on_the_upstream() {
        let unreached = Unreached::new(&OpenError::NoRandomness(getrandom::Error::UNSUPPORTED));
        assert_eq!(unreached.outcome, Outcome::Failed);
        let response = unreached.response();
        assert_eq!(response.status(), 500);
        assert_eq!(
            response.into_body().collect().await.unwrap().to_bytes(),
            "the system's random source failed\n"
        );
    }
}
