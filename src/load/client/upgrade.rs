//! Long-polling that moves to a WebSocket, as the stock client does it.
//!
//! The WebSocket is opened and probed while polling continues. Then polling is paused: the pending poll and POST
//! complete. Only then does the client send `5`, which moves the session.

use super::Session;
use super::polling::{Polling, Probe};
use super::websocket::Frames;
use crate::load::fault::Fault;
use crate::load::stats::Cost;
use crate::packet::{Packet, Text};

/// Polls, upgrades and continues on the WebSocket.
pub(super) async fn run(session: &mut Session) -> Result<(), Fault> {
    let requests = session.common.protocol.requests(session.kind)?;
    let mut polling = Polling::open(session, requests).await?;
    let probe = polling.requests.offers_upgrade().map(|sid| probe(session, sid));
    if probe.is_none() {
        session.stats().handle_fault(session.kind, &Fault::NoUpgrade);
    }
    let Some(mut frames) = polling.converse(session, probe).await? else {
        polling.close(session).await;
        return Ok(());
    };
    drop(polling);
    session.note(Cost::upgrade(frames.take_bytes()));
    frames.send(session.common.protocol, Packet::Upgrade)?;
    frames.converse(session).await
}

/// Opens a WebSocket for the session and probes it.
fn probe(session: &Session, sid: &str) -> Probe {
    let request = session.web_socket(Some(sid));
    let (connector, source, protocol) =
        (session.common.connector.clone(), session.source, session.common.protocol);
    Box::pin(async move {
        let mut frames = Frames::open(&connector, source, request?).await?;
        frames.send(protocol, Packet::Ping(Text::from_static(PROBE)))?;
        let answer: Packet = frames.first(protocol).await?;
        if answer != Packet::Pong(Text::from_static(PROBE)) {
            return Err(Fault::Malformed(format!("a probe was answered {answer:?}")));
        }
        Ok(frames)
    })
}

const PROBE: &str = "probe";
