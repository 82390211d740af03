//! Faults of a text that is partly no TOML: each line that is broken, and nothing that only follows from it.

use std::collections::BTreeSet;

use toml::de::Error;

use super::fault::{Place, Problem, Sink};
use super::tree::Lines;

/// Adds the parser's errors to the sink, which holds what was found in the part that could be read.
pub(super) fn report(errors: &[Error], lines: &Lines<'_>, sink: &Sink) {
    let place = |error: &Error| lines.place(error.span().map_or(0, |span| span.start));
    let mut errors: Vec<_> = errors.iter().map(|error| (place(error), error.message())).collect();
    if errors.is_empty() {
        return;
    }
    errors.sort();
    let broken: BTreeSet<_> = errors.iter().filter_map(|(place, _)| line_of(place)).collect();
    let runaway = runaway(&errors);
    retain_certain(sink, &broken, header(&broken, lines).into_iter().chain(runaway).min());
    let mut told = BTreeSet::new();
    for (place, message) in errors {
        let line = line_of(&place);
        // One is enough for a line: the others follow from it.
        if told.insert(line) && runaway.is_none_or(|runaway| line <= Some(runaway)) {
            sink.push(&place, "", Problem::Syntax(message.to_owned()));
        }
    }
}

/// Where a list that is never closed begins to swallow other lines.
fn runaway(errors: &[(Place, &str)]) -> Option<usize> {
    let unclosed = errors.iter().any(|(_, message)| message.starts_with("unclosed array"));
    let swallows = |message: &str| message.contains("array");
    let (place, _) = errors.iter().find(|(_, message)| unclosed && swallows(message))?;
    line_of(place)
}

/// The first header that is broken: what stands behind it may belong to another table.
fn header(broken: &BTreeSet<usize>, lines: &Lines<'_>) -> Option<usize> {
    broken.iter().copied().find(|line| lines.line(*line).trim_start().starts_with('['))
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
