//! Slips that operators make, each of which is shown what was meant.

use super::*;

#[test]
fn a_host_with_more_around_it_is_proposed_without() {
    let host = |host: &str| faults(&GOOD.replace("path", &format!("host = '{host}'\npath")), &[]).concat();
    for found in [
        "chat.example.org:80",
        "https://chat.example.org",
        "HTTPS://Chat.example.org/",
        "https://chat.example.org:8443/socket.io/?x=1",
        "wss://chat.example.org",
        "chat.example.org/",
    ] {
        assert!(host(found).ends_with("; did you mean \"chat.example.org\"?"), "{}", host(found));
    }
    for found in ["https://[::1]:80/", "[::1]:80"] {
        assert!(host(found).ends_with("; did you mean \"[::1]\"?"), "{}", host(found));
    }
    for found in ["*.example.org", "https://", "https:///x", ":80"] {
        assert!(host(found).ends_with("such as \"chat.example.org\""), "{}", host(found));
    }
}

#[test]
fn the_name_in_a_certificate_is_proposed_without_what_is_around_it() {
    let name = |name: &str| {
        let url = GOOD.replace("ws://", "wss://");
        faults(&format!("{url}tls = {{ server_name = '{name}' }}\n"), &[]).concat()
    };
    for found in ["https://h.example", "wss://h.example:443/x", "h.example:443"] {
        assert!(name(found).ends_with("; did you mean \"h.example\"?"), "{}", name(found));
    }
    assert!(name("https://[::1]:80").ends_with("; did you mean \"::1\"?"), "{}", name("https://[::1]:80"));
    assert!(name("a b").ends_with("without a port"));
}

#[test]
fn socket_io_is_led_to_engine_io() {
    for word in ["socketio", "socket.io", "Socket.IO", "socket-io"] {
        let dialect = faults(&GOOD.replace("dialect = 'engine.io'", &format!("dialect = '{word}'")), &[]);
        assert_eq!(dialect.len(), 1, "{dialect:?}");
        assert!(dialect[0].ends_with("mux, http; did you mean \"engine.io\"?"), "{dialect:?}");
        let kind = faults(&GOOD.replace("kind = 'engine.io'", &format!("kind = '{word}'")), &[]);
        assert_eq!(kind.len(), 1, "{kind:?}");
        assert!(
            kind[0].ends_with("; did you mean \"engine.io\", with protocol = \"socket.io\"?"),
            "{kind:?}"
        );
    }
}

#[test]
fn a_duplicate_is_told_once_and_by_its_name() {
    let key = fault("[server]\nmax_sessions = 1\nmax_sessions = 2\n");
    assert_eq!(key, "config.toml:10:1: duplicate key \"max_sessions\"");
    let quoted = fault("[server]\n'max_sessions' = 1\n\"max_sessions\" = 2\n");
    assert_eq!(quoted, "config.toml:10:1: duplicate key \"max_sessions\"");
    let inline = fault("tls = { ca = 'x', ca = 'y' }\n");
    assert_eq!(inline, "config.toml:8:19: duplicate key \"ca\"");
    // What both tables have is not told again, and what is wrong behind them is.
    let text =
        "[server]\nmax_sessions = 1\n[server]\nmax_sessions = 2\nlisten = 'x'\n[log]\nlevel = 'loud'\n";
    let told = faults(&format!("{GOOD}{text}"), &[]);
    assert_eq!(told.len(), 3, "{told:#?}");
    assert_eq!(told[0], "config.toml:10:2: duplicate table [server]");
    assert!(told[1].starts_with("config.toml:12:10: server.listen: found \"x\""), "{told:#?}");
    assert!(told[2].starts_with("config.toml:14:9: log.level: found \"loud\""), "{told:#?}");
    let upstream = fault("[upstreams.chat]\nkind = 'mux'\nurl = 'ws://other/'\n");
    assert_eq!(upstream, "config.toml:8:12: duplicate table [upstreams.chat]");
}
