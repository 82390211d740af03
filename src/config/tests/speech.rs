//! Keys beside a dialect to which they mean nothing.

use super::super::keys::{KEYS, Section};
use super::super::speech::IDLE;
use super::*;

/// What is said of a route of this dialect with this line.
fn beside(dialect: &str, line: &str) -> String {
    let kind = if dialect == "http" { "http" } else { "websocket" };
    let route = format!("[[routes]]\npath = '/'\ndialect = '{dialect}'\nupstream = 'u'\n{line}\n");
    let text = format!("{route}[upstreams.u]\nkind = '{kind}'\nurl = '{kind}://h/'\n")
        .replace("'websocket:", "'ws:");
    parse(&text, &[]).map_or_else(|faults| faults.to_string(), |_| "none".to_owned())
}

#[test]
fn a_dialects_key_on_another_dialects_route_is_a_fault() {
    for (line, found) in
        [("versions = [4]", "a list"), ("utf8 = '1.x'", "\"1.x\""), ("cookie = 'on'", "\"on\"")]
    {
        let name = line.split(' ').next().unwrap();
        for dialect in ["http", "websocket", "mux"] {
            let fault = format!(
                "routes[0].{name}: found {found} beside \"{dialect}\", expected it only beside dialect"
            );
            assert!(beside(dialect, line).contains(&fault), "{line} {dialect}: {}", beside(dialect, line));
        }
        assert_eq!(beside("engine.io", line), "none", "{line}");
    }
    // Where it holds for every route, it holds for those that it means something to.
    let everywhere = "[defaults]\nversions = [4]\ncookie = 'on'\ncompression = false\n";
    for dialect in ["http", "websocket", "mux", "engine.io"] {
        assert_eq!(beside(dialect, everywhere), "none", "{dialect}");
    }
}

#[test]
fn a_key_of_sessions_is_a_fault_where_there_are_none_or_others() {
    for (dialect, line) in [
        ("http", "allowed_origins = ['https://a.example']"),
        ("http", "compression = false"),
        ("http", "ping_interval = '1s'"),
        ("mux", "cors = 'off'"),
        ("mux", "ping_timeout = '1s'"),
        ("websocket", "linger = '1ms'"),
    ] {
        let said = beside(dialect, line);
        assert!(said.contains("expected it only where it means something"), "{dialect} {line}: {said}");
    }
    for (dialect, line) in [
        ("http", "stall_timeout = '1s'"),
        ("http", "via = false"),
        ("mux", "max_payload = 1000"),
        ("websocket", "ping_interval = '1s'"),
        ("websocket", "cors = 'off'"),
    ] {
        assert_eq!(beside(dialect, line), "none", "{dialect} {line}");
    }
}

#[test]
fn every_key_that_means_nothing_somewhere_is_one() {
    let is_key = |name: &str| KEYS.iter().any(|key| key.section == Section::Defaults && key.name == name);
    for (dialect, keys) in IDLE {
        assert!(keys.iter().all(|name| is_key(name)), "{dialect}");
    }
}
