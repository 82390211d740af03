//! Reads one table: takes its keys by name, reports what is unknown, missing or wrong.

use super::fault::{Place, Problem, Sink};
use super::key::{Key, SECTIONS, Section};
use super::suggestion::nearest;
use super::tree::{Entry, Node, Value, show_text};
use super::values::Wrong;

/// A table that is being read.
#[derive(Debug)]
pub(super) struct Table<'t> {
    /// Its whole key, such as `routes[0]`; empty for the top of the file.
    key: String,
    place: Place,
    section: Section,
    /// Those of all sections.
    keys: &'t [Key],
    /// Nothing where something else than a table was written.
    entries: Option<&'t [Entry]>,
    sink: &'t Sink,
}

impl<'t> Table<'t> {
    /// Begins to read the whole file, which may hold these keys.
    pub(super) fn root(tree: &'t Node, keys: &'t [Key], sink: &'t Sink) -> Self {
        Self::open(Some(tree), String::new(), Section::Root, keys, sink)
    }

    /// Begins to read; reports at once each key that is unknown. `None` is a section that nobody wrote.
    fn open(node: Option<&'t Node>, key: String, section: Section, keys: &'t [Key], sink: &'t Sink) -> Self {
        let place = node.map_or(Place::File { line: 1, column: 1 }, |node| node.place.clone());
        let entries = node.map_or(Some(&[][..]), Node::entries);
        if let (Some(node), None) = (node, entries) {
            sink.push(&place, &*key, wrong(node.show(), &format!("a table, {}", section.header())));
        }
        let table = Self { key, place, section, keys, entries, sink };
        table.report_unknown();
        table
    }

    /// Returns the value of a key, if it was set.
    pub(super) fn get(&self, name: &str) -> Option<&'t Node> {
        self.entries?.iter().find(|entry| entry.name == name).map(|entry| &entry.node)
    }

    /// Returns the names of the keys that were set.
    pub(super) fn names(&self) -> impl Iterator<Item = &'t str> {
        self.entries.into_iter().flatten().map(|entry| entry.name.as_str())
    }

    /// Begins to read a table in this one.
    pub(super) fn section(&self, name: &'static str, section: Section) -> Self {
        Self::open(self.get(name), self.key_of(name), section, self.keys, self.sink)
    }

    /// Begins to read a table that stands somewhere in this one, at the whole key.
    pub(super) fn within(&self, node: &'t Node, key: String, section: Section) -> Self {
        Self::open(Some(node), key, section, self.keys, self.sink)
    }

    /// Reads an optional key.
    pub(super) fn value<T>(&self, name: &str, read: impl Fn(&Node) -> Result<T, Wrong>) -> Option<T> {
        let node = self.get(name)?;
        self.judge(&self.key_of(name), node, read)
    }

    /// Reads an optional key over its default.
    pub(super) fn set<T>(&self, name: &str, slot: &mut T, read: impl Fn(&Node) -> Result<T, Wrong>) {
        if let Some(value) = self.value(name, read) {
            *slot = value;
        }
    }

    /// Reads a key that must be there; its absence is a fault.
    pub(super) fn required<T>(&self, name: &str, read: impl Fn(&Node) -> Result<T, Wrong>) -> Option<T> {
        if self.get(name).is_none() {
            self.report_missing(name);
        }
        self.value(name, read)
    }

    /// Reads a list, or a single value as a list of one; a variable's text is split at commas.
    ///
    /// Every element that is wrong is reported; those that are right are returned with their places. `None` if all are wrong,
    /// so that an empty result is a list that was written empty.
    pub(super) fn list<T>(
        &self,
        name: &str,
        read: impl Fn(&Node) -> Result<T, Wrong>,
    ) -> Option<Vec<(Place, T)>> {
        let node = self.get(name)?;
        let key = self.key_of(name);
        let items = match (&node.value, &node.place) {
            (Value::Text(text), Place::Variable(_)) => &split(text, &node.place)[..],
            _ => match node.items() {
                Some(items) => items,
                None => std::slice::from_ref(node),
            },
        };
        if node.items().is_none() && items.len() == 1 {
            return self.judge(&key, &items[0], read).map(|value| vec![(node.place.clone(), value)]);
        }
        let judged = items.iter().enumerate().map(|(index, item)| {
            let value = self.judge(&format!("{key}[{index}]"), item, &read)?;
            Some((item.place.clone(), value))
        });
        let right: Vec<_> = judged.collect::<Vec<_>>().into_iter().flatten().collect();
        Some(right).filter(|right| !right.is_empty() || items.is_empty())
    }

    /// Reports each element of a list that stands there twice.
    pub(super) fn report_doubles<T: PartialEq>(
        &self,
        name: &str,
        list: &[(Place, T)],
        show: impl Fn(&T) -> String,
        expected: &str,
    ) {
        for (index, (place, item)) in list.iter().enumerate() {
            if list[..index].iter().any(|(_, earlier)| earlier == item) {
                self.report_item(name, index, place, show_text(&show(item)), expected);
            }
        }
    }

    /// Reports that a required key is not there.
    pub(super) fn report_missing(&self, name: &str) {
        // What is no table at all is told once, and a misspelt key is told as such.
        let misspelt = || self.unknown().any(|entry| self.meant(&entry.name) == Some(name));
        if self.entries.is_some() && !misspelt() {
            let example = self.key(name).map_or("...", |key| key.shown.value());
            let expected = format!("a line such as {name} = {example}");
            self.sink.push(&self.place, self.key_of(name), Problem::Missing(expected));
        }
    }

    /// Reports a value that is right by itself and wrong beside others.
    pub(super) fn report(&self, name: &str, found: String, expected: &str) {
        let place = self.get(name).map_or(&self.place, |node| &node.place);
        self.sink.push(place, self.key_of(name), wrong(found, expected));
    }

    /// Reports a key that means nothing beside others.
    pub(super) fn report_idle(&self, name: &str, beside: String) {
        let place = self.get(name).map_or(&self.place, |node| &node.place);
        self.sink.push(place, self.key_of(name), Problem::Idle(beside));
    }

    /// Reports an element of a list that is right by itself and wrong beside others.
    pub(super) fn report_item(&self, name: &str, index: usize, place: &Place, found: String, expected: &str) {
        self.sink.push(place, format!("{}[{index}]", self.key_of(name)), wrong(found, expected));
    }

    /// Returns what the table of all keys has for a key that stands in this very section.
    pub(super) fn key(&self, name: &str) -> Option<&'t Key> {
        self.keys.iter().find(|key| key.section == self.section && key.name == name)
    }

    /// Returns the whole key of one of its keys.
    pub(super) fn key_of(&self, name: &str) -> String {
        if self.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.key) }
    }

    fn judge<T>(&self, key: &str, node: &Node, read: impl Fn(&Node) -> Result<T, Wrong>) -> Option<T> {
        match read(node) {
            Ok(value) => Some(value),
            Err(Wrong { found, expected, hint }) => {
                let found = found.unwrap_or_else(|| node.show());
                self.sink.push(&node.place, key, Problem::Wrong { found, expected, hint });
                None
            }
        }
    }

    /// Returns the names of all keys that may stand in it.
    fn known(&self) -> Vec<&'static str> {
        if self.section == Section::Root {
            return SECTIONS.to_vec();
        }
        let is_route = self.section == Section::Route;
        let fits = |key: &&Key| key.section == self.section || is_route && key.section == Section::Defaults;
        self.keys.iter().filter(fits).map(|key| key.name).collect()
    }

    fn unknown(&self) -> impl Iterator<Item = &'t Entry> {
        let known = self.known();
        self.entries.into_iter().flatten().filter(move |entry| !known.contains(&entry.name.as_str()))
    }

    /// Returns the key that was probably meant by an unknown one.
    fn meant(&self, name: &str) -> Option<&'static str> {
        nearest(name, self.known())
    }

    fn report_unknown(&self) {
        for entry in self.unknown() {
            let instead = match &entry.place {
                Place::File { .. } => self.instead(&entry.name),
                Place::Variable(variable) => self.instead_of_variable(variable, &entry.name),
            };
            self.sink.push(&entry.place, self.key_of(&entry.name), Problem::Unknown(instead));
        }
    }

    /// Returns what to write instead of an unknown key.
    fn instead(&self, name: &str) -> String {
        if let Some(word) = self.meant(name) {
            return format!("; did you mean {word:?}?");
        }
        match self.keys.iter().find(|key| key.name == name && !is_of_certificate(key)) {
            Some(key) => format!("; it belongs in {}", key.section.header()),
            None => format!(", expected one of {}", self.known().join(", ")),
        }
    }

    /// Returns what to set instead of a variable that names an unknown key.
    fn instead_of_variable(&self, variable: &str, name: &str) -> String {
        if let Some(word) = self.meant(name) {
            // The key's name is one level of the variable's; what is around it stays.
            let (wrong, right) = (name.to_uppercase(), word.to_uppercase());
            let levels = variable.split("__").map(|level| match level.strip_suffix(&wrong) {
                Some(prefix) if prefix.is_empty() || prefix == "POLLIWOG_" => format!("{prefix}{right}"),
                Some(_) | None => level.to_owned(),
            });
            return format!("; did you mean {}?", levels.collect::<Vec<_>>().join("__"));
        }
        let fixed = static_variables(self.keys);
        match nearest(variable, fixed.iter().map(String::as_str)) {
            Some(word) if self.section == Section::Root => format!("; did you mean {word}?"),
            Some(_) | None => self.instead(name),
        }
    }
}

/// Returns whether several tables have the key, so that nobody knows which one was meant.
fn is_of_certificate(key: &Key) -> bool {
    matches!(key.section, Section::Tls | Section::Certificates)
}

/// Returns the variables whose names need no index and no name of an operator's.
fn static_variables(keys: &[Key]) -> Vec<String> {
    let sections = [Section::Server, Section::Admin, Section::Log, Section::Defaults];
    let keys = keys.iter().filter(|key| sections.contains(&key.section));
    let name = |key: &Key| format!("{}__{}", key.section.header().trim_matches(['[', ']']), key.name);
    keys.map(|key| format!("POLLIWOG_{}", name(key).to_uppercase())).collect()
}

fn split(text: &str, place: &Place) -> Vec<Node> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| Node { place: place.clone(), value: Value::Text(part.to_owned()) }).collect()
}

fn wrong(found: String, expected: &str) -> Problem {
    Problem::Wrong { found, expected: expected.to_owned(), hint: String::new() }
}
