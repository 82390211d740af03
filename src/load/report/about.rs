//! What was run, when and where: the head of a report.

use std::ffi::OsString;
use std::fs;
use std::thread::available_parallelism;
use std::time::SystemTime;

/// What a report says of its run besides the figures.
#[derive(Clone, Debug)]
pub(super) struct About {
    /// The end of the run, as HTTP writes dates.
    pub(super) date: String,
    /// The command, for a shell. What a header says is left out, as it may be a secret.
    pub(super) command: String,
    /// The machine of the load generator.
    pub(super) machine: String,
}

impl About {
    /// Looks at this process.
    pub(super) fn this() -> Self {
        Self {
            date: httpdate::fmt_http_date(SystemTime::now()),
            command: command(std::env::args_os()),
            machine: machine(),
        }
    }
}

/// Returns the command line, without the files that it writes: they are no part of what was run. A library's caller may have
/// any other.
fn command(args: impl Iterator<Item = OsString>) -> String {
    let mut words = vec!["polliwog".to_owned()];
    let mut args = args.skip(1).map(|arg| arg.to_string_lossy().into_owned());
    while let Some(arg) = args.next() {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (arg.as_str(), None),
        };
        let is_header = name == "--header";
        if is_header || FILES.contains(&name) {
            let value = value.or_else(|| args.next()).unwrap_or_default();
            if is_header {
                words.extend([name.to_owned(), quoted(&veiled(&value))]);
            }
        } else {
            words.push(quoted(&arg));
        }
    }
    words.join(" ")
}

fn veiled(header: &str) -> String {
    header.split_once(':').map_or_else(|| "...".to_owned(), |(name, _)| format!("{name}: ..."))
}

/// Returns a word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |sign: char| sign.is_ascii_alphanumeric() || "-_=./:,@%+".contains(sign);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Options that name files.
const FILES: &[&str] = &["--json", "--html", "--compare"];

fn machine() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version: Vec<_> = release.trim().split('.').take(2).collect();
    let system = match std::env::consts::OS {
        "linux" => format!("Linux {}", version.join(".")),
        other => other.to_owned(),
    };
    let cores = available_parallelism().map_or(1, usize::from);
    format!("{}, {cores} core{}", system.trim(), if cores == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_pasted_and_tells_no_secret() {
        let args = [
            "/usr/bin/polliwog",
            "load",
            "http://h/?a=1&b",
            "--json=x",
            "--html",
            "page.html",
            "--header",
            "Cookie: id=1",
            "--header=X:y",
            "it's",
        ];
        let shown = command(args.into_iter().map(OsString::from));
        let expected = r"polliwog load 'http://h/?a=1&b' --header 'Cookie: ...' --header 'X: ...' 'it'\''s'";
        assert_eq!(shown, expected);
    }

    #[test]
    fn the_machine_is_named() {
        let machine = machine();
        assert!(machine.contains(" core"), "{machine}");
    }
}
