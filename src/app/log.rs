//! The logs of the process, which a reload may change.

use std::io::{self, Write};

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload as filter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::access_log::{AccessLog, FINISH_TIMEOUT, Prepared};
use crate::config::Log;
use crate::log_writer::{LogWriter, Target};
use crate::meter::{LogName, Metrics};

/// The logs of the process.
#[derive(Clone, Default)]
pub(super) struct Logs {
    /// What writes the standard error, and sets its level; `None` in a test.
    own: Option<(LogWriter, filter::Handle<Targets, tracing_subscriber::Registry>)>,
    /// A line for each session.
    pub(super) access: AccessLog,
    metrics: Option<Metrics>,
}

/// Writes each line of the standard error.
struct Lines(LogWriter);

impl Logs {
    /// Starts the logs.
    ///
    /// # Errors
    /// The file of the access log cannot be opened.
    pub(super) fn start(log: &Log) -> io::Result<Self> {
        let writer = LogWriter::start("log", Target::Stderr)?;
        let (filter, level) = filter::Layer::new(from(log.level));
        // If the log can't be written, its error can't either: the subscriber's way to report one panics.
        let lines =
            tracing_subscriber::fmt::layer().with_writer(Lines(writer.clone())).log_internal_errors(false);
        let filtered = tracing_subscriber::registry().with(filter);
        // Only a test can have set a subscriber before.
        let _ = if log.json {
            filtered.with(lines.json()).try_init()
        } else {
            filtered.with(lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr()))).try_init()
        };
        let logs = Self { own: Some((writer, level)), ..Self::default() };
        logs.replace(log, logs.prepare(log)?);
        Ok(logs)
    }

    /// Opens what another configuration wants.
    pub(super) fn prepare(&self, log: &Log) -> io::Result<Prepared> {
        self.access.prepare(&log.access, self.own.as_ref().map(|(writer, _)| writer))
    }

    /// Writes as another configuration wants from now on.
    pub(super) fn replace(&self, log: &Log, access: Prepared) {
        if let Some((_, level)) = &self.own {
            // It fails only if there is no log.
            drop(level.reload(from(log.level)));
        }
        self.access.replace(access);
        self.count();
    }

    /// Counts dropped lines from now on.
    pub(super) fn counted_by(mut self, metrics: &Metrics) -> Self {
        self.metrics = Some(metrics.clone());
        self.count();
        self
    }

    fn count(&self) {
        let Some(metrics) = &self.metrics else { return };
        let own = self.own.as_ref().map(|(writer, _)| (writer.clone(), LogName::Log));
        let access = self.access.writer().map(|writer| (writer, LogName::Access));
        for (writer, name) in own.into_iter().chain(access) {
            // Once for each writer: the standard error may have both.
            writer.count_dropped(metrics.log_lines_dropped(name));
        }
    }

    /// Opens the file again.
    pub(super) fn reopen(&self) {
        match self.access.writer() {
            Some(writer) if matches!(writer.target(), Target::File(_)) => writer.reopen(),
            Some(_) | None => tracing::info!("no log has a file to be opened again"),
        }
    }

    /// Waits until everything is written, for a limited time.
    pub(super) fn finish(&self) {
        let own = self.own.as_ref().map(|(writer, _)| writer.clone());
        for writer in self.access.writer().into_iter().chain(own) {
            writer.finish(FINISH_TIMEOUT);
        }
    }
}

impl<'l> MakeWriter<'l> for Lines {
    type Writer = &'l Self;

    fn make_writer(&'l self) -> Self::Writer {
        self
    }
}

impl Write for &Lines {
    /// Takes a whole line: the subscriber writes no parts.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
