//! A Socket.IO backend for clients of the other version; nothing happens here if both speak the same.

mod link;

use std::sync::Arc;
use std::time::Duration;

use http::Method;

use self::link::TranslatedLink;
use crate::revision::{Revision, Versions};
use crate::sid::Sid;
use crate::socketio::Translator;
use crate::throttle::Throttle;
use crate::upstream::deadline::Deadline;
use crate::upstream::forward::Forwarder;
use crate::upstream::{
    Asking, Health, HealthCheck, Introduction, Limits, Link, OpenError, OpenRequest, Opened, Opening,
    Protocol, Relaying, Sight, Upstream,
};

/// An upstream that is known to speak Socket.IO.
#[derive(Debug)]
pub(super) struct Translated {
    inner: Arc<dyn Upstream>,
    /// Longest wait for the answer to a CONNECT that a client's handshake waits for.
    patience: Duration,
    /// The log lines of sessions that can't be translated.
    faults: Arc<Throttle>,
}

impl Translated {
    pub(super) fn new(inner: Arc<dyn Upstream>, patience: Duration) -> Self {
        Self { inner, patience, faults: Arc::default() }
    }

    async fn open(&self, request: OpenRequest) -> Result<(Opened, Box<dyn Link>), OpenError> {
        let deadline = Deadline::after(self.patience);
        let client = request.revision.filter(|revision| !self.inner.versions().has(*revision));
        let Some(client) = client else { return self.inner.open(request).await };
        let (mut opened, link) =
            self.inner.open(OpenRequest { revision: Some(client.other()), ..request }).await?;
        let link = match client {
            Revision::V3 => {
                let mut link = TranslatedLink::new(link, Translator::old_client(), &self.faults);
                // Such a client takes the root's id for the session's.
                let root = deadline.bound(link.root()).await.flatten()?;
                opened.sid = root.ok().and_then(|sid| Sid::parse(sid.as_str()));
                link
            }
            Revision::V4 => {
                let sid = opened.sid.as_ref().map(Sid::as_str).ok_or_else(|| {
                    OpenError::Protocol("its session has no id to make the client's from".to_owned())
                })?;
                TranslatedLink::new(link, Translator::new_client(sid), &self.faults)
            }
        };
        Ok((opened, Box::new(link)))
    }
}

impl Upstream for Translated {
    fn open(&self, request: OpenRequest) -> Opening<'_> {
        Box::pin(self.open(request))
    }

    fn protocol(&self) -> Protocol {
        self.inner.protocol()
    }

    fn versions(&self) -> Versions {
        self.inner.versions()
    }

    fn introduction(&self) -> Option<Introduction> {
        self.inner.introduction()
    }

    fn relay(&self, request: OpenRequest) -> Relaying<'_> {
        self.inner.relay(request)
    }

    fn ask(&self, request: OpenRequest, method: Method) -> Option<Asking<'_>> {
        self.inner.ask(request, method)
    }

    fn forwarder(&self) -> &Forwarder {
        self.inner.forwarder()
    }

    fn health(&self) -> Health {
        self.inner.health()
    }

    fn check_health(&self) -> HealthCheck<'_> {
        self.inner.check_health()
    }

    fn sight(&self) -> Sight {
        self.inner.sight()
    }

    fn limit(&self, limits: Limits) {
        self.inner.limit(limits);
    }

    fn abandon(&self) {
        self.inner.abandon();
    }

    fn drain(&self, patience: Duration) {
        self.inner.drain(patience);
    }
}
