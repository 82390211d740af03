//! The files of this repository, and what their names say.

use std::fs;
use std::path::{Path, PathBuf};

/// `session` of `src/session/state.rs`, `app` of `src/app.rs`.
pub(crate) fn folder_of(file: &str) -> &str {
    let inside = file.strip_prefix("src/").unwrap_or(file);
    inside.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// Returns the names from the crate's root to the file's module.
pub(crate) fn module_of(file: &str) -> Vec<&str> {
    let inside = file.strip_prefix("src/").unwrap_or(file).trim_end_matches(".rs");
    inside.split('/').filter(|name| !matches!(*name, "mod" | "lib" | "main")).collect()
}

/// Returns whether a file is compiled for tests only.
pub(crate) fn is_test(file: &str) -> bool {
    file.ends_with("/tests.rs") || file.contains("/tests/")
}

/// Returns whether a file is Rust.
pub(crate) fn is_rust(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|extension| extension == "rs")
}

/// Returns every file of src, with its name.
pub(crate) fn sources() -> Vec<(String, String)> {
    files("src").into_iter().filter(|(file, _)| is_rust(file)).collect()
}

/// Returns every text file below a folder, with its name; what version control ignores is left out, and so is what a fuzzer
/// wrote.
pub(crate) fn files(folder: &str) -> Vec<(String, String)> {
    let ignored = fs::read_to_string(root().join(".gitignore")).unwrap();
    let ignored: Vec<&str> = ignored.lines().map(|line| line.rsplit('/').next().unwrap_or(line)).collect();
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_str().unwrap();
            if name == ".git" || name == "corpus" || ignored.contains(&name) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                found.push((path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

/// Returns the text of one file.
pub(crate) fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

/// Returns where the repository is.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
