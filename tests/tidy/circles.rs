//! Finds files that import each other in a circle.
//!
//! An import counts for the file that defines the name: one that goes through a folder's `mod.rs`, which only hands the
//! name on, leads to the file behind it. Declaring a module and handing a name on (`pub use`) are no imports.

use std::collections::{BTreeMap, BTreeSet};

use crate::code::{Import, Named, Path, named};
use crate::tree::{files, is_rust, is_test, module_of};

/// Reports each circle within a crate.
pub(crate) fn circle_faults() -> Vec<String> {
    let circles = CRATES.into_iter().flat_map(|folder| {
        // Read as a crate of its own, whose root is the folder.
        let inside = |(file, text): (String, String)| (file.replacen(folder, "src", 1), text);
        let sources = files(folder).into_iter().filter(|(file, _)| is_rust(file)).map(inside);
        let circles = circles(&sources.collect::<Vec<_>>());
        circles.into_iter().map(move |circle| format!("a circle in {folder}: {}", circle.join(", ")))
    });
    circles.collect()
}

/// Returns the circles among files with their texts: each a group of files of which every one reaches every other.
fn circles(files: &[(String, String)]) -> Vec<Vec<String>> {
    let graph = Graph::new(files);
    let arrows: Vec<BTreeSet<usize>> = (0..graph.nodes.len()).map(|node| graph.arrows_of(node)).collect();
    let reached: Vec<BTreeSet<usize>> = (0..arrows.len()).map(|node| reached_from(node, &arrows)).collect();
    let mut circles = BTreeSet::new();
    for (node, beyond) in reached.iter().enumerate() {
        if beyond.contains(&node) {
            let circle = beyond.iter().filter(|&&other| reached[other].contains(&node));
            circles.insert(circle.map(|&other| graph.nodes[other].file.to_owned()).collect());
        }
    }
    circles.into_iter().collect()
}

struct Graph<'f> {
    nodes: Vec<Node<'f>>,
    by_module: BTreeMap<Vec<String>, usize>,
}

struct Node<'f> {
    file: &'f str,
    module: Vec<String>,
    named: Vec<Named>,
}

impl<'f> Graph<'f> {
    fn new(files: &'f [(String, String)]) -> Self {
        let node = |(file, text): &'f (String, String)| {
            let module = module_of(file);
            let owned = module.iter().map(|&name| name.to_owned()).collect();
            Node { file, module: owned, named: named(text, &module) }
        };
        let nodes: Vec<Node<'f>> = files.iter().filter(|(file, _)| !is_test(file)).map(node).collect();
        let by_module = nodes.iter().enumerate().map(|(at, node)| (node.module.clone(), at)).collect();
        Self { nodes, by_module }
    }

    fn arrows_of(&self, node: usize) -> BTreeSet<usize> {
        let counted =
            self.nodes[node].named.iter().filter(|named| !named.in_tests && named.import != Import::HandsOn);
        let targets = counted.filter_map(|named| self.defined_in(&self.absolute(node, &named.path)?, 0));
        targets.filter(|&target| target != node).collect()
    }

    /// Returns the path from the crate's root, if it leads into this crate.
    fn absolute(&self, node: usize, path: &Path) -> Option<Vec<String>> {
        match path {
            Path::Own(path) => Some(path.clone()),
            // A path may begin with a module that this one declares.
            Path::Foreign(path) => {
                let mut child = self.nodes[node].module.clone();
                child.push(path[0].clone());
                self.by_module.contains_key(&child).then(|| [&self.nodes[node].module[..], path].concat())
            }
        }
    }

    /// Returns the file that defines what a path names, behind whatever hands it on.
    fn defined_in(&self, path: &[String], hops: usize) -> Option<usize> {
        let deepest = (1..=path.len()).rev().find(|&len| self.by_module.contains_key(&path[..len]))?;
        let node = self.by_module[&path[..deepest]];
        let Some(item) = path.get(deepest) else { return Some(node) };
        let mut brought =
            self.nodes[node].named.iter().filter(|named| named.import != Import::No && !named.in_tests);
        let source = brought.find_map(|named| {
            let path = self.absolute(node, &named.path)?;
            (path.last() == Some(item)).then_some(path)
        });
        match source {
            Some(source) if hops < HOPS_MAX => self.defined_in(&source, hops + 1),
            Some(_) | None => Some(node),
        }
    }
}

fn reached_from(node: usize, arrows: &[BTreeSet<usize>]) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<usize> = arrows[node].iter().copied().collect();
    while let Some(node) = next.pop() {
        if reached.insert(node) {
            next.extend(&arrows[node]);
        }
    }
    reached
}

/// The folders that are crates of many files: the library, the benchmark, and the tests.
const CRATES: [&str; 6] =
    ["src", "benches/comparison", "tests/wire", "tests/forward", "tests/load", "tests/tidy"];

/// A name that is handed on more often than this is handed round in a circle.
const HOPS_MAX: usize = 8;

mod tests {
    use super::*;

    #[test]
    fn files_that_import_each_other_are_found() {
        let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let found = |files: &[(&str, &str)]| {
            let files: Vec<_> = files.iter().map(|(name, text)| file(name, text)).collect();
            circles(&files)
        };
        let straight = [
            // A folder's face hands names on, and declares.
            ("src/a/mod.rs", "mod b; mod c; pub use b::B; pub(crate) use c::C; pub trait Word {}"),
            ("src/a/b.rs", "use super::C; pub struct B;"),
            (
                "src/a/c.rs",
                "use super::Word; pub(in crate::a) struct C; #[cfg(test)] mod tests { use super::super::b::B; }",
            ),
        ];
        assert_eq!(found(&straight), [["src/a/b.rs"; 0]; 0]);
        for back in [
            "use crate::a::B;",
            "use super::b::B;",
            "fn f() { super::b::g() }",
            "use crate::{x::Y, a::{B, D}};",
        ] {
            let mut round = straight;
            round[2].1 = back;
            assert_eq!(found(&round), [["src/a/b.rs", "src/a/c.rs"]], "{back}");
        }
        // Through the file on top, by a path that begins with a module of its own.
        let on_top = [
            ("src/a/mod.rs", "mod b; fn f() { b::g() } pub trait Word {}"),
            ("src/a/b.rs", "use super::Word;"),
        ];
        assert_eq!(found(&on_top), [["src/a/mod.rs", "src/a/b.rs"]]);
    }
}
