//! An earlier run beside this one.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::units::{bytes, count, figure, millis};

/// Reads the JSON of an earlier run.
///
/// # Errors
/// The file can't be read, or is something else.
pub(super) fn read(path: &Path) -> io::Result<Value> {
    let wrong =
        |what: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()));
    let text = fs::read_to_string(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    let figures: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if figures["latency_us"].is_object() && figures["transports"].is_object() {
        Ok(figures)
    } else {
        Err(wrong("not written by polliwog load --json".to_owned()))
    }
}

/// Returns both runs in words.
pub(super) fn of(before: &Value, now: &Value) -> String {
    let said = |key: &str| before[key].as_str().unwrap_or("unknown").to_owned();
    let mut text = format!("\nbeside the run of {}, version {}\n", said("date"), said("version"));
    for (key, what) in [("command", "another command"), ("machine", "another machine")] {
        if before[key] != now[key] {
            // Writing to a String can't fail.
            let _ = writeln!(text, "  {what}: {}", said(key));
        }
    }
    let per_second = |run: &Value| Some(run["answered"].as_f64()? / run["seconds"].as_f64()?);
    let rows: [Row<'_>; 5] = [
        ("latency p50", &|run| run["latency_us"]["p50"].as_f64(), &|us| millis(whole(us)), Better::Less),
        ("latency p99", &|run| run["latency_us"]["p99"].as_f64(), &|us| millis(whole(us)), Better::Less),
        (
            "bytes per message",
            &|run| run["bytes_per_message"].as_f64(),
            &|len| bytes(whole(len)),
            Better::Less,
        ),
        ("answered per second", &per_second, &|each| figure(Some(each)), Better::More),
        ("disconnected", &|run| run["disconnected"].as_f64(), &|number| count(whole(number)), Better::Less),
    ];
    for (label, read, show, better) in rows {
        let (then, now) = (read(before), read(now));
        let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), show);
        let change = then.zip(now).map(|(then, now)| better.word(then, now)).unwrap_or_default();
        let _ = writeln!(text, "  {label:20}{:>12}  was {:>12}  {change}", shown(now), shown(then));
    }
    text
}

/// A figure: its name, how it is read and shown, and what is better.
type Row<'r> = (&'static str, &'r dyn Fn(&Value) -> Option<f64>, &'r dyn Fn(f64) -> String, Better);

/// Which change of a figure is a good one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Better {
    Less,
    More,
}

impl Better {
    fn word(self, then: f64, now: f64) -> String {
        let most = then.max(now);
        if (then - now).abs() <= most * SAME {
            return "about the same".to_owned();
        }
        let is_better = (now < then) == (self == Self::Less);
        let word = if is_better { "better" } else { "worse" };
        if then == 0.0 {
            return word.to_owned();
        }
        format!("{:.0} % {word}", (now - then).abs() / then * 100.0)
    }
}

/// Figures that are not negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a figure for people")]
const fn whole(value: f64) -> u64 {
    value as u64
}

/// Runs of the same program differ by so much.
const SAME: f64 = 0.03;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_change_is_told_with_its_direction() {
        let run = |p50: u64, answered: u64, command: &str| {
            json!({
                "date": "Sat, 28 Nov 2026 07:38:41 GMT", "version": "0.1.0", "command": command, "machine": "m",
                "latency_us": { "p50": p50, "p99": 1000 }, "bytes_per_message": 100.0, "answered": answered,
                "seconds": 10.0, "disconnected": 0,
            })
        };
        let text = of(&run(2000, 100, "a"), &run(1000, 50, "b"));
        for line in [
            "beside the run of Sat, 28 Nov 2026 07:38:41 GMT, version 0.1.0",
            "  another command: a",
            "  latency p50              1.00 ms  was      2.00 ms  50 % better",
            "  latency p99              1.00 ms  was      1.00 ms  about the same",
            "  answered per second         5.00  was        10.00  50 % worse",
            "  disconnected                   0  was            0  about the same",
        ] {
            assert!(text.contains(line), "no {line:?} in\n{text}");
        }
        assert!(!text.contains("another machine"));
    }

    #[test]
    fn another_file_is_refused() {
        assert!(read(Path::new("Cargo.toml")).is_err());
        assert!(read(Path::new("/nowhere")).is_err());
    }
}
