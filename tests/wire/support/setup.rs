//! The settings that a test needs of its target, for the proxy and the reference server alike.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::script::{Kind, Script};

/// The settings of one target. Those with a method of their own are set on both targets; the lines of TOML, the
/// script and a plain WebSocket application exist for the proxy alone.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) kind: Kind,
    /// The dialect of the route's clients.
    pub(crate) dialect: &'static str,
    /// Whether a WebSocket is relayed if both ends speak the same protocol. Most tests check the proxy's own sessions,
    /// so it is off by default.
    pub(crate) relay: bool,
    pub(crate) script: Script,
    pub(crate) server: String,
    pub(crate) route: String,
    pub(crate) upstream: String,
    /// Sections of their own.
    pub(crate) sections: String,
    /// A line in `[admin]`.
    pub(crate) admin: &'static str,
    pub(crate) log: &'static str,
    /// More lines of `[log]`, each behind a line feed.
    pub(crate) access: String,
    /// The upstream's URLs as TOML, if they are not the scripted backend's.
    pub(crate) url: Option<String>,
    pub(crate) path: &'static str,
    pub(crate) reference: Value,
}

impl Setup {
    /// Creates a setup with the defaults of both targets.
    pub(crate) fn new() -> Self {
        Self {
            kind: Kind::EngineIo,
            dialect: "engine.io",
            relay: false,
            script: Script::new(Kind::EngineIo),
            server: String::new(),
            route: String::new(),
            upstream: String::new(),
            sections: String::new(),
            admin: "",
            log: "debug",
            access: String::new(),
            url: None,
            path: "/engine.io/",
            reference: json!({}),
        }
    }

    /// Returns a setup with a plain WebSocket application.
    pub(crate) fn plain() -> Self {
        Self { kind: Kind::WebSocket, script: Script::new(Kind::WebSocket), ..Self::new() }
    }

    /// Relays every WebSocket.
    pub(crate) fn relayed(mut self) -> Self {
        self.relay = true;
        self
    }

    /// Returns a setup with plain WebSocket clients and a plain WebSocket application, relayed.
    pub(crate) fn sockets() -> Self {
        Self { dialect: "websocket", ..Self::plain().relayed() }
    }

    /// Sets the heartbeat towards the client, in milliseconds.
    pub(crate) fn heartbeat(mut self, interval: u64, timeout: u64) -> Self {
        self.reference["pingInterval"] = json!(interval);
        self.reference["pingTimeout"] = json!(timeout);
        self.route(&format!("ping_interval = \"{interval}ms\"\nping_timeout = \"{timeout}ms\""))
    }

    /// Sets the maximum length of a POST body and of a WebSocket message.
    pub(crate) fn max_payload(mut self, bytes: usize) -> Self {
        self.reference["maxHttpBufferSize"] = json!(bytes);
        self.route(&format!("max_payload = {bytes}"))
    }

    /// Sets the timeout of an upgrade.
    pub(crate) fn upgrade_timeout(mut self, timeout: Duration) -> Self {
        self.reference["upgradeTimeout"] = json!(timeout.as_millis());
        self.route(&format!("upgrade_timeout = \"{}ms\"", timeout.as_millis()))
    }

    /// Turns upgrades off.
    pub(crate) fn no_upgrades(mut self) -> Self {
        self.reference["allowUpgrades"] = json!(false);
        self.route("allow_upgrades = false")
    }

    /// Makes the application refuse every client with this text; its default is `Forbidden`.
    pub(crate) fn refusing(mut self, text: &str) -> Self {
        self.reference["refuse"] = json!(text);
        self.script.refusal = Some(bare_refusal(text));
        self
    }

    /// Sets the target's own CORS headers: as TOML for the proxy, and as the reference's option.
    pub(crate) fn cors(mut self, toml: &str, reference: Value) -> Self {
        self.reference["cors"] = reference;
        self.route(&format!("cors = {toml}"))
    }

    /// Adds a line to the route.
    pub(crate) fn route(mut self, line: &str) -> Self {
        writeln!(self.route, "{line}").unwrap();
        self
    }

    /// Adds a line to `[server]`.
    pub(crate) fn server(mut self, line: &str) -> Self {
        writeln!(self.server, "{line}").unwrap();
        self
    }

    /// Adds a line to the upstream.
    pub(crate) fn upstream(mut self, line: &str) -> Self {
        writeln!(self.upstream, "{line}").unwrap();
        self
    }

    /// Changes the backend's script.
    pub(crate) fn script(mut self, change: impl FnOnce(&mut Script)) -> Self {
        change(&mut self.script);
        self
    }

    /// Sets the upstream's URL.
    pub(crate) fn url(mut self, url: &str) -> Self {
        self.url = Some(format!("{url:?}"));
        self
    }

    /// Sets the upstream's URLs.
    pub(crate) fn urls(mut self, urls: &[&str]) -> Self {
        self.url = Some(format!("{urls:?}"));
        self
    }

    /// Returns the proxy's config.toml.
    pub(crate) fn toml(&self, public: SocketAddr, admin: SocketAddr, backend: SocketAddr) -> String {
        let kind = match self.kind {
            Kind::EngineIo => "engine.io",
            Kind::WebSocket => "websocket",
        };
        let url = self.url.clone().unwrap_or_else(|| format!("\"ws://{backend}{}\"", self.path));
        let Self {
            server,
            sections,
            admin: more_of_admin,
            route,
            upstream,
            log,
            access,
            path,
            dialect,
            relay,
            ..
        } = self;
        // A key that means nothing to a dialect is a configuration error.
        let relay = if *dialect == "longpoll" { String::new() } else { format!("relay = {relay}") };
        format!(
            r#"[server]
listen = ["{public}"]
{server}
[admin]
listen = "{admin}"
{more_of_admin}
[log]
level = "{log}"{access}
{sections}
[[routes]]
path = "{path}"
dialect = "{dialect}"
upstream = "b"
{relay}
{route}
[upstreams.b]
kind = "{kind}"
url = {url}
{upstream}"#
        )
    }
}

/// Returns how an Engine.IO server refuses an upgrade (ENGINEIO.md, 2.3).
pub(crate) fn bare_refusal(text: &str) -> Vec<u8> {
    let length = text.len();
    format!("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-type: text/html\r\nContent-Length: {length}\r\n\r\n{text}")
        .into_bytes()
}
