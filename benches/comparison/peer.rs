//! The peers that are compared: Polliwog in each of its modes, and the others.

use std::process::Command;

use anyhow::Context as _;

/// A server or a proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Peer {
    /// Polliwog with a WebSocket to the backend for each session; a WebSocket client is relayed.
    Own,
    /// Polliwog with one WebSocket to the backend for all.
    Mux,
    /// As [`Own`](Self::Own), and WebSocket clients are bridged too.
    Framed,
    /// As [`Own`](Self::Own), with clients that speak TLS.
    Tls,
    /// Three nodes of Polliwog on one core, with upstreams as [`Own`](Self::Own).
    Three,
    /// The same with upstreams as [`Mux`](Self::Mux).
    ThreeMux,
    /// hyper and nothing else.
    Hyper,
    EngineIoxide,
    Node,
    SockJsNode,
    /// In front of Engine.IO on node; its own share only.
    NginxBeforeNode,
    Nginx,
    Haproxy,
    Pushpin,
    /// No proxy: the benchmark's own backend.
    Backend,
}

impl Peer {
    pub(crate) const ALL: &[Self] = &[
        Self::Own,
        Self::Mux,
        Self::Framed,
        Self::Tls,
        Self::Three,
        Self::ThreeMux,
        Self::Hyper,
        Self::EngineIoxide,
        Self::Node,
        Self::SockJsNode,
        Self::NginxBeforeNode,
        Self::Nginx,
        Self::Haproxy,
        Self::Pushpin,
        Self::Backend,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Own => "Polliwog, upstreams of their own",
            Self::Mux => "Polliwog, one mux upstream",
            Self::Framed => "Polliwog, bridged (`relay = false`)",
            Self::Tls => "Polliwog, TLS, upstreams of their own",
            Self::Three => "Polliwog, three nodes, upstreams of their own",
            Self::ThreeMux => "Polliwog, three nodes, a mux upstream each",
            Self::Hyper => "hyper alone",
            Self::EngineIoxide => "engineioxide, direct",
            Self::Node => "engine.io on node, direct",
            Self::SockJsNode => "sockjs-node, direct",
            Self::NginxBeforeNode => "nginx before node, its own share",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Pushpin => "Pushpin",
            Self::Backend => "the backend, nobody between",
        }
    }

    /// Returns a word for the head of a column.
    pub(crate) const fn short(self) -> &'static str {
        match self {
            Self::Own => "own upstream",
            Self::Mux => "mux",
            Self::Framed => "bridged",
            Self::Tls => "TLS, own upstream",
            Self::Three => "three nodes, own upstream",
            Self::ThreeMux => "three nodes, mux",
            Self::Hyper => "hyper",
            Self::EngineIoxide => "engineioxide",
            Self::Node | Self::NginxBeforeNode => "node",
            Self::SockJsNode => "sockjs-node",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Pushpin => "Pushpin",
            Self::Backend => "the backend",
        }
    }

    /// Returns which version is here.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn version(self) -> anyhow::Result<String> {
        match self {
            Self::Own | Self::Mux | Self::Framed | Self::Tls | Self::Three | Self::ThreeMux => {
                Ok(concat!("Polliwog ", env!("CARGO_PKG_VERSION")).into())
            }
            Self::Hyper => locked("hyper"),
            Self::EngineIoxide => locked("engineioxide"),
            Self::Node => on_node("engine.io"),
            Self::SockJsNode => on_node("sockjs"),
            Self::NginxBeforeNode => on_node("engine.io").and(said("nginx", "-v")),
            Self::Nginx => said("nginx", "-v"),
            Self::Haproxy => said("haproxy", "-v"),
            Self::Pushpin => {
                said("zurl", "--version")?;
                said("pushpin", "--version")
            }
            Self::Backend => Ok(String::new()),
        }
    }
}

/// Returns the first line of what a program prints as its version.
pub(crate) fn said(program: &str, flag: &str) -> anyhow::Result<String> {
    let output =
        Command::new(program).arg(flag).output().map_err(|_| anyhow::anyhow!("no {program} here"))?;
    // nginx prints it on standard error.
    let text = [output.stdout, output.stderr].concat();
    let line = String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned();
    // HAProxy adds a date and its home page.
    let words = line.trim_start_matches("nginx version: ").split(' ').filter(|word| *word != "version");
    Ok(words.take(2).collect::<Vec<_>>().join(" "))
}

/// Returns the version that Cargo.lock has.
fn locked(name: &str) -> anyhow::Result<String> {
    let lock = include_str!("../../Cargo.lock");
    let start = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).context("not in Cargo.lock")?.1;
    Ok(format!("{name} {}", start.split('"').next().unwrap_or_default()))
}

/// Returns the version of a package that tests/interop has installed.
fn on_node(name: &str) -> anyhow::Result<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/node_modules");
    let manifest = std::fs::read_to_string(format!("{folder}/{name}/package.json"))
        .map_err(|_| anyhow::anyhow!("no {name} here: run tests/interop/install"))?;
    let manifest: serde_json::Value = serde_json::from_str(&manifest)?;
    let version = manifest["version"].as_str().with_context(|| format!("{name} has no version"))?;
    Ok(format!("{name} {version} on node {}", said("node", "--version")?))
}
