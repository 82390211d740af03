//! What is wrong with a configuration, said so that it can be put right without a manual.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

/// Everything that is wrong with a configuration, at least one fault; one line for each.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Faults {
    file_name: String,
    list: Vec<Fault>,
}

impl Faults {
    /// Returns the faults, in the order of the file, those of the environment last.
    pub fn list(&self) -> &[Fault] {
        &self.list
    }

    /// Returns the place of each fault as it is shown, with the fault.
    pub fn placed(&self) -> impl Iterator<Item = (String, &Fault)> {
        self.list.iter().map(|fault| (fault.shown_place(&self.file_name), fault))
    }
}

impl Fault {
    /// Returns where it is, in a file of this name.
    fn shown_place(&self, file_name: &str) -> String {
        match &self.place {
            Place::File { line, column } => format!("{file_name}:{line}:{column}"),
            Place::Variable(name) => name.to_string(),
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}: ", fault.shown_place(&self.file_name))?;
            if !fault.key.is_empty() {
                write!(f, "{}: ", fault.key)?;
            }
            fault.problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Where the value stands, or where it should.
    pub place: Place,
    /// The whole key, such as `routes[0].dialect`; empty where the file could not be read that far.
    pub key: String,
    /// What is wrong there.
    pub problem: Problem,
}

/// Where a value was set.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Place {
    /// In the file; both numbers begin at 1, the column counts characters.
    File {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// In this environment variable.
    Variable(Arc<str>),
}

/// What can be wrong with a key or its value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Problem {
    /// The text is no TOML, or the variable's name fits no key.
    #[error("{0}")]
    Syntax(String),
    /// There is no such key; the text goes on with what is there instead.
    #[error("unknown key{0}")]
    Unknown(String),
    /// A key that must be there is not.
    #[error("missing, expected {0}")]
    Missing(String),
    /// A value that cannot be used.
    #[error("found {found}, expected {expected}{hint}")]
    Wrong {
        /// The value as it was written, cut short if it is long.
        found: String,
        /// What would have been right.
        expected: String,
        /// Nothing, or `; did you mean ...?`.
        hint: String,
    },
    /// The key means nothing beside others that are set; the text names them.
    #[error("means nothing {0}; remove it")]
    Idle(String),
    /// A file that it names cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// A process that runs cannot change it.
    #[error("changes only at a restart")]
    Fixed,
}

/// Collects faults while the sections are being read.
#[derive(Debug, Default)]
pub(super) struct Sink(RefCell<Vec<Fault>>);

impl Sink {
    pub(super) fn push(&self, place: &Place, key: impl Into<String>, problem: Problem) {
        self.0.borrow_mut().push(Fault { place: place.clone(), key: key.into(), problem });
    }

    /// Returns the result, if there are no faults.
    pub(super) fn into_faults(self, file_name: &str) -> Option<Faults> {
        let mut list = self.0.into_inner();
        list.sort_by(|one, other| one.place.cmp(&other.place));
        (!list.is_empty()).then(|| Faults { file_name: file_name.to_owned(), list })
    }

    /// Keeps what the judge says yes to.
    pub(super) fn retain(&self, judge: impl FnMut(&Fault) -> bool) {
        self.0.borrow_mut().retain(judge);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_in_the_order_of_the_file_and_the_environment_last() {
        let sink = Sink::default();
        let wrong = |found: &str, hint: &str| Problem::Wrong {
            found: found.to_owned(),
            expected: "b".to_owned(),
            hint: hint.to_owned(),
        };
        sink.push(&Place::Variable("POLLIWOG_X".into()), "x", Problem::Unknown(String::new()));
        sink.push(
            &Place::File { line: 12, column: 3 },
            "routes[0].dialect",
            wrong("a", "; did you mean \"b\"?"),
        );
        sink.push(&Place::File { line: 2, column: 9 }, "", Problem::Syntax("no TOML".to_owned()));
        let faults = sink.into_faults("config.toml").unwrap();
        assert_eq!(
            faults.to_string(),
            "config.toml:2:9: no TOML\n\
             config.toml:12:3: routes[0].dialect: found a, expected b; did you mean \"b\"?\n\
             POLLIWOG_X: x: unknown key"
        );
    }

    #[test]
    fn nothing_wrong_is_no_fault() {
        assert_eq!(Sink::default().into_faults("config.toml"), None);
    }
}
