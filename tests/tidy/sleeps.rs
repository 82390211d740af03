//! A test that sleeps says why: most waits are for something that shows itself, and then the test waits for that.

use std::path::Path;

use crate::assert_none;
use crate::tree::{files, is_rust, is_test};

#[test]
fn a_sleep_in_a_test_says_why() {
    let tests = files("src").into_iter().filter(|(file, _)| is_rust(file) && is_test(file));
    let all = tests.chain(files("tests").into_iter().filter(|(file, _)| is_program(file)));
    assert_none(all.flat_map(|(file, text)| sleep_faults(&file, &text)));
}

/// Returns whether a file is a program in one of the languages of the tests.
fn is_program(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|extension| LANGUAGES.iter().any(|one| extension == *one))
}

/// Returns a fault for each sleep in real time that has no comment on its line or the one above.
fn sleep_faults(file: &str, text: &str) -> Vec<String> {
    // Where a test's clock is paused, to sleep is to set it.
    if PAUSED.iter().any(|word| text.contains(word)) {
        return Vec::new();
    }
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let sleeps = lines.iter().enumerate().filter(|(_, line)| SLEEPS.iter().any(|word| line.contains(word)));
    let unsaid = sleeps.filter(|(at, line)| {
        let above = at.checked_sub(1).map_or("", |above| lines[above]);
        let is_said = COMMENTS.iter().any(|mark| line.contains(mark) || above.starts_with(mark));
        !is_said && !line.starts_with("import ")
    });
    unsaid.map(|(at, _)| format!("{file}:{}: sleeps, and no comment says what for", at + 1)).collect()
}

// Both are written so that this file does not find itself.
/// How a test sleeps: in any language, until a time, and in JavaScript.
const SLEEPS: [&str; 3] = [concat!("sle", "ep("), concat!("sle", "ep_until("), concat!("setTime", "out(")];
/// How comments begin: in Rust and JavaScript, before a function of JavaScript, and in Python.
const COMMENTS: [&str; 3] = ["// ", "/** ", "# "];
/// The endings of the tests' programs.
const LANGUAGES: [&str; 4] = ["rs", "mjs", "js", "py"];
/// What a file contains whose tests have a clock of their own.
const PAUSED: [&str; 2] = [concat!("start_pau", "sed"), concat!("pau", "sed clock")];

mod tests {
    use super::*;

    #[test]
    fn a_sleep_without_a_reason_is_found() {
        let sleep = format!("{}QUIET);", SLEEPS[0]);
        let faults = |text: &str| sleep_faults("tests/wire/order.rs", text).len();
        assert_eq!(faults(&format!("f();\nthread::{sleep}\n{sleep}")), 2);
        assert_eq!(faults(&format!("// Far away.\n\nthread::{sleep}")), 1);
        assert_eq!(faults(&format!("// It must be silent.\nthread::{sleep}\n{sleep} // Twice.")), 0);
        assert_eq!(faults(&format!("#[tokio::test({} = true)]\n{sleep}", PAUSED[0])), 0);
    }

    #[test]
    fn a_sleep_in_another_language_is_found() {
        let sleep = SLEEPS[0];
        for (file, mark, sleep) in [
            ("tests/a.mjs", "//", format!("  await {sleep}50);")),
            ("tests/a.js", "//", format!("  {}() => f(), 50);", SLEEPS[2])),
            ("tests/a.py", "#", format!("    time.{sleep}0.05)")),
        ] {
            assert!(is_program(file), "{file}");
            assert_eq!(sleep_faults(file, &format!("f()\n{sleep}")).len(), 1, "{file}");
            assert!(sleep_faults(file, &format!("{mark} It must be silent.\n{sleep}")).is_empty(), "{file}");
        }
    }
}
