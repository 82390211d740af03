//! The results of a run: as a table, as JSON, and as a page with charts.

mod about;
mod compare;
mod json;
mod table;
pub(super) mod units;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use self::about::About;
use super::options::Options;
use super::stats::Stats;

/// Where the reports go. Files are created before the run, so that it isn't wasted.
#[derive(Debug)]
pub(super) struct Report {
    json: Option<Place>,
    html: Option<File>,
    /// An earlier run.
    before: Option<Value>,
}

#[derive(Debug)]
enum Place {
    File(File),
    Output,
}

impl Report {
    /// Makes the files that are asked for, and reads the one to compare with.
    ///
    /// # Errors
    /// Says which file can't be written or read.
    pub(super) fn create(options: &Options) -> io::Result<Self> {
        // First: it may be the file that this run writes.
        let before = options.compare.as_deref().map(compare::read).transpose()?;
        let json = match options.json.as_deref() {
            None => None,
            Some(path) if path == Path::new("-") => Some(Place::Output),
            Some(path) => Some(Place::File(create(path)?)),
        };
        Ok(Self { json, html: options.html.as_deref().map(create).transpose()?, before })
    }

    /// Writes everything; the table goes to the standard output, unless the JSON does.
    pub(super) fn write(&mut self, options: &Options, stats: &Stats, took: Duration) -> io::Result<()> {
        let figures = json::of(options, stats, took, &About::this());
        if let Some(page) = &mut self.html {
            page.write_all(page_of(&figures, self.before.as_ref()).as_bytes())?;
        }
        let mut table = match &mut self.json {
            Some(Place::Output) => return writeln!(io::stdout(), "{figures:#}"),
            Some(Place::File(file)) => {
                writeln!(file, "{figures:#}")?;
                table::of(options, stats, took)
            }
            None => table::of(options, stats, took),
        };
        if let Some(before) = &self.before {
            table.push_str(&compare::of(before, &figures));
        }
        io::stdout().write_all(table.as_bytes())
    }
}

fn create(path: &Path) -> io::Result<File> {
    File::create(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// Returns the page, which draws its charts from the same figures.
fn page_of(figures: &Value, before: Option<&Value>) -> String {
    // Inside a script only this could end it; in JSON it can only stand in a string.
    let inside = |figures: &Value| figures.to_string().replace("</", "<\\/");
    let mut page = PAGE.replacen("/* style */", STYLE, 1);
    page = page.replacen("/* script */", &[DRAWING, SCRIPT].concat(), 1);
    let before = before.map_or_else(|| "null".to_owned(), inside);
    // The figures last: what they say is nobody's slot.
    page.replacen("\"before\"", &before, 1).replacen("\"figures\"", &inside(figures), 1)
}

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const DRAWING: &str = include_str!("drawing.js");
const SCRIPT: &str = include_str!("page.js");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_holds_the_figures_and_nothing_of_others() {
        let page = page_of(&serde_json::json!({ "url": "http://h/</script>" }), None);
        assert!(page.contains(r#"const run = {"url":"http://h/<\/script>"};"#));
        assert!(page.contains("const before = null;"));
        assert!(!page.contains("src=") && !page.contains("@import") && !page.contains("url("));
        assert!(!page.contains("/* script */") && !page.contains("/* style */"));
    }
}
