//! What the table says about each key, held to what its reader does.

use super::super::keys::{KEYS, Key, Type, dialects};
use super::super::shipped::bare_with_key;
use super::*;
use crate::units;

/// Returns the faults of a key with this value, one fault a line.
fn faults_of(key: &Key, value: &str) -> String {
    let text = bare_with_key(key, value);
    let faults = parse(&text, &[]).map_or_else(|faults| faults.to_string(), |_| String::new());
    let is_its = |line: &&str| {
        let name = format!(".{}", key.name);
        line.split(&name).skip(1).any(|rest| rest.starts_with(": ") || rest.starts_with('['))
    };
    faults.lines().filter(is_its).collect::<Vec<_>>().join("\n")
}

/// Returns the type that a key's reader takes, as its faults tell it.
fn behaves_like(key: &Key) -> Type {
    let wrong = faults_of(key, "[[]]");
    let told = [
        (units::DURATION, Type::Duration),
        (units::SIZE, Type::Size),
        ("a number from ", Type::Count),
        ("true or false", Type::Flag),
        ("3 or 4", Type::Numbers),
        ("such as \"dns:", Type::TextOrTable),
        ("or a table", Type::WordOrTable),
        ("a table, [[", Type::Tables),
        ("a table", Type::Table),
        ("one of ", Type::Word),
        ("a file name", Type::File),
    ];
    let shown = key.shown.value();
    let list = if shown.starts_with('[') { shown.to_owned() } else { format!("[{shown}]") };
    let texts = || if faults_of(key, &list).is_empty() { Type::Texts } else { Type::Text };
    told.iter().find(|(text, _)| wrong.contains(text)).map_or_else(texts, |(_, takes)| *takes)
}

#[test]
fn a_key_takes_the_type_that_the_documentation_says() {
    for key in KEYS.iter() {
        assert_eq!(behaves_like(key), key.takes, "{} of {}", key.name, key.section.header());
    }
}

#[test]
fn a_wrong_entry_of_a_list_is_told_once() {
    for key in KEYS.iter().filter(|key| matches!(key.takes, Type::Texts | Type::Numbers)) {
        for wrong in ["[[]]", "true", "{}"] {
            assert_eq!(
                faults_of(key, wrong).lines().count(),
                1,
                "{} = {wrong}: {}",
                key.name,
                faults_of(key, wrong)
            );
        }
        assert_eq!(faults_of(key, "[[], []]").lines().count(), 2, "{}", key.name);
    }
    assert!(fault("[server]\nlisten = ['x']\n").contains("server.listen[0]: found \"x\""));
    assert_eq!(faults(GOOD, &[("POLLIWOG_SERVER__LISTEN", "x,127.0.0.1:1")]).len(), 1);
    assert_eq!(faults(GOOD, &[("POLLIWOG_SERVER__LISTEN", "x")]).len(), 1);
}

#[test]
fn the_line_of_a_key_with_words_names_each_of_them() {
    for key in KEYS.iter().filter(|key| key.takes == Type::Word) {
        let wrong = faults_of(key, "'no such word'");
        let (_, words) =
            wrong.split_once("expected one of ").unwrap_or_else(|| panic!("{}: {wrong}", key.name));
        let named = |word: &&str| key.doc.contains(word) || key.shown.value().contains(word);
        let missing: Vec<_> = words.split(", ").filter(|word| !named(word)).collect();
        assert!(missing.is_empty(), "{} names no {missing:?}: {}", key.name, key.doc);
    }
}

#[test]
fn the_line_of_the_dialects_is_their_table() {
    let key = KEYS.iter().find(|key| key.name == "dialect").unwrap();
    let words: Vec<_> = key.doc.split(", ").map(|word| word.split(' ').next().unwrap()).collect();
    assert_eq!(words, dialects().collect::<Vec<_>>());
}
