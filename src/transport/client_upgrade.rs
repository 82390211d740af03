//! A client's connection, or its stream of one, that is about to become a byte stream.

use bytes::Bytes;
use http::request::Parts;
use hyper::upgrade::OnUpgrade;

use crate::duplex::{Duplex, Patience};

/// A client that is about to be joined to something else than HTTP.
#[derive(Debug)]
pub struct ClientUpgrade {
    upgrade: OnUpgrade,
    /// How long the client may stop reading a stream of an HTTP/2 connection. A connection of its own knows that itself.
    patience: Option<Patience>,
}

impl ClientUpgrade {
    /// Takes it out of a request, if it can become one.
    pub fn take(head: &mut Parts) -> Option<Self> {
        let upgrade = head.extensions.remove()?;
        Some(Self { upgrade, patience: head.extensions.remove() })
    }

    /// Waits until it is a byte stream; returns it with the bytes already read from it.
    ///
    /// # Errors
    /// The client is gone, or its request was refused.
    pub async fn stream(self) -> hyper::Result<(Duplex, Bytes)> {
        let (duplex, read) = Duplex::from_upgraded(self.upgrade.await?);
        Ok((if self.patience.is_some() { duplex.with_patience(self.patience) } else { duplex }, read))
    }
}
