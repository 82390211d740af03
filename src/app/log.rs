//! The log of the process, whose level can be changed.

use std::io;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload as filter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::Log;

/// Sets the level of the log.
pub(super) type SetLevel = Box<dyn Fn(Level) + Send + Sync>;

/// Starts the log; returns what sets its level later.
pub(super) fn start_log(log: &Log) -> SetLevel {
    let (filter, handle) = filter::Layer::new(from(log.level));
    // If the log can't be written, its error can't either: the subscriber's way to report one panics.
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).log_internal_errors(false);
    let filtered = tracing_subscriber::registry().with(filter);
    // Only a test can have set a subscriber before.
    let _ = if log.json {
        filtered.with(lines.json()).try_init()
    } else {
        filtered.with(lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr()))).try_init()
    };
    // It fails only if there is no log.
    Box::new(move |level| drop(handle.reload(from(level))))
}

/// Returns what is written from a level on. The client of NATS logs each connection, and passwords; the directory logs what
/// matters. HTTP/2 logs each frame, which any client can provoke.
fn from(level: Level) -> Targets {
    let targets = Targets::new().with_default(level);
    targets.with_targets([("async_nats", LevelFilter::OFF), ("h2", LevelFilter::OFF)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_http2_stay_out_of_the_log_at_any_level() {
        for level in [Level::DEBUG, Level::TRACE] {
            let targets = from(level);
            assert!(targets.would_enable("polliwog::server", &level));
            assert!(!targets.would_enable("h2::codec::framed_read", &level));
        }
    }
}
