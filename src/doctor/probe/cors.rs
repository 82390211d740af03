//! A handshake and a preflight of a page of another origin.

use http::header::{ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::{HeaderName, HeaderValue, Method};

use super::client::{Ask, Client};
use super::session::{Sessions, query, stamp};
use crate::doctor::facts::{Cors, Exchange};
use crate::packet::Transport;
use crate::revision::Revision;

/// Asks as a page of this origin, or of one that nobody has.
pub(super) async fn examine(sessions: &Sessions, revision: Revision, asked: Option<&HeaderValue>) -> Cors {
    let value = origin(asked);
    let (handshake, session) = sessions.begin_with(revision, &stamp(), |ask| ask.with(ORIGIN, value)).await;
    if let Some(session) = session {
        sessions.close(&session).await;
    }
    let query = query(revision, Transport::Polling);
    let preflight = Ask::new(Method::OPTIONS, &query, Some(("t", &stamp())));
    with_preflight(sessions.client(), preflight, asked, handshake.exchange).await
}

/// Returns the origin that is asked for, or one that nobody has.
pub(super) fn origin(asked: Option<&HeaderValue>) -> HeaderValue {
    asked.cloned().unwrap_or(HeaderValue::from_static(NOBODY))
}

/// Adds a preflight to the answer that a page of another origin got.
pub(super) async fn with_preflight(
    client: &Client,
    ask: Ask,
    asked: Option<&HeaderValue>,
    handshake: Exchange,
) -> Cors {
    let value = origin(asked);
    let own = &client.own;
    let names: Vec<&str> = ["content-type"].into_iter().chain(own.iter().map(HeaderName::as_str)).collect();
    let wanted = HeaderValue::try_from(names.join(", "));
    let preflight = ask
        .with(ORIGIN, value.clone())
        .with(ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("POST"))
        .with(ACCESS_CONTROL_REQUEST_HEADERS, wanted.unwrap_or(HeaderValue::from_static("content-type")));
    Cors {
        origin: String::from_utf8_lossy(value.as_bytes()).into_owned(),
        is_asked: asked.is_some(),
        has_headers: !own.is_empty(),
        handshake,
        preflight: client.ask(preflight).await,
    }
}

/// A name that is never given away (RFC 2606).
const NOBODY: &str = "https://elsewhere.example";
