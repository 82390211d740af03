//! What clients of all dialects share: who plays which, and how a WebSocket is opened.

use std::sync::atomic::Ordering;

use tokio::time::timeout;

use crate::http::{Http, STUCK};
use crate::plan::Kind;
use crate::session::{End, Session};
use crate::socket::{Coding, Side, converse};
use crate::world::World;
use crate::{engine, feed, sockjs};

/// Plays the client of a session to its end.
pub(crate) async fn run(world: &World, session: &Session) {
    let told = match session.plan.kind {
        Kind::EnginePolling(_) | Kind::EngineUpgrade(_) | Kind::EngineWebSocket(_) => {
            engine::run(world, session).await
        }
        Kind::SockJsPolling | Kind::SockJsStreaming | Kind::SockJsEventSource | Kind::SockJsWebSocket => {
            sockjs::run(world, session).await
        }
        Kind::LongPoll | Kind::LongPollLines | Kind::LongPollEvents => feed::run(world, session).await,
        Kind::WebSocket => {
            let target = format!("{}?k={}", session.plan.path(), session.id);
            open_socket(world, session, &target, Coding::Plain).await
        }
    };
    session.client_is(End::Told(told));
}

/// Begins a session with a WebSocket, and talks on it to its end.
pub(crate) async fn open_socket(
    world: &World,
    session: &Session,
    target: &str,
    coding: Coding,
) -> &'static str {
    let Ok(mut wire) = Http::new(world, session, 2).connect().await else { return "no connection" };
    let handshake = async {
        wire.write(upgrade(target).as_bytes()).await?;
        wire.until(b"\r\n\r\n").await
    };
    let head = timeout(STUCK, handshake).await;
    let told = match head {
        Ok(Ok(head)) if head.starts_with(b"HTTP/1.1 101") => {
            session.client_begins();
            let told;
            (wire, told) = converse(session, wire, coding, Side::Client).await;
            told
        }
        Ok(Ok(_)) => "the handshake was refused",
        Ok(Err(_)) => "the handshake broke",
        Err(_) => {
            session.fault("a handshake was never answered".to_owned());
            "nothing"
        }
    };
    if wire.was_cut {
        session.client_was_cut.store(true, Ordering::Relaxed);
    }
    told
}

/// Returns a request that asks for a WebSocket.
pub(crate) fn upgrade(target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: cuts\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}
