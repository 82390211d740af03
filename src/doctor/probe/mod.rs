//! Gathers the facts: what is asked of the server, in which order, within which time.
//!
//! A poll and a WebSocket wait in silence for most of the time. Beside them, everything else is asked one after the
//! other, each request on a connection of its own.

mod client;
mod cors;
mod http2;
mod idle;
mod longpoll;
mod plain;
mod session;
mod sockjs;
mod websocket;

use std::time::Duration;

use http::HeaderValue;
use http::header::ACCEPT_ENCODING;
use tokio::time::{Instant, sleep, timeout_at};

use self::client::Ask;
pub(super) use self::client::Client;
pub(super) use self::session::Sessions;
use self::session::{PARKED, POLLS, QUICK_TIME, Session, TRIES, query, stamp};
use self::websocket::{Proof, Socket};
use super::facts::{Cookies, Facts, Failure, Push, Sized, Try};
use crate::client_options::Dialect;
use crate::packet::Transport;
use crate::revision::Revision;

/// Gathers the facts. A poll and a WebSocket wait in silence for at most `silence`; `origin` is that of clients' pages.
///
/// # Errors
/// Says why nothing could connect.
pub(super) async fn examine(
    dialect: Dialect,
    sessions: &Sessions,
    silence: Duration,
    origin: Option<&HeaderValue>,
    facts: &mut Facts,
) -> Result<(), String> {
    let client = sessions.client();
    let examined = match dialect {
        Dialect::EngineIo => engine_io(sessions, silence, origin, facts).await,
        Dialect::Sockjs => sockjs::examine(client, silence, facts).await,
        Dialect::Longpoll => longpoll::examine(client, silence, origin, facts).await,
        Dialect::Websocket => plain::examine(client, silence, facts).await,
    };
    facts.heads.clone_from(&client.heads());
    facts.certificate = client.unverified.as_ref().and_then(|unverified| unverified.found());
    examined
}

/// Gathers the facts of a server of Engine.IO.
async fn engine_io(
    sessions: &Sessions,
    silence: Duration,
    origin: Option<&HeaderValue>,
    facts: &mut Facts,
) -> Result<(), String> {
    let mut first = None;
    for revision in [Revision::V4, Revision::V3] {
        let (handshake, session) = sessions.begin(revision).await;
        if let Some(Failure::Connect(why)) = &handshake.exchange.failure {
            return Err(why.clone());
        }
        facts.handshakes.push(handshake);
        match session {
            Some(session) if first.is_none() => first = Some(session),
            Some(session) => {
                sessions.close(&session).await;
            }
            None => {}
        }
    }
    let Some(session) = first else { return Ok(()) };
    let (revision, interval) = (session.revision, session.open.ping_interval);
    // Even if each answer comes in the last moment, there is an end.
    let end = Instant::now() + silence.max(QUICK_TIME);
    let Facts { idle_poll, idle_socket, web_socket, .. } = facts;
    let (idle_poll, idle_socket, web_socket) = (idle_poll, idle_socket, web_socket);
    let mut rest = Facts::default();
    let waits = async {
        let (poll, (opening, socket)) = tokio::join!(
            idle::poll(sessions, revision, silence),
            idle::web_socket(sessions, revision, interval, silence),
        );
        (*idle_poll, *idle_socket, *web_socket) = (poll, socket, Some(opening));
    };
    // What is asked too late stays unseen.
    let (_, ()) = tokio::join!(timeout_at(end, ask_all(sessions, session, origin, &mut rest)), waits);
    (facts.tries, facts.push, facts.upgrade) = (rest.tries, rest.push, rest.upgrade);
    (facts.twins, facts.plain, facts.posts) = (rest.twins, rest.plain, rest.posts);
    (facts.cors, facts.http2) = (rest.cors, rest.http2);
    Ok(())
}

/// Asks everything that is answered at once.
async fn ask_all(sessions: &Sessions, first: Session, origin: Option<&HeaderValue>, facts: &mut Facts) {
    try_often(sessions, &first, facts).await;
    facts.push = Some(push(sessions, &first).await);
    let revision = first.revision;
    let same = stamp();
    let (handshake, second) = sessions.begin_with(revision, &same, |ask| ask).await;
    facts.twins.push(handshake);
    if let Some(second) = second {
        try_often(sessions, &second, facts).await;
        if second.open.upgrades {
            upgrade(sessions, &second, facts).await;
        }
        sessions.close(&second).await;
    }
    let (handshake, third) = sessions.begin_with(revision, &same, |ask| ask).await;
    facts.twins.push(handshake);
    if let Some(third) = third {
        post_much(sessions, &third, facts).await;
        sessions.close(&third).await;
    }
    let plain = |ask: Ask| ask.with(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let (handshake, fourth) = sessions.begin_with(revision, &stamp(), plain).await;
    facts.plain = Some(handshake.exchange);
    if let Some(fourth) = fourth {
        sessions.close(&fourth).await;
    }
    facts.cors = Some(cors::examine(sessions, revision, origin).await);
    let query = query(revision, Transport::WebSocket);
    facts.http2 = http2::examine(sessions.client(), &query, Proof::OpenPacket).await;
}

/// Posts as much as the server takes, and less where that does not pass.
async fn post_much(sessions: &Sessions, session: &Session, facts: &mut Facts) {
    let mut size = session.open.max_payload.unwrap_or(PAYLOAD).clamp(PAYLOAD_MIN, PAYLOAD_MAX);
    for _ in 0..POSTS {
        let exchange = sessions.post_much(session, size).await;
        let is_over = exchange.is_success() || exchange.is_unknown_session() || exchange.answer.is_none();
        facts.posts.push(Sized { size, exchange });
        if is_over {
            return;
        }
        size /= 4;
    }
}

/// Uses a session on one connection after the other, with its cookies and without.
async fn try_often(sessions: &Sessions, session: &Session, facts: &mut Facts) {
    for _ in 0..TRIES {
        let exchange = sessions.post_nothing(session).await;
        facts.tries.push(Try { exchange, cookies: session.cookies() });
    }
    if session.cookies() == Cookies::Kept {
        let bare = session.without_cookie();
        for _ in 0..TRIES {
            let exchange = sessions.post_nothing(&bare).await;
            facts.tries.push(Try { exchange, cookies: Cookies::LeftOut });
        }
    }
}

/// Closes a session while a poll waits: every server answers the poll then.
async fn push(sessions: &Sessions, session: &Session) -> Push {
    let mut poll = Box::pin(sessions.poll(session, None));
    for _ in 0..POLLS {
        tokio::select! {
            // Something had come before, such as answers to pings of protocol 3: poll again.
            _ = &mut poll => poll = Box::pin(sessions.poll(session, None)),
            // The poll has arrived, before the POST.
            () = sleep(PARKED) => break,
        }
    }
    let began = Instant::now();
    let answered = async {
        let polled = poll.await;
        (polled, began.elapsed())
    };
    let ((poll, waited), post) = tokio::join!(answered, sessions.close(session));
    Push { poll, post, waited }
}

/// Opens the WebSocket of a session, and probes it as a client does.
async fn upgrade(sessions: &Sessions, session: &Session, facts: &mut Facts) {
    let client = sessions.client();
    let (opening, socket) = Socket::open(client, session.revision, Some(session)).await;
    let opening = facts.upgrade.insert(opening);
    let Some(mut socket) = socket else { return };
    let probed = match socket.send("2probe").await {
        Ok(()) => socket.expect("3probe", client.patience).await,
        broken => broken,
    };
    opening.first = Some(probed);
    socket.close().await;
}

/// What servers take that do not say how much they do.
const PAYLOAD: usize = 1_000_000;
/// A server that takes less is tried with this much, since a limit in between may be lower.
const PAYLOAD_MIN: usize = 1000;
/// More would be a burden.
const PAYLOAD_MAX: usize = 4 << 20;
/// How many sizes are tried.
const POSTS: usize = 5;
