//! One line on the terminal during a run: its progress and live rates.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::plan::Plan;
use super::report::units::{bytes, count, latency};
use super::stats::Stats;

/// Draws the progress line, if there is a terminal.
#[derive(Debug)]
pub(super) struct Progress {
    is_shown: bool,
    began: Instant,
    whole: Duration,
    sessions: u64,
    last: Last,
}

/// The figures of the previous line.
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
        // It is no fault if the terminal has been closed.
        let _ = write!(io::stderr(), "{}", self.drawing(stats, now));
    }

    /// Without auto-wrap a narrow terminal cuts the line off; wrapped, each drawing would begin a line of its own.
    fn drawing(&mut self, stats: &Stats, now: Instant) -> String {
        format!("\r{NO_WRAP}\x1b[K{}{WRAP}", self.line(stats, now))
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
        let troubles: u64 = all.errors.values().map(|trouble| trouble.count).sum();
        let open = all.connected.saturating_sub(all.disconnected);
        // The most important figures come first, so that a narrow terminal shows them.
        let mut parts = vec![
            format!("{}/{} s", elapsed / 1000, whole.div_ceil(1000)),
            format!("{} of {} open", count(open), count(self.sessions)),
            format!("{} lost", count(all.lost)),
            format!("{} broken", count(all.disconnected)),
        ];
        let wrong = [(all.duplicated, "duplicated"), (all.reordered, "reordered"), (troubles, "errors")];
        let wrong = wrong.into_iter().filter(|(number, _)| *number > 0);
        parts.extend(wrong.map(|(number, what)| format!("{} {what}", count(number))));
        parts.push(format!("{}/s", count(per_second(all.answered, last.answered))));
        parts.push(format!("p99 {}", latency(&all.latency, 99.0)));
        parts.push(format!("{}/s", bytes(per_second(moved, last.bytes))));
        let line = parts.join("  ");
        if line.len() <= LINE_LEN { line } else { parts.join(" ") }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

const EVERY: Duration = Duration::from_millis(250);
/// What a narrow terminal shows.
const LINE_LEN: usize = 60;
/// DEC's private mode 7, auto-wrap, off and on.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

#[cfg(test)]
mod tests {
    use super::super::mix::Kind;
    use super::super::order::Arrival;
    use super::*;

    #[test]
    fn what_is_lost_shows_while_the_run_goes_on_however_narrow_the_terminal() {
        let began = Instant::now();
        let last = Last { at: began, answered: 0, bytes: 0 };
        let whole = Duration::from_secs(30);
        let mut progress = Progress { is_shown: true, began, whole, sessions: 400, last };
        let mut stats = Stats::new(began, whole);
        stats.handle_begin(Kind::Polling);
        stats.handle_connect(Kind::Polling, Duration::ZERO);
        let now = began + Duration::from_secs(3);
        let line = progress.line(&stats, now);
        assert!(line.starts_with("3/30 s  1 of 400 open  0 lost  0 broken  0/s  p99 -"), "{line}");
        for arrival in [Arrival::InOrder(3), Arrival::Duplicated] {
            stats.handle_answer(Kind::Polling, now, Duration::ZERO, arrival);
        }
        let drawing = progress.drawing(&stats, now);
        let shown = drawing.strip_prefix("\r\x1b[?7l\x1b[K").and_then(|rest| rest.strip_suffix("\x1b[?7h"));
        assert!(
            shown.is_some_and(|line| line[..60].contains(" 3 lost ") && line.contains(" 1 duplicated ")),
            "{drawing:?}"
        );
    }

    #[test]
    fn a_busy_run_fits_sixty_columns() {
        let began = Instant::now();
        let last = Last { at: began, answered: 0, bytes: 0 };
        let whole = Duration::from_mins(5);
        let mut progress = Progress { is_shown: true, began, whole, sessions: 10_000, last };
        let mut stats = Stats::new(began, whole);
        let now = began + Duration::from_mins(2);
        for _ in 0..10_000 {
            stats.handle_begin(Kind::Polling);
            stats.handle_connect(Kind::Polling, Duration::ZERO);
            stats.handle_answer(Kind::Polling, now, Duration::from_millis(1234), Arrival::InOrder(0));
        }
        let line = progress.line(&stats, now);
        let known = "120/300 s 10,000 of 10,000 open 0 lost 0 broken 83/s p99 1,234 ms";
        assert!(line.starts_with(known) && line[..60].contains("83/s"), "{line}");
    }
}
