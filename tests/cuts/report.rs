//! What became of all sessions, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::plan::{Behind, Kind};
use crate::proxies::Sample;
use crate::schedule::{Hop, Schedule};
use crate::session::Session;

/// Sums over sessions.
#[derive(Clone, Default, Debug)]
struct Sum {
    sessions: u64,
    complete: u64,
    up: u64,
    down: u64,
    missing_up: u64,
    missing_down: u64,
}

#[derive(Default, Debug)]
pub(crate) struct Report {
    sums: BTreeMap<(Kind, Behind), Sum>,
    pub(crate) arrived: u64,
    pub(crate) soak: Option<Soak>,
    /// The first of them; all are counted.
    faults: Vec<String>,
    faulty: u64,
}

/// What a soak adds: each proxy's memory, descriptors and tasks, and what happened to them.
#[derive(Debug)]
pub(crate) struct Soak {
    pub(crate) start: Vec<Sample>,
    pub(crate) before: Vec<Sample>,
    pub(crate) during: Vec<Sample>,
    pub(crate) after: Vec<Sample>,
    pub(crate) reloads: u64,
    pub(crate) restarts: u64,
    pub(crate) kills: u64,
}

impl Soak {
    fn phases(&self) -> [(&'static str, &[Sample]); 4] {
        [("start", &self.start), ("before", &self.before), ("during", &self.during), ("after", &self.after)]
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{} reloads, {} restarts of the backend, {} kills of proxies\n",
            self.reloads, self.restarts, self.kills
        );
        for (name, samples) in self.phases() {
            for (index, Sample { sessions, memory, descriptors, tasks }) in samples.iter().enumerate() {
                let kib = memory / 1024;
                let _ = writeln!(
                    text,
                    "{name:8}proxy {index}: {sessions:6} sessions {kib:8} KiB {descriptors:6} descriptors {tasks:6} tasks"
                );
            }
        }
        text
    }

    fn json(&self) -> Value {
        let sample = |sample: &Sample| json!({"sessions": sample.sessions, "memory": sample.memory, "descriptors": sample.descriptors, "tasks": sample.tasks});
        let phases: BTreeMap<&str, Vec<Value>> = self
            .phases()
            .into_iter()
            .map(|(name, samples)| (name, samples.iter().map(sample).collect()))
            .collect();
        json!({"reloads": self.reloads, "restarts": self.restarts, "kills": self.kills, "proxies": phases})
    }
}

impl Report {
    /// Judges a session that is over.
    pub(crate) fn add(&mut self, session: &Session) {
        let verdict = session.judge();
        let sum = self.sums.entry((session.plan.kind, session.plan.behind)).or_default();
        sum.sessions += 1;
        sum.complete += u64::from(verdict.is_complete);
        sum.up += verdict.up;
        sum.down += verdict.down;
        sum.missing_up += verdict.missing.up;
        sum.missing_down += verdict.missing.down;
        self.arrived += verdict.up + verdict.down;
        if !verdict.faults.is_empty() {
            self.fault(format!("session {}: {}", session.id, verdict.faults.join("; ")));
        }
    }

    pub(crate) fn fault(&mut self, text: String) {
        self.faulty += 1;
        eprintln!("FAULT {text}");
        if self.faults.len() < 100 {
            self.faults.push(text);
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.faulty == 0
    }

    fn total(&self) -> Sum {
        self.sums.values().fold(Sum::default(), |all, sum| Sum {
            sessions: all.sessions + sum.sessions,
            complete: all.complete + sum.complete,
            up: all.up + sum.up,
            down: all.down + sum.down,
            missing_up: all.missing_up + sum.missing_up,
            missing_down: all.missing_down + sum.missing_down,
        })
    }

    pub(crate) fn text(&self, schedule: &Schedule, took: Duration) -> String {
        let mut text = format!(
            "{:28}{:>9}{:>9}{:>10}{:>10}{:>12}\n",
            "", "sessions", "complete", "up", "down", "tail, told"
        );
        for ((kind, behind), sum) in &self.sums {
            line(&mut text, &format!("{kind:?}, {}", behind.name()), sum);
        }
        let all = self.total();
        line(&mut text, "all", &all);
        text += &self.soak.as_ref().map(Soak::text).unwrap_or_default();
        let cuts: Vec<String> =
            Hop::ALL.iter().map(|hop| format!("{} {}", hop.name(), schedule.count(*hop))).collect();
        let _ = writeln!(
            text,
            "{} messages under {} cuts ({}) in {} s, seed {}: {} faults",
            self.arrived,
            schedule.total(),
            cuts.join(", "),
            took.as_secs(),
            schedule.seed,
            self.faulty
        );
        text
    }

    pub(crate) fn json(&self, schedule: &Schedule, took: Duration) -> Value {
        let value = |sum: &Sum| {
            json!({"sessions": sum.sessions, "complete": sum.complete, "up": sum.up, "down": sum.down,
                "missing_up": sum.missing_up, "missing_down": sum.missing_down})
        };
        let rows: Vec<Value> = self
            .sums
            .iter()
            .map(|((kind, behind), sum)| json!({"kind": format!("{kind:?}"), "upstream": behind.name(), "sums": value(sum)}))
            .collect();
        let cuts: BTreeMap<&str, u64> =
            Hop::ALL.iter().map(|hop| (hop.name(), schedule.count(*hop))).collect();
        json!({"seed": schedule.seed, "seconds": took.as_secs(), "messages": self.arrived, "cuts": cuts, "faulty_sessions": self.faulty,
            "faults": self.faults, "total": value(&self.total()), "rows": rows,
            "soak": self.soak.as_ref().map(Soak::json)})
    }
}

fn line(text: &mut String, name: &str, sum: &Sum) {
    let missing = sum.missing_up + sum.missing_down;
    let _ = writeln!(
        text,
        "{name:28}{:>9}{:>9}{:>10}{:>10}{missing:>12}",
        sum.sessions, sum.complete, sum.up, sum.down
    );
}
