//! The target of one URL: the addresses of its host, and how to reach each.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, lookup_host};
use tokio::time::timeout;

use crate::descriptors;
use crate::duplex::{Duplex, set_keepalive};
use crate::upstream::target::Target;
use crate::upstream::tls::Tls;
use crate::upstream::{BuildError, is_secure};

/// One server of an upstream: one of its URLs.
#[derive(Debug)]
pub(super) struct Server {
    host: String,
    port: u16,
    /// Its addresses, if the host is an address and not a name.
    pub(super) known: Vec<SocketAddr>,
    pub(super) target: Target,
    tls: Option<Tls>,
}

impl Server {
    pub(super) fn new(
        url: &Uri,
        tls: Option<&Arc<ClientConfig>>,
        server_name: Option<&ServerName<'static>>,
    ) -> Result<Self, BuildError> {
        let fault = || BuildError::Url(url.clone());
        let scheme = url.scheme_str().unwrap_or_default().to_ascii_lowercase();
        if !matches!(&*scheme, "ws" | "wss" | "http" | "https") {
            return Err(fault());
        }
        let host = url.host().ok_or_else(fault)?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_u16().unwrap_or(if is_secure(url) { 443 } else { 80 });
        let target = Target::new(url).ok_or_else(fault)?;
        let known =
            host.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port)).into_iter().collect();
        let mut server = Self { host, port, known, target, tls: None };
        if let Some(config) = tls.filter(|_| is_secure(url)) {
            let own_name = || ServerName::try_from(server.host.clone()).map_err(|_| fault());
            let name = server_name.cloned().map_or_else(own_name, Ok)?;
            server.tls = Some(Tls::new(config, name, server.to_string()));
        }
        Ok(server)
    }

    /// Connects to an address. A TLS handshake may take as long again: a silent address must not keep the next one from
    /// being tried.
    pub(super) async fn reach(&self, address: SocketAddr, connect_timeout: Duration) -> io::Result<Duplex> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        descriptors::admit(&socket)?;
        let stream = timeout(connect_timeout, socket.connect(address)).await??;
        // A message must not wait for the acknowledgement of the one before.
        stream.set_nodelay(true)?;
        set_keepalive(&stream)?;
        match &self.tls {
            Some(tls) => timeout(connect_timeout, tls.handshake(stream)).await?,
            None => Ok(stream.into()),
        }
    }

    pub(super) async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        if !self.known.is_empty() {
            return Ok(self.known.clone());
        }
        Ok(lookup_host((self.host.as_str(), self.port)).await?.collect())
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
