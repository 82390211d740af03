//! Holds the rules and the dashboard in deploy/monitoring to the metrics that there are.

use std::collections::{HashMap, HashSet};
use std::fs;

use polliwog::docs;

use super::root;

const FILES: [&str; 3] = ["alerts.yml", "alerts.test.yml", "dashboard.json"];

/// Returns each metric with its labels, as the page on operating lists them.
fn metrics() -> HashMap<String, Vec<String>> {
    let cell = |cell: &str| cell.replace(['`', ' '], "");
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(cell).collect();
        let [_, name, kind, labels, ..] = &cells[..] else { return Vec::new() };
        let mut labels: Vec<_> = labels.split(',').map(str::to_owned).collect();
        let names = if kind == "histogram" {
            labels.push("le".to_owned());
            ["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}")).to_vec()
        } else {
            vec![name.clone()]
        };
        names.into_iter().map(|name| (name, labels.clone())).collect()
    };
    docs::metrics().lines().flat_map(row).collect()
}

/// Returns what is named in a text as a metric would be, each with the labels that are asked for behind it.
fn named(text: &str) -> Vec<(String, Vec<String>)> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for start in text.match_indices("polliwog_").chain(text.match_indices("process_")).map(|(at, _)| at) {
        if text[..start].ends_with(is_of_name) {
            continue;
        }
        let end = start + text[start..].find(|c| !is_of_name(c)).unwrap_or(text.len() - start);
        let asked = text[end..].strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let labels = asked.map_or("", |(labels, _)| labels).split(',');
        let labels = labels.filter_map(|label| label.split_once(['=', '!'])).map(|(name, _)| name.to_owned());
        found.push((text[start..end].to_owned(), labels.collect()));
    }
    found
}

#[test]
fn each_metric_and_label_that_they_name_exists() {
    let metrics = metrics();
    // What Prometheus adds to all of them.
    let added = ["job", "instance"].map(str::to_owned);
    for file in FILES {
        let text = fs::read_to_string(root().join("deploy/monitoring").join(file)).unwrap();
        let named = named(&text);
        assert!(named.len() > 15, "{file}: {}", named.len());
        for (name, asked) in named {
            let labels = metrics.get(&name).unwrap_or_else(|| panic!("{file}: there is no {name}"));
            let unknown: Vec<_> =
                asked.iter().filter(|label| !labels.contains(label) && !added.contains(label)).collect();
            assert!(unknown.is_empty(), "{file}: {name} has no {unknown:?}");
        }
    }
}

#[test]
fn the_rules_are_all_tried() {
    let read = |file: &str| fs::read_to_string(root().join("deploy/monitoring").join(file)).unwrap();
    let (rules, tried) = (read("alerts.yml"), read("alerts.test.yml"));
    let names: HashSet<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 10);
    for name in names {
        assert!(tried.contains(&format!("alertname=\"{name}\"")), "{name}");
    }
}

#[test]
fn a_name_that_is_none_is_found() {
    let found =
        named("sum(rate(polliwog_lost_total{route=~\"a\",le!=\"1\"}[5m])) / my_polliwog_x + process_y");
    let owned = |labels: &[&str]| labels.iter().map(|&label| label.to_owned()).collect::<Vec<_>>();
    assert_eq!(
        found,
        [("polliwog_lost_total".to_owned(), owned(&["route", "le"])), ("process_y".to_owned(), Vec::new())]
    );
    assert!(!metrics().contains_key("polliwog_lost_total"));
}
