//! An `OPTIONS` request, such as a browser's preflight, that is passed on to the backend.

use http::request::Parts;

use super::cors::{CorsLayer, FromBackend, PREFLIGHTS_OF_ONE, is_preflight};
use super::handshake::Handshake;
use super::refusals::Reason;
use super::replies::unavailable;
use super::{Client, Response};
use crate::dialect::{Refusal, RequestKind};
use crate::transport::polling;

/// Returns the backend's response to `OPTIONS`; `None` if its kind can't be asked, or its response is no better than
/// the dialect's own: only a CORS middleware accepts a request that is not a preflight.
///
/// The backend does not know the sid in it, so it is asked without one, as before a session's first request. A draining
/// proxy asks too, since its sessions' clients still fetch their last messages.
pub(super) async fn ask(
    handshake: &Handshake<'_>,
    head: &Parts,
    client: &Client,
    cors: &CorsLayer,
) -> Option<Response> {
    let worth = |response: &Response| is_preflight(&head.headers) || response.status().is_success();
    let Handshake { dialect, route, .. } = *handshake;
    let beginning = dialect.begin(head.uri.query().unwrap_or_default())?;
    let framing = &*beginning.framing;
    let mut known = None;
    // A preflight has no credentials by which its client could be known.
    if route.guard.is_some() && !is_preflight(&head.headers) {
        if let Err(early) = route.shake(&head.headers, client) {
            return Some(early.response());
        }
        let mut asking = head.clone();
        if let Err(denied) = route.authorize(&mut asking, client).await {
            return Some(polling::respond(denied.reply));
        }
        known = Some(asking);
    }
    let head = known.as_ref().unwrap_or(head);
    let request = handshake.request(head, client, &beginning);
    let asking = route.upstream.ask(request, head.method.clone())?;
    if let Some(response) = route.via.refuse_circle(&head.headers, &route.refusals) {
        return Some(response).filter(worth);
    }
    if !route.allows_origin(&head.headers) {
        route.refusals.note_origin(&head.headers);
        return Some(polling::refuse(framing, Refusal::Forbidden)).filter(worth);
    }
    let client = route.limits.client(route.address_of(&head.headers, client));
    let (Some(_own), Some(_place)) =
        (route.limits.preflight(client, PREFLIGHTS_OF_ONE), cors.admit_preflight())
    else {
        route.refusals.note(Reason::Preflights);
        return Some(unavailable("too many preflights at once\n"));
    };
    let mut response = match asking.await {
        Ok(reply) => polling::respond(reply),
        Err(error) => return Some(handshake.explain(framing, error, RequestKind::Http).1).filter(worth),
    };
    response.extensions_mut().insert(FromBackend::Other);
    Some(response).filter(worth)
}
