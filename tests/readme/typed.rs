//! The commands of docs/load.md and docs/succession.md, against a proxy of their own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use super::root;

/// What runs the demo at the port behind it.
const DEMO: &str = "\n[[routes]]\npath = '/socket.io/'\ndialect = 'engine.io'\nupstream = 'demo'\n\
                    [upstreams.demo]\nkind = 'demo'\n";

/// Waits until a line of the log says this.
const WAITS: &str = "says() { until grep -q \"$1\" log; do sleep 0.1; done; }";

struct Place {
    folder: PathBuf,
    public: String,
}

impl Place {
    fn new(test: &str) -> Self {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("page-{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let public = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        Self { folder, public }
    }

    /// Writes the configuration that runs the demo, with a part of its own.
    fn configure(&self, part: &str) {
        let text =
            format!("[server]\nlisten = '{}'\n[admin]\nlisten = '127.0.0.1:0'\n{part}{DEMO}", self.public);
        fs::write(self.folder.join("config.toml"), text).unwrap();
    }

    /// Runs a script in which `polliwog` is the binary, for a minute at most, and ends all that it has started.
    fn types(&self, script: &str) -> (Output, String) {
        let script = format!(
            "polliwog() {{ exec \"$POLLIWOG\" \"$@\"; }}\n{WAITS}\n\
             trap 'kill -KILL $! $(sed -n \"s/.*a successor was started pid=\\([0-9]*\\).*/\\1/p\" log)' EXIT\n{script}"
        );
        let output = Command::new("timeout")
            .args(["60", "bash", "-ec", &script])
            .current_dir(&self.folder)
            .env("POLLIWOG", env!("CARGO_BIN_EXE_polliwog"))
            .output()
            .unwrap();
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let told = format!(
            "{script}\n{}\n{}\n{log}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        (output, told)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

/// Returns the one block of a page in a language.
fn block(page: &str, language: &str) -> String {
    let page = fs::read_to_string(root().join(page)).unwrap();
    let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
    rest.split("```").next().unwrap().to_owned()
}

#[test]
fn the_load_of_the_page_finds_no_fault_and_writes_its_report() {
    let place = Place::new("load");
    place.configure("");
    // Fewer sessions for a shorter time: it is no test of speed.
    let typed =
        block("docs/load.md", "sh").replace("http://127.0.0.1:8080", &format!("http://{}", place.public));
    let typed = typed.replace("--sessions 500", "--sessions 20").replace("--duration 15s", "--duration 2s");
    assert!(typed.contains("--sessions 20") && typed.contains("--duration 2s"), "{typed}");
    let script = format!(
        "\"$POLLIWOG\" run 2>log &\nsays listening\n\"$POLLIWOG\" {}",
        typed.trim_start_matches("polliwog ")
    );
    let (output, told) = place.types(&script);
    assert!(output.status.success(), "{told}");
    let out = String::from_utf8(output.stdout).unwrap();
    // Each row of the page's table is one of the report.
    let row =
        |line: &str| line.split("  ").map(str::trim).find(|cell| !cell.is_empty()).unwrap_or("").to_owned();
    let rows: Vec<_> = out.lines().map(row).collect();
    for shown in block("docs/load.md", "text").lines().skip(3) {
        assert!(rows.contains(&row(shown)), "{shown}\n{told}");
    }
    assert!(fs::read_to_string(place.folder.join("load.html")).unwrap().contains("</html>"));
}

#[test]
fn the_succession_of_the_page_takes_over() {
    let place = Place::new("succession");
    let part = block("docs/succession.md", "toml");
    assert!(part.contains("\"/run/polliwog\""), "{part}");
    let directory = place.folder.join("in");
    place.configure(&part.replace("/run/polliwog", directory.to_str().unwrap()));
    let typed = block("docs/succession.md", "sh");
    // Nobody types so fast that it does not serve yet.
    let typed = typed.replace("config.toml &\n", "config.toml 2>log &\nsays listening\n");
    let (output, told) = place.types(&format!("{typed}says 'took over from the process before'\n"));
    assert!(output.status.success(), "{told}");
}
