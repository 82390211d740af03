//! The log line of a session's end.

use super::info::RouteInfo;
use crate::access_log::SessionLine;
use crate::end::End;
use crate::meter::Direction;
use crate::packet::Transport;
use crate::sid::Sid;
use crate::tally::{Moved, Tally};

/// Logs that a session has ended, and what it was: its route and its id.
pub fn log_end(
    span: Option<tracing::Id>,
    (route, sid): (Option<&RouteInfo>, &Sid),
    tally: &Tally,
    transport: Transport,
    end: End,
) {
    if let Some(RouteInfo { id, dialect, upstream, access, names }) = route {
        access.session_ended(|| SessionLine {
            session: names.of(id, sid).to_string(),
            route: id.to_string(),
            dialect,
            transport,
            upstream: upstream.name(),
            tally,
            end,
        });
    }
    let Moved { messages: messages_from_client, bytes: bytes_from_client } =
        tally.moved(Direction::FromClient);
    let Moved { messages: messages_to_client, bytes: bytes_to_client } = tally.moved(Direction::ToClient);
    tracing::debug!(
        parent: span,
        session = route.map(|route| display(route.names.of(&route.id, sid))),
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
