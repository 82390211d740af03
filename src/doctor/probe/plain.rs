//! A WebSocket of any server, of whose messages nothing is known: its handshake, a Ping, and silence.

use std::time::Duration;

use http::Method;
use tokio::time::{Instant, timeout_at};

use super::client::{Ask, Client};
use super::http2;
use super::websocket::{Proof, Socket};
use crate::doctor::facts::{Ended, Facts, Failure, Idle};

/// Gathers the facts. The WebSocket waits in silence for at most `silence`.
///
/// # Errors
/// Says why nothing could connect.
pub(super) async fn examine(client: &Client, silence: Duration, facts: &mut Facts) -> Result<(), String> {
    let (mut opening, socket) = Socket::open_at(client, Ask::new(Method::GET, "", None)).await;
    if let Some(Failure::Connect(why)) = &opening.exchange.failure {
        return Err(why.clone());
    }
    let asked = opening.exchange.asked.clone();
    let mut proven = None;
    if let Some(mut socket) = socket {
        let pong = opening.first.insert(socket.prove(Proof::Pong, client.patience).await);
        proven = pong.is_ok().then_some(socket);
    }
    facts.web_socket = Some(opening);
    let watched = async {
        match proven {
            Some(socket) => Some(watch(asked, socket, silence).await),
            None => None,
        }
    };
    (facts.idle_socket, facts.http2) = tokio::join!(watched, http2::examine(client, "", Proof::Pong));
    Ok(())
}

/// Says nothing for at most `longest`. What the server says by itself ends a silence, as a heartbeat does.
async fn watch(asked: String, mut socket: Socket, longest: Duration) -> Idle {
    let began = Instant::now();
    let (mut heard, mut silent, mut ended) = (began, Duration::ZERO, Ended::Still);
    loop {
        let came = timeout_at(began + longest, socket.next()).await;
        silent = silent.max(heard.elapsed());
        match came {
            Err(_) => break,
            Ok(Ok(_)) => (heard, ended) = (Instant::now(), Ended::Beat),
            Ok(Err(came)) => {
                (silent, ended) = (heard.elapsed(), Ended::Cut(came));
                break;
            }
        }
    }
    socket.close().await;
    Idle { asked, interval: longest, silent, ended }
}
