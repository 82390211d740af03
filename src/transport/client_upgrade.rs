//! A client's connection, or its stream of one, that is about to become a byte stream.

use std::io;

use bytes::Bytes;
use http::request::Parts;
use hyper::upgrade::OnUpgrade;

use crate::duplex::{Duplex, StreamTerms};

/// A client that is about to be joined to something else than HTTP.
#[derive(Debug)]
pub struct ClientUpgrade {
    upgrade: OnUpgrade,
    /// Those of a stream of an HTTP/2 connection.
    terms: Option<StreamTerms>,
}

impl ClientUpgrade {
    /// Takes it out of a request, if it can become one.
    pub fn take(head: &mut Parts) -> Option<Self> {
        let upgrade = head.extensions.remove()?;
        Some(Self { upgrade, terms: head.extensions.remove() })
    }

    /// Waits until it is a byte stream; returns it with the bytes already read from it.
    ///
    /// # Errors
    /// The client is gone, or its request was refused.
    pub async fn stream(self) -> io::Result<(Duplex, Bytes)> {
        let upgraded = self.upgrade.await.map_err(io::Error::other)?;
        match self.terms {
            Some(terms) => Ok((Duplex::of_stream(upgraded, terms), Bytes::new())),
            None => Duplex::from_upgraded(upgraded),
        }
    }
}
