//! Plain English: words and phrases that no text of this repository uses, and how docs begin.

use crate::assert_none;
use crate::tree::{files, is_rust};

/// What is banned, in lower case, as whole words. `CONTRIBUTING.md` and the style guide name the plain word for each.
const BANNED: [&str; 13] = [
    "whoever",
    "whom",
    "midst",
    "stranger",
    "strangers",
    "stranger's",
    "doubled",
    "broken off",
    "is not believed",
    "of the moment",
    "has yet to",
    "come about",
    "his say",
];

/// Where a banned word must stand: the beginning of the file's name, the word (empty for all), and the reason.
const EXCEPTIONS: [(&str, &str, &str); 6] = [
    ("CONTRIBUTING.md", "", "the list, with the plain words"),
    ("tests/tidy/english.rs", "", "the list itself"),
    ("LICENSE", "", "not ours to write"),
    ("CHANGELOG.md", "doubled", "the old name of a key in the report of a load run"),
    ("src/load/report/json.rs", "doubled", "the old name of a key, which stays for one version"),
    ("tests/load/reports.rs", "doubled", "the old name of a key"),
];

/// Words that begin a clause and not a sentence.
const NO_VERBS: [&str; 7] = ["Whether", "What", "How", "Where", "Which", "Why", "Who"];

/// Files that a tool writes.
const GENERATED: [&str; 3] = [".json", ".lock", ".txt"];

#[test]
fn every_text_is_plain_english() {
    assert_none(files("").iter().flat_map(|(file, text)| english_faults(file, text)));
}

/// A function's documentation begins with a verb: "Returns whether", not "Whether".
#[test]
fn the_docs_of_a_function_begin_with_a_verb() {
    let all = files("").into_iter().filter(|(file, _)| is_rust(file));
    assert_none(all.flat_map(|(file, text)| verb_faults(&file, &text)));
}

fn verb_faults(file: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let is_doc = |line: &&str| line.starts_with("///");
    let faults = lines.iter().enumerate().filter_map(|(at, line)| {
        let word = line.strip_prefix("/// ")?.split(' ').next()?;
        let is_first = at == 0 || !is_doc(&lines[at - 1]);
        let mut below = lines[at..].iter().filter(|line| !is_doc(line) && !line.starts_with('#'));
        let is_function = below.next()?.split(' ').any(|word| word == "fn");
        (is_first && is_function && NO_VERBS.contains(&word)).then(|| format!("{file}:{}: {line}", at + 1))
    });
    faults.collect()
}

fn english_faults(file: &str, text: &str) -> Vec<String> {
    if GENERATED.iter().any(|end| file.ends_with(end)) {
        return Vec::new();
    }
    let is_excepted = |word: &str| {
        EXCEPTIONS.iter().any(|(name, of, _)| file.starts_with(name) && (of.is_empty() || *of == word))
    };
    let words = words(text);
    let found = BANNED.iter().filter(|banned| !is_excepted(banned)).flat_map(|banned| {
        let phrase: Vec<&str> = banned.split(' ').collect();
        let matches =
            words.windows(phrase.len()).filter(move |at| at.iter().map(|(_, word)| word).eq(&phrase));
        matches.map(|at| (at[0].0, *banned)).collect::<Vec<_>>()
    });
    found.map(|(line, banned)| format!("{file}:{line}: says \"{banned}\"")).collect()
}

/// Returns the words of a text in lower case, each with its line; an identifier in snake case is one word. A phrase
/// therefore continues on the next line, whatever begins a comment there.
fn words(text: &str) -> Vec<(usize, String)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '\'';
    let numbered = (1..).zip(text.lines());
    let words = numbered.flat_map(|(number, line)| {
        let words = line.split(move |c| !is_part(c)).map(|word| word.trim_matches('\'').to_lowercase());
        words.filter(|word| !word.is_empty()).map(move |word| (number, word))
    });
    words.collect()
}

mod tests {
    use super::*;

    #[test]
    fn a_planted_word_is_found_with_its_line() {
        for (file, text) in [
            ("README.md", "\nWhoever runs it."),
            ("config.toml", "\n# whom to trust"),
            ("src/a.rs", "\n/// Nothing is lost or `doubled`."),
            ("src/a.rs", "\nfn f() { warn!(\"a 'stranger' connected\") }"),
            ("src/a.rs", "\n// An answer was broken\n    // off here."),
            ("tests/a.mjs", "\n// The connection of the moment."),
            ("tests/a.js", "\n/* Nothing is doubled. */"),
            ("tests/a.py", "\n\"\"\"Whoever listens.\"\"\""),
            ("tests/run", "\n# whom to ask"),
            ("benches/a.md", "\n| has yet to | start |"),
            ("deploy/a.toml", "\n# a stranger's address"),
            ("docs/a.html", "\n<p>In its midst</p>"),
        ] {
            let faults = english_faults(file, text);
            assert_eq!(faults.len(), 1, "{text}");
            assert!(faults[0].starts_with(&format!("{file}:2: says")), "{faults:?}");
        }
    }

    #[test]
    fn texts_of_every_kind_are_read_in_every_folder() {
        let all = files("");
        for (folder, ends) in [
            ("tests/", &[".mjs", ".py", ".rs", ".md", ".toml", "/run"][..]),
            ("benches/", &[".mjs", ".rs", ".md", "/compare"]),
            ("deploy/", &[".js", ".mjs", ".toml", ".service"]),
            ("docs/", &[".md"]),
            ("src/", &[".rs", ".md", ".html", ".js"]),
        ] {
            for end in ends {
                let is_read = |(file, _): &(String, String)| file.starts_with(folder) && file.ends_with(end);
                assert!(all.iter().any(is_read), "expected a file *{end} in {folder}, found none");
            }
        }
    }

    #[test]
    fn docs_without_a_verb_are_found_above_functions_alone() {
        for item in ["fn f() {}", "#[must_use]\n    pub const fn f(&self) {}", "pub(super) async fn f() {}"] {
            for doc in ["Whether it is.", "What it is.", "How many."] {
                assert_eq!(
                    verb_faults("a.rs", &format!("    /// {doc}\n    /// More.\n    {item}")).len(),
                    1
                );
            }
            assert!(verb_faults("a.rs", &format!("/// Returns whether.\n/// What else.\n{item}")).is_empty());
        }
        for item in ["is_open: bool,", "pub enum Kind { A, B }", "const F: fn() = f;"] {
            assert!(verb_faults("a.rs", &format!("/// Whether it is.\n{item}")).is_empty(), "{item}");
        }
    }

    #[test]
    fn a_part_of_a_word_is_none() {
        for text in ["fn redoubled(of_the_moment: u8) {}", "// A broken line is off.", "// He has yet two."] {
            assert_eq!(english_faults("src/a.rs", text), Vec::<String>::new(), "{text}");
        }
    }
}
