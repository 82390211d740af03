//! Timeouts: pings, overdue pongs, held polls, and the limit of every wait.

use std::time::{Duration, Instant};

use super::End;
use super::policy::Pinger;
use super::pulse::Due;
use super::state::{Event, Phase, PollSlot, PushSlot, Session};
use crate::packet::{Packet, Text};

impl Session {
    /// Returns when [`handle_timeout`](Self::handle_timeout) is to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Open => self.pulse.poll_timeout(),
            Phase::Draining { calm_until, deadline } => {
                let next = earlier(Some(calm_until.unwrap_or(*deadline)), self.let_go_at());
                earlier(next, self.quiet_at().filter(|_| self.may_disconnect()))
            }
            Phase::Closing { deadline, .. } => earlier(Some(*deadline), self.let_go_at()),
            Phase::Departed { deadline, .. } => Some(*deadline),
            Phase::Over => return None,
        };
        let late = if let PushSlot::Late { at } = self.push { Some(at) } else { None };
        let leaving = self.leaving.as_ref().map(|leaving| leaving.look_at);
        let upgrade = self.upgrade.as_ref().map(|upgrade| upgrade.poll_timeout());
        let linger =
            self.held_until().or(self.waits_until.filter(|_| self.is_parked() && self.in_flight == 0));
        let paused = earlier(self.paused.as_ref().map(|pause| pause.keep_alive_at), self.stalls_at());
        let unwritten = self.shortage.as_ref().and_then(|shortage| shortage.again_at());
        let paused = earlier(paused, unwritten);
        // A client that is gone has a separate deadline for its remaining messages.
        let patience = if self.is_paced { Duration::ZERO } else { self.settings.stall_timeout };
        let inbox = self.inbox_since.filter(|_| self.phase == Phase::Open).map(|since| since + patience);
        // Most of the deadlines are unset, in each of a push's four turns. An array of them would be written and read
        // nevertheless.
        let next = earlier(earlier(phase, late), earlier(leaving, upgrade));
        let next = earlier(next, self.expires_at.as_deref().copied());
        earlier(next, earlier(linger, earlier(paused, inbox)))
    }

    /// Sets the time at which what permitted the client to come in expires: the session ends then, whatever it is doing.
    pub fn expire_at(&mut self, at: Instant) {
        self.expires_at = Some(Box::new(at));
    }

    /// Handles the deadlines that have passed at `now`; does nothing if none has.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.leaving {
            Some(leaving) if now >= leaving.look_at && leaving.looks > 0 => {
                leaving.looks -= 1;
                leaving.look_at = now + self.policy.crossing;
            }
            Some(leaving) if now >= leaving.look_at => self.leave(now),
            Some(_) | None => {}
        }
        if self.expires_at.take_if(|at| now >= **at).is_some() {
            self.end(End::Expired, now);
        }
        let has_waited_for_memory = self.retry_unwritten(now);
        match &mut self.phase {
            Phase::Open if has_waited_for_memory => self.handle_shortage(now),
            Phase::Open => self.keep_time(now),
            Phase::Closing { end, deadline, .. } if now >= *deadline => {
                let end = *end;
                let loses = end == End::Drained && self.outbox.has_waiting();
                self.end(if loses { End::Cut } else { end }, now);
            }
            Phase::Draining { deadline, .. } if now >= *deadline => {
                let loses = self.outbox.has_waiting() || !self.inbox.is_empty();
                self.end(if loses { End::Cut } else { End::Drained }, now);
            }
            Phase::Draining { calm_until, .. } => {
                calm_until.take_if(|until| now >= *until);
                if self.let_go_at().is_some_and(|at| now >= at) {
                    self.end(End::Drained, now);
                }
            }
            Phase::Closing { end, .. } => {
                let end = *end;
                if self.let_go_at().is_some_and(|at| now >= at) {
                    self.end(end, now);
                }
            }
            Phase::Departed { deadline, .. } if now >= *deadline => {
                self.drop_inbox(now);
                self.close_link();
            }
            Phase::Departed { .. } | Phase::Over => {}
        }
        self.refuse_late_push(now);
        self.release_held(now);
        self.keep_upgrade_time(now);
    }

    /// Turns a held poll whose window is over into an ordinary one.
    pub(super) fn release_held(&mut self, now: Instant) {
        if self.held_until().is_some_and(|until| now >= until) {
            self.poll = PollSlot::Parked { held_until: None };
        }
    }

    fn keep_time(&mut self, now: Instant) {
        loop {
            match self.pulse.handle_timeout(now) {
                Due::Nothing => break,
                Due::Ping if matches!(self.policy.pinger, Pinger::Nobody(_)) => self.beat_receiver(now),
                Due::Ping => {
                    self.outbox.push(Packet::Ping(Text::default()));
                    self.note_pressure(now);
                }
                Due::Death => {
                    let pinged = !matches!(self.policy.pinger, Pinger::Nobody(_));
                    return self.end(if pinged { End::PingTimeout } else { End::ClientGone }, now);
                }
                Due::Stall => return self.end(End::Stalled, now),
            }
        }
        if self.is_paced && self.inbox_since.is_none_or(|since| now >= since) {
            self.is_paced = false;
        }
        let stall = self.settings.stall_timeout;
        if !self.is_paced() && self.inbox_since.is_some_and(|since| now >= since + stall) {
            self.drop_inbox(now);
            return self.end(End::Stalled, now);
        }
        if self.stalls_at().is_some_and(|at| now >= at) {
            return self.end(End::Stalled, now);
        }
        if let Some(pause) = self.paused.as_mut().filter(|pause| now >= pause.keep_alive_at) {
            pause.keep_alive_at = now + self.keep_alive;
            self.events.push_back(Event::KeepAlive);
        }
    }

    fn keep_upgrade_time(&mut self, now: Instant) {
        let Some(upgrade) = &mut self.upgrade else { return };
        if now >= upgrade.deadline {
            return self.handle_probe_gone();
        }
        if !upgrade.handle_timeout(now) {
            return;
        }
        // Every poll in the window is released, not only the first: a client may send several.
        self.release_poll(vec![Packet::Noop], now);
    }
}

/// Returns the earlier of two deadlines that may be unset.
fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
