//! What is said about each fault, and that all are said at once.

mod auth;
mod cluster;
mod cors;
mod jwt;
mod limits;
mod listeners;
mod rows;
mod slips;
mod speech;
mod tls;
mod units;
mod upstreams;

use std::ffi::OsString;
use std::time::Duration;

use super::{Config, Faults};
use crate::tls::Trust;
use crate::upstream::{Host, Kind, Tls};

pub(super) const GOOD: &str = "[[routes]]\npath = '/socket.io/'\ndialect = 'engine.io'\nupstream = 'chat'\n\
                    [upstreams.chat]\nkind = 'engine.io'\nurl = 'ws://127.0.0.1:3000/socket.io/'\n";

pub(super) fn parse(text: &str, env: &[(&str, &str)]) -> Result<Config, Faults> {
    let env = env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::parse(text, "config.toml", env)
}

pub(super) fn faults(text: &str, env: &[(&str, &str)]) -> Vec<String> {
    let faults = parse(text, env).expect_err("no fault").to_string();
    faults.lines().map(str::to_owned).collect()
}

/// Returns the one fault of a good file with something added at its end, where line 8 begins.
fn fault(added: &str) -> String {
    let faults = faults(&format!("{GOOD}{added}"), &[]);
    assert_eq!(faults.len(), 1, "{faults:#?}");
    faults[0].clone()
}

#[test]
fn every_section_is_read() {
    let text = r#"
        [server]
        listen = ["0.0.0.0:80", "[::1]:8443"]
        tls = { certificate = "c.pem", key = "k.pem" }
        max_sessions = 5
        trusted_proxies = ["10.1.2.3/8", "::1"]
        [admin]
        listen = "127.0.0.1:0"
        [log]
        level = "debug"
        format = "json"
        [defaults]
        ping_interval = "30s"
        linger = "0s"
        allowed_origins = ["https://Example.org", "http://localhost:3000"]
        [[routes]]
        path = "/a/"
        host = "Chat.example.org"
        dialect = "engine.io"
        upstream = "one"
        ping_interval = "1.5s"
        allow_upgrades = false
        allowed_origins = []
        [[routes]]
        path = "/"
        dialect = "engine.io"
        upstream = "two-b"
        [upstreams.one]
        kind = "websocket"
        url = ["ws://a:1/x", "ws://[::1]/"]
        host = "upstream"
        max_message = "1kB"
        [upstreams.two-b]
        kind = "engine.io"
        url = "ws://b"
        required = true
    "#;
    let config = parse(text, &[]).unwrap();
    assert_eq!(config.server.listeners[0].listen.len(), 2);
    assert_eq!(config.server.listeners[0].tls.clone().unwrap().certificates[0].key.to_str(), Some("k.pem"));
    assert_eq!(config.server.trusted_proxies[0].to_string(), "10.0.0.0/8");
    assert_eq!((config.log.level, config.log.json), (tracing::Level::DEBUG, true));
    let [a, b] = &config.routes[..] else { panic!("{:?}", config.routes) };
    assert_eq!(a.host.as_deref(), Some("chat.example.org"));
    assert_eq!(a.session.ping_interval, Some(Duration::from_millis(1_500)));
    assert_eq!((a.session.linger, a.session.allow_upgrades), (Duration::ZERO, false));
    assert!(a.allowed_origins.is_empty());
    assert_eq!(b.session.ping_interval, Some(Duration::from_secs(30)));
    assert_eq!(b.allowed_origins, ["https://example.org", "http://localhost:3000"]);
    let one = &config.upstreams["one"];
    assert_eq!((one.kind, one.host, one.max_message), (Kind::WebSocket, Host::Upstream, 1_000));
    assert_eq!(one.urls[1].host(), Some("[::1]"));
    assert_eq!([one.required, config.upstreams["two-b"].required], [false, true]);
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_file() {
    let text = "[server]\nlistne = '127.0.0.1:80'\nmax_sessions = 0\n\n[[routes]]\n  path = 'chat'\n  dialect = 'enginio'\n\
                \n[upstreams.chat]\nkind = 'websocket'\n";
    assert_eq!(
        faults(text, &[]),
        [
            "config.toml:2:1: server.listne: unknown key; did you mean \"listen\"?",
            "config.toml:3:16: server.max_sessions: found 0, expected a number from 1 to 10000000",
            "config.toml:5:1: routes[0].upstream: missing, expected a line such as upstream = \"demo\"",
            "config.toml:6:10: routes[0].path: found \"chat\", expected a path that begins with \"/\", such as \
             \"/socket.io/\"; did you mean \"/chat\"?",
            "config.toml:7:13: routes[0].dialect: found \"enginio\", expected one of engine.io, sockjs, longpoll, websocket, mux, http; did you mean \"engine.io\"?",
            "config.toml:9:1: upstreams.chat.url: missing, expected a line such as url = \"ws://127.0.0.1:3000/socket.io/\"",
        ]
    );
}

#[test]
fn an_unknown_key_is_led_home() {
    assert_eq!(fault("[servers]\n"), "config.toml:8:2: servers: unknown key; did you mean \"server\"?");
    assert_eq!(
        fault("[server]\nping_interval = '1s'\n"),
        "config.toml:9:1: server.ping_interval: unknown key; it belongs in [defaults]"
    );
    let told = faults(&GOOD.replace("url =", "ulr ="), &[]);
    assert_eq!(told, ["config.toml:7:1: upstreams.chat.ulr: unknown key; did you mean \"url\"?"]);
    let listed = fault("[log]\ncolour = true\n");
    let known = "level, format, access, access_format, access_query, access_to, request_id, traceparent, sampled_one_in, otlp";
    assert_eq!(listed, format!("config.toml:9:1: log.colour: unknown key, expected one of {known}"));
}

#[test]
fn a_route_must_lead_to_an_upstream_that_is_there() {
    let told = |text: &str| faults(text, &[]).concat();
    let misspelt = told(&GOOD.replace("upstream = 'chat'", "upstream = 'chta'"));
    assert!(
        misspelt.ends_with("found \"chta\", expected the name of an upstream: chat; did you mean \"chat\"?")
    );
    let none = told(GOOD.split("[upstreams").next().unwrap());
    assert!(none.ends_with("expected the name of an upstream, and there is no [upstreams.NAME]"), "{none}");
}

#[test]
fn nothing_at_all_lacks_a_route() {
    assert_eq!(
        faults("", &[]),
        ["config.toml:1:1: routes: missing, expected at least one route, [[routes]]"]
    );
    assert_eq!(
        faults("[routes]\npath = '/'\n", &[]),
        [
            "config.toml:1:1: routes: found a table, expected a list of tables, each under [[routes]] with two brackets"
        ]
    );
}

#[test]
fn two_routes_for_the_same_requests_are_refused() {
    let route = |host: &str| {
        format!("[[routes]]\npath = '/socket.io/'\ndialect = 'engine.io'\nupstream = 'chat'\n{host}")
    };
    let told = fault(&route(""));
    assert_eq!(
        told,
        "config.toml:9:8: routes[1].path: found \"/socket.io/\", expected a path and host of its own, routes[0] has the \
         same"
    );
    assert!(parse(&format!("{GOOD}{}", route("host = 'a'\n")), &[]).is_ok());
    let twice = format!("{}{}", route("host = 'a.b'\n"), route("host = 'A.B'\n"));
    assert!(fault(&twice).contains("routes[1] has the same"));
}

#[test]
fn listeners_must_be_possible() {
    assert!(fault("[server]\nlisten = []\n").contains("found no address, expected at least one"));
    let bare_port = fault("[server]\nlisten = ':80'\n");
    assert!(bare_port.ends_with("did you mean \"0.0.0.0:80\"?"), "{bare_port}");
    assert!(fault("[server]\nlisten = 8080\n").ends_with("did you mean \"0.0.0.0:8080\"?"));
    assert!(fault("[server]\nlisten = 'localhost:80'\n").ends_with("did you mean \"127.0.0.1:80\"?"));
    let second = fault("[server]\nlisten = ['127.0.0.1:80', 'x']\n");
    assert!(second.starts_with("config.toml:9:27: server.listen[1]: found \"x\""), "{second}");
    assert!(fault("[server]\nlisten = ['[::]:80', '[::1]:80']\n").contains("server.listen[1]"));
    assert!(fault("[server]\nlisten = '0.0.0.0:9090'\n").contains("admin.listen: found \"127.0.0.1:9090\""));
    assert!(parse(&format!("{GOOD}[server]\nlisten = ['127.0.0.1:0', '127.0.0.1:0']\n"), &[]).is_ok());
    assert!(fault("[server]\ntls = { certificate = 'c' }\n").contains("server.tls.key: missing"));
    assert!(fault("[server]\ntls = 'c'\n").contains("found \"c\", expected a table, [server.tls]"));
}

#[test]
fn numbers_out_of_bounds_are_told_their_bounds() {
    let told = |line: &str| fault(&format!("[defaults]\n{line}\n"));
    for line in ["ping_interval = 0", "ping_interval = '2h'", "ping_interval = '99999999999999999h'"] {
        assert!(
            told(line).ends_with("expected a duration such as \"25s\" or \"300ms\" from 1ms to 1h"),
            "{line}"
        );
    }
    assert!(told("ping_timeout = -1").ends_with("expected a duration such as \"25s\" or \"300ms\""));
    assert!(told("max_payload = '2GB'").ends_with("from 6B to 1GB"));
    assert!(told("outbox_max = '1 potato'").ends_with("expected a size such as \"1MB\" or \"64KiB\""));
    assert!(told("allow_upgrades = 'yes'").ends_with("found \"yes\", expected true or false"));
    assert!(told("linger = '2s'").ends_with("from 0s to 1s"));
}

#[test]
fn origins_and_hosts_must_be_ones_that_a_browser_sends() {
    let told = |line: &str| fault(&format!("[defaults]\nallowed_origins = {line}\n"));
    assert!(told("['*']").ends_with("an empty list allows all"));
    assert!(told("'https://example.org/'").ends_with("did you mean \"https://example.org\"?"));
    for origin in ["example.org", "https://", "https://a/b", "https://a:b", "://a"] {
        assert!(told(&format!("'{origin}'")).contains("expected an origin"), "{origin}");
    }
    for origin in ["null", "file://", "FILE://", "https://a:1", "capacitor://localhost"] {
        let text = format!("{GOOD}[defaults]\nallowed_origins = '{origin}'\n");
        assert!(Config::parse(&text, "config.toml", std::iter::empty()).is_ok(), "{origin}");
    }
}

#[test]
fn a_url_must_lead_somewhere() {
    let told = |url: &str| faults(&GOOD.replace("'ws://127.0.0.1:3000/socket.io/'", url), &[]).concat();
    for url in [
        "'127.0.0.1:3000'",
        "'ws://'",
        "'ws://h:99999/'",
        "'ws://h:0/'",
        "'/x'",
        "'ws://h/#x'",
        "5",
        "'ws://h/ x'",
    ] {
        assert!(told(url).contains("expected a URL such as"), "{url}: {}", told(url));
    }
    assert!(told("'http://h/x'").ends_with("did you mean \"ws://h/x\"?"));
    assert!(told("'https://h/x'").ends_with("did you mean \"wss://h/x\"?"));
    assert!(told("'ftp://h/x'").ends_with("expected a URL that begins with \"ws://\" or \"wss://\""));
    assert!(told("'wss://a..example/'").contains("expected a URL such as"), "no certificate can name it");
    assert!(told("[]").contains("found an empty list, expected at least one URL"));
    let secret = told("'ws://me:hunter2@h/'");
    assert!(secret.contains("a URL with a user name") && !secret.contains("hunter2"), "{secret}");
    assert_eq!(faults(&GOOD.replace("'ws://127.0.0.1:3000/socket.io/'", "['x', 'ws://h']"), &[]).len(), 1);
}

#[test]
fn versions_that_let_nobody_in_are_told() {
    let told = |route: &str, upstream: &str| {
        let text = GOOD.replace("dialect", &format!("{route}\ndialect"));
        parse(&format!("{text}{upstream}"), &[]).err().map(|faults| faults.to_string())
    };
    assert!(told("versions = [3]", "").is_some_and(|fault| fault.contains("none that \"chat\" speaks")));
    assert!(told("", "versions = [3]").is_none());
    assert!(told("versions = [4]", "versions = [3]").is_some());
    assert!(told("versions = [3]", "protocol = 'socket.io'").is_none());
    for line in ["versions = [3]", "protocol = 'socket.io'", "translate = false"] {
        let plain = GOOD.replace("kind = 'engine.io'", &format!("kind = 'websocket'\n{line}"));
        assert!(
            faults(&plain, &[])
                .concat()
                .contains("means nothing with kind \"websocket\", which does not speak Engine.IO; remove it"),
            "{line}"
        );
    }
}

/// Returns the upstream of a good file, with TLS settings.
fn tls(url: &str, tls: &str) -> String {
    GOOD.replace("ws://127.0.0.1:3000/socket.io/", url) + "tls = " + tls + "\n"
}

#[test]
fn an_upstream_is_told_whom_to_trust() {
    let read = |table: &str| parse(&tls("wss://h", table), &[]).unwrap().upstreams["chat"].tls.clone();
    assert_eq!(read("{}"), Tls::default());
    assert_eq!(read("{ ca = 'ca.pem' }").trust, Trust::File("ca.pem".into()));
    assert_eq!(read("{ roots = 'system' }").trust, Trust::System);
    let both = read("{ roots = 'webpki', server_name = 'chat.example.org' }");
    assert_eq!((both.trust, both.server_name), (Trust::WebPki, "chat.example.org".try_into().ok()));
    assert_eq!(read("{ server_name = '10.0.0.1' }").server_name, "10.0.0.1".try_into().ok());
    let env = [("POLLIWOG_UPSTREAMS__CHAT__TLS__CA", "other.pem")];
    let config = parse(&tls("wss://h", "{ ca = 'ca.pem' }"), &env).unwrap();
    assert_eq!(config.upstreams["chat"].tls.trust, Trust::File("other.pem".into()));
}

#[test]
fn tls_settings_that_cannot_hold_are_faults() {
    let told = |url: &str, table: &str| {
        let faults = faults(&tls(url, table), &[]);
        assert_eq!(faults.len(), 1, "{faults:#?}");
        faults[0].clone()
    };
    let beside = "means nothing with the URL \"ws://h/\", only with \"wss://\" or \"https://\"; remove it";
    assert_eq!(told("ws://h", "{}"), format!("config.toml:8:7: upstreams.chat.tls: {beside}"));
    let one_of_two = GOOD.replace("'ws://127.0.0.1:3000/socket.io/'", "['wss://a', 'ws://h']") + "tls = {}\n";
    assert!(faults(&one_of_two, &[]).concat().ends_with(beside));
    assert_eq!(
        told("wss://h", "{ ca = 'ca.pem', roots = 'system' }"),
        "config.toml:8:32: upstreams.chat.tls.roots: means nothing beside ca, which alone is trusted; remove it"
    );
    assert!(told("wss://h", "{ roots = 'mozilla' }").ends_with("expected one of system, webpki"));
    assert!(told("wss://h", "{ server_name = 'h:443' }").contains("without a port"));
    assert!(told("wss://h", "{ ca = '' }").ends_with("expected a file name"));
    assert!(told("wss://h", "{ cert = 'x' }").contains("expected one of ca, roots, server_name"));
    assert!(told("wss://h", "'ca.pem'").ends_with("expected a table, [upstreams.NAME.tls]"));
    let misplaced = told("wss://h", "{}\nserver_name = 'x'");
    assert!(misplaced.ends_with("it belongs in [upstreams.NAME.tls]"), "{misplaced}");
    let demo = "[[routes]]\npath = '/'\ndialect = 'engine.io'\nupstream = 'd'\n[upstreams.d]\nkind = 'demo'\ntls = {}\n";
    assert_eq!(faults(demo, &[]).len(), 1);
}

#[test]
fn an_upstream_of_kind_http_has_urls_and_requests_of_its_own() {
    let plain = GOOD
        .replace("kind = 'engine.io'", "kind = 'http'")
        .replace("ws://127.0.0.1:3000/socket.io/", "http://h/v1/")
        .replace("dialect = 'engine.io'", "dialect = 'http'");
    let config = parse(&format!("{plain}response_timeout = '5s'\n"), &[]).unwrap();
    assert_eq!(config.routes[0].dialect, "http");
    let chat = &config.upstreams["chat"];
    assert_eq!((chat.kind, chat.response_timeout), (Kind::Http, Duration::from_secs(5)));
    let told = |text: &str| faults(text, &[]).concat();
    assert_eq!(
        told(&plain.replace("dialect = 'http'", "dialect = 'engine.io'")),
        "config.toml:4:12: routes[0].upstream: found \"chat\", whose kind is http, expected an upstream with \
         sessions behind this dialect, or dialect http"
    );
    assert!(told(&plain.replace("http://h", "ws://h")).ends_with("did you mean \"http://h/v1/\"?"));
    assert!(told(&plain.replace("'http://h/v1/'", "[]")).contains("at least one URL"));
    // A backend with sessions may be asked for anything else as well.
    parse(&GOOD.replace("dialect = 'engine.io'", "dialect = 'http'"), &[]).unwrap();
}

#[test]
fn a_demo_has_no_url() {
    let told = faults(&GOOD.replace("kind = 'engine.io'", "kind = 'demo'"), &[]).concat();
    let expected =
        if cfg!(feature = "demo") { "kind \"demo\", which runs inside" } else { "without the feature demo" };
    assert!(told.contains(expected), "{told}");
}

#[test]
#[cfg(feature = "demo")]
fn a_demo_speaks_websocket_where_that_is_said() {
    let feed = "[[routes]]\npath = '/'\ndialect = 'websocket'\nupstream = 'feed'\n\
                [upstreams.feed]\nkind = 'demo'\nprotocol = 'websocket'\n";
    let config = parse(feed, &[]).unwrap();
    assert_eq!(config.upstreams["feed"].kind, Kind::Demo(crate::upstream::Embedding::WebSocket));
    let told = fault("protocol = 'websocket'\n");
    assert!(told.contains("your own WebSocket server is of kind \"websocket\""), "{told}");
}

#[test]
fn a_syntax_fault_has_its_line_and_hides_nothing_else() {
    let told =
        faults(&format!("{GOOD}[server]\nmax_sessions = 0\nidle_timeout = 75s\n[log]\nlevl = 'info'\n"), &[]);
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told[0].starts_with("config.toml:9:16: server.max_sessions"));
    assert!(told[1].starts_with("config.toml:10:"));
    assert!(told[2].starts_with("config.toml:12:1: log.levl"));
}

#[test]
fn what_only_follows_from_a_syntax_fault_is_not_told() {
    let told = faults(&GOOD.replace("[upstreams.chat]", "[upstreams.chat"), &[]);
    assert!(told.iter().all(|line| line.starts_with("config.toml:5:")), "{told:#?}");
    let told = faults(&format!("[server]\nmax_sessions = 0\nlisten = ['127.0.0.1:1'\n{GOOD}"), &[]);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[0].starts_with("config.toml:2:16: server.max_sessions"), "{told:#?}");
    assert!(told[1].starts_with("config.toml:4:1: missing comma"), "{told:#?}");
    let told = faults(&GOOD.replace("upstream = 'chat'", "upstream = chat"), &[]);
    assert!(told.iter().all(|line| line.starts_with("config.toml:4:")), "{told:#?}");
}

#[test]
fn nonsense_is_told_and_never_panics() {
    for text in [
        "\u{0}",
        "[",
        "]]",
        "=",
        "\"",
        "[[[",
        "a.b.c",
        "\u{feff}\u{feff}",
        "[upstreams.\"\"]\n",
        "é = é",
        "routes = 5\n",
        "upstreams = []\n",
        "server = [[]]\n",
        "[[upstreams]]\n",
        "routes = [1, 'x', []]\n",
        "'''",
        "[a]\n[a]\n",
    ] {
        assert!(!faults(text, &[]).is_empty(), "{text:?}");
    }
    assert!(parse(&format!("\u{feff}{}", GOOD.replace('\n', "\r\n")), &[]).is_ok());
    let deep = format!("a = {}", "[".repeat(100_000));
    assert!(parse(&deep, &[]).is_err());
}
