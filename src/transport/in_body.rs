//! The body of a client's request, which came from the client itself or by way of another node.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::client_body::ClientBody;
use crate::cluster::{InquiryBody, InquiryStopped};

/// The body of a request.
#[derive(Debug)]
pub enum InBody {
    /// The client's connection is this node's.
    Client(ClientBody),
    /// Another node has the client.
    Peer(InquiryBody),
}

/// Why a request's body is not received in full.
#[derive(Debug, thiserror::Error)]
pub enum InBroke {
    /// The client's connection broke.
    #[error(transparent)]
    Client(#[from] hyper::Error),
    /// The other node stopped the request.
    #[error(transparent)]
    Peer(#[from] InquiryStopped),
}

impl InBody {
    /// Returns whether its client waits to be asked for it.
    pub fn is_unasked(&self) -> bool {
        match self {
            Self::Client(body) => body.is_unasked(),
            Self::Peer(_) => false,
        }
    }
}

impl From<ClientBody> for InBody {
    fn from(body: ClientBody) -> Self {
        Self::Client(body)
    }
}

impl From<InquiryBody> for InBody {
    fn from(body: InquiryBody) -> Self {
        Self::Peer(body)
    }
}

impl Body for InBody {
    type Data = Bytes;
    type Error = InBroke;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, InBroke>>> {
        match self.get_mut() {
            Self::Client(body) => Pin::new(body).poll_frame(cx).map_err(InBroke::from),
            Self::Peer(body) => Pin::new(body).poll_frame(cx).map_err(InBroke::from),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Client(body) => body.is_end_stream(),
            Self::Peer(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Client(body) => body.size_hint(),
            Self::Peer(body) => body.size_hint(),
        }
    }
}
