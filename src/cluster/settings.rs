//! The part of the configuration for nodes (`[cluster]`).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
use rustls::pki_types::ServerName;

use crate::sid::Tag;
use crate::tls::{ClientAuth, Identity, TlsFiles};

/// This node, and those that it asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Where other nodes ask.
    pub listen: SocketAddr,
    /// Where they reach this node, as `host:port`.
    pub advertise: String,
    /// This node's name in session ids.
    pub node: Tag,
    /// Where the addresses of all nodes come from.
    pub peers: Peers,
    /// TLS between nodes; `None` speaks in the clear.
    pub tls: Option<Tls>,
    /// What nodes prove themselves with: the value of `Authorization`.
    pub token: HeaderValue,
    /// The longest wait for a connection to another node.
    pub connect_timeout: Duration,
    /// How long a node may be silent until its connection is closed.
    pub silence_timeout: Duration,
}

impl Settings {
    /// Returns those of a process that belongs to no cluster: only other processes of its host ask it.
    pub fn of_no_cluster() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertise: String::new(),
            node: Tag::NONE,
            peers: Peers::Named(BTreeMap::new()),
            tls: None,
            token: HeaderValue::from_static(""),
            connect_timeout: Duration::from_secs(1),
            silence_timeout: Duration::from_secs(3),
        }
    }
}

/// How nodes prove to each other which they are: both sides of a connection show a certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tls {
    /// This node's certificate, and its key.
    pub identity: Identity,
    /// A PEM file of authorities, one of which must have signed each node's certificate.
    pub ca: PathBuf,
    /// The name in the certificates of all nodes; `None` is the host of a node's address.
    pub name: Option<ServerName<'static>>,
}

impl Tls {
    /// Returns what this node's listener shows other nodes, and asks of them.
    pub fn listener(&self) -> TlsFiles {
        TlsFiles {
            certificates: vec![self.identity.clone()],
            acme: None,
            client_ca: Some(self.ca.clone()),
            client_auth: ClientAuth::Required,
        }
    }
}

/// Where the addresses of all nodes come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Peers {
    /// They are written down, as `host:port`.
    Named(BTreeMap<Tag, String>),
    /// They are those of a host name, at the same port each.
    Dns {
        /// The name.
        host: String,
        /// The port.
        port: u16,
    },
    /// The nodes write them into the directory.
    Directory,
}
