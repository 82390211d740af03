//! `[limits]`, and the networks that may come in.

use super::*;
use crate::budget::MemoryMax;
use crate::config::keys::{KEYS, Section};
use crate::limits::Settings;

fn limits(text: &str) -> Settings {
    parse(&format!("{text}{GOOD}"), &[]).unwrap_or_else(|faults| panic!("{text}: {faults}")).limits.clients
}

#[track_caller]
fn assert_fault(text: &str, said: &str) {
    let faults = parse(text, &[]).unwrap_err().to_string();
    assert!(faults.contains(said), "{said} is not in {faults}");
}

#[test]
fn a_client_has_a_quarter_of_what_all_have_unless_it_is_written() {
    let unset = limits("");
    assert_eq!(
        (unset.max_connections, unset.client_connections, unset.client_sessions),
        (40_000, 10_000, 2_500)
    );
    let fewer = limits("[server]\nmax_sessions = 6\n");
    assert_eq!((fewer.max_connections, fewer.client_connections, fewer.client_sessions), (1000, 250, 2));
    let written = limits("[limits]\nmax_connections = 9\nclient_sessions = 0\nhandshakes_per_second = 0\n");
    assert_eq!((written.max_connections, written.client_connections), (9, 3));
    assert_eq!((written.client_sessions, written.handshakes_per_second), (Settings::NONE, Settings::NONE));
    assert_eq!(limits("[limits]\nhandshakes_per_second = 30\n").client_handshakes_per_second, 2);
    let tunnels = limits("[limits]\nmax_tunnels = 10\n");
    assert_eq!((tunnels.client_tunnels, tunnels.client_requests, unset.client_tunnels), (3, 1000, 2_500));
    let endless = limits("[limits]\nmax_connections = 0\n");
    assert_eq!((endless.max_connections, endless.client_connections), (Settings::NONE, 10_000));
}

#[test]
fn a_limit_that_is_never_reached_is_a_fault() {
    for (lines, said) in [
        (
            "max_connections = 9\nclient_connections = 10",
            "limits.client_connections: means nothing above max_connections, which is 9",
        ),
        (
            "client_sessions = 10001",
            "limits.client_sessions: means nothing above server.max_sessions, which is 10000",
        ),
        (
            "client_handshakes_per_second = 1001",
            "limits.client_handshakes_per_second: means nothing above handshakes_per_second",
        ),
        (
            "count_private = true\nclient_connections = 0\nclient_sessions = 0\nclient_handshakes_per_second = 0\nclient_tunnels = 0\nclient_requests = 0",
            "limits.count_private: means nothing where no client is limited",
        ),
        ("client_sessions = -1", "limits.client_sessions: found -1, expected a number from 0 to"),
        ("client_session = 1", "limits.client_session: "),
    ] {
        assert_fault(&format!("[limits]\n{lines}\n{GOOD}"), said);
    }
}

#[test]
fn zero_is_no_limit_or_is_refused() {
    let refusing = ["tls_timeout", "header_timeout", "header_max", "header_lines", "target_max"];
    let mut lines = String::from("[limits]\n");
    let keys = KEYS.iter().filter(|key| key.section == Section::Limits && key.name != "count_private");
    for key in keys.map(|key| key.name) {
        if refusing.contains(&key) {
            assert_fault(
                &format!("[limits]\n{key} = 0\n{GOOD}"),
                &format!("limits.{key}: found 0, expected "),
            );
        } else {
            lines.push_str(key);
            lines.push_str(" = 0\n");
        }
    }
    let config = parse(&format!("{lines}{GOOD}"), &[]).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config.limits.clients, Settings::default());
    assert_eq!(config.limits.memory_max, MemoryMax::Unlimited);
    assert_eq!(config.server.limits.connection_requests, u32::MAX);
    let lifetime = config.server.limits.connection_lifetime;
    assert!(lifetime > Duration::from_hours(365 * 24), "{lifetime:?}");
    assert!(tokio::time::Instant::now().checked_add(lifetime).is_some(), "what is added to an instant");
}

#[test]
fn networks_that_decide_nothing_are_faults() {
    let route = |lines: &str| GOOD.replace("[upstreams", &format!("{lines}\n[upstreams"));
    for (text, said) in [
        (
            route("allow = '10.0.0.0/33'"),
            "routes[0].allow: found \"10.0.0.0/33\", expected a network such as",
        ),
        (
            route("allow = ['10.1.0.0/16', '10.0.0.1']\ndeny = '10.1.0.0/8'"),
            "routes[0].allow: found \"10.1.0.0/16\", expected networks that deny does not contain",
        ),
        (
            route("allow = '10.0.0.0/8'\ndeny = ['10.1.0.0/16', '::1']"),
            "routes[0].deny: found \"::1/128\", expected networks within those of allow",
        ),
        (
            format!("[server]\nlisten = 'unix:/a'\nallow = '::1'\n{GOOD}"),
            "server.allow: means nothing without an address of IP in listen",
        ),
        (
            format!("[server]\ndeny = '::1'\n[[listeners]]\nname = 'a'\nlisten = '127.0.0.1:1'\n{GOOD}"),
            "server.deny: means nothing without listen beside [[listeners]]",
        ),
    ] {
        assert_fault(&text, said);
    }
    let config = parse(&format!("[defaults]\ndeny = '192.0.2.1'\n{}", route("allow = '10.1.2.3/8'")), &[]);
    assert!(config.is_ok(), "what the defaults deny may be denied already");
    let config = parse(&route("allow = '10.1.2.3/8'\ndeny = '10.1.0.0/16'"), &[]).unwrap();
    assert_eq!(config.routes[0].networks.allow, ["10.0.0.0/8".parse().unwrap()]);
}
