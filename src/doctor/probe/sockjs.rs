//! SockJS: `/info`, a session by polling, the responses that go on, and the WebSocket.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::time::Instant;

use super::client::{Ask, Client};
use super::idle::GRACE;
use super::session::{TRIES, stamp};
use super::websocket::Socket;
use crate::doctor::facts::{Answer, Cookies, Ended, Exchange, Facts, Failure, Idle, Opening, Try};

/// Gathers the facts, as for Engine.IO. A session of SockJS ends by itself when its client is gone.
///
/// # Errors
/// Says why nothing could connect.
pub(super) async fn examine(client: &Client, silence: Duration, facts: &mut Facts) -> Result<(), String> {
    let info = client.ask(Ask::at(Method::GET, "info")).await;
    if let Some(Failure::Connect(why)) = &info.failure {
        return Err(why.clone());
    }
    let is_there = info.whole().is_some_and(Answer::is_sockjs_info);
    facts.first = Some(info);
    if !is_there {
        return Ok(());
    }
    let (idle_poll, (opening, idle_socket), (tries, streams)) =
        tokio::join!(poll(client, silence), web_socket(client, silence), async {
            (use_often(client).await, streams(client).await)
        },);
    (facts.idle_poll, facts.idle_socket, facts.web_socket) = (Some(idle_poll), idle_socket, Some(opening));
    (facts.tries, facts.streams) = (tries, streams);
    Ok(())
}

/// Returns the segments of the server and of a session, which the client invents.
fn place() -> String {
    format!("000/{}", stamp())
}

/// Opens a session by polling, and sends it nothing on one connection after the other.
async fn use_often(client: &Client) -> Vec<Try> {
    let place = place();
    let opened = client.ask(Ask::below(Method::POST, &place, "xhr")).await;
    let mut tries = Vec::new();
    if !opened.is_success() {
        tries.push(Try { exchange: opened, cookies: Cookies::None });
        return tries;
    }
    for _ in 0..TRIES {
        // An array without messages: nothing reaches the application.
        let send = Ask::below(Method::POST, &place, "xhr_send").sending(Bytes::from_static(b"[]"));
        tries.push(Try { exchange: client.ask(send).await, cookies: Cookies::None });
    }
    tries
}

/// Opens a session by each response that goes on, up to the frame that says so.
async fn streams(client: &Client) -> Vec<Exchange> {
    let xhr = Ask::below(Method::POST, &place(), "xhr_streaming").until("o\n");
    let source = Ask::below(Method::GET, &place(), "eventsource").until("data: o\r\n\r\n");
    vec![client.ask(xhr).await, client.ask(source).await]
}

/// Polls and says nothing.
async fn poll(client: &Client, longest: Duration) -> Idle {
    let place = place();
    let ask = || Ask::below(Method::POST, &place, "xhr");
    let opened = client.ask(ask()).await;
    let mut idle = Idle {
        asked: opened.asked.clone(),
        interval: HEARTBEAT,
        silent: Duration::ZERO,
        ended: Ended::Unborn(opened.came()),
    };
    if !opened.is_success() {
        return idle;
    }
    let polled = client.ask(ask().within(longest.min(HEARTBEAT + GRACE))).await;
    idle.silent = polled.took;
    idle.ended = match (&polled.answer, &polled.failure) {
        (_, Some(Failure::Late(_))) => Ended::Still,
        (Some(answer), None) if answer.status.is_success() && !answer.body.starts_with(b"c[") => Ended::Beat,
        _ => Ended::Cut(polled.came()),
    };
    idle
}

/// Opens a WebSocket and says nothing.
async fn web_socket(client: &Client, longest: Duration) -> (Opening, Option<Idle>) {
    let (mut opening, socket) = Socket::open_at(client, Ask::below(Method::GET, &place(), "websocket")).await;
    let Some(mut socket) = socket else { return (opening, None) };
    let first = opening.first.insert(socket.expect("o", client.patience).await);
    if first.is_err() {
        return (opening, None);
    }
    let began = Instant::now();
    let ended = match socket.wait_for("h", longest.min(HEARTBEAT + GRACE)).await {
        Ok(_) => Ended::Beat,
        Err(None) => Ended::Still,
        Err(Some(came)) => Ended::Cut(came),
    };
    let asked = opening.exchange.asked.clone();
    let idle = Idle { asked, interval: HEARTBEAT, silent: began.elapsed(), ended };
    socket.close().await;
    (opening, Some(idle))
}

/// What servers do by default; they do not announce it.
const HEARTBEAT: Duration = Duration::from_secs(25);
