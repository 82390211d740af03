//! All figures as JSON, for programs and for the page.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::about::About;
use crate::load::mix::Kind;
use crate::load::options::{Dialect, Options};
use crate::load::stats::{Batches, OverTime, Stats, Tally};

/// Returns the figures of all sessions, and below `transports` those of each kind.
pub(super) fn of(options: &Options, stats: &Stats, took: Duration, about: &About) -> Value {
    let mut figures = tally(&stats.all());
    let kinds = Kind::ALL.into_iter().filter(|kind| options.mix().has(*kind));
    let transports: Map<String, Value> =
        kinds.map(|kind| (kind.word().to_owned(), kind_of(stats.of(kind)))).collect();
    let run = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "date": about.date,
        "command": about.command,
        "machine": about.machine,
        "url": options.target(),
        "dialect": options.dialect().word(),
        "eio": if options.dialect() == Dialect::EngineIo { options.eio.into() } else { Value::Null },
        "socketio": options.is_socket_io(),
        "rate": options.rate,
        "size": options.size,
        "burst": options.burst.largest(),
        "seconds": took.as_secs_f64(),
        "sessions": options.sessions,
        "transports": transports,
    });
    for (key, value) in run.as_object().cloned().unwrap_or_default() {
        figures[key.as_str()] = value;
    }
    figures
}

fn kind_of(kind: &Tally) -> Value {
    let mut figures = tally(kind);
    figures["latency_us_over_time"] = over_time(&kind.over_time);
    figures
}

fn over_time(over_time: &OverTime) -> Value {
    let spans: Vec<_> = over_time.spans().collect();
    let p50: Vec<_> = spans.iter().map(|span| span.map(|span| span.p50)).collect();
    let p99: Vec<_> = spans.iter().map(|span| span.map(|span| span.p99)).collect();
    json!({ "span_seconds": over_time.span().as_secs_f64(), "p50": p50, "p99": p99 })
}

fn tally(tally: &Tally) -> Value {
    let errors: Map<String, Value> = tally
        .errors
        .iter()
        .map(|(kind, trouble)| {
            (kind.to_string(), json!({ "count": trouble.count, "example": trouble.example }))
        })
        .collect();
    let answered: Vec<u64> = tally.seconds.iter().map(|second| second.answered).collect();
    let bytes: Vec<u64> = tally.seconds.iter().map(|second| second.bytes).collect();
    json!({
        "sessions": tally.begun,
        "connected": tally.connected,
        "failed": tally.failed,
        "disconnected": tally.disconnected,
        // `broken` and `doubled` are the old names of the keys above them. They stay for one version.
        "broken": tally.disconnected,
        "connect_us": percentiles(&tally.connects),
        "messages": tally.sent,
        "answered": tally.answered,
        "lost": tally.lost,
        "lost_by_disconnect": tally.lost_by_disconnect,
        "duplicated": tally.duplicated,
        "doubled": tally.duplicated,
        "reordered": tally.reordered,
        "strange": tally.strange,
        "latency_us": percentiles(&tally.latency),
        "requests": tally.requests,
        "bytes": tally.bytes,
        "requests_per_message": tally.requests_per_message(),
        "bytes_per_message": tally.bytes_per_message(),
        "connect_requests": tally.connect_requests,
        "connect_bytes": tally.connect_bytes,
        "errors": errors,
        "distribution": distribution(&tally.latency),
        "polls": batches(&tally.polls),
        "posts": batches(&tally.posts),
        "answered_by_second": answered,
        "bytes_by_second": bytes,
    })
}

/// Returns the percentiles; null if nothing was measured, because a zero would look like a very good figure.
fn percentiles(histogram: &Histogram<u64>) -> Value {
    let at = |percentile| (!histogram.is_empty()).then(|| histogram.value_at_percentile(percentile));
    json!({ "p50": at(50.0), "p90": at(90.0), "p99": at(99.0), "p99.9": at(99.9), "max": at(100.0) })
}

/// Pairs of a percentile and its microseconds, denser towards the end.
fn distribution(histogram: &Histogram<u64>) -> Vec<(f64, u64)> {
    let steps = histogram.iter_quantiles(TICKS_PER_HALF_DISTANCE);
    steps.map(|step| (step.quantile_iterated_to() * 100.0, step.value_iterated_to())).collect()
}

/// Returns the sizes that occurred: the mean number of messages, and what each message took.
fn batches(batches: &Batches) -> Vec<Value> {
    let used = batches.iter().filter(|batch| batch.requests > 0);
    used.map(|batch| json!({ "requests": batch.requests, "messages": batch.messages, "bytes": batch.bytes }))
        .collect()
}

const TICKS_PER_HALF_DISTANCE: u32 = 4;
