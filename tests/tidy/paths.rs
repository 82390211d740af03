//! What a file says of docs/ and deploy/: each file there that it names exists.

use crate::assert_none;
use crate::tree::{files, root};

/// Files that name one that must not be there, to see that it is noticed.
const WRONG: [&str; 3] = ["tests/readme/links.rs", "tests/tidy/english.rs", "tests/tidy/paths.rs"];

#[test]
fn every_file_of_docs_and_deploy_that_is_named_exists() {
    let all = files("").into_iter().filter(|(file, _)| !WRONG.contains(&file.as_str()));
    assert_none(all.flat_map(|(file, text)| path_faults(&file, &text)));
}

fn path_faults(file: &str, text: &str) -> Vec<String> {
    let is_of_path = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    let starts = ["docs/", "deploy/"].into_iter().flat_map(|folder| text.match_indices(folder));
    let mut faults = Vec::new();
    for (at, _) in starts {
        let before = text[..at].trim_end_matches("../");
        let path = text[at..].split(|c| !is_of_path(c)).next().unwrap_or_default().trim_end_matches('.');
        // A name with an ending; patterns and folders of others are none.
        let is_named =
            !before.ends_with(is_of_path) && path.rsplit('/').next().unwrap_or_default().contains('.');
        if is_named && !root().join(path).exists() {
            faults.push(format!("{file}: there is no {path}"));
        }
    }
    faults
}

mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_found() {
        for text in ["see docs/nowhere.md.", "`deploy/x/nowhere.yaml`", "../../docs/nowhere.md"] {
            assert_eq!(path_faults("a", text).len(), 1, "{text}");
        }
        for text in
            ["docs/routes.md, docs/ and deploy/package", "other-docs/a.md", "x/docs/a.md", "docs/*.md"]
        {
            assert!(path_faults("a", text).is_empty(), "{text}");
        }
    }
}
