//! `[log]`: what goes to the standard error, the access log, and what requests are marked with.

use http::Uri;
use tracing::Level;

use super::key::{Section, Shown, Type};
use super::row::{Row, read_rows, row};
use super::table::Table;
use super::tree::{Node, show_text};
use super::values::{Wrong, count, flag, text, url, word};
use crate::access_log::{self, Detail, Format};
use crate::log_writer::Target;
use crate::service::Marks;
use crate::upstream::{Host, Kind, Settings};

/// `[log]`: what goes to the standard error, the access log, and what requests are marked with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// The least severe level that is written: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: Level,
    /// One JSON object a line, for machines.
    pub json: bool,
    /// The access log.
    pub access: access_log::Settings,
    /// What requests are marked with, for the access log and for backends.
    pub marks: Marks,
    /// The collector that gets their spans.
    pub otlp: Option<Box<Settings>>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: Level::INFO,
            json: false,
            access: access_log::Settings::default(),
            marks: Marks::default(),
            otlp: None,
        }
    }
}

/// What the table says.
#[derive(Default, Debug)]
pub(super) struct Written {
    log: Log,
    format: Option<Format>,
    otlp: Option<Uri>,
}

/// The keys of `[log]`.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const LOG: &[Row<Written>] = &[
    row(Section::Log, "level", Type::Word, Shown::Default("\"info\""), "error, warn, info, debug or trace",
        |table, key, written| table.set(key, &mut written.log.level, word(&LEVELS, &[]))),
    row(Section::Log, "format", Type::Word, Shown::Default("\"text\""), "text, or json: one object per line",
        |table, key, written| table.set(key, &mut written.log.json, word(&[("text", false), ("json", true)], &[]))),
    row(Section::Log, "access", Type::Word, Shown::Default("\"off\""), "off; sessions: a line at the end of each; requests: those, too",
        |table, key, written| table.set(key, &mut written.log.access.detail, word(&DETAILS, &[]))),
    row(Section::Log, "access_format", Type::Word, Shown::Example("\"combined\""), "text, json or combined; unset: format",
        |table, key, written| written.format = table.value(key, word(&FORMATS, &[]))),
    row(Section::Log, "access_query", Type::Flag, Shown::Default("false"), "whether lines of http routes show the query, too",
        |table, key, written| table.set(key, &mut written.log.access.query, flag)),
    row(Section::Log, "access_to", Type::Text, Shown::Default("\"stdout\""), "stdout, stderr, or a file, which SIGUSR1 opens again",
        |table, key, written| table.set(key, &mut written.log.access.to, target)),
    row(Section::Log, "request_id", Type::Flag, Shown::Default("false"), "X-Request-Id: a trusted proxy's, or one that is made",
        |table, key, written| table.set(key, &mut written.log.marks.request_id, flag)),
    row(Section::Log, "traceparent", Type::Flag, Shown::Default("false"), "W3C Trace Context: a trace continued, or begun",
        |table, key, written| table.set(key, &mut written.log.marks.trace, flag)),
    row(Section::Log, "sampled_one_in", Type::Count, Shown::Default("1"), "one in so many traces is sampled where we decide; 0: none",
        |table, key, written| table.set(key, &mut written.log.marks.sampled_one_in, count(0..=1_000_000))),
    row(Section::Log, "otlp", Type::Text, Shown::Example("\"http://127.0.0.1:4318/v1/traces\""), "where sampled spans go; implies traceparent",
        |table, key, written| written.otlp = table.value(key, url("http"))),
];

/// Reads `[log]`.
pub(super) fn read(table: &Table<'_>) -> Log {
    let mut written = Written::default();
    read_rows(LOG, table, &mut written);
    let Written { mut log, format, otlp } = written;
    if let Some(url) = otlp {
        if !IS_BUILT {
            let found = show_text(&url.to_string());
            table.report("otlp", found, "none: this binary was built without the feature otlp");
        }
        log.marks.trace = true;
        let server =
            Settings { kind: Kind::Http, host: Host::Upstream, urls: vec![url], ..Settings::default() };
        log.otlp = Some(Box::new(server));
    }
    log.access.format = format.unwrap_or(if log.json { Format::Json } else { Format::Text });
    log
}

fn target(node: &Node) -> Result<Target, Wrong> {
    Ok(match text(node)?.as_str() {
        "" => return Err(Wrong::expected("stdout, stderr, or the name of a file")),
        "stdout" => Target::Stdout,
        "stderr" => Target::Stderr,
        file => Target::File(file.into()),
    })
}

/// Whether spans can be sent. Tests try it without the feature.
const IS_BUILT: bool = cfg!(any(feature = "otlp", test));
const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];
const DETAILS: [(&str, Detail); 3] =
    [("off", Detail::Off), ("sessions", Detail::Sessions), ("requests", Detail::Requests)];
const FORMATS: [(&str, Format); 3] =
    [("text", Format::Text), ("json", Format::Json), ("combined", Format::Combined)];
