//! The routes and upstreams of a node.

use std::fmt::Write as _;
use std::net::SocketAddr;

/// Returns the routes of a node: every dialect, before every kind of upstream.
pub(crate) fn routes(backend: SocketAddr, shared: SocketAddr, patience: u64) -> String {
    let handshake = seconds(&[("handshake_timeout", 10 * patience)]);
    let resume = 30 * patience;
    let mut text = format!(
        "[upstreams.own]\nkind = \"websocket\"\nurl = \"ws://{backend}/\"\n{handshake}\
         [upstreams.engine]\nkind = \"engine.io\"\nurl = \"ws://{backend}/engine.io/\"\nversions = [3, 4]\n{handshake}\
         [upstreams.shared]\nkind = \"mux\"\nurl = \"ws://{shared}/mux\"\nversions = [3, 4]\n{handshake}\
         mux = {{ resume_timeout = \"{resume}s\" }}\n"
    );
    for (word, dialect, keys) in [
        (
            "engine",
            "engine.io",
            seconds(&[
                ("ping_interval", 4),
                ("ping_timeout", 15 * patience),
                ("upgrade_timeout", 10 * patience),
            ]),
        ),
        ("sockjs", "sockjs", seconds(&[("heartbeat", 10), ("disconnect_delay", 5 * patience)])),
        ("feed", "longpoll", seconds(&[("grace", 20 * patience)])),
        ("socket", "websocket", String::new()),
    ] {
        for upstream in ["own", "shared", "engine"] {
            if upstream != "engine" || word == "engine" {
                let _ = write!(
                    text,
                    "[[routes]]\npath = \"/{word}-{upstream}/\"\ndialect = \"{dialect}\"\nupstream = \"{upstream}\"\n{keys}"
                );
            }
        }
    }
    text
}

/// Returns lines of TOML: keys and their seconds.
fn seconds(keys: &[(&str, u64)]) -> String {
    keys.iter().fold(String::new(), |lines, (key, seconds)| lines + &format!("{key} = \"{seconds}s\"\n"))
}
