//! Links lead to a file and a heading that are there, and from the README to every page.

use std::fs;
use std::path::Path;

use super::{pages, root};

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut dead = Vec::new();
    for (page, text) in pages() {
        for link in links(&text) {
            let outside = link.contains("://") || link.contains(char::is_whitespace);
            if !outside && !leads_somewhere(&page, &text, link) {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
    let readme = root().join("README.md");
    assert!(!leads_somewhere(&readme, "# A\n", "docs/nowhere.md"));
    assert!(!leads_somewhere(&readme, "# A\n", "#b"));
    assert!(!leads_somewhere(&readme, "", "docs/routes.md#nowhere"));
    assert!(leads_somewhere(&readme, "# A b\n", "#a-b"));
    assert!(!leads_somewhere(&readme, "```sh\n# a b\n```\n", "#a-b"), "a comment is no heading");
}

#[test]
fn the_readme_leads_to_every_page_and_no_page_is_a_dead_end() {
    let pages = pages();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let linked: Vec<&str> = links(&readme).filter_map(|link| link.split('#').next()).collect();
    for (path, text) in &pages {
        let page = path.strip_prefix(root()).unwrap().to_str().unwrap();
        let folder = Path::new(page).parent().unwrap();
        if folder == Path::new("docs") {
            assert!(linked.contains(&page), "README.md has no link to {page}");
            assert!(links(text).any(|link| link.contains(".md")), "{page} leads to no other page");
        }
    }
}

fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

fn leads_somewhere(page: &Path, text: &str, link: &str) -> bool {
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let path = page.parent().unwrap().join(file);
    let text = if file.is_empty() { Ok(text.to_owned()) } else { fs::read_to_string(&path) };
    match text {
        // What stands between fences is no heading.
        Ok(text) => {
            heading.is_empty()
                || text
                    .split("```")
                    .step_by(2)
                    .flat_map(str::lines)
                    .any(|line| anchor(line).as_deref() == Some(heading))
        }
        // A folder, or a picture.
        Err(_) => heading.is_empty() && path.exists(),
    }
}

/// Returns the fragment that a heading gets where Markdown is shown.
fn anchor(line: &str) -> Option<String> {
    let heading = line.strip_prefix('#')?.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    Some(kept.map(|c| if c == ' ' { '-' } else { c }).collect())
}
