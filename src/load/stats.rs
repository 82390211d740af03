//! The measurements of a run: counts and histograms for each kind of session. Pure: time is passed in.

mod over_time;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;

pub(super) use self::over_time::OverTime;
use super::fault::Fault;
use super::mix::{KINDS, Kind};
use super::order::Arrival;
use crate::chain::Chain;

/// A whole run.
#[derive(Clone, Debug)]
pub(super) struct Stats {
    began: Instant,
    kinds: [Tally; KINDS],
}

/// Sessions of one kind, or all of them.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Sessions that began to connect.
    pub(super) begun: u64,
    /// Sessions that connected to their application.
    pub(super) connected: u64,
    /// Sessions that failed to connect.
    pub(super) failed: u64,
    /// Sessions that connected and ended early.
    pub(super) disconnected: u64,
    /// The duration of connecting.
    pub(super) connects: Histogram<u64>,
    /// Messages that were sent.
    pub(super) sent: u64,
    /// Different messages that were answered.
    pub(super) answered: u64,
    /// Messages without an answer: in live sessions, those before an answered one; in ended sessions, all of them.
    pub(super) lost: u64,
    /// Those of them that were unanswered when their session was disconnected.
    pub(super) lost_by_disconnect: u64,
    /// Answers that were received again.
    pub(super) duplicated: u64,
    /// Answers that were received after a later one.
    pub(super) reordered: u64,
    /// Messages that were not answers.
    pub(super) strange: u64,
    /// Microseconds from the time when a message was due until its answer.
    pub(super) latency: Histogram<u64>,
    /// The same over the time of the run; only of one kind of sessions.
    pub(super) over_time: OverTime,
    /// HTTP requests and bytes on the wire, from the connect on.
    pub(super) requests: u64,
    pub(super) bytes: u64,
    /// The same up to there.
    pub(super) connect_requests: u64,
    pub(super) connect_bytes: u64,
    /// GETs by the number of messages in the response.
    pub(super) polls: Batches,
    /// POSTs by the number of messages in the request.
    pub(super) posts: Batches,
    pub(super) errors: BTreeMap<Cow<'static, str>, ErrorCount>,
    /// By seconds from the beginning.
    pub(super) seconds: Vec<Second>,
}

/// Requests by the number of messages in them: 1, 2, 3 and 4, 5 to 8, and so on.
pub(super) type Batches = [Batch; BATCHES];

/// Requests of about one size.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Batch {
    pub(super) requests: u64,
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

/// Errors of one kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ErrorCount {
    pub(super) count: u64,
    /// The first of them, with its causes.
    pub(super) example: String,
    pub(super) hint: Option<&'static str>,
}

/// What happened in one second.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Second {
    pub(super) answered: u64,
    pub(super) bytes: u64,
}

/// The cost of an operation on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cost {
    operation: Operation,
    messages: u64,
    bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operation {
    Get,
    Post,
    /// The request for a WebSocket.
    Upgrade,
    Frames,
}

impl Cost {
    /// Returns the cost of a poll with this many answers.
    pub(super) const fn get(messages: u64, bytes: u64) -> Self {
        Self { operation: Operation::Get, messages, bytes }
    }

    /// Returns the cost of a POST of this many messages.
    pub(super) const fn post(messages: u64, bytes: u64) -> Self {
        Self { operation: Operation::Post, messages, bytes }
    }

    /// Returns the cost of a WebSocket handshake.
    pub(super) const fn upgrade(bytes: u64) -> Self {
        Self { operation: Operation::Upgrade, messages: 0, bytes }
    }

    /// Returns the same cost with this many messages.
    pub(super) const fn of(self, messages: u64) -> Self {
        Self { messages, ..self }
    }

    /// Frames.
    pub(super) const fn frames(bytes: u64) -> Self {
        Self { operation: Operation::Frames, messages: 0, bytes }
    }
}

impl Stats {
    /// Creates statistics without any event, of a run that is to take this long.
    pub(super) fn new(now: Instant, planned: Duration) -> Self {
        Self { began: now, kinds: [(); KINDS].map(|()| Tally::new(planned)) }
    }

    /// Notes that a session starts to connect.
    pub(super) const fn handle_begin(&mut self, kind: Kind) {
        self.kinds[kind.index()].begun += 1;
    }

    /// Notes that a session is connected to its application.
    pub(super) fn handle_connect(&mut self, kind: Kind, took: Duration) {
        let tally = &mut self.kinds[kind.index()];
        tally.connected += 1;
        tally.connects.saturating_record(micros(took));
    }

    /// Notes the answer to a message, which may be a duplicate.
    pub(super) fn handle_answer(&mut self, kind: Kind, now: Instant, took: Duration, arrival: Arrival) {
        let second = self.second(kind, now);
        if arrival != Arrival::Duplicated {
            second.answered += 1;
        }
        let tally = &mut self.kinds[kind.index()];
        match arrival {
            Arrival::Duplicated => {
                tally.duplicated += 1;
                return;
            }
            Arrival::Reordered => {
                tally.reordered += 1;
                // It was skipped before.
                tally.lost = tally.lost.saturating_sub(1);
            }
            Arrival::InOrder(skipped) => tally.lost += skipped,
        }
        tally.answered += 1;
        tally.latency.saturating_record(micros(took));
        tally.over_time.record(now.saturating_duration_since(self.began), micros(took));
    }

    /// Notes a message that is not an answer.
    pub(super) const fn handle_unexpected(&mut self, kind: Kind) {
        self.kinds[kind.index()].strange += 1;
    }

    /// Notes traffic on the wire, before or after the session was connected.
    pub(super) fn handle_cost(&mut self, kind: Kind, now: Instant, connected: bool, cost: Cost) {
        self.second(kind, now).bytes += cost.bytes;
        let tally = &mut self.kinds[kind.index()];
        let is_request = u64::from(cost.operation != Operation::Frames);
        if !connected {
            tally.connect_requests += is_request;
            tally.connect_bytes += cost.bytes;
            return;
        }
        tally.requests += is_request;
        tally.bytes += cost.bytes;
        let batches = match cost.operation {
            Operation::Get => &mut tally.polls,
            Operation::Post => &mut tally.posts,
            Operation::Upgrade | Operation::Frames => return,
        };
        if let Some(batch) = batch_of(cost.messages).map(|index| &mut batches[index]) {
            batch.requests += 1;
            batch.messages += cost.messages;
            batch.bytes += cost.bytes;
        }
    }

    /// Notes a fault that does not end the session.
    pub(super) fn handle_fault(&mut self, kind: Kind, fault: &Fault) {
        let trouble = self.kinds[kind.index()].errors.entry(fault.kind()).or_insert_with(|| ErrorCount {
            count: 0,
            example: Chain(fault).to_string(),
            hint: fault.hint(),
        });
        trouble.count += 1;
    }

    /// Notes the end of a session, by a fault or as planned. `unanswered` counts its messages after the last answer.
    pub(super) fn handle_end(
        &mut self,
        kind: Kind,
        connected: bool,
        fault: Option<&Fault>,
        sent: u64,
        unanswered: u64,
    ) {
        if let Some(fault) = fault {
            self.handle_fault(kind, fault);
        }
        let tally = &mut self.kinds[kind.index()];
        tally.sent += sent;
        tally.lost += unanswered;
        match (connected, fault) {
            (true, Some(_)) => {
                tally.disconnected += 1;
                tally.lost_by_disconnect += unanswered;
            }
            (false, Some(_)) => tally.failed += 1,
            (_, None) => {}
        }
    }

    /// Sessions of one kind.
    pub(super) const fn of(&self, kind: Kind) -> &Tally {
        &self.kinds[kind.index()]
    }

    /// Returns all sessions.
    pub(super) fn all(&self) -> Tally {
        let mut all = Tally::new(Duration::ZERO);
        for tally in &self.kinds {
            all.add(tally);
        }
        all
    }

    fn second(&mut self, kind: Kind, now: Instant) -> &mut Second {
        let at = now.saturating_duration_since(self.began).as_secs();
        // A run of more than a week keeps counting into its last second.
        let at = usize::try_from(at).unwrap_or(SECONDS_MAX).min(SECONDS_MAX);
        let seconds = &mut self.kinds[kind.index()].seconds;
        if seconds.len() <= at {
            seconds.resize(at + 1, Second::default());
        }
        &mut seconds[at]
    }
}

impl Tally {
    fn new(planned: Duration) -> Self {
        Self {
            begun: 0,
            connected: 0,
            failed: 0,
            disconnected: 0,
            connects: histogram(),
            sent: 0,
            answered: 0,
            lost: 0,
            lost_by_disconnect: 0,
            duplicated: 0,
            reordered: 0,
            strange: 0,
            latency: histogram(),
            over_time: OverTime::new(planned),
            requests: 0,
            bytes: 0,
            connect_requests: 0,
            connect_bytes: 0,
            polls: Batches::default(),
            posts: Batches::default(),
            errors: BTreeMap::new(),
            seconds: Vec::new(),
        }
    }

    fn add(&mut self, other: &Self) {
        self.begun += other.begun;
        self.connected += other.connected;
        self.failed += other.failed;
        self.disconnected += other.disconnected;
        self.sent += other.sent;
        self.answered += other.answered;
        self.lost += other.lost;
        self.lost_by_disconnect += other.lost_by_disconnect;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.strange += other.strange;
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.connect_requests += other.connect_requests;
        self.connect_bytes += other.connect_bytes;
        // All histograms have the same bounds, so that nothing can fail to fit.
        let _ = self.connects.add(&other.connects);
        let _ = self.latency.add(&other.latency);
        for (own, others) in [(&mut self.polls, &other.polls), (&mut self.posts, &other.posts)] {
            for (batch, other) in own.iter_mut().zip(others) {
                batch.requests += other.requests;
                batch.messages += other.messages;
                batch.bytes += other.bytes;
            }
        }
        for (kind, trouble) in &other.errors {
            let own =
                self.errors.entry(kind.clone()).or_insert_with(|| ErrorCount { count: 0, ..trouble.clone() });
            own.count += trouble.count;
        }
        self.seconds.resize(self.seconds.len().max(other.seconds.len()), Second::default());
        for (second, other) in self.seconds.iter_mut().zip(&other.seconds) {
            second.answered += other.answered;
            second.bytes += other.bytes;
        }
    }

    /// Returns the HTTP requests per answered message.
    pub(super) fn requests_per_message(&self) -> Option<f64> {
        ratio(self.requests, self.answered)
    }

    /// Returns the bytes on the wire per answered message, including its answer and all overhead.
    pub(super) fn bytes_per_message(&self) -> Option<f64> {
        ratio(self.bytes, self.answered)
    }

    /// Returns whether messages were lost, duplicated or reordered.
    pub(super) const fn has_disorder(&self) -> bool {
        self.lost > 0 || self.duplicated > 0 || self.reordered > 0
    }
}

/// Returns the quotient, or `None` if there is none.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(super) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Returns the index under which requests with this many messages are counted; `None` for those without messages.
fn batch_of(messages: u64) -> Option<usize> {
    let bits = u64::BITS - messages.checked_sub(1)?.leading_zeros();
    Some((bits as usize).min(BATCHES - 1))
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// To three digits, up to an hour.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("these bounds are the library's own example's")
}

/// Up to 4096 messages, the maximum that is written at once.
const BATCHES: usize = 13;
const SECONDS_MAX: usize = 7 * 24 * 3600;

#[cfg(test)]
#[path = "stats/tests.rs"]
mod tests;
