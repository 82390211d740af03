//! The complete responses of the admin listener.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::body::Body;

/// A complete response; hyper omits the body for `HEAD`.
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) media_type: &'static str,
    pub(super) body: Bytes,
}

impl Page {
    pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { status, media_type: "text/plain; charset=utf-8", body: body.into() }
    }

    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self { status, media_type: JSON, body: format!("{body:#}\n").into() }
    }

    /// Returns what says why a request was not fulfilled.
    pub(super) fn problem(status: StatusCode, problem: &str) -> Self {
        Self::json(status, &json!({ "problem": problem }))
    }
}

/// Refuses a method where only `allowed` have a meaning.
pub(super) fn refuse_method(allowed: &'static str) -> Response<Body> {
    let mut refusal = Response::from(Page::text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n"));
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    refusal
}

/// Asks for the token. A browser asks its user for a name and a password, of which the password is it.
pub(super) fn ask_for_token() -> Response<Body> {
    let mut refusal = Response::from(Page::problem(StatusCode::UNAUTHORIZED, "this needs the token"));
    let challenge = HeaderValue::from_static("Basic realm=\"Polliwog\", charset=\"UTF-8\"");
    refusal.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    refusal
}

impl From<Page> for Response<Body> {
    fn from(page: Page) -> Self {
        let mut response = Self::new(page.body.into());
        *response.status_mut() = page.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(page.media_type));
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

pub(super) const JSON: &str = "application/json";
