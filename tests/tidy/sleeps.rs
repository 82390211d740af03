//! A test that sleeps says why: most waits are for something that shows itself, and then the test waits for that.

use crate::assert_none;
use crate::tree::{files, is_rust, is_test};

#[test]
fn a_sleep_in_a_test_says_why() {
    let all = ["src", "tests"].into_iter().flat_map(files);
    let tests = all.filter(|(file, _)| is_rust(file) && (is_test(file) || file.starts_with("tests/")));
    assert_none(tests.flat_map(|(file, text)| sleep_faults(&file, &text)));
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
        !line.contains("// ") && !above.starts_with("// ")
    });
    unsaid.map(|(at, _)| format!("{file}:{}: sleeps, and no comment says what for", at + 1)).collect()
}

// Both are written so that this file does not find itself.
/// How a test sleeps, and an asynchronous one.
const SLEEPS: [&str; 2] = [concat!("sle", "ep("), concat!("sle", "ep_until(")];
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
}
