//! How much memory a session takes that waits: a poll that is parked, or a stream or a WebSocket on which nothing happens.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::{Client, open_web_socket};
use crate::line::Line;
use crate::peer::Peer;
use crate::process::Process;
use crate::receiver::Receiver;
use crate::secured;
use crate::subject::{Subject, Under};
use crate::words::Answering;

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A parked poll, or a stream.
    Parked(Receiver),
    /// A parked poll, and the connection of a POST before it, as clients hold them.
    Held,
    Idle,
}

/// Kilobytes of resident memory for each session.
pub(crate) async fn measure(kind: Kind, peer: Peer, sessions: usize) -> anyhow::Result<f64> {
    let subject = Subject::start(peer, Answering::Silent, Under::Nothing).await?;
    if peer == Peer::Tls {
        return secured(&subject, sessions).await;
    }
    // Memory that the first few sessions touch belongs to the program.
    let _first = open_all(kind, peer, subject.address, 0..FIRST).await?;
    sleep(SETTLE).await;
    let before = resident(&subject)?;
    let _rest = open_all(kind, peer, subject.address, FIRST..FIRST + sessions).await?;
    sleep(REST).await;
    per_session(resident(&subject)? - before, sessions)
}

/// The same for sessions over TLS.
async fn secured(subject: &Subject, sessions: usize) -> anyhow::Result<f64> {
    let connector = secured::connector(&subject.folder)?;
    let mut held = Vec::new();
    let (mut before, mut opening) = (0, JoinSet::new());
    for number in 0..FIRST + sessions {
        if number == FIRST {
            sleep(SETTLE).await;
            before = resident(subject)?;
        }
        if opening.len() == AT_ONCE
            && let Some(opened) = opening.join_next().await
        {
            held.push(opened??);
        }
        let (connector, server) = (connector.clone(), subject.address);
        opening.spawn_local(async move { secured::hold(&connector, server, number).await });
    }
    while let Some(opened) = opening.join_next().await {
        held.push(opened??);
    }
    sleep(REST).await;
    per_session(resident(subject)? - before, sessions)
}

pub(crate) fn per_session(bytes: i64, sessions: usize) -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(bytes / 1000)?) / f64::from(u32::try_from(sessions)?))
}

pub(crate) fn resident(subject: &Subject) -> anyhow::Result<i64> {
    subject.processes.iter().map(Process::memory).sum()
}

/// Opens sessions, some at a time; they live as long as the returned value.
async fn open_all(
    kind: Kind,
    peer: Peer,
    server: SocketAddr,
    numbers: Range<usize>,
) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::with_capacity(numbers.len());
    let mut opening = JoinSet::new();
    for number in numbers {
        if opening.len() == AT_ONCE
            && let Some(opened) = opening.join_next().await
        {
            lines.extend(opened??);
        }
        opening.spawn_local(open(kind, peer, server, number));
    }
    while let Some(opened) = opening.join_next().await {
        lines.extend(opened??);
    }
    Ok(lines)
}

async fn open(kind: Kind, peer: Peer, server: SocketAddr, number: usize) -> anyhow::Result<Vec<Line>> {
    match kind {
        Kind::Parked(receiver) => {
            let mut client = Client::open_at(peer, receiver, server, number).await?;
            client.ask().await?;
            Ok(vec![client.line])
        }
        Kind::Held => {
            let mut client = Client::open_at(peer, Receiver::EngineIo, server, number).await?;
            client.ask().await?;
            let mut other = Line::connect(server).await?;
            client.post(&mut other).await?;
            Ok(vec![client.line, other])
        }
        Kind::Idle => Ok(vec![open_web_socket(server, number).await?]),
    }
}

pub(crate) const FIRST: usize = 200;
const AT_ONCE: usize = 32;
pub(crate) const SETTLE: Duration = Duration::from_secs(2);
/// The allocator returns pages that were unused for ten seconds.
pub(crate) const REST: Duration = Duration::from_secs(12);
