//! The table on the standard output: a column for each kind of session, and one for all.

use std::fmt::Write as _;
use std::time::Duration;

use super::units::{bytes, count, figure, latency};
use crate::load::mix::Kind;
use crate::load::options::Options;
use crate::load::stats::{Stats, Tally, ratio};

/// One line of the table: what it is, and how it is read from a tally.
type Row = (&'static str, Box<dyn Fn(&Tally) -> String>);

/// Writes everything.
pub(super) fn of(options: &Options, stats: &Stats, took: Duration) -> String {
    let mut columns: Vec<(&str, Tally)> = Kind::ALL
        .into_iter()
        .filter(|kind| options.mix().has(*kind))
        .map(|kind| (kind.word(), stats.of(kind).clone()))
        .collect();
    if columns.len() > 1 {
        columns.push(("all", stats.all()));
    }
    let mut text = format!("\n{}\n\n{:LABEL_LEN$}", what(options, took), "");
    for (name, _) in &columns {
        // Writing to a String can't fail.
        let _ = write!(text, "{name:>COLUMN_LEN$}");
    }
    text.push('\n');
    for (label, read) in rows(took) {
        if !label.is_empty() {
            let _ = write!(text, "{label:LABEL_LEN$}");
            for (_, tally) in &columns {
                let _ = write!(text, "{:>COLUMN_LEN$}", read(tally));
            }
        }
        text.push('\n');
    }
    errors(&mut text, &stats.all());
    text.push_str(verdict(options, &stats.all()));
    text
}

fn what(options: &Options, took: Duration) -> String {
    let pace = match options.rate {
        None => "next message when all earlier ones are answered".to_owned(),
        Some(0.0) => "idle".to_owned(),
        Some(rate) => format!("{rate} messages/s each"),
    };
    let (target, dialect, number) = (options.target(), options.dialect().word(), options.sessions);
    let sessions = format!("{} session{}", count(number.into()), if number == 1 { "" } else { "s" });
    let (size, seconds) = (options.size, took.as_secs_f64());
    format!("{target} ({dialect})\n{sessions}, {pace}, {size} bytes, {seconds:.1} s")
}

fn rows(took: Duration) -> Vec<Row> {
    let counted =
        |label, read: fn(&Tally) -> u64| -> Row { (label, Box::new(move |tally| count(read(tally)))) };
    let percentile = |label, percentile: f64| -> Row {
        (label, Box::new(move |tally| latency(&tally.latency, percentile)))
    };
    let blank = || -> Row { ("", Box::new(|_| String::new())) };
    let seconds = took.as_millis().try_into().unwrap_or(u64::MAX);
    vec![
        counted("connected", |tally| tally.connected),
        counted("  failed to connect", |tally| tally.failed),
        counted("  disconnected", |tally| tally.disconnected),
        ("  connect p50", Box::new(|tally| latency(&tally.connects, 50.0))),
        ("  connect p99", Box::new(|tally| latency(&tally.connects, 99.0))),
        blank(),
        counted("messages", |tally| tally.sent),
        counted("  answered", |tally| tally.answered),
        counted("  lost", |tally| tally.lost),
        counted("  duplicated", |tally| tally.duplicated),
        counted("  reordered", |tally| tally.reordered),
        counted("  unexpected answers", |tally| tally.strange),
        (
            "  answered per second",
            Box::new(move |tally| {
                figure(ratio(tally.answered.saturating_mul(1000), seconds).filter(|_| tally.answered > 0))
            }),
        ),
        blank(),
        percentile("latency p50", 50.0),
        percentile("  p90", 90.0),
        percentile("  p99", 99.0),
        percentile("  p99.9", 99.9),
        percentile("  max", 100.0),
        blank(),
        ("requests per message", Box::new(|tally| figure(tally.requests_per_message()))),
        ("bytes per message", Box::new(|tally| each(tally.bytes, tally.answered))),
        ("bytes per connect", Box::new(|tally| each(tally.connect_bytes, tally.connected))),
    ]
}

/// Bytes for each, rounded down.
fn each(all: u64, count: u64) -> String {
    all.checked_div(count).map_or_else(|| figure(None), bytes)
}

fn errors(text: &mut String, all: &Tally) {
    if all.errors.is_empty() {
        return;
    }
    text.push_str("\nerrors\n");
    for trouble in all.errors.values() {
        // The example says the kind, too, in more words.
        let _ = writeln!(text, "{:>10}  {}", count(trouble.count), trouble.example);
        if let Some(hint) = trouble.hint {
            let _ = writeln!(text, "{:12}{hint}", "");
        }
    }
}

/// Returns the last line, which says whether all is well.
fn verdict(options: &Options, all: &Tally) -> &'static str {
    if all.answered == 0
        && all.sent + all.disconnected > 0
        && options.path().contains("socket.io")
        && !options.is_socket_io()
    {
        return "\nNothing was answered. If this is a Socket.IO server, add --socketio.\n";
    }
    if all.has_disorder() {
        return "\nMessages were lost, duplicated or reordered.\n";
    }
    ""
}

/// Four columns fit into less than 80 characters.
const LABEL_LEN: usize = 22;
const COLUMN_LEN: usize = 13;
