//! `[upstreams.NAME.check]`: how the addresses of a backend are checked.

use std::time::Duration;

use http::uri::PathAndQuery;

use super::key::{Section, Shown, Type};
use super::row::{Row, read_rows, row};
use super::table::Table;
use super::tree::{Node, Value};
use super::values::{HOUR, MS, Wrong, count, duration, flag, text};
use crate::upstream::{Check, CheckBy, Kind, Settings, Statuses};

/// The keys of the table.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const CHECK: &[Row<Written>] = &[
    row(Section::UpstreamCheck, "path", Type::Text, Shown::Example("\"/healthz\""), "what each address is asked for by GET",
        |table, key, written| written.path = table.value(key, path)),
    row(Section::UpstreamCheck, "websocket", Type::Flag, Shown::Default("false"), "instead: open a WebSocket as clients do, and close it",
        |table, key, written| table.set(key, &mut written.is_socket, flag)),
    row(Section::UpstreamCheck, "interval", Type::Duration, Shown::Default("\"5s\""), "time between two checks of an address",
        |table, key, written| table.set(key, &mut written.check.interval, duration(INTERVAL_MIN..=HOUR))),
    row(Section::UpstreamCheck, "timeout", Type::Duration, Shown::Default("\"2s\""), "a check without an answer by then has failed",
        |table, key, written| table.set(key, &mut written.check.timeout, duration(MS..=HOUR))),
    row(Section::UpstreamCheck, "expect", Type::Text, Shown::Default("\"200-399\""), "statuses that pass, such as 200 or 200-299, 404",
        |table, key, written| table.set(key, &mut written.check.expect, statuses)),
    row(Section::UpstreamCheck, "rise", Type::Count, Shown::Default("2"), "checks in a row that an address passes to be used again",
        |table, key, written| table.set(key, &mut written.check.rise, count(1..=STREAK_MAX))),
    row(Section::UpstreamCheck, "fall", Type::Count, Shown::Default("3"), "checks in a row that an address fails to be left out",
        |table, key, written| table.set(key, &mut written.check.fall, count(1..=STREAK_MAX))),
];

/// What the table says.
#[derive(Debug)]
pub(super) struct Written {
    path: Option<PathAndQuery>,
    is_socket: bool,
    check: Check,
}

/// Reads the table in an upstream whose kind is known.
pub(super) fn read(upstream: &Table<'_>, key: &'static str, settings: &mut Settings) {
    if upstream.get(key).is_none() {
        return;
    }
    let table = upstream.section(key, Section::UpstreamCheck);
    let mut written = Written { path: None, is_socket: false, check: Check::new(CheckBy::WebSocket) };
    read_rows(CHECK, &table, &mut written);
    let Written { path, is_socket, check } = written;
    let by = match (table.get("path").is_some(), is_socket) {
        (false, false) => {
            table.report_missing("path");
            return;
        }
        (true, true) => {
            table.report_idle("path", "beside websocket = true".to_owned());
            return;
        }
        (false, true) if matches!(settings.kind, Kind::Mux | Kind::Http | Kind::Demo(_)) => {
            let expected = "false, and a path, with a kind other than engine.io and websocket";
            table.report("websocket", "true".to_owned(), expected);
            return;
        }
        (false, true) => {
            if table.get("expect").is_some() {
                table.report_idle("expect", "beside websocket = true".to_owned());
            }
            CheckBy::WebSocket
        }
        // A path that is none has been reported.
        (true, false) => path.map_or(CheckBy::WebSocket, CheckBy::Path),
    };
    settings.check = Some(Check { by, ..check });
}

fn path(node: &Node) -> Result<PathAndQuery, Wrong> {
    let wrong = || Wrong::expected("a path such as \"/healthz\"");
    let text = text(node).map_err(|_| wrong())?;
    if !text.starts_with('/') || text.contains('#') {
        return Err(wrong());
    }
    PathAndQuery::try_from(text).map_err(|_| wrong())
}

fn statuses(node: &Node) -> Result<Statuses, Wrong> {
    let wrong = || Wrong::expected("statuses from 200 to 599 such as \"200\" or \"200-299, 404\"");
    let text = match &node.value {
        Value::Integer(status) => status.to_string(),
        Value::Text(_) | Value::Flag(_) | Value::Useless(_) | Value::List(_) | Value::Table(_) => {
            text(node).map_err(|_| wrong())?
        }
    };
    Statuses::parse(&text).ok_or_else(wrong)
}

/// More often is an attack.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const STREAK_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::super::tests::{GOOD, faults, parse};
    use super::*;

    fn with(check: &str) -> String {
        GOOD.replace("kind = 'engine.io'", &format!("kind = 'engine.io'\ncheck = {check}"))
    }

    #[test]
    fn addresses_are_checked_by_a_path_or_a_websocket() {
        let check = |check: &str| parse(&with(check), &[]).unwrap().upstreams["chat"].check.clone().unwrap();
        let by_path = check("{ path = '/healthz?full=1', expect = 204, fall = 1 }");
        assert_eq!(by_path.by, CheckBy::Path(PathAndQuery::from_static("/healthz?full=1")));
        assert_eq!((by_path.expect, by_path.rise, by_path.fall), (Statuses::parse("204").unwrap(), 2, 1));
        let by_socket = check("{ websocket = true, interval = '1s' }");
        assert_eq!((by_socket.by, by_socket.interval), (CheckBy::WebSocket, Duration::from_secs(1)));
        assert_eq!(parse(GOOD, &[]).unwrap().upstreams["chat"].check, None);
    }

    #[test]
    fn each_key_of_a_check_has_its_fault() {
        for (check, said) in [
            ("{}", "check.path: missing"),
            ("{ path = 'healthz' }", "a path such as \"/healthz\""),
            ("{ path = '/a b' }", "a path such as"),
            ("{ path = '/', websocket = true }", "websocket = true"),
            ("{ websocket = true, expect = '200' }", "websocket = true"),
            ("{ path = '/', expect = '2xx' }", "200-299, 404"),
            ("{ path = '/', interval = '1ms' }", "from 100ms to 1h"),
            ("{ path = '/', timeout = 2 }", "\"2s\""),
            ("{ path = '/', rise = 0 }", "a number from 1 to 100"),
            ("{ path = '/', fall = 101 }", "a number from 1 to 100"),
            ("{ path = '/', every = '5s' }", "every"),
            ("'/healthz'", "a table"),
        ] {
            let faults = faults(&with(check), &[]);
            assert!(faults.len() == 1 && faults[0].contains(said), "{check}: {faults:#?}");
        }
        let http = with("{ websocket = true }").replace("kind = 'engine.io'", "kind = 'mux'");
        let faults = faults(&http, &[]);
        assert!(faults.iter().any(|fault| fault.contains("a kind other than engine.io")), "{faults:#?}");
    }
}
