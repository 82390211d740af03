//! What the fuzzer runs: a function from bytes for each target, which panics where a promise is broken.
//!
//! `fuzz/` has a target for each of them, by the same name, and the inputs that `cargo test` replays. What a function checks
//! is shared with the tests beside the code. Only tests and the fuzzer compile this.

mod codecs;
mod conversations;
mod dialects;
mod drawn;
mod edges;
mod tokens;

macro_rules! targets {
    ($($(#[$doc:meta])* $name:ident = $check:path;)+) => {
        $($(#[$doc])* pub fn $name(bytes: &[u8]) {
            $check(bytes);
        })+

        /// Every target, by its name.
        #[cfg(test)]
        const NAMES: &[&str] = &[$(stringify!($name)),+];

        #[cfg(test)]
        mod replays {
            $(#[test] fn $name() {
                super::tests::replay(stringify!($name), super::$name);
            })+
        }
    };
}

targets! {
    /// A POST's body, in every form of Engine.IO's payloads.
    payloads = codecs::payloads;
    /// One packet of Engine.IO, in every form.
    packets = codecs::packets;
    /// A form's field, and a script that carries a payload.
    jsonp = codecs::jsonp;
    /// The headers of a relayed WebSocket's frames.
    websocket_frames = codecs::websocket_frames;
    /// A frame of a shared connection, in both profiles.
    mux_frames = codecs::mux_frames;
    /// Frames between nodes.
    peer_frames = codecs::peer_frames;
    /// Bodies and frames of SockJS, and their escapes.
    sockjs = crate::dialect::sockjs::check_text;
    /// A request of Engine.IO's clients.
    engineio_requests = dialects::engineio;
    /// A request of SockJS's clients.
    sockjs_requests = dialects::sockjs;
    /// A request of longpoll's clients.
    longpoll_requests = dialects::longpoll;
    /// A conversation through the translator of Socket.IO.
    socketio = conversations::socketio;
    /// Any events around a session, beside its model.
    session = conversations::session;
    /// Any events around both ends of a shared connection, with breaks.
    mux_lines = conversations::mux_lines;
    /// What a hostile peer of a shared connection sends.
    mux_peer = conversations::mux_peer;
    /// A connection of HTTP/1.1, beside hyper alone.
    http1 = conversations::http1;
    /// Connections to a whole proxy with every dialect.
    gateway = crate::app::in_memory::converse;
    /// Frames of a WebSocket, beside tungstenite.
    websocket = crate::duplex::check_web_socket;
    /// Compressed frames of a WebSocket, and what is offered for them.
    deflate = crate::duplex::check_deflate;
    /// The header of a proxy in front.
    proxy_header = crate::server::check_proxy_header;
    /// A certificate, in PEM or DER.
    certificates = crate::tls::check_certificate;
    /// A set of keys, and tokens that are judged by them.
    jwt = tokens::jwt;
    /// A configuration with its environment.
    config = edges::config;
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::thread;

    use super::*;

    fn fuzz() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
    }

    /// Tells which input it was.
    struct Running(PathBuf);

    impl Drop for Running {
        fn drop(&mut self) {
            if thread::panicking() {
                eprintln!("the input is {}", self.0.display());
            }
        }
    }

    /// Runs a target with every input of its corpus.
    pub(super) fn replay(name: &str, target: fn(&[u8])) {
        let entries = fs::read_dir(fuzz().join("corpus").join(name)).expect("each target has a corpus");
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty(), "the corpus is empty");
        for file in files {
            let bytes = fs::read(&file).unwrap();
            let _running = Running(file);
            target(&bytes);
        }
        // And with some that are in no corpus.
        for bytes in [&b""[..], &[0], &[0xff; 100]] {
            target(bytes);
        }
    }

    #[test]
    fn the_fuzzer_has_every_target_and_no_other() {
        let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
        let names: Vec<&str> =
            manifest.split("[[bin]]\nname = \"").skip(1).filter_map(|bin| bin.split('"').next()).collect();
        assert_eq!(names, NAMES);
        for name in NAMES {
            let target = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
            assert!(target.contains(&format!("polliwog::fuzzing::{name}(bytes)")), "{name}");
        }
        let mut corpora: Vec<String> = fs::read_dir(fuzz().join("corpus"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        corpora.sort();
        let mut expected = NAMES.to_vec();
        expected.sort_unstable();
        assert_eq!(corpora, expected);
    }
}
