//! The log line of a session's end.

use super::info::RouteInfo;
use crate::access_log::SessionLine;
use crate::end::End;
use crate::meter::Direction;
use crate::packet::Transport;
use crate::tally::{Moved, Tally};

/// Logs that a session has ended, and what it was.
pub fn log_end(
    span: Option<tracing::Id>,
    route: Option<&RouteInfo>,
    tally: &Tally,
    transport: Transport,
    end: End,
) {
    if let Some(RouteInfo { id, dialect, upstream, access }) = route {
        let (route, upstream) = (&id.to_string(), upstream.name());
        access.session_ended(&SessionLine { route, dialect, transport, upstream, tally, end });
    }
    let Moved { messages: messages_from_client, bytes: bytes_from_client } =
        tally.moved(Direction::FromClient);
    let Moved { messages: messages_to_client, bytes: bytes_to_client } = tally.moved(Direction::ToClient);
    tracing::debug!(
        parent: span,
        reason = end.word(),
        transport = transport.word(),
        route = route.map(|route| display(&route.id)),
        dialect = route.map(|route| route.dialect),
        upstream = route.map(|route| route.upstream.name()),
        client = tally.client().map(display),
        age = ?tally.age(),
        messages_from_client,
        bytes_from_client,
        messages_to_client,
        bytes_to_client,
        "session ended"
    );
}
