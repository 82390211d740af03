//! Whose words a file may use: what a dialect calls its own is no concern of what serves every dialect.

use crate::assert_none;
use crate::code::names;
use crate::tree::{is_test, module_of, sources};

/// Names of dialects and of their versions.
const WORDS: [&str; 11] = [
    "Revision",
    "EngineIo",
    "EngineIo3",
    "V3",
    "V4",
    "engineio",
    "OpenPacket",
    "SockJs",
    "sockjs",
    "LongPoll",
    "longpoll",
];

/// Modules that may use them.
const AT_HOME: [(&[&str], &str); 13] = [
    (&["codec"], "Engine.IO on the wire"),
    (&["dialect"], "what clients speak"),
    (&["socketio"], "versions of Socket.IO"),
    (&["upstream"], "what backends speak"),
    (&["load"], "a client"),
    (&["doctor"], "a client that examines"),
    (&["client_options"], "what both may be told to speak"),
    (&["mux"], "another proxy is told what a client speaks"),
    (&["revision"], "the words themselves"),
    (&["reply"], "who refuses decides what the words mean"),
    (&["config", "upstreams"], "what backends speak"),
    (&["app"], "the wiring"),
    (&["fuzzing"], "a target for each decoder"),
];

#[test]
fn only_a_dialect_knows_its_own_words() {
    assert_none(sources().iter().flat_map(|(file, text)| word_faults(file, text)));
}

fn word_faults(file: &str, text: &str) -> Vec<String> {
    let is_at_home = AT_HOME.iter().any(|(module, _)| module_of(file).starts_with(module));
    if is_at_home || is_test(file) {
        return Vec::new();
    }
    // An address has a version, too.
    let is_foreign = |(before, name): &(Option<String>, String)| {
        WORDS.contains(&name.as_str()) && before.as_deref() != Some("IpAddr")
    };
    let found = names(text).into_iter().filter(is_foreign);
    found.map(|(_, name)| format!("{file}: names {name}, which is a dialect's")).collect()
}

mod tests {
    use super::*;

    #[test]
    fn a_dialects_word_is_found_where_every_dialect_is_served() {
        for text in [
            "use crate::revision::Revision;",
            "fn f(framing: Framing) -> bool { framing.revision == Revision::V3 }",
            "match upstream.protocol() { Protocol::EngineIo => 1, _ => 2 }",
            "use crate::dialect::sockjs;",
            "use crate::codec::engineio::encode_text;",
            "fn learn(&mut self, open: &OpenPacket) {}",
            "fn f() { SockJs::new(Settings::default()); }",
        ] {
            for file in [
                "src/service/gateway.rs",
                "src/session/state.rs",
                "src/transport/relay/opening.rs",
                "src/config/routes.rs",
                "src/drain.rs",
            ] {
                assert!(!word_faults(file, text).is_empty(), "{file} {text}");
            }
            for file in [
                "src/dialect/engineio/head.rs",
                "src/config/upstreams.rs",
                "src/app.rs",
                "src/bridge/tests.rs",
            ] {
                assert!(word_faults(file, text).is_empty(), "{file} {text}");
            }
        }
        for text in [
            "// Revision::V3",
            "match peer { IpAddr::V4(_) => 4, IpAddr::V6(_) => 6 }",
            "const NAME: &str = \"V3\";",
        ] {
            assert_eq!(word_faults("src/service/gateway.rs", text), Vec::<String>::new(), "{text}");
        }
    }
}
