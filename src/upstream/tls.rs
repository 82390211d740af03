//! The TLS handshake with a backend.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::budget::Budget;
use crate::duplex::{Duplex, Socket, TlsStream};
use crate::tls::Failure;

/// The TLS settings of one place.
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    /// The name that the certificate must carry; it is sent in the handshake too, unless it is an address.
    name: ServerName<'static>,
    /// The place, for error texts.
    place: String,
    /// For what connections hold.
    budget: Budget,
}

impl Tls {
    pub(super) fn new(
        config: &Arc<ClientConfig>,
        name: ServerName<'static>,
        place: String,
        budget: &Budget,
    ) -> Self {
        Self { config: Arc::clone(config), name, place, budget: budget.clone() }
    }

    /// Runs the TLS handshake on a stream.
    pub(super) async fn handshake(&self, stream: Socket) -> io::Result<Duplex> {
        // Boxed, so that an opening does not keep the room that its handshake needed.
        match Box::pin(TlsStream::connect(stream, Arc::clone(&self.config), self.name.clone())).await {
            Ok(stream) => Ok(stream.charged(self.budget.charge()).into()),
            Err(source) => Err(Failure::at(&self.place, source)),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).field("place", &self.place).finish_non_exhaustive()
    }
}
