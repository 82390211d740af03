//! A load in every dialect at once, which must lose nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};

use crate::support::{Proxy, command, read};

/// Load generators that run.
pub(crate) struct Loads {
    sessions: u64,
    running: Vec<(Load, Child)>,
}

/// A path, and what else the load generator is told.
type Load = (&'static str, &'static [&'static str]);

impl Loads {
    /// Starts the loads against a proxy, each with as many sessions for as many seconds.
    pub(crate) fn start(proxy: &Proxy, sessions: u64, seconds: u64) -> Self {
        Self::start_at(&proxy.url(), &LOADS, &[], sessions, seconds)
    }

    /// Starts those loads that need another process behind the proxy ([`Proxy::hub`]).
    pub(crate) fn start_behind(proxy: &Proxy, sessions: u64, seconds: u64) -> Self {
        Self::start_at(&proxy.url(), &BEHIND, &[], sessions, seconds)
    }

    /// Starts two loads against a listener that speaks TLS with this certificate.
    pub(crate) fn start_secure(address: SocketAddr, ca: &Path, sessions: u64, seconds: u64) -> Self {
        let ca = ca.to_str().unwrap();
        Self::start_at(&format!("https://{address}"), &SECURE, &["--ca", ca], sessions, seconds)
    }

    fn start_at(origin: &str, loads: &[Load], more: &[&str], sessions: u64, seconds: u64) -> Self {
        let (count, seconds) = (sessions.to_string(), format!("{seconds}s"));
        // The sessions begin within eight seconds.
        let pace = (sessions / 8).max(1).to_string();
        let common = ["-n", &count, "--rate", "3", "-d", &seconds, "--connect-rate", &pace, "--json", "-"];
        let start = |&(path, own): &Load| {
            let url = format!("{origin}{path}");
            let args = [&[url.as_str()], own, &common, more].concat();
            let child = command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            ((path, own), child)
        };
        Self { sessions, running: loads.iter().map(start).collect() }
    }

    /// Waits for their end. Fails if a request failed, a message was lost or a session ended, or if one had fewer messages.
    #[track_caller]
    pub(crate) fn finish(self, proxy: &Proxy, least: u64) {
        for ((path, own), load) in self.running {
            let run = read(&load.wait_with_output().unwrap());
            let what = format!("{path} {own:?}: {}\n{}", run.out, proxy.log());
            assert_eq!((run.code, run.err.as_str()), (0, ""), "{what}");
            let figures = run.json();
            for key in ["lost", "duplicated", "reordered", "strange", "failed", "disconnected"] {
                assert_eq!(figures[key], 0, "{key} of {what}");
            }
            assert_eq!(figures["errors"], serde_json::json!({}), "{what}");
            assert_eq!(
                (&figures["connected"], &figures["messages"]),
                (&self.sessions.into(), &figures["answered"]),
                "{what}"
            );
            assert!(figures["messages"].as_u64().unwrap() > least, "{what}");
        }
    }
}

/// Each dialect with new connections for each request, and with connections that are kept for as long as they may be.
const LOADS: [Load; 6] = [
    ("", &["--transport", "polling", "--header", "Connection: close"]),
    ("", &["--transport", "polling=40,websocket=30,upgrade=30"]),
    ("/sockjs/", &["--dialect", "sockjs", "--transport", "polling", "--header", "Connection: close"]),
    ("/sockjs/", &["--dialect", "sockjs", "--transport", "polling=40,streaming=30,websocket=30"]),
    ("/longpoll/", &["--dialect", "longpoll", "--transport", "polling", "--header", "Connection: close"]),
    ("/longpoll/", &["--dialect", "longpoll", "--transport", "polling=50,streaming=50"]),
];

/// Sessions that share a connection to another process, and `WebSocket`s that are relayed to it.
const BEHIND: [Load; 2] = [
    ("/shared/", &["--transport", "polling=40,websocket=30,upgrade=30"]),
    ("/relayed/", &["--dialect", "websocket", "--transport", "websocket"]),
];

/// A handshake of TLS for each request, and connections that are kept.
const SECURE: [Load; 2] = [
    ("", &["--transport", "polling", "--header", "Connection: close"]),
    ("/sockjs/", &["--dialect", "sockjs", "--transport", "polling=40,streaming=30,websocket=30"]),
];
