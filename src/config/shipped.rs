//! Holds three things together: the shipped file, the table of keys and the defaults in the code.

use super::Config;
use super::keys::{KEYS, Key, Section, Shown, Type};
use super::load::SHIPPED;
use crate::dialect::table::DIALECTS;
use crate::tls::Trust;

/// A line of the shipped file that shows a key.
#[derive(Debug)]
struct Line {
    section: String,
    name: String,
    value: String,
    doc: String,
}

/// Returns the shipped file with one route and one upstream, those that show every key.
fn with_one_of_each() -> String {
    let (first, rest) = SHIPPED.split_once(SECOND_ROUTE).unwrap();
    let upstreams = &rest[rest.find(FIRST_UPSTREAM).unwrap()..];
    first.to_owned() + &upstreams[..upstreams.find(SECOND_UPSTREAM).unwrap()]
}

/// Returns every key that the file shows, active or commented. What a second route or upstream says again is left out.
fn shown() -> Vec<Line> {
    let mut section = String::new();
    let mut lines = Vec::new();
    for line in with_one_of_each().lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        if bare.starts_with('[') {
            section = bare.trim_matches(['[', ']']).replace("demo", "NAME");
        } else if let Some((name, rest)) = bare.split_once(" = ").filter(|(name, _)| !name.contains(' ')) {
            let (value, doc) = rest.split_once(" # ").unwrap_or((rest, ""));
            let [value, doc, name] = [value, doc, name].map(|text| text.trim().to_owned());
            lines.push(Line { section: section.clone(), name, value, doc });
        }
    }
    lines
}

/// Where the second route begins.
const SECOND_ROUTE: &str = "[[routes]]\npath = \"/\"\n";
const FIRST_UPSTREAM: &str = "[upstreams.demo]\n";
const SECOND_UPSTREAM: &str = "[upstreams.feed]\n";

fn parse(text: &str) -> Config {
    Config::parse(text, "config.toml", std::iter::empty()).unwrap_or_else(|faults| panic!("{faults}"))
}

/// Returns whether the shipped file shows the section's keys inside the value of one key.
fn is_inline(section: Section) -> bool {
    matches!(
        section,
        Section::Tls
            | Section::Certificates
            | Section::Acme
            | Section::ClusterTls
            | Section::Cors
            | Section::UpstreamCheck
            | Section::UpstreamTls
            | Section::UpstreamMux
            | Section::RouteJwt
            | Section::RouteAuth
            | Section::RouteMux
    )
}

/// The least that can be run.
const BARE: &str = "[[routes]]\npath = '/'\ndialect = 'engine.io'\nupstream = 'u'\n\
                    [upstreams.u]\nkind = 'websocket'\nurl = 'ws://h/'\n";

/// The required keys of a cluster.
const NODES: &str =
    "listen = '127.0.0.1:7400'\npeers = { a = '127.0.0.1:7400' }\ntoken = '0123456789abcdef'\n";

/// Returns the same with an upstream of the kind that has the most keys.
fn muxed() -> String {
    BARE.replace("'websocket'", "'mux'\nmax_sessions = 1000")
}

/// `BARE` with a line added to a section.
pub(super) fn bare_with(section: Section, line: &str) -> String {
    match section {
        Section::Route => BARE.replace("[[routes]]\n", &format!("[[routes]]\n{line}\n")),
        // For connections that no clients share.
        Section::Upstream
            if ["proxy_protocol ", "permessage_deflate "].iter().any(|key| line.starts_with(key)) =>
        {
            format!("{BARE}{line}\n")
        }
        // For a server of this process.
        Section::Upstream if line.starts_with("controls ") => {
            format!("{}{line}\n", BARE.replace("'websocket'\nurl = 'ws://h/'", "'demo'"))
        }
        Section::Upstream => muxed().replace("[upstreams.u]\n", &format!("[upstreams.u]\n{line}\n")),
        Section::UpstreamCheck => format!("{BARE}[upstreams.u.check]\npath = '/'\n{line}\n"),
        Section::UpstreamMux => format!("{}[upstreams.u.mux]\n{line}\n", muxed()),
        Section::RouteJwt => format!("{BARE}[routes.jwt]\njwks = 'https://a/'\n{line}\n"),
        // The upstream's own URL is written in another way, so that only this one is replaced.
        Section::RouteAuth => {
            format!("{}[routes.auth]\nurl = 'https://a/'\n{line}\n", BARE.replace("url = ", "url="))
        }
        Section::RouteMux => format!("{}[routes.mux]\n{line}\n", BARE.replace("'engine.io'", "'mux'")),
        Section::Cluster if ["directory_name ", "directory_ttl "].iter().any(|key| line.starts_with(key)) => {
            format!("{BARE}{}\n{line}\ndirectory = 'rediss://a'\n{NODES}", section.header())
        }
        Section::Cluster => format!("{BARE}{}\n{line}\n{NODES}", section.header()),
        Section::ClusterTls => format!("{BARE}[cluster]\n{NODES}{}\n{line}\n", section.header()),
        // Its one required key, as with the next.
        Section::Succession => format!("{BARE}{}\ndirectory = 'a'\n{line}\n", section.header()),
        Section::Listener => {
            format!("{BARE}{}\nname = 'a'\nlisten = '127.0.0.1:1'\n{line}\n", section.header())
        }
        Section::Tls => {
            format!("{BARE}{}\nclient_ca = 'a'\ncertificate = 'a'\nkey = 'a'\n{line}\n", section.header())
        }
        Section::Acme => format!("{BARE}{}\ndomains = 'a.test'\n{line}\n", section.header()),
        Section::Cors => format!("{BARE}{}\norigins = 'https://a'\n{line}\n", section.header()),
        Section::Root
        | Section::Server
        | Section::Certificates
        | Section::UpstreamTls
        | Section::Limits
        | Section::Admin
        | Section::Log
        | Section::Defaults => {
            format!("{BARE}{}\n{line}\n", section.header())
        }
    }
}

/// `BARE` with a value for a key, in place of its own if it has one.
pub(super) fn bare_with_key(key: &Key, value: &str) -> String {
    let line = format!("{} = {value}", key.name);
    let is_others = |other: &&str| *other != line && other.starts_with(&format!("{} = ", key.name));
    let text = bare_with(key.section, &line);
    text.lines().filter(|other| !is_others(other)).fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_shipped_file_shows_every_key_with_its_default_and_what_it_is_for() {
    let told: Vec<&Key> = KEYS.iter().filter(|key| !is_inline(key.section)).collect();
    let lines = shown();
    for (line, key) in lines.iter().zip(&told) {
        let header = key.section.header().trim_matches(['[', ']']);
        assert_eq!((line.section.as_str(), line.name.as_str()), (header, key.name));
        assert_eq!((line.value.as_str(), line.doc.as_str()), (key.shown.value(), key.doc), "{}", key.name);
        assert!(!key.doc.is_empty() && !key.doc.contains('\n'));
    }
    assert_eq!(lines.len(), told.len(), "a key is shown twice, or not at all");
    assert!(SHIPPED.lines().all(|line| line.len() <= 100), "a line is too long to read");
}

#[test]
fn the_shipped_file_says_what_the_tables_inside_tables_may_hold() {
    let is_shown = |key: &&Key| key.section != Section::Tls || !["certificate", "key"].contains(&key.name);
    let told =
        |key: &&Key| is_inline(key.section) && !matches!(key.section, Section::Cors | Section::Certificates);
    for key in KEYS.iter().filter(told).filter(is_shown) {
        let line = format!("\n#   {}: {}\n", key.name, key.doc);
        assert!(SHIPPED.contains(&line), "{line}");
    }
}

#[test]
fn a_default_in_the_file_is_the_default_in_the_code() {
    for key in KEYS.iter() {
        if let Shown::Default(value) = key.shown {
            let line = format!("{} = {value}\n", key.name);
            let written = bare_with(key.section, &line);
            assert_eq!(parse(&written), parse(&written.replace(&line, "")), "{}", key.name);
        }
    }
}

#[test]
fn the_shipped_file_shows_a_cors_list_that_is_valid_and_whole() {
    let (_, rest) = SHIPPED.split_once("or your own table:\n").unwrap();
    let lines: Vec<&str> = rest.lines().take_while(|line| line.starts_with("# ")).collect();
    let shown = lines.iter().map(|line| line.trim_start_matches('#').trim()).collect::<Vec<_>>().join(" ");
    for key in KEYS.iter().filter(|key| key.section == Section::Cors) {
        assert!(shown.contains(&format!("{} = {}", key.name, key.shown.value())), "{}", key.name);
    }
    let config = parse(&bare_with(Section::Route, &format!("cors = {shown}")));
    assert!(matches!(config.routes[0].cors, crate::service::Cors::Own(_)));
}

#[test]
fn every_key_of_the_table_is_read() {
    for key in KEYS.iter().filter(|key| !is_inline(key.section)) {
        let text = bare_with_key(key, "[[]]");
        let faults = Config::parse(&text, "config.toml", std::iter::empty()).expect_err(key.name);
        let shown = faults.to_string();
        assert!(
            shown.contains(&format!(".{}", key.name)) && shown.contains("found a "),
            "{}: {shown}",
            key.name
        );
        // What it takes is what the reader says it takes.
        let expected = match key.takes {
            Type::Duration => crate::units::DURATION,
            Type::Size => crate::units::SIZE,
            Type::Count => "a number from ",
            Type::Flag => "true or false",
            Type::Word => "one of ",
            Type::Numbers => "3 or 4",
            Type::Table => "a table",
            Type::Tables => "a list of tables",
            Type::WordOrTable => "or a table",
            Type::TextOrTable => "such as \"dns:",
            Type::Text | Type::Texts | Type::File => "",
        };
        assert!(shown.contains(expected), "{} takes a {}: {shown}", key.name, key.takes.shown());
    }
}

#[test]
fn a_route_may_hold_every_key_of_the_defaults() {
    for key in KEYS.iter().filter(|key| key.section == Section::Defaults) {
        let changed = match key.shown.value() {
            "true" => "false",
            "10_000" | "4_000" | "100" | "240" => "7",
            "[]" if ["allow", "deny"].contains(&key.name) => "['10.0.0.0/8']",
            "[]" => "['https://example.org']",
            "\"mirror\"" => "'off'",
            "\"plain\"" => "'1.x'",
            "\"auto\"" => "'on'",
            "[3, 4]" => "[4]",
            "\"none\"" => "'address'",
            "\"text\"" => "'base64'",
            "\"status\"" => "'close'",
            "false" => "true",
            "\"\"" => "'x'",
            "\"128KiB\"" | "\"0kB\"" => "4_000",
            table if table.starts_with('{') => table,
            text if text.ends_with("MB\"") => "4_000",
            _ => "'7ms'",
        };
        let line = format!("{} = {changed}", key.name);
        // A key of one dialect's own stands beside that alone.
        let owner = DIALECTS.iter().find(|kind| kind.keys.iter().any(|own| own.name == key.name));
        let is_others = key.dialects().is_some_and(|all| !all.contains(&"engine.io"));
        let other = if is_others { "http" } else { "engine.io" };
        let parse = |text: &str| {
            parse(&text.replace(
                "dialect = 'engine.io'",
                &format!("dialect = '{}'", owner.map_or(other, |kind| kind.name)),
            ))
        };
        let (route, defaults) = (bare_with(Section::Route, &line), bare_with(Section::Defaults, &line));
        assert_eq!(parse(&route), parse(&defaults), "{}", key.name);
        assert_ne!(parse(&route), parse(BARE), "{}", key.name);
    }
}

#[cfg(feature = "demo")]
#[test]
fn the_shipped_file_is_valid_as_it_is() {
    let config = parse(SHIPPED);
    let bare = parse(BARE);
    assert_eq!((&config.server, &config.admin, &config.log), (&bare.server, &bare.admin, &bare.log));
    assert_eq!(config.routes[0].session, bare.routes[0].session);
    assert_eq!(config.routes[0].path, "/socket.io/");
    let others = config.routes[1..].iter().map(|route| (route.path.as_str(), route.dialect));
    assert_eq!(others.collect::<Vec<_>>(), [("/", "http"), ("/sockjs/", "sockjs"), ("/feed/", "longpoll")]);
    assert_eq!(
        config.upstreams["demo"].kind,
        crate::upstream::Kind::Demo(crate::upstream::Embedding::SocketIo)
    );
    assert_eq!(
        config.upstreams["feed"].kind,
        crate::upstream::Kind::Demo(crate::upstream::Embedding::WebSocket)
    );
}

#[test]
fn every_commented_key_is_valid_when_it_is_switched_on() {
    let is_key = |line: &&str| line.split_once(" = ").is_some_and(|(name, _)| !name.contains(' '));
    let is_header = |line: &&str| line.starts_with('[');
    let on = |line: &str| {
        line.strip_prefix("# ").filter(|line| is_key(line) || is_header(line)).map(str::to_owned)
    };
    // A demo has no URL, so the upstream is made a real one, of the kind that has all keys; and only a secure URL has TLS.
    let shipped = with_one_of_each();
    let body = shipped.split_once("[server]").unwrap().1.replace("kind = \"demo\"", "kind = \"mux\"");
    let body = body.replace("dialect = \"engine.io\"", "dialect = \"mux\"");
    let body = body.replace("\"ws://", "\"wss://");
    let text: Vec<String> = body
        .lines()
        .filter(|line| !line.starts_with("# The Socket.IO server") && !line.starts_with("controls = "))
        // Of all keys, these mean nothing where clients share connections.
        .filter(|line| {
            !line.starts_with("# proxy_protocol = ") && !line.starts_with("# permessage_deflate = ")
        })
        .map(|line| on(line).unwrap_or_else(|| line.to_owned()))
        .collect();
    let config = parse(&format!("[server]{}", text.join("\n")));
    assert!(config.server.listeners.iter().all(|one| one.tls.is_some()) && config.routes[0].host.is_some());
    let upstream = &config.upstreams["demo"];
    assert_eq!((upstream.urls.len(), &upstream.tls.trust), (1, &Trust::File("ca.pem".into())));
}
