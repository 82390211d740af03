//! Kind `http`: a plain HTTP server. It takes requests and has no sessions.

use std::sync::Arc;

use crate::background::Background;
use crate::meter::Dials;
use crate::upstream::dial::Dialer;
use crate::upstream::forward::Forwarder;
use crate::upstream::{
    BuildError, Health, HealthCheck, Limits, OpenError, OpenRequest, Opening, Protocol, Relaying, Settings,
    Sight, Upstream,
};

/// A plain HTTP server.
#[derive(Debug)]
pub(super) struct Plain {
    dialer: Arc<Dialer>,
    forwarder: Forwarder,
}

impl Plain {
    pub(super) fn new(settings: &Settings, background: Background, dials: Dials) -> Result<Self, BuildError> {
        let dialer = Dialer::new(settings, background.clone(), dials)?;
        dialer.start_checks(None);
        let forwarder = Forwarder::new(dialer.clone(), settings, background);
        Ok(Self { dialer, forwarder })
    }
}

/// The configuration lets no route with sessions use it.
impl Upstream for Plain {
    fn open(&self, _request: OpenRequest) -> Opening<'_> {
        Box::pin(async { Err(no_sessions()) })
    }

    fn protocol(&self) -> Protocol {
        Protocol::WebSocket
    }

    fn relay(&self, _request: OpenRequest) -> Relaying<'_> {
        Box::pin(async { Err(no_sessions()) })
    }

    fn forwarder(&self) -> &Forwarder {
        &self.forwarder
    }

    fn health(&self) -> Health {
        self.dialer.health()
    }

    fn check_health(&self) -> HealthCheck<'_> {
        Box::pin(self.dialer.check_health())
    }

    fn sight(&self) -> Sight {
        self.dialer.sight()
    }

    fn limit(&self, limits: Limits) {
        self.dialer.limit(limits);
    }

    fn abandon(&self) {
        self.dialer.abandon();
    }
}

fn no_sessions() -> OpenError {
    OpenError::Protocol("an upstream of kind http has no sessions".to_owned())
}
