//! The opening of a relayed session: the backend answers the client's handshake.

use std::sync::Arc;

use http::request::Parts;

use super::guard::expiry;
use super::session_route::SessionRoute;
use super::{Client, Response, onward};
use crate::bridge::{Admission, Burden, RelayHandle, Wishes};
use crate::dialect::Framing;
use crate::duplex::Patience;
use crate::packet::Transport;
use crate::spelling::Spelling;
use crate::transport::relay::{Relay, RelayedSession};
use crate::transport::web_socket_ask::WebSocketAsk;
use crate::upstream::{OpenError, OpenRequest, Relayed};

/// Passes a client's handshake on, and joins the two streams once the backend has accepted it.
///
/// # Errors
/// The backend did not accept.
pub(super) async fn begin(
    route: &SessionRoute,
    head: Parts,
    path: String,
    ask: WebSocketAsk,
    client: Client,
    framing: Arc<dyn Framing>,
    admission: Admission,
) -> Result<Response, OpenError> {
    let settings = &route.settings;
    let tally = route.tally(&head.headers, &client);
    let request = OpenRequest {
        prefix: settings.path.clone(),
        path,
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: onward::for_relay(&head, &route.onward(&client)),
        client: route.located(&head.headers, &client).peer,
        dialect: "websocket",
        transport: Transport::WebSocket,
        revision: None,
        spelling: Spelling::of_client(&head.extensions),
    };
    let reservation = route.reserve()?;
    let Relayed { stream, read_ahead, headers, spelling } = route.upstream.relay(request).await?;
    let (response, upgrading) = ask.accept_as(headers, &spelling);
    let session = RelayedSession {
        meter: route.meter.clone(),
        handle: Arc::new(RelayHandle {
            framing,
            wishes: Wishes::default(),
            route: Some(Arc::clone(&route.info)),
            tally,
            burden: Burden::new(route.registry.budget()),
        }),
        reservation,
        introduction: route.upstream.introduction(),
        rate: settings.session.rate,
        limited: route.limits.limited(),
        max_payload: settings.session.max_payload,
        message_max: route.message_max,
        close_timeout: settings.session.close_timeout,
        expires_at: expiry(&head),
        admission,
    };
    let stream = stream.with_patience(Some(Patience::new(settings.session.stall_timeout)));
    // What a task captures stays in it, as long as it lives: room for each idle relay.
    let begun = Box::new((stream, read_ahead, session));
    route.tracker.spawn(async move {
        // If the client is gone by now, the backend's stream is dropped with it.
        if let Some(client) = upgrading.stream().await {
            let (stream, read_ahead, session) = *begun;
            Relay::new(client, (stream, read_ahead), session).run().await;
        }
    });
    Ok(response)
}
