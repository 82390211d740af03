//! docs/security.md: each attack has a defence that tests hold, and each test that it names is there.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use super::root;

const HEAD: &str = "| attack | defence | held by |\n|---|---|---|\n";
const CASES: &str = "tests/http2/cases.py";

#[test]
fn each_attack_names_tests_that_are_there() {
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let tests = all_tests();
    let found = faults(&page, &tests);
    assert!(found.is_empty(), "{found:#?}");

    // And each way to be wrong is seen.
    let row = |held: &str| format!("{HEAD}| a flood | a limit | {held} |\n\nThe end\n");
    assert!(faults(&row("`each_attack_names_tests_that_are_there`, `rapid_reset`"), &tests).is_empty());
    assert_eq!(faults(&row("`nobody_wrote_this`"), &tests).len(), 1);
    assert_eq!(faults(&row("`all_tests`"), &tests).len(), 1, "a function is no test");
    assert_eq!(faults(&row("hope"), &tests).len(), 1);
    assert_eq!(faults("no table", &tests).len(), 1);
}

/// Returns what is wrong with the tables of attacks in a page.
fn faults(page: &str, tests: &HashSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let rows =
        page.split(HEAD).skip(1).flat_map(|table| table.lines().take_while(|line| line.starts_with('|')));
    let mut count = 0;
    for row in rows {
        count += 1;
        let held = row.trim_end_matches(['|', ' ']).rsplit('|').next().unwrap();
        let names: Vec<&str> = held.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            faults.push(format!("no test: {row}"));
        }
        faults.extend(
            names.iter().filter(|name| !tests.contains(**name)).map(|name| format!("no test {name}: {row}")),
        );
    }
    if count == 0 {
        faults.push("there is no table".to_owned());
    }
    faults
}

/// Returns the name of every test in Rust, and of every case of hostile HTTP/2.
fn all_tests() -> HashSet<String> {
    let mut tests = HashSet::new();
    for folder in ["src", "tests"] {
        collect(&root().join(folder), &mut tests);
    }
    let cases = fs::read_to_string(root().join(CASES)).unwrap();
    let (_, all) = cases.split_once("\nALL = [\n").unwrap();
    tests.extend(all.lines().filter_map(|line| Some(line.trim().strip_suffix(',')?.to_owned())));
    tests
}

fn collect(folder: &Path, tests: &mut HashSet<String>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() && !path.ends_with(".cache") && !path.ends_with("node_modules") {
            collect(&path, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for mark in ["#[test]\n", "#[tokio::test"] {
                let names =
                    text.split(mark).skip(1).filter_map(|rest| rest.split_once("fn ")?.1.split('(').next());
                tests.extend(names.map(str::to_owned));
            }
        }
    }
}
