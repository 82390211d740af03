//! The TLS handshake with a backend.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::duplex::{Duplex, Socket};
use crate::tls::Failure;

/// The TLS settings of one place.
pub(super) struct Tls {
    connector: TlsConnector,
    /// The name that the certificate must carry; it is sent in the handshake too, unless it is an address.
    name: ServerName<'static>,
    /// The place, for error texts.
    place: String,
}

impl Tls {
    pub(super) fn new(config: &Arc<ClientConfig>, name: ServerName<'static>, place: String) -> Self {
        Self { connector: TlsConnector::from(Arc::clone(config)), name, place }
    }

    /// Runs the TLS handshake on a stream.
    pub(super) async fn handshake(&self, stream: Socket) -> io::Result<Duplex> {
        // Boxed, so that an opening does not keep the room that its handshake needed.
        match Box::pin(self.connector.connect(self.name.clone(), stream)).await {
            Ok(stream) => Ok(tokio_rustls::TlsStream::from(stream).into()),
            Err(source) => Err(Failure::at(&self.place, source)),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).field("place", &self.place).finish_non_exhaustive()
    }
}
