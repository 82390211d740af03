//! Holds the README, docs/ and the changelog to the code: tables, examples that can be run, and links that lead somewhere.
//!
//! `POLLIWOG_WRITE_DOCS=1 cargo test --test readme` writes the tables of docs/ anew.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

use std::path::PathBuf;
use std::{env, fs};

use polliwog::docs;

#[path = "readme/balancers.rs"]
mod balancers;
#[path = "readme/blocks.rs"]
mod blocks;
#[cfg(feature = "demo")]
#[path = "readme/examples.rs"]
mod examples;
#[path = "readme/links.rs"]
mod links;
#[path = "readme/monitoring.rs"]
mod monitoring;
#[cfg(feature = "demo")]
#[path = "readme/reload.rs"]
mod reload;
#[path = "readme/threats.rs"]
mod threats;
#[cfg(feature = "demo")]
#[path = "readme/tls.rs"]
mod tls;
#[cfg(feature = "demo")]
#[path = "readme/typed.rs"]
mod typed;

const CHANGELOG: &str = include_str!("../CHANGELOG.md");
/// The pages outside docs/; the links of src/ARCHITECTURE.md are rustdoc's.
const PAGES: [&str; 11] = [
    "README.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "benches/README.md",
    "benches/RESULTS.md",
    "deploy/README.md",
    "proptest-regressions/README.md",
    "tests/README.md",
    "tests/autobahn/README.md",
    "tests/interop/README.md",
];

#[test]
fn the_readme_is_read_in_a_few_minutes() {
    let words = fs::read_to_string(root().join("README.md")).unwrap().split_whitespace().count();
    assert!(words < 1000, "{words} words");
}

#[test]
fn the_table_of_keys_is_the_one_in_the_code() {
    hold("docs/configuration.md", "keys", &docs::keys());
}

#[test]
fn the_table_of_metrics_is_the_one_in_the_code() {
    hold("docs/operating.md", "metrics", &docs::metrics());
}

/// Runs the README's commands against the built-in configuration on another port.
#[cfg(feature = "demo")]
#[test]
fn what_is_typed_by_hand_is_answered_as_shown() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    let mut polliwog = Command::new(env!("CARGO_BIN_EXE_polliwog"))
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .envs([("POLLIWOG_SERVER__LISTEN", "127.0.0.1:0"), ("POLLIWOG_ADMIN__LISTEN", "127.0.0.1:0")])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(polliwog.stderr.take().unwrap()).lines().map(Result::unwrap);
    let address = log.find_map(|line| Some(line.split_once(" listening address=")?.1.to_owned())).unwrap();
    let address = address.split(' ').next().unwrap();

    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let mut count = 0;
    for (typed, rest) in blocks.filter(|(typed, _)| typed.contains("curl -s")) {
        let shown = rest.split_once("```text\n").unwrap().1.split("```").next().unwrap();
        let output =
            Command::new("sh").args(["-ec", &typed.replace("127.0.0.1:8080", address)]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(without_ids(&said), without_ids(shown), "{typed}");
        count += 1;
    }
    polliwog.kill().unwrap();
    polliwog.wait().unwrap();
    assert!(count >= 3, "{count} examples");
}

#[cfg(feature = "demo")]
#[test]
fn three_nodes_by_hand_serve_clients_at_any_of_them() {
    run_by_hand(false);
}

#[cfg(all(feature = "demo", feature = "redis"))]
#[test]
fn three_nodes_by_hand_find_each_other_by_a_directory() {
    run_by_hand(true);
}

/// Runs the commands of docs/cluster.md for three nodes on other ports: with a list of the nodes, or with Redis beside them.
#[cfg(feature = "demo")]
#[expect(clippy::panic, clippy::print_stderr, reason = "two tests are made of it")]
fn run_by_hand(with_directory: bool) {
    use std::fmt::Write as _;
    use std::net::TcpListener;
    use std::process::Command;

    let needed = if with_directory { &["haproxy", "redis-server"][..] } else { &["haproxy"] };
    for program in needed {
        if Command::new(program).arg("-v").output().is_err() {
            assert!(env::var_os("CI").is_none(), "{program} is installed in CI");
            eprintln!("not tested: {program} is not installed (apt-get install {program})");
            return;
        }
    }
    let page = fs::read_to_string(root().join("docs/cluster.md")).unwrap();
    let (_, page) = page.split_once("### Three nodes by hand").unwrap();
    let blocks = |page: &str| -> Vec<String> {
        page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
    };
    let [environment, nodes, clients] = &blocks(page)[..3] else { panic!("three blocks") };
    assert_eq!(nodes.lines().count(), 4, "{nodes}");
    let mut environment = environment.clone();
    let mut nodes = nodes.replace("deploy/cluster/", "");
    if with_directory {
        let (_, page) = page.split_once("### Nodes by a directory").unwrap();
        let kept = environment.lines().filter(|line| !line.contains("__PEERS__")).collect::<String>();
        environment = format!("{kept}\n{}", blocks(page)[0]);
        nodes = format!("redis-server --bind 127.0.0.1 --save '' --port :6379\n{nodes}");
    }

    let kind = if with_directory { "directory" } else { "list" };
    let name = format!("by-hand-{kind}-{}", std::process::id());
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    let balancer = fs::read_to_string(root().join("deploy/cluster/by-hand.cfg")).unwrap();
    let ports: Vec<TcpListener> = (0..11).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let named = ["8080", "8081", "8082", "8083", "9091", "9092", "9093", "7401", "7402", "7403", "6379"];
    let named: Vec<(&str, u16)> =
        named.into_iter().zip(ports.iter().map(|port| port.local_addr().unwrap().port())).collect();
    let moved = |text: &str| {
        let move_one =
            |text: String, (from, to): &(&str, u16)| text.replace(&format!(":{from}"), &format!(":{to}"));
        named.iter().fold(text.to_owned(), move_one)
    };
    drop(ports);
    fs::write(folder.join("by-hand.cfg"), moved(&balancer)).unwrap();
    // Ended by their ids, whatever happens.
    let mut started = String::new();
    for line in nodes.lines() {
        writeln!(started, "{line} > server.log 2>> log & pids=\"$pids $!\"").unwrap();
    }
    let mut ready = String::new();
    for (from, to) in named.iter().filter(|(from, _)| from.starts_with("909") || *from == "8080") {
        // The admin listeners tell whether the nodes are known.
        let (fails, path) = if from.starts_with("909") { ("-f", "readyz") } else { ("", "") };
        writeln!(ready, "until curl -s {fails} -o page http://127.0.0.1:{to}/{path}; do sleep 0.1; done")
            .unwrap();
    }
    let script = format!(
        "polliwog() {{ exec \"$POLLIWOG\" \"$@\"; }}\nload() {{ \"$POLLIWOG\" \"$@\"; }}\n\
         pids=\ntrap 'kill $pids; wait' EXIT\n{}{}{ready}{}",
        moved(&environment),
        moved(&started).replace("--port :", "--port "),
        moved(clients).replace("polliwog load", "load load"),
    );
    let output = Command::new("timeout")
        .args(["60", "bash", "-ec", &script])
        .current_dir(&folder)
        .env("POLLIWOG", env!("CARGO_BIN_EXE_polliwog"))
        .output()
        .unwrap();
    let (out, log) = (String::from_utf8_lossy(&output.stdout), fs::read_to_string(folder.join("log")));
    let told = format!("{script}\n{out}\n{}\n{log:?}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    let count = |name: &str| {
        let line = out.lines().find(|line| line.trim_start().starts_with(name)).expect(&told);
        line.rsplit(' ').next().unwrap().trim_end_matches(',').replace(',', "").parse::<u64>().unwrap()
    };
    for fault in ["failed to connect", "disconnected", "lost", "duplicated", "reordered"] {
        assert_eq!(count(fault), 0, "{told}");
    }
    assert_eq!(count("connected"), 30, "{told}");
    let asked: u64 = out
        .lines()
        .filter_map(|line| line.trim().strip_prefix("\"requests_asked\": "))
        .map(|number| number.trim_end_matches(',').parse::<u64>().unwrap())
        .sum();
    assert!(asked > 0, "{told}");
    fs::remove_dir_all(&folder).unwrap();
}

#[cfg(feature = "redis")]
#[test]
fn the_configuration_of_the_cluster_in_deploy_is_valid() {
    let text = fs::read_to_string(root().join("deploy/cluster/config.toml")).unwrap();
    for node in ["a", "b", "c"] {
        let env = [
            ("POLLIWOG_CLUSTER__ADVERTISE".into(), format!("{node}:7400").into()),
            ("POLLIWOG_CLUSTER__TOKEN".into(), "a-long-secret-of-all-nodes".into()),
            ("POLLIWOG_CLUSTER__DIRECTORY".into(), "redis://:a-long-secret-of-all-nodes@redis:6379".into()),
        ];
        polliwog::config::Config::parse(&text, "config.toml", env.into_iter())
            .unwrap_or_else(|faults| panic!("{node}: {faults}"));
    }
}

/// Returns a text with each session id of its own replaced.
#[cfg(feature = "demo")]
fn without_ids(text: &str) -> String {
    let mut parts = text.split("\"sid\":\"");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, rest| text + "\"sid\":\"*\"" + rest.split_once('"').unwrap().1)
}

#[test]
fn the_changelog_begins_with_what_comes_next() {
    let first = CHANGELOG.lines().find_map(|line| line.strip_prefix("## ")).unwrap();
    assert!(first.contains(env!("CARGO_PKG_VERSION")), "{first}");
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Holds the part of a page between the table's mark and the next `<!-- end -->` to the table, or writes it.
fn hold(page: &str, mark: &str, table: &str) {
    let path = root().join(page);
    let text = fs::read_to_string(&path).unwrap();
    let begin = text.find(&format!("<!-- {mark}:")).unwrap();
    let begin = begin + text[begin..].find("-->\n").unwrap() + "-->\n".len();
    let end = begin + text[begin..].find("<!-- end -->").unwrap();
    let (before, after) = (&text[..begin], &text[end..]);
    let fresh = format!("{before}\n{table}\n{after}");
    if env::var_os("POLLIWOG_WRITE_DOCS").is_some() {
        fs::write(&path, fresh).unwrap();
    } else {
        assert!(text == fresh, "{page} is stale: POLLIWOG_WRITE_DOCS=1 cargo test --test readme");
    }
}

/// Returns the pages outside docs/ and every page of docs/, each with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let mut paths: Vec<_> = PAGES.iter().map(|page| root().join(page)).collect();
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}
