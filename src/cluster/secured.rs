//! A connection to another node before a word is said: TCP, and TLS if the nodes speak it.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;

use super::settings::Tls;
use crate::duplex::{Duplex, Socket, TlsStream, set_keepalive};
use crate::tls::{Failure, TlsError, Trust, client_config};

/// How other nodes are connected. Copies of it change together.
#[derive(Clone)]
pub struct Secured {
    /// `None` in the clear.
    tls: Option<Arc<ArcSwap<ClientConfig>>>,
    /// The name in the certificates of all nodes; `None` is the host of a node's address.
    name: Option<ServerName<'static>>,
}

/// How other nodes are connected next.
#[derive(Debug)]
pub struct NextSecured(Option<Arc<ClientConfig>>);

impl Secured {
    /// Reads the files of the settings.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn new(tls: Option<&Tls>) -> Result<Self, TlsError> {
        let config = config(tls)?.map(|config| Arc::new(ArcSwap::new(config)));
        Ok(Self { tls: config, name: tls.and_then(|tls| tls.name.clone()) })
    }

    /// Reads the files again, for what follows this.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn next(tls: Option<&Tls>) -> Result<NextSecured, TlsError> {
        config(tls).map(NextSecured)
    }

    /// Connects nodes in this way from now on. Those that are connected stay so.
    pub fn replace(&self, next: NextSecured) {
        if let Some((tls, next)) = self.tls.as_ref().zip(next.0) {
            tls.store(next);
        }
    }

    pub(super) async fn connect(&self, address: &str) -> io::Result<Duplex> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        set_keepalive(&stream)?;
        let stream = Socket::from(stream);
        let Some(tls) = &self.tls else { return Ok(stream.into()) };
        let name = self.name.clone().map_or_else(|| name_of(address), Ok)?;
        // Boxed, so that a connection does not keep the room that its handshake needed.
        match Box::pin(TlsStream::connect(stream, tls.load_full(), name)).await {
            Ok(stream) => Ok(stream.into()),
            Err(error) => Err(Failure::at(address, error)),
        }
    }
}

fn config(tls: Option<&Tls>) -> Result<Option<Arc<ClientConfig>>, TlsError> {
    let config = |tls: &Tls| client_config(&Trust::File(tls.ca.clone()), Some(&tls.identity));
    tls.map(config).transpose()
}

/// Returns the name in the certificate of the node with this address.
fn name_of(address: &str) -> io::Result<ServerName<'static>> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(io::Error::other)
}

/// Returns whether TLS is what failed: the node is there, and refuses this one or is refused by it. That a certificate of this
/// node was refused shows only when the response is read.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<rustls::Error>() {
            return true;
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").field("tls", &self.tls.is_some()).field("name", &self.name).finish()
    }
}
