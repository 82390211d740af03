//! The client's WebSocket: a candidate for an upgrade, or the transport itself.

use std::time::Instant;

use super::End;
use super::Transport;
use super::state::{Event, Phase, PushOutcome, PushSlot, Session};
use super::upgrade::Upgrade;
use crate::packet::{Closing, Packet};

impl Session {
    /// Handles a WebSocket that was opened with this session's id, as a candidate for an upgrade.
    ///
    /// # Errors
    /// Returns [`ProbeRefused`] if the WebSocket is to be closed: there is a candidate already, the client is on a
    /// WebSocket, or the session has ended.
    pub fn handle_probe_opened(&mut self, now: Instant) -> Result<(), ProbeRefused> {
        self.leave(now);
        self.handle_timeout(now);
        if self.transport == Transport::WebSocket || self.upgrade.is_some() || self.is_ended() {
            return Err(ProbeRefused);
        }
        self.has_returned = true;
        self.upgrade = Some(Box::new(Upgrade::new(now, self.settings.upgrade_timeout)));
        Ok(())
    }

    /// Returns whether the candidate's packets are to be read before a poll is handled, since they may have been sent
    /// before it.
    pub fn reads_probe_first(&self) -> bool {
        self.upgrade.is_some() && !self.policy.crossing.is_zero()
    }

    /// Handles a packet that arrived on the candidate.
    pub fn handle_probe_packet(&mut self, packet: &Packet, now: Instant) {
        let Some(upgrade) = &mut self.upgrade else { return };
        match packet {
            Packet::Ping(data) if data.as_str() == PROBE => {
                upgrade.handle_probe(now);
                self.events.push_back(Event::Probe(Packet::Pong(data.clone())));
            }
            Packet::Upgrade => self.adopt(now),
            Packet::Open(_)
            | Packet::Close(_)
            | Packet::Ping(_)
            | Packet::Pong(_)
            | Packet::Message(_)
            | Packet::Noop => self.handle_probe_gone(),
        }
    }

    /// Handles a candidate that disconnected or violated the protocol: the session stays on polling, and another may
    /// try.
    pub fn handle_probe_gone(&mut self) {
        if self.upgrade.take().is_some() {
            self.events.push_back(Event::CloseProbe);
        }
    }

    fn adopt(&mut self, now: Instant) {
        self.upgrade = None;
        if self.is_parked() {
            // A correct client has no poll parked here; the reference server says goodbye to it.
            self.answer(self.policy.goodbye_waiting.to_vec(), now);
        }
        // One that was read completely is still answered: its messages reach the backend first, since the WebSocket is
        // not read before the inbox is empty.
        if self.push == PushSlot::Reading {
            self.push = PushSlot::Idle;
            self.events.push_back(Event::PushDone(PushOutcome::Destroyed));
        }
        self.transport = Transport::WebSocket;
        self.pulse.handle_move(now);
        self.events.push_back(Event::Adopt);
    }

    /// Handles a packet on the client's WebSocket. Read one only while [`wants_client`](Self::wants_client).
    pub fn handle_packet(&mut self, packet: Packet, now: Instant) {
        if !self.is_linked() {
            return;
        }
        // A drain ends the session after a quiet time, which begins again with each packet.
        if self.phase != Phase::Open {
            self.last_push = Some(now);
        }
        if let Some(message) = self.handle_client_packet(packet, Transport::WebSocket, now) {
            self.inbox.ahead = Some(message);
            self.inbox_since = Some(now);
            self.pulse.hold(now);
        }
    }

    /// Handles the end of the client's WebSocket, or a violation of the protocol on it; `closing` holds the client's
    /// code and reason.
    pub fn handle_socket_end(&mut self, end: End, closing: Option<Closing>, now: Instant) {
        self.end_with(end, closing.unwrap_or_else(|| end.closing()), now);
    }

    /// Closes the WebSocket of a session that is closing, once everything was handed to it.
    pub(super) fn finish_socket(&mut self, now: Instant) {
        if self.in_flight > 0 || !self.outbox.is_empty() {
            return;
        }
        if let Some(end) = self.pending_end(now) {
            self.end(end, now);
        }
    }

    pub(super) fn close_socket(&mut self, end: End, closing: Closing) {
        if self.upgrade.take().is_some() {
            self.events.push_back(Event::CloseProbe);
        }
        if self.transport == Transport::WebSocket {
            self.events.push_back(Event::CloseSocket(end, closing));
        }
    }
}

/// The session accepts no candidate at present.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProbeRefused;

const PROBE: &str = "probe";
