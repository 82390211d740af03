//! The table, the JSON and the page.

use std::fs;

use serde_json::Value;

use crate::support::{Proxy, load, place};

#[test]
fn a_run_is_reported_as_a_table_as_json_and_as_a_page() {
    let proxy = Proxy::demo();
    let (json, html) = (place("run.json"), place("run.html"));
    let args =
        ["--socketio", "-n", "4", "--rate", "20", "-d", "1s", "--transport", "polling=50,websocket=50"];
    let files = ["--json", json.to_str().unwrap(), "--html", html.to_str().unwrap()];
    let run = load(&[&[proxy.url().as_str()], &args[..], &files[..]].concat());
    assert_eq!((run.code, run.err.as_str()), (0, ""));

    for row in
        ["connected", "lost", "duplicated", "reordered", "latency p50", "p99.9", "requests per message"]
    {
        assert!(run.out.lines().any(|line| line.trim_start().starts_with(row)), "no {row} in {}", run.out);
    }
    let asked = format!("{}/socket.io/", proxy.url().trim_end_matches('/'));
    assert_eq!(run.out.lines().nth(1), Some(format!("{asked} (engine.io)").as_str()));
    assert!(run.out.contains("\n4 sessions, 20 messages/s each, 32 bytes, "), "{}", run.out);
    let head = run.out.lines().find(|line| line.contains("polling ")).unwrap();
    assert_eq!(head.split_whitespace().collect::<Vec<_>>(), ["polling", "websocket", "all"]);

    let text = fs::read_to_string(json).unwrap();
    let figures: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(figures["url"], asked);
    for tally in [&figures, &figures["transports"]["polling"], &figures["transports"]["websocket"]] {
        for key in ["sessions", "messages", "lost", "duplicated", "reordered"] {
            assert!(tally[key].is_u64(), "{key} of {tally:#}");
        }
        for (key, until_0_1) in [("disconnected", "broken"), ("duplicated", "doubled")] {
            assert_eq!(tally[key], tally[until_0_1], "{key} of {tally:#}");
        }
        for key in ["bytes_per_message", "requests_per_message"] {
            assert!(tally[key].is_f64(), "{key} of {tally:#}");
        }
        let latency =
            ["p50", "p90", "p99", "p99.9", "max"].map(|key| tally["latency_us"][key].as_u64().unwrap());
        assert!(latency.is_sorted() && latency[0] > 0, "{latency:?}");
        assert!(tally["distribution"].as_array().unwrap().len() > 2);
    }
    let sum =
        |key: &str| ["polling", "websocket"].map(|kind| figures["transports"][kind][key].as_u64().unwrap());
    assert_eq!(sum("messages").iter().sum::<u64>(), figures["messages"].as_u64().unwrap());

    let page = fs::read_to_string(html).unwrap();
    let embedded = page.split("const run = ").nth(1).unwrap().split(";\n").next().unwrap();
    assert_eq!(serde_json::from_str::<Value>(embedded).unwrap(), figures);
}

#[test]
fn the_table_fits_a_terminal_of_less_than_80_columns() {
    let proxy = Proxy::demo();
    let mix = "polling=40,websocket=30,upgrade=30";
    let run = load(&[&proxy.url(), "-n", "3", "-d", "300ms", "--transport", mix]);
    assert!(run.out.contains("disconnected"), "{run:?}");
    assert!(run.out.lines().all(|line| line.len() < 80), "{}", run.out);
}

#[test]
fn json_on_standard_output_comes_without_the_table() {
    let proxy = Proxy::demo();
    let run = load(&[&proxy.url(), "--socketio", "-n", "1", "-d", "2s", "--json", "-"]);
    assert_eq!(run.json()["sessions"], 1);
}

#[test]
fn a_run_is_shown_beside_an_earlier_one() {
    let proxy = Proxy::demo();
    let (json, html) = (place("before.json"), place("compared.html"));
    let (json, html) = (json.to_str().unwrap(), html.to_str().unwrap());
    let args =
        [&proxy.url(), "--socketio", "-n", "2", "--rate", "10", "-d", "1s", "--header", "Cookie: secret=1"];
    load(&[&args[..], &["--json", json]].concat());
    // The file that is compared with may be the one that is written.
    let run = load(&[&args[..], &["--compare", json, "--html", html, "--json", json]].concat());
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let (_, beside) = run.out.split_once("\nbeside the run of ").unwrap();
    assert!(
        beside.contains(" GMT, version 0.1.0\n  latency p50 "),
        "the same command and machine: {}",
        run.out
    );
    let page = fs::read_to_string(html).unwrap();
    let figures = |name: &str| -> Value {
        let text = page.split(&format!("const {name} = ")).nth(1).unwrap().split(";\n").next().unwrap();
        serde_json::from_str(text).unwrap()
    };
    let (now, before) = (figures("run"), figures("before"));
    assert_ne!(now, before);
    let command =
        format!("polliwog load {} --socketio -n 2 --rate 10 -d 1s --header 'Cookie: ...'", proxy.url());
    assert_eq!((&now["command"], &before["command"]), (&command.clone().into(), &command.into()));
    let over_time = &now["transports"]["polling"]["latency_us_over_time"];
    assert_eq!(over_time["span_seconds"], 0.2);
    assert!(
        over_time["p50"].as_array().unwrap().iter().filter(|span| span.is_u64()).count() > 2,
        "{over_time}"
    );
    assert!(!page.contains("secret"));
    let other = load(&[&args[..], &["--compare", "Cargo.toml"]].concat());
    assert_eq!((other.code, other.out.as_str()), (1, ""));
    assert!(other.err.starts_with("polliwog: Cargo.toml: "), "{}", other.err);
}
