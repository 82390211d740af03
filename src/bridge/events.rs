//! Carries out the session's events.

use std::time::Instant;

use super::admission::Remembered;
use super::clock::clock_now;
use super::driver::{Driver, Pipe};
use super::parting::note_losses;
use super::polls::Batch;
use crate::end::End;
use crate::meter::{Direction, UpgradeOutcome};
use crate::packet::{Closing, Packet, Transport};
use crate::session::{self, Event, PushOutcome};

impl Driver {
    pub(super) fn handle_event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Answer(batch) => self.answer(batch, now),
            Event::Part(packets) => {
                let batch = self.batch(packets);
                if let Err(batch) = self.polls.part(batch) {
                    self.lose(batch, now);
                }
            }
            Event::PushDone(outcome) => self.settle_push(outcome),
            Event::Probe(packet) => {
                if let Some(probe) = &mut self.probe {
                    // There was room when the probe was read; a failure shows up at the next read.
                    let _ = probe.start_send(packet);
                    self.probe_state = Pipe::Dirty;
                }
            }
            Event::CloseProbe => {
                if let Some(probe) = self.probe.take() {
                    self.info.meter.upgrade(UpgradeOutcome::Failed);
                    self.close_socket_later(probe, End::ClientClosed, Closing::default());
                }
            }
            Event::Adopt => {
                self.socket = self.probe.take();
                if let Some(socket) = &mut self.socket {
                    socket.set_message_max(self.info.max_payload);
                }
                // The answer to the probe may still need a flush there.
                self.socket_state = Pipe::Dirty;
                self.info.meter.upgrade(UpgradeOutcome::Done);
                self.info.meter.session_moved();
                if let Some(link) = &mut self.link {
                    link.handle_transport(Transport::WebSocket);
                }
            }
            Event::CloseSocket(end, closing) => {
                if let Some(socket) = self.socket.take() {
                    self.close_socket_later(socket, end, closing);
                }
            }
            Event::KeepAlive => {
                if let Some(link) = &mut self.link {
                    link.keep_alive();
                    self.link_state =
                        if self.link_state == Pipe::Clean { Pipe::Dirty } else { self.link_state };
                }
            }
            Event::CloseLink(closing) => self.close_link_later(closing),
            Event::Ended(end) => self.forget(end),
        }
    }

    fn answer(&mut self, packets: Vec<Packet>, now: Instant) {
        self.info.meter.poll_released();
        let batch = self.batch(packets);
        if let Err(batch) = self.polls.answer(batch) {
            self.lose(batch, now);
        }
    }

    /// Wraps the packets that the session handed out last.
    fn batch(&mut self, packets: Vec<Packet>) -> Batch {
        let held: usize = packets.iter().map(session::cost).sum();
        let cost = held + self.session.take_handed_len();
        self.delivering += cost;
        Batch {
            cost,
            held,
            packets,
            since: self.session.oldest_answered(),
            last: self.session.last_handed_out(),
            transport: Transport::Polling,
        }
    }

    fn settle_push(&mut self, outcome: PushOutcome) {
        if outcome == PushOutcome::Accepted {
            let overhead = std::mem::take(&mut self.push_rest) as u64;
            self.info.meter.overhead(Direction::FromClient, Transport::Polling, overhead);
        }
        match self.push.take() {
            // A POST whose connection is gone does not receive it.
            Some(push) => {
                let _ = push.send(outcome);
            }
            None => self.settle_line(outcome),
        }
    }

    fn forget(&mut self, end: End) {
        let Some(entry) = self.entry.take() else { return };
        self.losses = (end == End::Drained).then(|| entry.losses());
        let remembered = self.session.ending().zip(self.session.remembered());
        let remembered = remembered.map(|(ending, lasts)| Remembered {
            ending: ending.detached(),
            lasts,
            until: clock_now() + lasts,
        });
        if end == End::Cut {
            entry.losses().note(self.session.undelivered());
        }
        // Requests and receipts may hold the session for a while.
        self.session.drop_undelivered();
        self.holding.leave();
        let undelivered = entry.leave(remembered);
        let info = &self.info;
        // The session reports polling for a streaming client too.
        let transport = match self.session.transport() {
            Transport::WebSocket => Transport::WebSocket,
            Transport::Polling | Transport::Streaming => info.transport,
        };
        info.meter.session_closed(transport, end, info.tally.age());
        self.ended = Some((transport, end));
        // A poll that is still parked at the end has nothing to wait for.
        if self.polls.release() {
            info.meter.poll_released();
        }
        // The client's place is free at once, but what was accepted from it may still be on its way to the backend.
        self.undelivered = (!self.session.is_over()).then_some(undelivered);
    }

    /// Releases everything, if the session cannot be driven to its end.
    pub(super) fn abandon(&mut self) {
        self.session.abandon();
        // Nothing is closed properly: how much of its data was handled is unknown.
        (self.link, self.socket, self.probe, self.push) = (None, None, None, None);
        (self.queue, self.push_rest) = (None, 0);
        self.forget(End::Stalled);
        self.undelivered = None;
        self.have_pipes_changed = true;
        self.count();
    }

    /// Handles a batch that was not delivered.
    pub(super) fn lose(&mut self, batch: Batch, now: Instant) {
        self.delivering -= batch.cost;
        let is_message = |packet: &Packet| matches!(packet, Packet::Message(_));
        let messages = batch.packets.iter().filter(|packet| is_message(packet)).count();
        note_losses(self.losses.clone(), messages, "messages were still being written when the drain ended");
        if messages > 0 {
            self.session.handle_unread(batch.last - messages as u64);
        }
        self.session.handle_lost(batch.packets, now);
    }

    /// Handles a batch that nobody was told of.
    pub(super) fn give_back(&mut self, batch: Batch, now: Instant) {
        self.delivering -= batch.cost;
        let messages = batch.packets.iter().filter(|packet| matches!(packet, Packet::Message(_))).count();
        if messages > 0 {
            self.session.handle_unread(batch.last - messages as u64);
        }
        self.session.handle_untold(batch.packets, now);
    }
}
