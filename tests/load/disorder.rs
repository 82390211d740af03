//! Servers that lose, duplicate, reorder or change messages: each fault is counted, by polling and by WebSocket.

use serde_json::Value;

use crate::support::{Manner, Proxy, Run, echo, load, number};

/// Runs against a server with this behaviour, once as a plain WebSocket and once by polling through the proxy.
fn runs(manner: Manner) -> [Run; 2] {
    let backend = echo(manner);
    let proxy = Proxy::before(backend);
    let args = ["-n", "2", "--rate", "20", "-d", "2s", "--drain", "1s", "--json", "-"];
    [
        load(&[&[format!("ws://{backend}/").as_str(), "--plain"], &args[..]].concat()),
        load(&[&[proxy.url().as_str(), "--events", "echo"], &args[..]].concat()),
    ]
}

#[track_caller]
fn assert_caught(manner: Manner, key: &str) {
    for run in runs(manner) {
        assert_eq!(run.code, 1, "{run:?}");
        let figures = run.json();
        for other in ["lost", "duplicated", "reordered"] {
            let count = figures[other].as_u64().unwrap();
            assert_eq!(count > 0, other == key, "{other} is {count}");
        }
    }
}

#[test]
fn a_lost_message_is_caught() {
    assert_caught(|message, _| if number(message) == 5 { vec![] } else { vec![message.to_owned()] }, "lost");
}

#[test]
fn a_duplicated_message_is_caught() {
    assert_caught(
        |message, _| vec![message.to_owned(); if number(message) == 5 { 2 } else { 1 }],
        "duplicated",
    );
}

#[test]
fn messages_out_of_order_are_caught() {
    assert_caught(
        |message, before| match number(message) {
            5 => vec![],
            6 => vec![message.to_owned(), before.unwrap().to_owned()],
            _ => vec![message.to_owned()],
        },
        "reordered",
    );
}

#[test]
fn a_changed_message_counts_as_lost_and_as_strange() {
    let change = |message: &str, _: Option<&str>| {
        vec![if number(message) == 5 { format!("{message}!") } else { message.to_owned() }]
    };
    for run in runs(change) {
        assert_eq!(run.code, 1);
        let figures = run.json();
        assert_eq!(
            (&figures["lost"], &figures["strange"]),
            (&Value::from(2), &Value::from(2)),
            "{figures:#}"
        );
    }
}

#[test]
fn the_table_reports_losses_too() {
    let backend = echo(|_, _| vec![]);
    let url = format!("ws://{backend}/");
    let run = load(&[&url, "--plain", "-n", "1", "--rate", "10", "-d", "300ms", "--drain", "100ms"]);
    assert_eq!(run.code, 1);
    assert!(run.out.contains("Messages were lost, duplicated or reordered."), "{}", run.out);
}
