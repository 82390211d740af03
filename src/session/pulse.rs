//! Judges whether the client is alive. If the server pings, the client must send its pong in time (protocol 4,
//! "Heartbeat"). If the client pings, any packet of its counts (protocol 3). If neither pings, the client must open
//! receivers and read them.

use std::time::{Duration, Instant};

use super::policy::{Liveness, Pinger};
use crate::packet::Heartbeat;

/// One client's heartbeat.
#[derive(Debug)]
pub(crate) struct Pulse {
    pace: Heartbeat,
    pinger: Pinger,
    beat: Beat,
    /// The time since which the client is not read, because its earlier packets are still in the inbox.
    held: Option<Instant>,
}

#[derive(Debug)]
enum Beat {
    /// Between a pong and the next ping.
    Resting { ping_at: Instant },
    /// A ping was sent. As on the reference server, the first other packet that arrives meanwhile extends the deadline
    /// by one timeout.
    Awaiting { deadline: Instant, extended: bool },
    /// The client has a receiver. `beat_at` is the time of its next ping, if any; `take_by` is when it must have
    /// accepted what it is being sent.
    Attended { beat_at: Option<Instant>, take_by: Option<Instant> },
    /// The client has no receiver.
    Absent { deadline: Instant },
}

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    Nothing,
    Ping,
    /// The client was silent or absent for too long.
    Death,
    /// The client accepted nothing for too long.
    Stall,
}

impl Pulse {
    pub(crate) fn new(pace: Heartbeat, pinger: Pinger, now: Instant) -> Self {
        let beat = match pinger {
            Pinger::Nobody(liveness) => Beat::Absent { deadline: now + liveness.absence },
            Pinger::Server | Pinger::Client => Beat::Resting { ping_at: now },
        };
        let mut pulse = Self { pace, pinger, beat, held: None };
        pulse.rest(now);
        pulse
    }

    /// Restarts the clock, because the client has just shown that it is alive.
    fn rest(&mut self, now: Instant) {
        self.beat = match self.pinger {
            Pinger::Server => Beat::Resting { ping_at: now + self.pace.interval },
            Pinger::Client => {
                Beat::Awaiting { deadline: now + self.pace.interval + self.pace.timeout, extended: true }
            }
            Pinger::Nobody(liveness) => {
                if let Beat::Absent { deadline } = &mut self.beat
                    && liveness.is_heard
                {
                    *deadline = now + liveness.absence;
                }
                return;
            }
        };
    }

    /// Handles the open packet, which announces the heartbeat: the clock starts now, however long the packet had to
    /// wait.
    pub(crate) fn handle_greeted(&mut self, now: Instant) {
        self.rest(now);
    }

    /// Handles the client's half of the heartbeat.
    pub(crate) fn handle_beat(&mut self, now: Instant) {
        self.restart_hold(now);
        self.rest(now);
    }

    /// Handles any other packet.
    pub(crate) fn handle_packet(&mut self, now: Instant) {
        self.restart_hold(now);
        match (self.pinger, &mut self.beat) {
            (Pinger::Client | Pinger::Nobody(_), _) => self.rest(now),
            (Pinger::Server, Beat::Awaiting { deadline, extended: extended @ false }) => {
                *deadline = now + self.pace.timeout;
                *extended = true;
            }
            (Pinger::Server, _) => {}
        }
    }

    /// Handles a new receiver.
    pub(crate) fn handle_receiver(&mut self, now: Instant) {
        let Pinger::Nobody(Liveness { beat, .. }) = self.pinger else { return };
        let take_by = if let Beat::Attended { take_by, .. } = self.beat { take_by } else { None };
        self.beat = Beat::Attended { beat_at: (!beat.is_zero()).then(|| now + beat), take_by };
    }

    /// Records that the client is being sent something, which it must accept within `patience`.
    pub(crate) fn handle_given(&mut self, patience: Duration, now: Instant) {
        if let Beat::Attended { take_by, .. } = &mut self.beat {
            // The time counts from the oldest batch that was not accepted.
            take_by.get_or_insert(now + patience);
        }
    }

    /// Records that the client has accepted, or lost, everything that it was sent.
    pub(crate) fn handle_taken(&mut self) {
        if let Beat::Attended { take_by, .. } = &mut self.beat {
            *take_by = None;
        }
    }

    /// Records that the client's last receiver is gone or has used up its budget.
    pub(crate) fn handle_absence(&mut self, now: Instant) {
        if let (Pinger::Nobody(Liveness { absence, .. }), Beat::Attended { .. }) = (self.pinger, &self.beat) {
            self.beat = Beat::Absent { deadline: now + absence };
        }
    }

    /// Returns the time since which a client without heartbeats has shown no sign of life.
    pub(crate) fn absent_since(&self) -> Option<Instant> {
        let Pinger::Nobody(Liveness { absence, .. }) = self.pinger else { return None };
        let Beat::Absent { deadline } = self.beat else { return None };
        deadline.checked_sub(absence)
    }

    /// Handles a move to another transport: a pong that crossed with the move gets time to arrive.
    pub(crate) fn handle_move(&mut self, now: Instant) {
        if let (Pinger::Server, Beat::Awaiting { deadline, .. }) = (self.pinger, &mut self.beat) {
            *deadline = now + self.pace.timeout;
        }
    }

    /// Stops the clock, because the client may be sending but is not being read.
    pub(crate) fn hold(&mut self, now: Instant) {
        self.held.get_or_insert(now);
    }

    /// Restarts a hold, so that a deadline that was set while the clock stood is not moved by the time before it was
    /// set.
    fn restart_hold(&mut self, now: Instant) {
        if self.held.is_some() {
            self.release(now);
            self.hold(now);
        }
    }

    /// Resumes the clock from where it stood.
    pub(crate) fn release(&mut self, now: Instant) {
        let Some(since) = self.held.take() else { return };
        let stood = now.saturating_duration_since(since);
        match &mut self.beat {
            Beat::Resting { ping_at: at }
            | Beat::Awaiting { deadline: at, .. }
            | Beat::Absent { deadline: at } => *at += stood,
            Beat::Attended { beat_at, take_by } => {
                for at in [beat_at, take_by].into_iter().flatten() {
                    *at += stood;
                }
            }
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Due {
        match self.beat {
            _ if self.held.is_some() => Due::Nothing,
            Beat::Resting { ping_at } if now >= ping_at => {
                // The timeout counts from when the ping was due, not from a late call: a client that is silent for
                // interval plus timeout is dead at that moment.
                self.beat = Beat::Awaiting { deadline: ping_at + self.pace.timeout, extended: false };
                Due::Ping
            }
            Beat::Attended { take_by: Some(take_by), .. } if now >= take_by => Due::Stall,
            Beat::Attended { beat_at: Some(beat_at), .. } if now >= beat_at => {
                // After a long sleep one ping is due, not one for each interval.
                self.handle_receiver(now);
                Due::Ping
            }
            Beat::Awaiting { deadline, .. } | Beat::Absent { deadline } if now >= deadline => Due::Death,
            Beat::Resting { .. } | Beat::Awaiting { .. } | Beat::Attended { .. } | Beat::Absent { .. } => {
                Due::Nothing
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.beat {
            _ if self.held.is_some() => None,
            Beat::Resting { ping_at: at }
            | Beat::Awaiting { deadline: at, .. }
            | Beat::Absent { deadline: at } => Some(at),
            Beat::Attended { beat_at, take_by } => match (beat_at, take_by) {
                (Some(beat_at), Some(take_by)) => Some(beat_at.min(take_by)),
                (one, other) => one.or(other),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const PACE: Heartbeat =
        Heartbeat { interval: Duration::from_millis(300), timeout: Duration::from_millis(200) };

    fn pulse() -> (Pulse, Instant) {
        let start = tokio::time::Instant::now().into_std();
        (Pulse::new(PACE, Pinger::Server, start), start)
    }

    #[test]
    fn the_interval_restarts_when_the_pong_arrives() {
        let (mut pulse, start) = pulse();
        assert_eq!(pulse.handle_timeout(start + 299 * MS), Due::Nothing);
        assert_eq!(pulse.handle_timeout(start + 300 * MS), Due::Ping);
        pulse.handle_beat(start + 400 * MS);
        assert_eq!(pulse.poll_timeout(), Some(start + 700 * MS));
    }

    #[test]
    fn a_client_that_sleeps_exactly_interval_and_timeout_is_dead() {
        let (mut pulse, start) = pulse();
        assert_eq!(pulse.handle_timeout(start + 305 * MS), Due::Ping, "a late look");
        assert_eq!(pulse.handle_timeout(start + 500 * MS), Due::Death);
    }

    #[test]
    fn another_packet_extends_the_deadline_once_for_each_ping() {
        let (mut pulse, start) = pulse();
        pulse.handle_packet(start + 10 * MS);
        assert_eq!(pulse.handle_timeout(start + 300 * MS), Due::Ping);
        pulse.handle_packet(start + 450 * MS);
        pulse.handle_packet(start + 600 * MS);
        assert_eq!(pulse.handle_timeout(start + 649 * MS), Due::Nothing);
        assert_eq!(pulse.handle_timeout(start + 650 * MS), Due::Death);
    }

    #[test]
    fn an_unasked_pong_is_tolerated() {
        let (mut pulse, start) = pulse();
        pulse.handle_beat(start + 100 * MS);
        assert_eq!(pulse.poll_timeout(), Some(start + 400 * MS));
    }

    #[test]
    fn a_client_of_protocol_3_lives_by_whatever_it_says_and_not_by_moving() {
        let start = tokio::time::Instant::now().into_std();
        let mut pulse = Pulse::new(PACE, Pinger::Client, start);
        assert_eq!(pulse.poll_timeout(), Some(start + 500 * MS));
        pulse.handle_packet(start + 400 * MS);
        pulse.handle_move(start + 420 * MS);
        assert_eq!(pulse.poll_timeout(), Some(start + 900 * MS));
        pulse.handle_beat(start + 450 * MS);
        assert_eq!(pulse.handle_timeout(start + 949 * MS), Due::Nothing);
        assert_eq!(pulse.handle_timeout(start + 950 * MS), Due::Death);
    }

    #[test]
    fn the_clock_stands_still_while_the_client_is_not_heard() {
        let (mut pulse, start) = pulse();
        assert_eq!(pulse.handle_timeout(start + 300 * MS), Due::Ping);
        pulse.hold(start + 400 * MS);
        pulse.hold(start + 450 * MS);
        assert_eq!(pulse.handle_timeout(start + 5000 * MS), Due::Nothing);
        pulse.release(start + 5000 * MS);
        assert_eq!(pulse.poll_timeout(), Some(start + 5100 * MS));
    }
}
