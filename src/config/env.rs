//! Overrides the file with environment variables: `POLLIWOG_SERVER__LISTEN` sets `server.listen`.
//!
//! Two underscores separate levels, numbers index lists (one past the end appends), case does not matter, and `_`
//! stands for `-` and `.` in an upstream's name. A value is read as TOML if it is valid TOML, otherwise as a text.

use std::ffi::OsString;
use std::sync::Arc;

use toml::de::DeValue;

use super::fault::{Place, Problem, Sink};
use super::keys::{KEYS, Key, SECTIONS};
use super::suggestion::{nearest, plain};
use super::tree::{Entry, Node, Value};

/// Sets every value that an environment variable of this program has.
pub(super) fn apply(tree: &mut Node, env: impl Iterator<Item = (OsString, OsString)>, sink: &Sink) {
    let mut variables: Vec<_> = env.filter_map(|(name, value)| Variable::parse(&name, value, sink)).collect();
    // A list grows in the order of its numbers, and a whole is set before its parts.
    variables.sort_by(|one, other| one.levels.cmp(&other.levels));
    for Variable { place, levels, value } in variables {
        let key = levels.iter().map(Level::as_str).collect::<Vec<_>>().join(".");
        let node = node_of(&value, &place);
        if let Err(why) = set(tree, &levels, 0, node) {
            sink.push(&place, key, Problem::Syntax(why));
        }
    }
}

/// One variable of ours.
struct Variable {
    place: Place,
    levels: Vec<Level>,
    value: String,
}

/// One level of a key; numbers sort as numbers.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Index(usize, String),
    Name(String),
}

impl Level {
    fn new(text: &str) -> Self {
        let text = text.to_lowercase();
        match text.parse() {
            Ok(index) => Self::Index(index, text),
            Err(_) => Self::Name(text),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Index(_, text) | Self::Name(text) => text,
        }
    }
}

impl Variable {
    fn parse(name: &OsString, value: OsString, sink: &Sink) -> Option<Self> {
        let lossy = name.to_string_lossy();
        let rest = lossy.strip_prefix(PREFIX)?;
        if is_foreign(rest) {
            return None;
        }
        let place = Place::Variable(Arc::from(&*lossy));
        let fault = |why: &str| sink.push(&place, "", Problem::Syntax(why.to_owned()));
        if rest.split("__").any(str::is_empty) || name.to_str().is_none() {
            fault("found no key in the name, expected one such as POLLIWOG_SERVER__LISTEN");
            return None;
        }
        if let Some(example) = key_in_section(rest) {
            fault(&format!("found no key in the name, expected one such as {example}"));
            return None;
        }
        let levels = rest.split("__").map(Level::new).collect();
        let Ok(value) = value.into_string() else {
            fault("found a value that is not UTF-8");
            return None;
        };
        Some(Self { place, levels, value })
    }
}

/// Every key stands in a section, so a name of one level is not meant for us: Kubernetes sets `POLLIWOG_PORT` in every
/// pod beside a service called `polliwog`, and scripts have variables of their own. Only one that names a section, or
/// spells a key with a single underscore, is surely a slip.
fn is_foreign(rest: &str) -> bool {
    let slip = |key: &Key| {
        let (section, name) = (key.section.header().trim_matches(['[', ']']), key.name);
        rest.eq_ignore_ascii_case(&format!("{section}_{name}"))
    };
    !rest.contains("__") && !rest.is_empty() && !KEYS.iter().any(slip) && key_in_section(rest).is_none()
}

/// Returns what to set instead of a variable that only names a section, or nearly so, such as `POLLIWOG_LOG`.
fn key_in_section(rest: &str) -> Option<String> {
    let section = nearest(rest, SECTIONS)?;
    let levels = match section {
        "routes" => "0__PATH",
        "listeners" => "0__LISTEN",
        "upstreams" => "NAME__URL",
        "log" => "LEVEL",
        "defaults" => "PING_INTERVAL",
        _ => "LISTEN",
    };
    Some(format!("{PREFIX}{}__{levels}", section.to_uppercase()))
}

fn node_of(value: &str, place: &Place) -> Node {
    if let Ok(parsed) = DeValue::parse(value) {
        let node = Node::from_value(&parsed, &|_| place.clone());
        // A date or `nan` is more likely a name: nothing takes a date.
        if !matches!(node.value, Value::Useless(_)) {
            return node;
        }
    }
    Node { place: place.clone(), value: Value::Text(value.to_owned()) }
}

/// Puts a value into the tree, making the tables and lists on the way.
fn set(node: &mut Node, levels: &[Level], depth: usize, value: Node) -> Result<(), String> {
    let Some((level, rest)) = levels.split_first() else {
        *node = value;
        return Ok(());
    };
    if let (Value::Text(_), Level::Index(..)) = (&node.value, level) {
        // A single value is a list of one.
        node.value = Value::List(vec![node.clone()]);
    }
    match &mut node.value {
        Value::Table(entries) => {
            let index = find(entries, level.as_str())?.unwrap_or(entries.len());
            if index == entries.len() {
                let place = value.place.clone();
                let node = Node { place: place.clone(), value: container(level, rest, depth) };
                entries.push(Entry { name: level.as_str().to_owned(), place, node });
            }
            set(&mut entries[index].node, rest, depth + 1, value)
        }
        Value::List(items) => {
            let Level::Index(index, _) = level else {
                return Err(format!("found {:?}, expected a number that indexes the list", level.as_str()));
            };
            if *index == items.len() {
                items.push(Node { place: value.place.clone(), value: Value::Table(Vec::new()) });
            }
            let len = items.len();
            let item = items.get_mut(*index).ok_or_else(|| {
                format!("found index {index}, expected one up to {len}, the list has {len}")
            })?;
            set(item, rest, depth + 1, value)
        }
        Value::Text(_) | Value::Integer(_) | Value::Flag(_) | Value::Useless(_) => {
            Err(format!("found a key inside {}, which is neither a table nor a list", node.show()))
        }
    }
}

/// Returns what to make where nothing was: only `routes`, and a key that is followed by a number, is a list.
fn container(level: &Level, rest: &[Level], depth: usize) -> Value {
    let indexed = matches!(rest.first(), Some(Level::Index(..)));
    let is_list = if depth == 0 { level.as_str() == "routes" } else { indexed };
    if is_list { Value::List(Vec::new()) } else { Value::Table(Vec::new()) }
}

/// Returns the key that a level means: the very same, else the only one that differs in case and separators alone.
fn find(entries: &[Entry], level: &str) -> Result<Option<usize>, String> {
    if let Some(index) = entries.iter().position(|entry| entry.name == level) {
        return Ok(Some(index));
    }
    let alike: Vec<_> =
        (0..entries.len()).filter(|index| plain(&entries[*index].name) == plain(level)).collect();
    match alike.as_slice() {
        [] => Ok(None),
        [index] => Ok(Some(*index)),
        [one, other, ..] => Err(format!(
            "found a name that may mean {:?} or {:?}, expected one that tells them apart",
            entries[*one].name, entries[*other].name
        )),
    }
}

const PREFIX: &str = "POLLIWOG_";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Config;
    use super::super::tests::{GOOD, faults, parse};
    use super::*;

    /// Returns the one fault of a good file under one more variable.
    fn fault_of(name: &str, value: &str) -> String {
        let faults = faults(GOOD, &[(name, value)]);
        assert_eq!(faults.len(), 1, "{faults:#?}");
        faults[0].clone()
    }

    #[test]
    fn a_variable_overrides_the_file() {
        let env = [
            ("POLLIWOG_SERVER__LISTEN", "0.0.0.0:80, [::1]:81"),
            ("POLLIWOG_SERVER__MAX_SESSIONS", "7"),
            ("POLLIWOG_ROUTES__0__PATH", "/chat/"),
            ("POLLIWOG_ROUTES__0__HOST", "10"),
            ("POLLIWOG_UPSTREAMS__CHAT__URL", "[\"ws://a/\", \"ws://b/\"]"),
            ("POLLIWOG_DEFAULTS__LINGER", "5ms"),
            ("POLLIWOG_DEFAULTS__ALLOWED_ORIGINS", ""),
            ("polliwog_log__level", "nonsense"),
            ("PATH", "/bin"),
        ];
        let config = parse(GOOD, &env).unwrap();
        assert_eq!(config.server.listeners[0].listen.len(), 2);
        assert_eq!(config.server.max_sessions, 7);
        assert_eq!(
            (config.routes[0].path.as_str(), config.routes[0].host.as_deref()),
            ("/chat/", Some("10"))
        );
        assert_eq!(config.upstreams["chat"].urls.len(), 2);
        assert_eq!(config.routes[0].session.linger, Duration::from_millis(5));
    }

    #[test]
    fn variables_alone_can_make_routes_and_upstreams() {
        let mut env = vec![
            ("POLLIWOG_UPSTREAMS__1__KIND".to_owned(), "websocket".to_owned()),
            ("POLLIWOG_UPSTREAMS__1__URL__0".to_owned(), "ws://a".to_owned()),
            ("POLLIWOG_UPSTREAMS__1__URL__1".to_owned(), "ws://b".to_owned()),
        ];
        // In an order that sorts 10 before 2.
        for index in (0..12).rev() {
            env.push((format!("POLLIWOG_ROUTES__{index}__PATH"), format!("/{index}/")));
            env.push((format!("POLLIWOG_ROUTES__{index}__DIALECT"), "engine.io".to_owned()));
            env.push((format!("POLLIWOG_ROUTES__{index}__UPSTREAM"), "1".to_owned()));
        }
        let env: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let config = parse("", &env).unwrap();
        assert_eq!((config.routes.len(), config.routes[11].path.as_str()), (12, "/11/"));
        assert_eq!(config.upstreams["1"].urls.len(), 2);
    }

    #[test]
    fn a_variable_finds_an_upstream_whatever_its_case_and_separators() {
        let text =
            GOOD.replace("[upstreams.chat]", "[upstreams.'Chat-room.1']").replace("'chat'", "'Chat-room.1'");
        let config = parse(&text, &[("POLLIWOG_UPSTREAMS__CHAT_ROOM_1__URL", "ws://other/")]).unwrap();
        assert_eq!(config.upstreams.len(), 1);
        assert_eq!(config.upstreams["Chat-room.1"].urls[0].host(), Some("other"));
        let twins = format!(
            "{GOOD}[upstreams.a-b]\nkind = 'websocket'\nurl = 'ws://h'\n[upstreams.'a.b']\nkind = 'websocket'\nurl = 'ws://h'\n"
        );
        let told = faults(&twins, &[("POLLIWOG_UPSTREAMS__A_B__URL", "ws://x")]).concat();
        assert!(told.contains("may mean \"a-b\" or \"a.b\""), "{told}");
    }

    #[test]
    fn a_fault_of_the_environment_names_its_variable() {
        assert_eq!(
            fault_of("POLLIWOG_ROUTES__0__DIALECT", "enginio"),
            "POLLIWOG_ROUTES__0__DIALECT: routes[0].dialect: found \"enginio\", expected one of engine.io, sockjs, longpoll, websocket, mux, http; did you mean \"engine.io\"?"
        );
        assert!(
            fault_of("POLLIWOG_SERVER__MAX_SESSIONS", "many").contains("found \"many\", expected a number")
        );
        assert!(fault_of("POLLIWOG_ROUTES__2__PATH", "/").contains("found index 2, expected one up to 1"));
        assert!(
            fault_of("POLLIWOG_ROUTES__FIRST__PATH", "/").contains("expected a number that indexes the list")
        );
        assert!(fault_of("POLLIWOG_UPSTREAMS__CHAT__URL", "").contains("expected at least one URL"));
        assert!(fault_of("POLLIWOG_SERVER__LISTEN", "").contains("found no address"));
        assert!(fault_of("POLLIWOG_LOG__LEVEL__0__X", "5").starts_with("POLLIWOG_LOG__LEVEL__0__X: "));
        for name in ["POLLIWOG_", "POLLIWOG___", "POLLIWOG_SERVER__", "POLLIWOG_SERVER____LISTEN"] {
            assert!(fault_of(name, "x").starts_with(&format!("{name}: found no key in the name")), "{name}");
        }
    }

    #[test]
    fn a_misspelt_variable_is_shown_the_right_one() {
        for (wrong, right) in [
            ("POLLIWOG_SERVER__LISTNE", "POLLIWOG_SERVER__LISTEN"),
            ("POLLIWOG_SERVER_LISTEN", "POLLIWOG_SERVER__LISTEN"),
            ("POLLIWOG_SERVR__LISTEN", "POLLIWOG_SERVER__LISTEN"),
            ("POLLIWOG_ROUTE__0__PATH", "POLLIWOG_ROUTES__0__PATH"),
            ("POLLIWOG_ROUTES__0__PAHT", "POLLIWOG_ROUTES__0__PATH"),
            ("POLLIWOG_UPSTREAMS__CHAT__ULR", "POLLIWOG_UPSTREAMS__CHAT__URL"),
        ] {
            let told = fault_of(wrong, "x");
            assert!(told.starts_with(&format!("{wrong}: ")), "{told}");
            assert!(told.ends_with(&format!("; did you mean {right}?")), "{told}");
        }
    }

    #[test]
    fn variables_that_are_not_meant_for_us_are_no_fault() {
        let env = [
            ("POLLIWOG_BIN", "/usr/bin/polliwog"),
            ("POLLIWOG_PORT", "tcp://10.0.0.1:80"),
            ("POLLIWOG_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("POLLIWOG_SERVICE_HOST", "10.0.0.1"),
            ("POLLIWOG_SERVICE_PORT", "80"),
            ("POLLIWOG_SERVICE_PORT_HTTP", "80"),
        ];
        assert!(parse(GOOD, &env).is_ok());
    }

    #[test]
    fn a_variable_that_names_a_section_alone_is_not_ignored() {
        for (wrong, right) in [
            ("POLLIWOG_LOG", "POLLIWOG_LOG__LEVEL"),
            ("POLLIWOG_LOGS", "POLLIWOG_LOG__LEVEL"),
            ("POLLIWOG_SERVER", "POLLIWOG_SERVER__LISTEN"),
            ("POLLIWOG_ADMIN", "POLLIWOG_ADMIN__LISTEN"),
            ("POLLIWOG_DEFAULTS", "POLLIWOG_DEFAULTS__PING_INTERVAL"),
            ("POLLIWOG_ROUTES", "POLLIWOG_ROUTES__0__PATH"),
            ("POLLIWOG_UPSTREAM", "POLLIWOG_UPSTREAMS__NAME__URL"),
        ] {
            let told = format!("{wrong}: found no key in the name, expected one such as {right}");
            assert_eq!(fault_of(wrong, "debug"), told);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_not_utf_8_is_a_fault_and_no_panic() {
        use std::os::unix::ffi::OsStringExt;
        let env = [
            ("POLLIWOG_SERVER__LISTEN".into(), OsString::from_vec(vec![0xff])),
            (OsString::from_vec(b"POLLIWOG_LOG__\xff".to_vec()), "x".into()),
            ("OTHER".into(), OsString::from_vec(vec![0xff])),
        ];
        let faults = Config::parse(GOOD, "config.toml", env.into_iter()).unwrap_err();
        assert_eq!(faults.list().len(), 2, "{faults}");
    }
}
