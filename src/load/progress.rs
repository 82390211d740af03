//! One line on the terminal while a run goes on: how far it is, and live rates.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::plan::Plan;
use super::report::units::{bytes, count, latency};
use super::stats::Stats;

/// Draws where somebody looks.
#[derive(Debug)]
pub(super) struct Progress {
    is_shown: bool,
    began: Instant,
    whole: Duration,
    sessions: u64,
    last: Mutex<Last>,
}

/// What the line before this one has shown.
#[derive(Clone, Copy, Debug)]
struct Last {
    at: Instant,
    answered: u64,
    bytes: u64,
}

impl Progress {
    /// On the standard error, if that is a terminal.
    pub(super) fn new(plan: &Plan, began: Instant) -> Self {
        Self {
            is_shown: io::stderr().is_terminal(),
            began,
            whole: plan.end(began) - began,
            sessions: plan.options.sessions.into(),
            last: Mutex::new(Last { at: began, answered: 0, bytes: 0 }),
        }
    }

    /// Waits until the line is to be drawn again.
    pub(super) async fn due(&self) {
        if self.is_shown {
            sleep(EVERY).await;
        } else {
            std::future::pending().await
        }
    }

    /// Draws the line.
    pub(super) fn show(&self, stats: &Stats, now: Instant) {
        let line = self.line(stats, now);
        // A terminal that is gone misses nothing.
        let _ = write!(io::stderr(), "\r{line}\x1b[K");
    }

    /// Leaves nothing behind.
    pub(super) fn clear(&self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn line(&self, stats: &Stats, now: Instant) -> String {
        let all = stats.all();
        let Ok(mut last) = self.last.lock() else { return String::new() };
        let since = now.saturating_duration_since(last.at).as_secs_f64().max(0.001);
        let moved = all.bytes + all.connect_bytes;
        let per_second = |now: u64, before: u64| now.saturating_sub(before) as f64 / since;
        let (answers, wire) = (per_second(all.answered, last.answered), per_second(moved, last.bytes));
        *last = Last { at: now, answered: all.answered, bytes: moved };
        let elapsed = now.saturating_duration_since(self.began);
        let part = (elapsed.as_secs_f64() / self.whole.as_secs_f64().max(0.001)).min(1.0);
        let filled = (part * BAR_LEN as f64) as usize;
        let bar = format!("{}{}", "=".repeat(filled), " ".repeat(BAR_LEN - filled));
        let living = all.connected.saturating_sub(all.broken);
        let errors = all.errors.values().map(|trouble| trouble.count).sum::<u64>();
        let mut line = format!(
            "[{bar}] {}/{}s  {}/{} sessions  {}/s  {}/s  p99 {}",
            elapsed.as_secs(),
            self.whole.as_secs_f64().ceil(),
            count(living),
            count(self.sessions),
            count(answers as u64),
            bytes(wire),
            latency(&all.latency, 99.0),
        );
        if errors > 0 {
            line.push_str(&format!("  {} errors", count(errors)));
        }
        line
    }
}

const EVERY: Duration = Duration::from_millis(250);
const BAR_LEN: usize = 20;
