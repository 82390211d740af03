//! The admin listener's names, in one place.

use std::net::SocketAddr;
use std::thread;
use std::time::Instant;

use super::http::{Client, Response};
use super::{SOON, eventually, ms};

/// Sessions that exist now, whatever the route.
const SESSIONS: &str = "polliwog_sessions";

/// Polls that are parked now, whatever the route.
const PARKED: &str = "polliwog_polls_parked";

/// Returns how many sessions are open.
pub(crate) fn sessions(admin: SocketAddr) -> u64 {
    sum(admin, SESSIONS)
}

/// Returns how many polls are parked.
pub(crate) fn parked(admin: SocketAddr) -> u64 {
    sum(admin, PARKED)
}

/// Returns the sum of a gauge's or a counter's series.
pub(crate) fn sum(admin: SocketAddr, name: &str) -> u64 {
    let answer = Client::connect(admin).get("/metrics");
    assert_eq!(answer.status, 200);
    let text = answer.text();
    let lines = text.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'))
    });
    let values: Vec<f64> = lines.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    assert!(!values.is_empty(), "no gauge {name} in:\n{text}");
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count is small and not negative"
    )]
    let sum = values.iter().sum::<f64>() as u64;
    sum
}

/// Returns whether a counter with this name and all these labels has counted something.
pub(crate) fn has_counted(admin: SocketAddr, name: &str, labels: &[&str]) -> bool {
    let answer = Client::connect(admin).get("/metrics");
    answer.text().lines().any(|line| {
        line.starts_with(name)
            && labels.iter().all(|label| line.contains(label))
            && line.rsplit(' ').next().is_some_and(|count| count != "0")
    })
}

/// Returns the values of a label under which a counter has counted something.
pub(crate) fn counted(admin: SocketAddr, name: &str, label: &str) -> Vec<String> {
    let answer = Client::connect(admin).get("/metrics");
    let lines = answer.text().lines().filter(|line| line.starts_with(name) && !line.ends_with(" 0"));
    let value = |line: &str| Some(line.split_once(&format!("{label}=\""))?.1.split_once('"')?.0.to_owned());
    lines.filter_map(value).collect()
}

/// Fails unless each series, which a name and some of its labels pick out, soon shows its number.
#[track_caller]
pub(crate) fn assert_shown(admin: SocketAddr, expected: &[(&str, &[&str], usize)]) {
    let deadline = Instant::now() + SOON;
    loop {
        let answer = Client::connect(admin).get("/metrics");
        let shown = expected.iter().map(|(name, labels, _)| value(answer.text(), name, labels));
        let wrong = |(shown, (.., number)): &(&str, &(&str, &[&str], usize))| *shown != number.to_string();
        let wrong: Vec<_> = shown.zip(expected).filter(wrong).collect();
        if wrong.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "shown and expected values differ: {wrong:#?}");
        // The interval between two checks.
        thread::sleep(ms(20));
    }
}

/// Returns the value of the only series with this name and all these labels.
#[track_caller]
pub(crate) fn value<'a>(text: &'a str, name: &str, labels: &[&str]) -> &'a str {
    let series = |line: &&str| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with('{')) && labels.iter().all(|label| line.contains(label))
    };
    let found: Vec<&str> = text.lines().filter(series).collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
    found[0].rsplit(' ').next().unwrap()
}

/// Returns the response of `/readyz`.
pub(crate) fn readyz(admin: SocketAddr) -> Response {
    Client::connect(admin).get("/readyz")
}

/// Waits until `/readyz` returns this status.
#[track_caller]
pub(crate) fn assert_readiness(admin: SocketAddr, status: u16) {
    eventually(|| readyz(admin).status == status, || format!("{status}, but {:?}", readyz(admin)));
}

/// Returns the response of `/livez`.
pub(crate) fn livez(admin: SocketAddr) -> Response {
    Client::connect(admin).get("/livez")
}
