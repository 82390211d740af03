//! Kind `demo`: a real server in this process, reached like any other backend, over a pipe instead of a socket.
//!
//! It speaks Socket.IO ([`socket_io`]) or plain WebSocket ([`feed`]). For other requests it is a [`Site`]
//! with a page on which clients show what each transport costs.

mod controls;
mod feed;
mod pipe;
mod serve;
mod site;
mod socket_io;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, Uri};

use self::serve::Serve;
use self::site::Site;
use crate::background::Background;
use crate::duplex::Duplex;
use crate::revision::Versions;
use crate::upstream::address::Place;
use crate::upstream::affinity::Key;
use crate::upstream::connector::{Connecting, Connector};
use crate::upstream::deadline::Deadline;
use crate::upstream::forward::Forwarder;
use crate::upstream::target::Target;
use crate::upstream::{
    BuildError, Embedding, Health, Introduction, Link, OpenError, OpenRequest, Opened, Opening, Protocol,
    Relaying, Settings, Upstream, engineio, handshake, websocket,
};

/// The embedded server, as an upstream.
#[derive(Debug)]
pub(super) struct Demo {
    embedded: Arc<Embedded>,
    forwarder: Forwarder,
    settings: Settings,
    speaks: Embedding,
}

/// The embedded server, and how to reach it.
pub(super) struct Embedded {
    serve: Serve,
    target: Target,
    background: Background,
}

impl Connector for Embedded {
    fn place(&self, _key: Option<Key>) -> Option<Place> {
        None
    }

    fn key(&self, _headers: &HeaderMap, _query: &str, _client: Option<IpAddr>) -> Option<Key> {
        None
    }

    fn connection(
        self: Arc<Self>,
        _place: Option<Place>,
        _key: Option<Key>,
        _deadline: Deadline,
    ) -> Connecting {
        Box::pin(async move { Ok((self.connect(), self.target.clone(), None)) })
    }
}

impl Demo {
    pub(super) fn new(
        settings: &Settings,
        speaks: Embedding,
        background: Background,
    ) -> Result<Self, BuildError> {
        let site = Site { controls: settings.controls };
        let (url, serve) = match speaks {
            Embedding::SocketIo => ("ws://demo/socket.io/", socket_io::build(site)),
            Embedding::WebSocket => ("ws://demo/", feed::build(site)),
        };
        let url = Uri::from_static(url);
        let target = Target::new(&url).ok_or(BuildError::Url(url))?;
        let embedded = Arc::new(Embedded { serve, target, background: background.clone() });
        let forwarder = Forwarder::new(embedded.clone(), settings, background);
        Ok(Self { embedded, forwarder, settings: settings.clone(), speaks })
    }

    async fn open(&self, request: OpenRequest) -> Result<(Opened, Box<dyn Link>), OpenError> {
        let deadline = Deadline::after(self.settings.handshake_timeout);
        if self.speaks == Embedding::WebSocket {
            let terms = websocket::terms(&self.settings);
            let (stream, target) = (self.embedded.connect(), &self.embedded.target);
            let accepted = handshake::perform(stream, target, request, &terms);
            return Ok(websocket::opened(deadline.bound(accepted).await.flatten()?));
        }
        let revision = engineio::negotiate(VERSIONS, request.revision)?;
        let terms = engineio::terms(revision, &self.settings);
        let accepted = handshake::perform(self.embedded.connect(), &self.embedded.target, request, &terms);
        let accepted = deadline.bound(accepted).await.flatten()?;
        deadline.bound(engineio::begin(accepted, revision, self.settings.max_message)).await.flatten()
    }
}

impl Upstream for Demo {
    fn open(&self, request: OpenRequest) -> Opening<'_> {
        Box::pin(self.open(request))
    }

    fn forwarder(&self) -> &Forwarder {
        &self.forwarder
    }

    fn protocol(&self) -> Protocol {
        match self.speaks {
            Embedding::SocketIo => Protocol::EngineIo,
            Embedding::WebSocket => Protocol::WebSocket,
        }
    }

    fn versions(&self) -> Versions {
        VERSIONS
    }

    fn introduction(&self) -> Option<Introduction> {
        (self.speaks == Embedding::SocketIo).then_some(engineio::introduction)
    }

    fn relay(&self, request: OpenRequest) -> Relaying<'_> {
        let deadline = Deadline::after(self.settings.handshake_timeout);
        let shaken = handshake::perform_for(
            self.embedded.connect(),
            &self.embedded.target,
            request,
            self.settings.host,
        );
        Box::pin(async move { deadline.bound(shaken).await.flatten() })
    }

    fn health(&self) -> Health {
        Health::Up
    }
}

impl Embedded {
    /// Returns a new connection to the server.
    pub(super) fn connect(&self) -> Duplex {
        let (ours, theirs) = tokio::io::duplex(PIPE_LEN);
        let (life, served) = (self.background.stop.clone(), (self.serve)(theirs));
        self.background.tracker.spawn(async move { life.run_until_cancelled(served).await });
        Duplex::from(ours)
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").finish_non_exhaustive()
    }
}

/// What the embedded server speaks.
const VERSIONS: Versions = Versions { v3: false, v4: true };
/// How much waits in the pipe, in each direction.
const PIPE_LEN: usize = 16 << 10;
