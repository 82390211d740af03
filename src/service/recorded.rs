//! A request whose line is written, and whose span is sent, once its response has ended.

use http::request::Parts;

use super::running::{Handler, Served};
use super::serving::Serving;
use super::{Connection, onward};
use crate::access_log::{Met, OpenRequest, Request};

/// Has a request's line written, and its span sent. If the request is dropped before it has a response, its line says so.
pub(super) fn recorded(serving: Serving, mut line: OpenRequest) -> Serving {
    Serving::other(async move {
        let response = serving.await?;
        line.answer(response.status());
        Ok(response.map(|body| body.recorded(line)))
    })
}

/// Notes which route a request has met, if it has a line or a span. Its token is not in its target any more.
pub(super) fn note_route(head: &Parts, served: &Served, connection: &Connection) {
    let Some(request) = Request::of(&head.extensions) else { return };
    let Served { route, handler } = served;
    let met = Met {
        route: route.id().to_string(),
        path: route.path.clone(),
        dialect: route.dialect,
        upstream: route.upstream.clone(),
    };
    request.meet(met, onward::address_of(&head.headers, &connection.client, served.trusted_proxies()));
    if matches!(handler, Handler::Forward(_)) {
        request.operate("forward");
        // In any other target may be a session's id.
        if route.dialect == FORWARDED {
            request.aim(&head.uri);
        }
    }
}

/// The dialect of routes that have no sessions.
const FORWARDED: &str = "http";
