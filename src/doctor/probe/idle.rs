//! A poll and a WebSocket on which nothing is said: does something on the way end them before the heartbeat?

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::session::{Session, Sessions};
use super::websocket::Socket;
use crate::codec::engineio::OpenPacket;
use crate::doctor::facts::{Ended, Exchange, Failure, Idle, Opening};
use crate::packet::{Packet, Text};
use crate::revision::Revision;

/// Polls and says nothing, for at most `longest`.
pub(super) async fn poll(sessions: &Sessions, revision: Revision, longest: Duration) -> Option<Idle> {
    let (handshake, session) = sessions.begin(revision).await;
    let Some(session) = session else {
        return Some(Idle {
            asked: handshake.exchange.asked.clone(),
            interval: Duration::ZERO,
            silent: Duration::ZERO,
            ended: Ended::Unborn(handshake.exchange.came()),
        });
    };
    let idle = watch(sessions, &session, longest).await;
    sessions.close(&session).await;
    Some(idle)
}

async fn watch(sessions: &Sessions, session: &Session, longest: Duration) -> Idle {
    let began = Instant::now();
    let interval = session.open.ping_interval;
    let until = began + longest.min(interval.saturating_add(GRACE));
    let mut idle = Idle { asked: String::new(), interval, silent: Duration::ZERO, ended: Ended::Still };
    let (mut unknown, mut early) = (0, false);
    for _ in 0..POLLS_MAX {
        let now = Instant::now();
        let Some(left) = until.checked_duration_since(now).filter(|left| !left.is_zero()) else {
            return idle;
        };
        let exchange = one_poll(sessions, session, left, interval.saturating_sub(began.elapsed())).await;
        idle.asked.clone_from(&exchange.asked);
        if exchange.is_unknown_session() && unknown < UNKNOWN_MAX {
            // Where requests of a session go to any server, one of the next finds the right one.
            unknown += 1;
            continue;
        }
        if let Some(Failure::Late(_)) = exchange.failure {
            idle.silent = idle.silent.max(exchange.took);
            return idle;
        }
        let Some(packets) = exchange.whole().and_then(|answer| answer.packets(session.revision)) else {
            idle.silent = idle.silent.max(exchange.took);
            idle.ended = Ended::Cut(exchange.came());
            return idle;
        };
        idle.silent = idle.silent.max(exchange.took);
        if packets.iter().any(|packet| matches!(packet, Packet::Ping(_) | Packet::Pong(_))) {
            if session.revision == Revision::V4 && !early && is_early(began.elapsed(), interval) {
                early = true;
                idle.silent = Duration::ZERO;
                sessions.post(session, &[Packet::Pong(Text::default())]).await;
                continue;
            }
            idle.ended = Ended::Beat;
            return idle;
        }
        if packets.contains(&Packet::Close(None)) {
            idle.ended = Ended::Cut("the server closed the session".to_owned());
            return idle;
        }
    }
    idle.ended = Ended::Unborn("the server is never silent".to_owned());
    idle
}

/// Polls once. In protocol 3 the client begins the heartbeat, in the middle of the poll.
async fn one_poll(sessions: &Sessions, session: &Session, left: Duration, beat_in: Duration) -> Exchange {
    let mut poll = Box::pin(sessions.poll(session, Some(left)));
    if session.revision == Revision::V4 || beat_in >= left {
        return poll.await;
    }
    tokio::select! {
        polled = &mut poll => return polled,
        () = sleep(beat_in) => {}
    }
    tokio::join!(poll, sessions.post_nothing(session)).0
}

/// Opens a WebSocket and says nothing, for at most `longest`.
pub(super) async fn web_socket(
    sessions: &Sessions,
    revision: Revision,
    interval: Duration,
    longest: Duration,
) -> (Opening, Option<Idle>) {
    let client = sessions.client();
    let (mut opening, socket) = Socket::open(client, revision, None).await;
    let Some(mut socket) = socket else { return (opening, None) };
    let first = socket.text("0", client.patience).await;
    // Whose heartbeat it is depends on whether a proxy relays it.
    let own = first.as_ref().ok().and_then(|open| OpenPacket::decode(&Text::from(open[1..].to_owned())));
    let interval = own.map_or(interval, |open| open.ping_interval);
    let has_begun = first.is_ok();
    opening.first = Some(first.map(drop));
    if !has_begun {
        return (opening, None);
    }
    let mut heard = Instant::now();
    let patience = longest.min(interval.saturating_add(GRACE));
    let beat = async {
        match revision {
            Revision::V4 => match socket.wait_for("2", patience).await {
                Ok(_) if is_early(heard.elapsed(), interval) => {
                    socket.send("3").await.map_err(Some)?;
                    heard = Instant::now();
                    socket.wait_for("2", patience).await
                }
                ended => ended,
            },
            Revision::V3 if longest < interval => socket.wait_for("3", longest).await,
            Revision::V3 => match socket.wait_for("3", interval).await {
                Err(None) => {
                    socket.send("2").await.map_err(Some)?;
                    socket.wait_for("3", longest.saturating_sub(interval).min(GRACE)).await
                }
                ended => ended,
            },
        }
    };
    let ended = match beat.await {
        Ok(_) => Ended::Beat,
        Err(None) => Ended::Still,
        Err(Some(came)) => Ended::Cut(came),
    };
    let asked = opening.exchange.asked.clone();
    let idle = Idle { asked, interval, silent: heard.elapsed(), ended };
    socket.close().await;
    (opening, Some(idle))
}

/// Returns whether a ping after this time is none of the heartbeat: some servers send one at once, as engineioxide does.
fn is_early(elapsed: Duration, interval: Duration) -> bool {
    elapsed < interval / 2
}

/// How late a heartbeat may come.
pub(super) const GRACE: Duration = Duration::from_secs(3);
/// How many polls may be answered with messages.
pub(super) const POLLS_MAX: u32 = 40;
/// How many polls may reach a server that does not know the session.
const UNKNOWN_MAX: u32 = 4;
