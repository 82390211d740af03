//! The configuration before anybody has judged it: values, each with the place where it was set.
//!
//! The file gives the first tree; variables of the environment are laid over it.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::fault::Place;

/// A value and where it was set.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What TOML knows, as far as a key can use it.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i128),
    Flag(bool),
    /// A float, a date or an integer of more than 128 bits: no key takes one. Kept to be shown.
    Useless(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// One key of a table.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Where the key stands.
    pub(super) place: Place,
    pub(super) node: Node,
}

impl Node {
    /// Makes a tree of a table; `place` says where each offset of the text is.
    pub(super) fn from_table(table: &DeTable<'_>, at: Place, place: &dyn Fn(usize) -> Place) -> Self {
        let mut spans: Vec<_> = table.iter().collect();
        spans.sort_by_key(|(key, _)| key.span().start);
        let entries = spans.into_iter().map(|(key, value)| Entry {
            name: key.get_ref().to_string(),
            place: place(key.span().start),
            node: Self::from_value(value, place),
        });
        Self { place: at, value: Value::Table(entries.collect()) }
    }

    /// Makes a tree of a value.
    pub(super) fn from_value(value: &Spanned<DeValue<'_>>, place: &dyn Fn(usize) -> Place) -> Self {
        let at = place(value.span().start);
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix())
                .map_or_else(|_| Value::Useless(integer.to_string()), Value::Integer),
            DeValue::Boolean(flag) => Value::Flag(*flag),
            DeValue::Float(float) => Value::Useless(float.to_string()),
            DeValue::Datetime(date) => Value::Useless(date.to_string()),
            DeValue::Array(list) => Value::List(Self::from_list(list, place)),
            DeValue::Table(table) => return Self::from_table(table, at, place),
        };
        Self { place: at, value }
    }

    fn from_list(list: &DeArray<'_>, place: &dyn Fn(usize) -> Place) -> Vec<Self> {
        list.iter().map(|value| Self::from_value(value, place)).collect()
    }

    /// Returns the keys of a table.
    pub(super) fn entries(&self) -> Option<&[Entry]> {
        if let Value::Table(entries) = &self.value { Some(entries) } else { None }
    }

    /// Returns what a table has under this key.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.entries()?.iter().find(|entry| entry.name == name).map(|entry| &entry.node)
    }

    /// Returns the elements of a list.
    pub(super) fn items(&self) -> Option<&[Self]> {
        if let Value::List(items) = &self.value { Some(items) } else { None }
    }

    /// Returns the value as a fault shows it.
    pub(super) fn show(&self) -> String {
        match &self.value {
            Value::Text(text) => show_text(text),
            Value::Integer(integer) => integer.to_string(),
            Value::Flag(flag) => flag.to_string(),
            Value::Useless(text) => shorten(text),
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
        }
    }
}

/// Returns a text in quotes, with nothing in it that could disturb a terminal.
pub(super) fn show_text(text: &str) -> String {
    format!("{:?}", shorten(text))
}

/// Where the lines of a text begin.
#[derive(Debug)]
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self { text, starts: std::iter::once(0).chain(breaks.map(|(offset, _)| offset + 1)).collect() }
    }

    /// Returns the line and column of a byte offset.
    pub(super) fn place(&self, offset: usize) -> Place {
        let index = self.starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let before = self.text.get(self.starts[index]..offset).unwrap_or_default();
        // A byte order mark is not a character of the first line.
        let column = before.chars().filter(|c| *c != '\u{feff}').count();
        Place::File { line: index + 1, column: column + 1 }
    }

    /// Returns the text at these byte offsets.
    pub(super) fn text(&self, span: Range<usize>) -> &'t str {
        self.text.get(span).unwrap_or_default()
    }

    /// Returns the line with this number, which begins at 1.
    pub(super) fn line(&self, number: usize) -> &'t str {
        let start = self.starts.get(number.saturating_sub(1)).copied().unwrap_or(self.text.len());
        self.text[start..].lines().next().unwrap_or_default()
    }

    /// Returns whether the line is a table's header.
    pub(super) fn is_header(&self, number: usize) -> bool {
        self.line(number).trim_start().starts_with('[')
    }

    /// Returns the header of the table in which the line stands.
    pub(super) fn header_above(&self, number: usize) -> Option<usize> {
        (1..number).rev().find(|number| self.is_header(*number))
    }
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Long enough for any URL that one reads at a glance.
const SHOWN_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Node {
        let lines = Lines::of(text);
        let table = DeTable::parse(text).unwrap();
        Node::from_table(table.get_ref(), lines.place(0), &|offset| lines.place(offset))
    }

    fn entries(node: &Node) -> &[Entry] {
        node.entries().unwrap()
    }

    #[test]
    fn every_value_knows_its_line_and_column() {
        let tree = tree("\n[server]\n  listen = [\n  'a',\n  'é', 'c']\n[[routes]]\npath = 1\n[[routes]]\n");
        let server = &entries(&tree)[0];
        assert_eq!((server.name.as_str(), &server.place), ("server", &Place::File { line: 2, column: 2 }));
        let listen = &entries(&server.node)[0];
        assert_eq!(listen.place, Place::File { line: 3, column: 3 });
        let items = listen.node.items().unwrap();
        assert_eq!(items[2].place, Place::File { line: 5, column: 8 });
        let routes = entries(&tree)[1].node.items().unwrap();
        assert_eq!(routes[0].place, Place::File { line: 6, column: 1 });
        assert_eq!(routes[1].place, Place::File { line: 8, column: 1 });
    }

    #[test]
    fn keys_keep_the_order_of_the_file() {
        let tree = tree("z = 1\na = 2\n");
        let names: Vec<_> = entries(&tree).iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["z", "a"]);
    }

    #[test]
    fn a_shown_value_is_short_and_harmless() {
        let node = |value| Node { place: Place::File { line: 1, column: 1 }, value };
        assert_eq!(node(Value::Text("a\u{1b}[2J".to_owned())).show(), "\"a\\u{1b}[2J\"");
        assert!(node(Value::Text("x".repeat(10_000))).show().len() < 100);
        assert_eq!(node(Value::Integer(-1)).show(), "-1");
    }

    #[test]
    fn an_integer_in_any_base_is_a_number_and_a_giant_is_not() {
        let tree = tree("a = 0x10\nb = 1_000\nc = 1.5\n");
        let shown: Vec<_> = entries(&tree).iter().map(|entry| entry.node.show()).collect();
        assert_eq!(shown, ["16", "1000", "1.5"]);
    }
}
