//! Faults of a text that is partly no TOML: each line that is broken, and nothing that only follows from it.

use std::collections::BTreeSet;

use toml::de::Error;

use super::fault::{Place, Problem, Sink};
use super::tree::{Lines, show_text};

/// Adds the parser's errors to the sink, which holds what was found in the part that could be read.
pub(super) fn report(errors: &[Error], lines: &Lines<'_>, sink: &Sink) {
    let mut errors: Vec<_> = errors.iter().map(|error| Broken::of(error, lines)).collect();
    if errors.is_empty() {
        return;
    }
    errors.sort();
    let broken: BTreeSet<_> = errors.iter().filter_map(|error| line_of(&error.place)).collect();
    let duplicates: BTreeSet<_> = errors
        .iter()
        .filter(|error| error.is_duplicate_table(lines))
        .filter_map(|error| line_of(&error.place))
        .collect();
    let runaway = runaway(&errors);
    // The second table of a name is read nevertheless.
    let unread: BTreeSet<_> = broken.difference(&duplicates).copied().collect();
    retain_certain(sink, &broken, header(&unread, lines).into_iter().chain(runaway).min());
    let mut reported = BTreeSet::new();
    for error in errors {
        let line = line_of(&error.place);
        // Each key that a duplicate table has in common with the first would be reported again.
        let is_in_duplicate = error.message == DUPLICATE
            && line
                .and_then(|line| lines.header_above(line))
                .is_some_and(|header| duplicates.contains(&header));
        // One is enough for a line: the others follow from it.
        if !is_in_duplicate && reported.insert(line) && runaway.is_none_or(|runaway| line <= Some(runaway)) {
            sink.push(&error.place, "", Problem::Syntax(error.message_for(lines)));
        }
    }
}

/// An error of the parser.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Broken<'t> {
    place: Place,
    message: &'t str,
    text: &'t str,
}

impl<'t> Broken<'t> {
    fn of(error: &'t Error, lines: &Lines<'t>) -> Self {
        let span = error.span().unwrap_or_default();
        Self { place: lines.place(span.start), message: error.message(), text: lines.text(span) }
    }

    /// Returns whether it is the header of a table that an earlier header began.
    fn is_duplicate_table(&self, lines: &Lines<'_>) -> bool {
        self.message == DUPLICATE && line_of(&self.place).is_some_and(|line| lines.is_header(line))
    }

    /// Returns the text of the fault: the parser's message, with the name of a duplicate key, which the parser does not give.
    fn message_for(&self, lines: &Lines<'_>) -> String {
        match line_of(&self.place) {
            Some(line) if self.is_duplicate_table(lines) => {
                format!("duplicate table {}", lines.line(line).trim())
            }
            _ if self.message == DUPLICATE => {
                format!("{DUPLICATE} {}", show_text(self.text.trim_matches(['"', '\''])))
            }
            _ => self.message.to_owned(),
        }
    }
}

/// Returns where a list that is never closed begins to swallow other lines.
fn runaway(errors: &[Broken<'_>]) -> Option<usize> {
    let unclosed = errors.iter().any(|error| error.message.starts_with("unclosed array"));
    let error = errors.iter().find(|error| unclosed && error.message.contains("array"))?;
    line_of(&error.place)
}

/// Returns the first header that is broken: what stands behind it may belong to another table.
fn header(broken: &BTreeSet<usize>, lines: &Lines<'_>) -> Option<usize> {
    broken.iter().copied().find(|line| lines.is_header(*line))
}

/// Drops what may only follow from the broken lines: what is missing, what shares a line, and all behind `end`.
fn retain_certain(sink: &Sink, broken: &BTreeSet<usize>, end: Option<usize>) {
    sink.retain(|fault| {
        let read = |line: usize| !broken.contains(&line) && end.is_none_or(|end| line < end);
        // What was not read may have been the header of the very upstream.
        let unheard = end.is_some() && fault.key.ends_with(".upstream");
        line_of(&fault.place).is_none_or(read) && !unheard && !matches!(fault.problem, Problem::Missing(_))
    });
}

fn line_of(place: &Place) -> Option<usize> {
    match place {
        Place::File { line, .. } => Some(*line),
        Place::Variable(_) => None,
    }
}

/// The parser's message for a key or a table that is there a second time.
const DUPLICATE: &str = "duplicate key";
