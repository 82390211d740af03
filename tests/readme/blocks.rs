//! What is in the pages' blocks: each configuration is a valid one, and each command is run by something that is named here.

use std::collections::BTreeMap;
use std::fs;

use polliwog::config::Config;

use super::{pages, root};

/// Blocks of a page in one language, their number, and what runs them: a file that names the page, or what the page says itself
/// about those that nothing runs.
const RUN_BY: [(&str, &str, isize, &str); 33] = [
    ("README.md", "sh", 1, "the first build takes some minutes"),
    ("README.md", "sh", 3, "tests/readme.rs"),
    ("CONTRIBUTING.md", "rust", 7, "src/service/gateway/tests/lines.rs"),
    ("CONTRIBUTING.md", "sh", 1, "Nothing runs this list itself"),
    ("CONTRIBUTING.md", "sh", 1, "which is compiled and run by the unit tests"),
    ("benches/README.md", "sh", 1, "Nothing runs these"),
    ("deploy/README.md", "sh", 1, "`tests/long` runs it"),
    ("tests/README.md", "sh", 1, "a fresh clone"),
    ("tests/autobahn/README.md", "sh", 1, "`tests/run` runs them"),
    ("tests/interop/README.md", "sh", 1, "`tests/run` runs them all"),
    ("docs/clients.md", "js", 3, "tests/interop/cases/clients.mjs"),
    ("docs/clients.md", "python", 1, "tests/interop/cases/clients.mjs"),
    ("docs/cluster.md", "haproxy", 1, "tests/readme/balancers.rs"),
    ("docs/cluster.md", "nats", 1, "tests/wire/support/engine.rs"),
    ("docs/cluster.md", "nginx", 1, "tests/readme/balancers.rs"),
    ("docs/cluster.md", "redis", 1, "tests/wire/support/engine.rs"),
    ("docs/cluster.md", "sh", 4, "tests/readme.rs"),
    ("docs/cluster.md", "yaml", 2, "tests/chart/check.py"),
    ("docs/doctor.md", "sh", 1, "tests/doctor/run"),
    ("docs/kubernetes.md", "sh", 1, "**it was not tried in a cluster**"),
    ("docs/kubernetes.md", "yaml", 1, "tests/chart/check.py"),
    ("docs/load.md", "sh", 1, "tests/readme/typed.rs"),
    ("docs/longpoll.md", "html", 1, "tests/interop/cases/longpoll.mjs"),
    ("docs/longpoll.md", "php", 1, "tests/interop/cases/longpoll.mjs"),
    ("docs/longpoll.md", "python", 1, "tests/interop/cases/longpoll.mjs"),
    ("docs/longpoll.md", "sh", 1, "tests/interop/cases/longpoll.mjs"),
    ("docs/releasing.md", "sh", 1, "It works in a clone"),
    ("docs/releasing.md", "sh", 1, "No test does it by itself"),
    ("docs/reload.md", "sh", 2, "tests/readme/reload.rs"),
    ("docs/routes.md", "sh", 1, "tests/interop/cases/clients.mjs"),
    ("docs/sockjs.md", "js", 1, "tests/interop/webpack/server.mjs"),
    ("docs/succession.md", "sh", 1, "tests/readme/typed.rs"),
    ("docs/tls.md", "sh", 4, "tests/readme/tls.rs"),
];

/// What is printed, said or drawn; and configurations of ours, which are all read here.
const SHOWN: [&str; 3] = ["json", "text", "toml"];

/// What makes a whole configuration of one that shows other parts.
const REST: &str = "\n[[routes]]\npath = '/'\ndialect = 'engine.io'\nupstream = 'app'\n\
                    [upstreams.app]\nkind = 'websocket'\nurl = 'ws://127.0.0.1:3000/'\n";

#[test]
fn every_example_is_a_valid_configuration() {
    let mut count = 0;
    for (page, language, text) in blocks().into_iter().filter(|(_, language, _)| language == "toml") {
        count += 1;
        let rest = if text.contains("[[routes]]") { "" } else { REST };
        if let Err(faults) = Config::parse(&format!("{text}{rest}"), "example", std::iter::empty()) {
            panic!("{page}, {language}: {faults}\n{text}");
        }
    }
    assert!(count > 25, "{count} examples");
}

#[test]
fn every_block_is_run_by_what_is_named_here() {
    // How many there are, less those that are named.
    let mut counts: BTreeMap<(String, String), isize> = BTreeMap::new();
    for (page, language, text) in blocks() {
        assert!(!language.is_empty(), "{page}: a block in no language:\n{text}");
        if !SHOWN.contains(&&*language) {
            *counts.entry((page, language)).or_default() += 1;
        }
    }
    for (page, language, count, by) in RUN_BY {
        *counts.entry((page.to_owned(), language.to_owned())).or_default() -= count;
        let (file, words) = if root().join(by).is_file() { (by, page) } else { (page, by) };
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert!(text.contains(words), "{file} does not say: {words}");
    }
    counts.retain(|_, count| *count != 0);
    assert!(counts.is_empty(), "blocks that are not named here, or are too often: {counts:?}");
}

/// Returns every block: its page, its language and what is in it.
fn blocks() -> Vec<(String, String, String)> {
    let mut blocks = Vec::new();
    for (path, text) in pages() {
        let page = path.strip_prefix(root()).unwrap().to_str().unwrap();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let Some(language) = line.trim_start().strip_prefix("```") else { continue };
            let inside: Vec<_> =
                lines.by_ref().take_while(|line| !line.trim_start().starts_with("```")).collect();
            blocks.push((page.to_owned(), language.to_owned(), inside.join("\n")));
        }
    }
    blocks
}
