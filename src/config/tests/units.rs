//! Durations need a unit, sizes may do without.

use super::super::keys::{KEYS, Section};
use super::super::shipped::bare_with;
use super::*;
use crate::units::parse_duration;

#[test]
fn a_duration_without_its_unit_is_a_fault_that_proposes_one() {
    let durations = KEYS.iter().filter(|key| parse_duration(key.shown.value().trim_matches('"')).is_ok());
    let durations: Vec<_> = durations.collect();
    assert!(durations.len() >= 13, "{durations:?}");
    let told = |section: Section, line: &str| faults(&bare_with(section, line), &[]).concat();
    for key in durations {
        // A poll waits for its echoes for a second at most.
        let meant = if (key.section, key.name) == (Section::Defaults, "linger") { "30ms" } else { "30s" };
        for written in ["30", "'30'"] {
            let fault = told(key.section, &format!("{} = {written}", key.name));
            let end = format!(
                "{}: found {}, expected a duration such as \"25s\" or \"300ms\"; did you mean \"{meant}\"?",
                key.name,
                written.replace('\'', "\"")
            );
            assert!(fault.ends_with(&end), "{fault}");
        }
    }
    assert!(told(Section::Defaults, "ping_timeout = 1.5").ends_with("did you mean \"1.5s\"?"));
    assert!(told(Section::Defaults, "ping_timeout = 20_000").ends_with("did you mean \"20000ms\"?"));
    assert!(told(Section::Defaults, "ping_timeout = 99999999").ends_with("or \"300ms\""));
    let variable = faults(GOOD, &[("POLLIWOG_SERVER__DRAIN_TIMEOUT", "30")]).concat();
    let meant = "expected a duration such as \"25s\" or \"300ms\"; did you mean \"30s\"?";
    assert_eq!(variable, format!("POLLIWOG_SERVER__DRAIN_TIMEOUT: server.drain_timeout: found 30, {meant}"));
}

#[test]
fn zero_needs_no_unit_where_it_means_off() {
    for zero in ["0", "'0'", "'0s'"] {
        let text = format!(
            "{}mux = {{ resume_timeout = {zero} }}\n[defaults]\nlinger = {zero}\n[server]\ndrain_timeout = {zero}\n",
            GOOD.replace("kind = 'engine.io'", "kind = 'mux'")
        );
        let config = parse(&text, &[]).unwrap();
        let upstream = &config.upstreams["chat"];
        let read =
            [upstream.mux.resume_timeout, config.routes[0].session.linger, config.server.drain_timeout];
        assert_eq!(read, [Duration::ZERO; 3], "{zero}");
    }
    let config = parse(GOOD, &[("POLLIWOG_DEFAULTS__LINGER", "0")]).unwrap();
    assert_eq!(config.routes[0].session.linger, Duration::ZERO);
}

#[test]
fn a_size_without_a_unit_is_bytes() {
    let config =
        parse(&format!("{GOOD}[defaults]\noutbox_max = 100_000\nbatch_max = '5000'\n"), &[]).unwrap();
    let session = &config.routes[0].session;
    assert_eq!((session.outbox_max, session.batch_max), (100_000, 5_000));
}

#[test]
fn files_are_looked_at_at_a_pace_or_never() {
    let watch = |written: &str| parse(&format!("{GOOD}[server]\nwatch = {written}\n"), &[]);
    for (written, millis) in [("0", 0), ("'0s'", 0), ("'100ms'", 100), ("'1h'", 3_600_000)] {
        assert_eq!(watch(written).unwrap().server.watch, Duration::from_millis(millis));
    }
    for written in ["'1ms'", "'2h'"] {
        let faults = watch(written).unwrap_err().to_string();
        assert!(faults.ends_with("or \"300ms\" from 100ms to 1h, or 0"), "{faults}");
    }
}
