//! What is counted, as JSON: for a page that shows it every second.

use std::sync::Weak;

use serde_json::{Map, Value, json};

use super::route::{Counters, Meters};
use super::words::{CloseReason, Direction, Limit, Outcome, Transport, UpgradeOutcome};
use super::{Metrics, Tail};

impl Metrics {
    /// Returns what is told of sessions as they begin and end.
    pub fn tail(&self) -> &Tail {
        self.0.meters.tail()
    }

    /// Returns what the routes have counted, and the limits that were reached. All counts are since the process began.
    pub fn shown(&self) -> Value {
        let limits = self.limits();
        let limit = |limit: &Limit| (limit.word().to_owned(), limits.0[*limit as usize].get().into());
        json!({
            "sessions_max": self.0.whole.sessions_limit.get(),
            "limits": Limit::ALL.iter().map(limit).collect::<Map<_, _>>(),
            "routes": self.0.meters.shown(),
        })
    }
}

impl Meters {
    /// Returns all that are in use.
    fn shown(&self) -> Vec<Value> {
        let used: Vec<_> = self.lock().values().filter_map(Weak::upgrade).collect();
        // Outside the lock: the last handle of a meter takes it.
        used.iter().map(|counters| counters.shown()).collect()
    }
}

impl Counters {
    fn shown(&self) -> Value {
        let labels = self.labels.iter().map(|(name, value)| ((*name).to_owned(), (&**value).into()));
        let mut shown: Map<String, Value> = labels.collect();
        let count = |words: &mut dyn Iterator<Item = (&'static str, u64)>| {
            words.map(|(word, count)| (word.to_owned(), count.into())).collect::<Map<_, _>>()
        };
        let outcomes = &mut Outcome::ALL.iter().map(|one| (one.word(), self.handshakes[*one as usize].get()));
        let upgrades =
            &mut UpgradeOutcome::ALL.iter().map(|one| (one.word(), self.upgrades[*one as usize].get()));
        let closed = |reason: &CloseReason| {
            (reason.word(), self.closed.iter().map(|reasons| reasons[*reason as usize].get()).sum())
        };
        shown.insert("handshakes".to_owned(), count(outcomes).into());
        shown.insert("upgrades".to_owned(), count(upgrades).into());
        shown.insert("closed".to_owned(), count(&mut CloseReason::ALL.iter().map(closed)).into());
        shown.insert("polls_parked".to_owned(), self.polls_parked.get().into());
        let transports = Transport::ALL.iter().map(|one| (one.word().to_owned(), self.of(*one)));
        shown.insert("transports".to_owned(), transports.collect::<Map<_, _>>().into());
        shown.into()
    }

    fn of(&self, transport: Transport) -> Value {
        let index = transport as usize;
        let sum =
            |counts: &super::route::PerTransport| counts.iter().map(|one| one[index].get()).sum::<u64>();
        json!({
            "sessions": self.sessions[index].get(),
            "opened": self.opened[index].get(),
            "messages_from_client": self.messages[Direction::FromClient as usize][index].get(),
            "messages_to_client": self.messages[Direction::ToClient as usize][index].get(),
            "payload": sum(&self.message_bytes),
            "envelope": sum(&self.overhead) + sum(&self.heads),
            // How many waits ended within 16 microseconds, 64, and so on.
            "waits": self.waits[index].counts(),
        })
    }
}
