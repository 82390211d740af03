//! What was found: for people, in 80 columns, and as JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::judge::{Mark, Verdict};

/// Whether marks are coloured: a shape and a word come first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Colour {
    On,
    Off,
}

/// Returns the report.
pub(super) fn text(target: &str, verdicts: &[Verdict], colour: Colour) -> String {
    let mut text = format!("{target}\n\n");
    for verdict in verdicts {
        let mark = painted(verdict.mark, colour);
        let begin = format!("  {mark}  {:16}", verdict.check.word());
        // Colours have no width.
        line(&mut text, &begin, 2 + MARK_WIDTH + 2 + 16, &verdict.says);
    }
    let wrong: Vec<&Verdict> = verdicts.iter().filter(|verdict| verdict.mark == Mark::Wrong).collect();
    for (number, verdict) in wrong.iter().enumerate() {
        let Some(trouble) = verdict.trouble else { continue };
        let (name, says) = (painted(Mark::Wrong, colour), &verdict.says);
        let _ = writeln!(text);
        line(&mut text, &format!("{name}  "), MARK_WIDTH + 2, &format!("{}: {says}", verdict.check.word()));
        let _ = writeln!(text);
        for (number, evidence) in verdict.evidence.iter().enumerate() {
            line(&mut text, if number == 0 { "  seen     " } else { "           " }, 11, evidence);
        }
        let is_told = wrong[..number].iter().any(|earlier| earlier.trouble == Some(trouble));
        if is_told {
            let _ = writeln!(text, "  cause    as above ({})", trouble.word());
            continue;
        }
        line(&mut text, "  cause    ", 11, trouble.cause());
        let _ = writeln!(text);
        for (proxy, _, lines) in trouble.remedy().rows() {
            for (number, remedy) in lines.lines().enumerate() {
                let _ = writeln!(text, "  {:14}{remedy}", if number == 0 { proxy } else { "" });
            }
        }
    }
    let verdict = match wrong.len() {
        0 => "Nothing is wrong.".to_owned(),
        1 => "1 thing is wrong.".to_owned(),
        count => format!("{count} things are wrong."),
    };
    let _ = writeln!(text, "\n{verdict}");
    text
}

/// Returns the same as JSON.
pub(super) fn json(target: &str, verdicts: &[Verdict]) -> Value {
    let checks: Vec<Value> = verdicts.iter().map(check).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "url": target,
        "healthy": !is_wrong(verdicts),
        "checks": checks,
    })
}

/// Returns whether anything is wrong.
pub(super) fn is_wrong(verdicts: &[Verdict]) -> bool {
    verdicts.iter().any(|verdict| verdict.mark == Mark::Wrong)
}

fn check(verdict: &Verdict) -> Value {
    let mut check = json!({
        "check": verdict.check.word(),
        "mark": verdict.mark.word(),
        "says": verdict.says,
    });
    if let Some(trouble) = verdict.trouble {
        let rows = trouble.remedy().rows();
        let remedy: Map<String, Value> =
            rows.iter().map(|(_, name, lines)| ((*name).to_owned(), json!(lines))).collect();
        check["trouble"] = json!(trouble.word());
        check["evidence"] = json!(verdict.evidence);
        check["cause"] = json!(trouble.cause());
        check["remedy"] = Value::Object(remedy);
    }
    check
}

/// Returns a mark, all of the same width.
fn painted(mark: Mark, colour: Colour) -> String {
    let (shape, word, code) = match mark {
        Mark::Ok => ("\u{25cf}", "ok", "32"),
        Mark::Note => ("\u{25cb}", "note", ""),
        Mark::Unseen => ("\u{2013}", "unseen", "2"),
        Mark::Wrong => ("\u{2715}", "wrong", "1;31"),
    };
    let plain = format!("{shape} {word:6}");
    match colour {
        Colour::On if !code.is_empty() => format!("\x1b[{code}m{plain}\x1b[0m"),
        Colour::On | Colour::Off => plain,
    }
}

/// Writes a text behind a beginning of this width, wrapped between words; what has no space is left whole.
fn line(out: &mut String, begin: &str, width: usize, text: &str) {
    out.push_str(begin);
    let mut column = width;
    for (number, word) in text.split(' ').enumerate() {
        let len = word.chars().count();
        if number > 0 && column + 1 + len > COLUMNS {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', width));
            column = width;
        } else if number > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += len;
    }
    out.push('\n');
}

const COLUMNS: usize = 79;
const MARK_WIDTH: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::judge::Check;
    use super::super::remedy::Trouble;
    use super::*;

    fn verdicts() -> Vec<Verdict> {
        let of = |check, mark, says: &str, trouble: Option<Trouble>| Verdict {
            check,
            mark,
            says: says.to_owned(),
            evidence: if trouble.is_some() { vec!["GET /".to_owned(), "504".to_owned()] } else { Vec::new() },
            trouble,
        };
        let cut = "a waiting poll is cut after 5.0 s; the heartbeat comes after 25s";
        vec![
            of(Check::Versions, Mark::Ok, "Engine.IO 4", None),
            of(Check::IdlePoll, Mark::Wrong, cut, Some(Trouble::PollTimeout)),
            of(Check::IdleWebSocket, Mark::Wrong, cut, Some(Trouble::PollTimeout)),
        ]
    }

    #[test]
    fn a_report_fits_80_columns_and_tells_each_cause_once() {
        let text = text("http://h/socket.io/", &verdicts(), Colour::Off);
        assert!(text.lines().all(|line| line.chars().count() < 80), "{text}");
        assert_eq!(text.matches("proxy_read_timeout 90s;").count(), 1, "{text}");
        assert!(text.contains("\u{2715} wrong   idle-poll       a waiting poll is cut"), "{text}");
        assert!(text.contains("cause    as above (poll-timeout)"), "{text}");
        assert!(text.ends_with("\n2 things are wrong.\n"), "{text}");
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn colour_changes_no_word() {
        let coloured = text("http://h/", &verdicts(), Colour::On);
        let mut plain = String::new();
        let mut inside = false;
        for c in coloured.chars() {
            match c {
                '\x1b' => inside = true,
                'm' if inside => inside = false,
                c if !inside => plain.push(c),
                _ => {}
            }
        }
        assert_eq!(plain, text("http://h/", &verdicts(), Colour::Off));
    }

    #[test]
    fn json_has_evidence_cause_and_remedy_where_something_is_wrong() {
        let json = json("http://h/", &verdicts());
        assert_eq!(json["healthy"], false);
        assert_eq!(json["checks"][0], json!({"check": "versions", "mark": "ok", "says": "Engine.IO 4"}));
        let wrong = &json["checks"][1];
        assert_eq!((&wrong["trouble"], &wrong["evidence"][1]), (&json!("poll-timeout"), &json!("504")));
        assert_eq!(wrong["remedy"]["haproxy"], "timeout server 90s");
    }
}
