//! Holds the source to its rules: on imports between floors, purity, the length of files, addresses and words.
//!
//! Each rule is a function from text to faults, tried first on small wrong inputs, then on the whole tree.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

use circles::circle_faults;
use code::{Named, Path, named};
use lock::lock_faults;
use map::{FLOORS, PURE};
use tree::{files, folder_of, is_rust, is_test, module_of, read, sources};

#[path = "tidy/addresses.rs"]
mod addresses;
#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/colours.rs"]
mod colours;
#[path = "tidy/english.rs"]
mod english;
#[path = "tidy/lock.rs"]
mod lock;
#[path = "tidy/map.rs"]
mod map;
#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/sleeps.rs"]
mod sleeps;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/words.rs"]
mod words;

/// Crates that touch the world, or that are of use to those who do.
const WORLDLY: [&str; 13] = [
    "futures_util",
    "getrandom",
    "hyper",
    "hyper_util",
    "moka",
    "rand",
    "rustls",
    "tokio",
    "tokio_rustls",
    "tokio_tungstenite",
    "tokio_util",
    "tower",
    "tracing",
];

/// Parts of the standard library that do the same.
const WORLDLY_STD: [&str; 5] = ["env", "fs", "net", "process", "thread"];

const LINES_MAX: usize = 400;

#[test]
fn a_file_imports_from_floors_below_its_own() {
    assert_none(sources().iter().flat_map(|(file, text)| floor_faults(file, text)));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    assert_none(circle_faults());
}

#[test]
fn what_is_pure_touches_nothing() {
    assert_none(sources().iter().flat_map(|(file, text)| purity_faults(file, text)));
}

#[test]
fn an_error_without_a_type_stays_in_the_wiring() {
    assert_none(sources().iter().flat_map(|(file, text)| untyped_faults(file, text)));
}

#[test]
fn a_file_is_one_idea_and_says_which() {
    let tests = files("tests").into_iter().chain(files("benches")).chain(files("fuzz"));
    let all = sources().into_iter().chain(tests.filter(|(file, _)| is_rust(file)));
    assert_none(all.flat_map(|(file, text)| shape_faults(&file, &text)));
}

#[test]
fn every_dependency_says_what_it_is_for() {
    assert_none(["Cargo.toml", "fuzz/Cargo.toml"].iter().flat_map(|file| dependency_faults(&read(file))));
}

#[test]
fn every_dependency_comes_from_crates_io() {
    assert_none(["Cargo.lock", "fuzz/Cargo.lock"].iter().flat_map(|file| lock_faults(&read(file))));
}

#[test]
fn the_map_shows_every_floor_as_it_is() {
    let map = read("src/ARCHITECTURE.md");
    assert_none(map_faults(&map));
    for (file, _) in sources() {
        let folder = folder_of(&file);
        assert!(folder == "lib" || floor_of(folder).is_some(), "{file} stands on no floor");
    }
    for folder in FLOORS.concat() {
        assert!(sources().iter().any(|(file, _)| folder_of(file) == folder), "there is no {folder} in src");
    }
}

/// Test modules are held to the floors like the rest: what a test needs from above is tested above.
fn floor_faults(file: &str, text: &str) -> Vec<String> {
    let folder = folder_of(file);
    let judge = |Named { path, .. }: Named| {
        let Path::Own(path) = path else { return None };
        let target = path.first()?.as_str();
        let fault = match (floor_of(folder), floor_of(target)) {
            _ if target == folder => return None,
            (_, None) => "which stands on no floor",
            (None, _) => "from no floor",
            (Some((own, _)), Some((other, _))) if other > own => "which is above",
            (Some((own, place)), Some((other, before))) if other == own && (own > 0 || before > place) => {
                "which is beside"
            }
            (Some(_), Some(_)) => return None,
        };
        Some(format!("{file}: imports crate::{}, {fault}", path.join("::")))
    };
    named(text, &module_of(file)).into_iter().filter_map(judge).collect()
}

/// Test modules may do what they like.
fn purity_faults(file: &str, text: &str) -> Vec<String> {
    if !PURE.contains(&folder_of(file)) || is_test(file) {
        return Vec::new();
    }
    let judge = |Named { path, in_tests, .. }: Named| {
        let (is_pure, shown) = match path {
            Path::Own(path) => (
                path.first().is_none_or(|folder| PURE.contains(&folder.as_str())),
                format!("crate::{}", path.join("::")),
            ),
            Path::Foreign(path) => {
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                let worldly = match names.as_slice() {
                    ["std", part, ..] if WORLDLY_STD.contains(part) => true,
                    [name, ..] if WORLDLY.contains(name) => true,
                    names => names.ends_with(&["Instant", "now"]) || names.contains(&"SystemTime"),
                };
                (!worldly, path.join("::"))
            }
        };
        (!is_pure && !in_tests).then(|| format!("{file}: is pure, and names {shown}"))
    };
    named(text, &module_of(file)).into_iter().filter_map(judge).collect()
}

/// Below the wiring a caller has decisions to take, and an error says which.
fn untyped_faults(file: &str, text: &str) -> Vec<String> {
    let is_untyped = |path: &Path| matches!(path, Path::Foreign(path) if path[0] == "anyhow");
    let found = named(text, &module_of(file)).into_iter().filter(|named| is_untyped(&named.path));
    found
        .filter(|_| folder_of(file) != "app")
        .map(|_| format!("{file}: names anyhow, which is app's"))
        .collect()
}

fn shape_faults(file: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    let mut faults = Vec::new();
    if !text.starts_with("//! ") {
        faults.push(format!("{file}: does not begin with //! and what it is for"));
    }
    if lines > LINES_MAX {
        faults.push(format!("{file}: has {lines} lines; is it still one idea?"));
    }
    faults
}

fn dependency_faults(manifest: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let (mut inside, mut before) = (false, "");
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if inside && line.contains(" = ") && !line.starts_with('#') && !before.starts_with("# ") {
            faults.push(format!("Cargo.toml: no comment above {line}"));
        }
        before = line;
    }
    faults
}

/// Reads the rows of the map's table, `| floor | names | pure | ...`.
fn map_faults(map: &str) -> Vec<String> {
    let mut shown = Vec::new();
    for line in map.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", floor, names, pure, ..] = cells.as_slice()
            && let Ok(floor) = floor.parse::<usize>()
        {
            let names = names.split('`').skip(1).step_by(2);
            shown.extend(names.map(|name| (floor, name.to_owned(), *pure == "yes")));
        }
    }
    shown.sort();
    let mut real: Vec<(usize, String, bool)> = FLOORS
        .iter()
        .enumerate()
        .flat_map(|(floor, names)| {
            names.iter().map(move |name| (floor, (*name).to_owned(), PURE.contains(name)))
        })
        .collect();
    real.sort();
    let wrong =
        shown.iter().filter(|row| !real.contains(row)).map(|row| format!("src/ARCHITECTURE.md: {row:?}"));
    let missing =
        real.iter().filter(|row| !shown.contains(row)).map(|row| format!("src/ARCHITECTURE.md: no {row:?}"));
    wrong.chain(missing).collect()
}

/// Returns a folder's floor, and its place on it.
fn floor_of(folder: &str) -> Option<(usize, usize)> {
    let place = |names: &&[&str]| names.iter().position(|name| *name == folder);
    FLOORS.iter().enumerate().find_map(|(floor, names)| Some((floor, place(names)?)))
}

fn assert_none(faults: impl IntoIterator<Item = String>) {
    let faults: Vec<String> = faults.into_iter().collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

mod wrong_inputs {
    use super::*;

    #[test]
    fn an_import_from_above_or_beside_is_found() {
        for (file, text, fault) in [
            ("src/session/state.rs", "use crate::bridge::Bridge;", "crate::bridge::Bridge, which is above"),
            (
                "src/session/state.rs",
                "fn f() { crate::trunk::build() }",
                "crate::trunk::build, which is beside",
            ),
            ("src/dialect/mod.rs", "use super::upstream::Link;", "crate::upstream::Link, which is beside"),
            ("src/packet.rs", "use crate::{end::End, sid::Sid};", "crate::end::End, which is beside"),
            (
                "src/drain.rs",
                "mod tests { use crate::config::Config; }",
                "crate::config::Config, which is beside",
            ),
            ("src/codec/mod.rs", "use crate::nowhere::X;", "crate::nowhere::X, which stands on no floor"),
            ("src/attic/mod.rs", "use crate::packet::X;", "crate::packet::X, from no floor"),
        ] {
            let faults = floor_faults(file, text);
            assert_eq!(faults.first(), Some(&format!("{file}: imports {fault}")), "{text}");
        }
    }

    #[test]
    fn an_import_from_below_or_within_is_none() {
        for (file, text) in [
            ("src/session/state.rs", "use super::End; use crate::session::Policy; use crate::packet::Text;"),
            ("src/end.rs", "use crate::packet::Closing; // crate::app::run"),
            ("src/main.rs", "fn main() { polliwog::cli::main(std::env::args_os()) }"),
        ] {
            assert_eq!(floor_faults(file, text), Vec::<String>::new());
        }
    }

    #[test]
    fn what_touches_the_world_is_found_where_it_must_not_be() {
        for text in [
            "use tokio::sync::oneshot;",
            "use hyper::Request;",
            "fn f() { std::time::Instant::now(); }",
            "fn f() { Instant::now(); }",
            "use std::time::{Duration, SystemTime};",
            "use std::{env, fmt};",
            "fn f() { getrandom::fill(&mut [0]); }",
            "use crate::meter::Meter;",
            "use crate::upstream::Link;",
        ] {
            assert_eq!(purity_faults("src/dialect/mod.rs", text).len(), 1, "{text}");
            assert!(purity_faults("src/upstream/mod.rs", text).is_empty(), "{text}");
            assert!(purity_faults("src/session/tests.rs", text).is_empty(), "{text}");
            let in_tests = format!("#[cfg(test)]\nmod tests {{ {text} }}");
            assert!(purity_faults("src/dialect/mod.rs", &in_tests).is_empty(), "{text}");
        }
        assert!(
            purity_faults("src/dialect/mod.rs", "use crate::reply::Refused; use std::time::Instant;")
                .is_empty()
        );
    }

    #[test]
    fn an_error_without_a_type_is_found() {
        assert_eq!(untyped_faults("src/cli.rs", "fn f() -> anyhow::Result<()> { g() }").len(), 1);
        assert!(untyped_faults("src/app.rs", "use anyhow::Context as _;").is_empty());
    }

    #[test]
    fn a_file_that_does_not_say_what_it_is_for_or_is_too_long_is_found() {
        assert_eq!(shape_faults("src/a.rs", "use std::fmt;\n").len(), 1);
        assert_eq!(shape_faults("src/a.rs", &format!("//! Long.\n{}", "\n".repeat(LINES_MAX))).len(), 1);
        assert!(shape_faults("src/a.rs", "//! Short.\n").is_empty());
    }

    #[test]
    fn a_dependency_without_a_word_is_found() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\n# For a.\na = \"1\"\nb = \"1\"\n[dev-dependencies]\nc = \"1\"\n";
        assert_eq!(dependency_faults(manifest).len(), 2);
    }

    #[test]
    fn a_dependency_from_elsewhere_is_found() {
        let package = |name: &str, source: &str| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n{source}\n")
        };
        let registry = |of: &str| format!("source = \"registry+https://{of}\"\n");
        let crates_io = registry("example.org/crates.io-index");
        let lock = |source: &str| package("polliwog", "") + &package("a", &crates_io) + &package("b", source);
        assert!(lock_faults(&lock(&crates_io)).is_empty());
        for source in ["", &registry("example.org/index"), "source = \"git+https://example.org/a/b#0123\"\n"]
        {
            assert_eq!(lock_faults(&lock(source)).len(), 1, "{source}");
        }
        assert_eq!(lock_faults(&package("polliwog", &registry("example.org/index"))).len(), 1);
    }

    #[test]
    fn a_map_that_leaves_out_or_moves_a_folder_is_found() {
        let map = read("src/ARCHITECTURE.md");
        assert_eq!(map_faults(&map.replace("[`codec`]", "codec")).len(), 1);
        assert_eq!(map_faults(&map.replace("| 5 | [`transport`]", "| 6 | [`transport`]")).len(), 2);
        assert_eq!(map_faults("").len(), FLOORS.concat().len());
    }
}
