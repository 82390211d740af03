//! The results of a run: as a table, as JSON, and as a page with charts.

mod json;
mod table;
pub(super) mod units;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use super::options::Options;
use super::stats::Stats;

/// Where the reports go. Files are created before the run, so that it isn't wasted.
#[derive(Debug)]
pub(super) struct Report {
    json: Option<Place>,
    html: Option<File>,
}

#[derive(Debug)]
enum Place {
    File(File),
    Output,
}

impl Report {
    /// Makes the files that are asked for.
    ///
    /// # Errors
    /// Says which file can't be written.
    pub(super) fn create(options: &Options) -> io::Result<Self> {
        let json = match options.json.as_deref() {
            None => None,
            Some(path) if path == Path::new("-") => Some(Place::Output),
            Some(path) => Some(Place::File(create(path)?)),
        };
        Ok(Self { json, html: options.html.as_deref().map(create).transpose()? })
    }

    /// Writes everything; the table goes to the standard output, unless the JSON does.
    pub(super) fn write(&mut self, options: &Options, stats: &Stats, took: Duration) -> io::Result<()> {
        let figures = json::of(options, stats, took);
        if let Some(page) = &mut self.html {
            page.write_all(page_of(&figures).as_bytes())?;
        }
        let table = match &mut self.json {
            Some(Place::Output) => return writeln!(io::stdout(), "{figures:#}"),
            Some(Place::File(file)) => {
                writeln!(file, "{figures:#}")?;
                table::of(options, stats, took)
            }
            None => table::of(options, stats, took),
        };
        io::stdout().write_all(table.as_bytes())
    }
}

fn create(path: &Path) -> io::Result<File> {
    File::create(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// Returns the page, which draws its charts from the same figures.
fn page_of(figures: &serde_json::Value) -> String {
    // Inside a script only this could end it; in JSON it can only stand in a string.
    let figures = figures.to_string().replace("</", "<\\/");
    PAGE.replacen(SLOT, &figures, 1)
}

const PAGE: &str = include_str!("page.html");
/// Where the figures go.
const SLOT: &str = "\"figures\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_holds_the_figures_and_nothing_of_others() {
        let page = page_of(&serde_json::json!({ "url": "http://h/</script>" }));
        assert!(page.contains(r#"const run = {"url":"http://h/<\/script>"};"#));
        assert!(!PAGE.contains("src=") && !PAGE.contains("@import") && !PAGE.contains("url("));
    }
}
