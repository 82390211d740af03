//! Where the server is, and how to connect to it.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::socket::{Counted, Socket};
use crate::load::fault::Fault;

/// The server's addresses, and its TLS settings.
pub(in crate::load) struct Connector {
    /// Tried in turn.
    pub(in crate::load) addresses: Vec<SocketAddr>,
    /// For a secure URL: the name that the certificate must carry.
    pub(in crate::load) tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Connector {
    /// Returns a new connection, from `source` where one is given.
    pub(in crate::load) async fn dial(&self, source: Option<IpAddr>) -> Result<Socket, Fault> {
        let stream = match timeout(CONNECT_TIMEOUT, self.connect(source)).await {
            Ok(connected) => connected.map_err(Fault::Connect)?,
            Err(_) => return Err(Fault::Connect(late())),
        };
        let Some((connector, name)) = &self.tls else { return Ok(Socket::Plain(stream.into())) };
        let shaken = connector.connect(name.clone(), Counted::from(stream));
        match timeout(CONNECT_TIMEOUT, Box::pin(shaken)).await {
            Ok(shaken) => Ok(Socket::Secure(Box::new(shaken.map_err(Fault::Tls)?))),
            Err(_) => Err(Fault::Tls(late())),
        }
    }

    async fn connect(&self, source: Option<IpAddr>) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host's name has no address");
        for &address in &self.addresses {
            if source.is_some_and(|source| source.is_ipv4() != address.is_ipv4()) {
                continue;
            }
            match reach(address, source).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("no reply within {CONNECT_TIMEOUT:?}"))
}

async fn reach(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
