//! Keys beside a dialect to which they mean nothing.

use super::super::keys::{KEYS, Section, dialects};
use super::*;
use crate::dialect::table::DIALECTS;

/// Returns the faults of a route of this dialect with this line.
fn beside(dialect: &str, line: &str) -> String {
    let kind = if dialect == "http" { "http" } else { "websocket" };
    let route = format!("[[routes]]\npath = '/'\ndialect = '{dialect}'\nupstream = 'u'\n{line}\n");
    let text = format!("{route}[upstreams.u]\nkind = '{kind}'\nurl = '{kind}://h/'\n")
        .replace("'websocket:", "'ws:");
    parse(&text, &[]).map_or_else(|faults| faults.to_string(), |_| "none".to_owned())
}

#[test]
fn a_dialects_key_on_another_dialects_route_is_a_fault() {
    for line in ["versions = [4]", "utf8 = '1.x'", "cookie = 'on'"] {
        let name = line.split(' ').next().unwrap();
        for dialect in ["http", "websocket", "mux"] {
            let fault = format!(
                "routes[0].{name}: means nothing with dialect \"{dialect}\", only with \"engine.io\"; remove it"
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
        ("http", "permessage_deflate = 1"),
        ("mux", "permessage_deflate = 1"),
        ("longpoll", "permessage_deflate = 1"),
        ("http", "ping_interval = '1s'"),
        ("mux", "cors = 'off'"),
        ("mux", "ping_timeout = '1s'"),
        ("websocket", "linger = '1ms'"),
    ] {
        let faults = beside(dialect, line);
        let end = format!(": means nothing with dialect \"{dialect}\"; remove it");
        assert!(faults.ends_with(&end), "{dialect} {line}: {faults}");
    }
    for (dialect, line) in [
        ("http", "stall_timeout = '1s'"),
        ("http", "via = false"),
        ("mux", "max_payload = 1000"),
        ("websocket", "ping_interval = '1s'"),
        ("websocket", "cors = 'off'"),
        ("websocket", "permessage_deflate = '1kB'"),
    ] {
        assert_eq!(beside(dialect, line), "none", "{dialect} {line}");
    }
}

#[test]
fn a_subprotocol_is_one_name() {
    for wrong in ["'v11.stomp, v12.stomp'", "'two words'", "'é'", "['v12.stomp']", "12"] {
        let faults = beside("sockjs", &format!("subprotocol = {wrong}"));
        assert!(faults.contains("routes[0].subprotocol: found "), "{faults}");
        let expected = "expected one name such as \"v12.stomp\", or \"\" for none";
        assert!(faults.ends_with(expected), "{faults}");
    }
    assert_eq!(beside("sockjs", "subprotocol = 'v12.stomp'"), "none");
}

#[test]
fn each_word_of_a_sockjs_key_is_taken_and_another_is_a_fault() {
    for (key, words) in [("binary", &["text", "base64", "base64-both"][..]), ("refuse", &["status", "close"])]
    {
        for word in words {
            assert_eq!(beside("sockjs", &format!("{key} = '{word}'")), "none");
        }
        let expected = format!("expected one of {}", words.join(", "));
        for wrong in ["'texts'", "true", "['text']", "['close']"] {
            let faults = beside("sockjs", &format!("{key} = {wrong}"));
            assert!(
                faults.contains(&format!("routes[0].{key}: found ")) && faults.contains(&expected),
                "{faults}"
            );
        }
    }
}

#[test]
fn every_key_that_means_nothing_somewhere_is_one() {
    let is_key = |name: &str| KEYS.iter().any(|key| key.section == Section::Defaults && key.name == name);
    for kind in DIALECTS {
        assert!(kind.idle.iter().all(|name| is_key(name)), "{}", kind.name);
    }
}

#[test]
fn each_key_beside_each_dialect_is_taken_or_a_fault_as_the_table_says() {
    for key in KEYS.iter().filter(|key| key.section == Section::Defaults || key.name == "mux") {
        if matches!(key.section, Section::Upstream) {
            continue;
        }
        let line = format!("{} = {}", key.name, key.shown.value());
        for dialect in dialects() {
            let means = key.dialects().is_none_or(|dialects| dialects.contains(&dialect));
            let faults = beside(dialect, &line);
            assert_eq!(faults == "none", means, "{line} beside {dialect}: {faults}");
            let place = format!("config.toml:5:{}: routes[0].{}: ", key.name.len() + 4, key.name);
            assert!(means || faults.contains(&place), "no {place} in {faults}");
        }
    }
}

#[test]
fn each_key_beside_each_kind_is_taken_or_a_fault_as_the_table_says() {
    let set = ["kind", "url", "tls"];
    for key in KEYS.iter().filter(|key| key.section == Section::Upstream && !set.contains(&key.name)) {
        let line = format!("{} = {}", key.name, key.shown.value());
        for (kind, url) in [
            ("engine.io", "url = 'ws://h/'"),
            ("websocket", "url = 'ws://h/'"),
            ("mux", "url = 'ws://h/'"),
            ("http", "url = 'http://h/'"),
            ("demo", ""),
        ] {
            if kind == "demo" && !cfg!(feature = "demo") {
                continue;
            }
            // A queue is for what is limited.
            let limit = if key.name.starts_with("queue") { "max_requests = 7\n" } else { "" };
            let text = format!(
                "[[routes]]\npath = '/'\ndialect = 'http'\nupstream = 'u'\n[upstreams.u]\n{line}\nkind = '{kind}'\n{url}\n{limit}"
            );
            let faults = parse(&text, &[]).map_or_else(|faults| faults.to_string(), |_| String::new());
            let means = key.only.is_none_or(|only| only.kinds.contains(&kind));
            assert_eq!(faults.is_empty(), means, "{line} beside {kind}: {faults}");
            let place = format!("config.toml:6:{}: upstreams.u.{}: ", key.name.len() + 4, key.name);
            assert!(means || faults.contains(&place), "no {place} in {faults}");
        }
    }
}
