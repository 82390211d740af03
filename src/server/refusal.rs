//! The response to a client that there is no room for.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use tower::Service;

use super::caller::Request;

/// Answers every request that no descriptor is left for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal;

impl Service<Request> for Refusal {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Request) -> Self::Future {
        let mut response = Response::new(Full::from("the proxy has no file descriptors left\n"));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        for (name, value) in
            [(CONNECTION, "close"), (RETRY_AFTER, "1"), (CONTENT_TYPE, "text/plain; charset=utf-8")]
        {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        ready(Ok(response))
    }
}
