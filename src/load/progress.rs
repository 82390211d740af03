//! One line on the terminal while a run goes on: how far it is, and live rates.

use std::io::{self, IsTerminal as _, Write as _};
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
    last: Last,
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
            last: Last { at: began, answered: 0, bytes: 0 },
        }
    }

    /// Waits until the line is to be drawn again.
    pub(super) async fn due(&self) {
        if self.is_shown {
            sleep(EVERY).await;
        } else {
            std::future::pending::<()>().await;
        }
    }

    /// Draws the line.
    pub(super) fn show(&mut self, stats: &Stats, now: Instant) {
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

    fn line(&mut self, stats: &Stats, now: Instant) -> String {
        let all = stats.all();
        let moved = all.bytes + all.connect_bytes;
        let last = std::mem::replace(&mut self.last, Last { at: now, answered: all.answered, bytes: moved });
        let since = millis(now.saturating_duration_since(last.at)).max(1);
        let per_second = |now: u64, before: u64| now.saturating_sub(before).saturating_mul(1000) / since;
        let (elapsed, whole) = (millis(now.saturating_duration_since(self.began)), millis(self.whole).max(1));
        let filled =
            usize::try_from(elapsed.min(whole).saturating_mul(BAR_LEN as u64) / whole).unwrap_or(BAR_LEN);
        let troubles: u64 = all.errors.values().map(|trouble| trouble.count).sum();
        let errors = if troubles > 0 { format!("  {} errors", count(troubles)) } else { String::new() };
        format!(
            "[{:BAR_LEN$}] {}/{} s  {}/{} sessions  {} messages/s  {}/s  p99 {}{errors}",
            "=".repeat(filled),
            elapsed / 1000,
            whole.div_ceil(1000),
            count(all.connected.saturating_sub(all.broken)),
            count(self.sessions),
            count(per_second(all.answered, last.answered)),
            bytes(per_second(moved, last.bytes)),
            latency(&all.latency, 99.0),
        )
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

const EVERY: Duration = Duration::from_millis(250);
const BAR_LEN: usize = 20;
