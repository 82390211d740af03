//! What lets clients in at a route: the parts of its guard that a reload keeps.

use std::sync::Arc;

use anyhow::Context as _;
use tokio_util::task::TaskTracker;

use crate::meter::Meter;
use crate::service::{Auth, Guard, Jwt, KeyRing, KeySettings, Refusals, Route, Served, Source};
use crate::upstream::{self, InUse};

/// Connections to an auth server, and keys for tokens.
pub(super) struct Gates {
    server: Option<Arc<InUse>>,
    keys: Option<Arc<KeyRing>>,
}

impl Gates {
    /// Returns those of a route, from what served it before as far as that is the same. `start` starts a server that is
    /// asked about clients.
    pub(super) fn new(
        route: &Route,
        before: Option<&Served>,
        start: impl Fn(&str, &upstream::Settings) -> anyhow::Result<Arc<InUse>>,
        tracker: &TaskTracker,
    ) -> anyhow::Result<Self> {
        let before = before.and_then(|served| served.handler.guard());
        let asked = |what: &str, settings: &upstream::Settings| {
            // No upstream of the configuration has such a name.
            let started = start(&format!("{what} {}", route.id()), settings);
            started.with_context(|| format!("{what} of {}", route.path))
        };
        let server = match &route.auth {
            Some(settings) => {
                let before = before.and_then(|guard| Some(&guard.auth.as_ref()?.server));
                match before.filter(|server| server.is_made_of(&settings.server)) {
                    Some(same) => Some(Arc::clone(same)),
                    None => Some(asked("auth", &settings.server)?),
                }
            }
            None => None,
        };
        let keys = match &route.jwt {
            Some(settings) => {
                let before = before.and_then(|guard| Some(&guard.jwt.as_ref()?.keys));
                match (before.filter(|keys| keys.is_of(&settings.keys)), &settings.keys) {
                    (Some(same), _) => Some(Arc::clone(same)),
                    (None, KeySettings::File(path)) => {
                        Some(KeyRing::start(Source::File(path.clone()), tracker.clone()))
                    }
                    (None, KeySettings::Server(settings)) => {
                        Some(KeyRing::start(Source::Server(asked("jwks", settings)?), tracker.clone()))
                    }
                }
            }
            None => None,
        };
        Ok(Self { server, keys })
    }

    /// Returns whether a guard has these.
    pub(super) fn are_of(&self, guard: Option<&Arc<Guard>>) -> bool {
        let server = guard.and_then(|guard| Some(&guard.auth.as_ref()?.server));
        let keys = guard.and_then(|guard| Some(&guard.jwt.as_ref()?.keys));
        server.map(Arc::as_ptr) == self.server.as_ref().map(Arc::as_ptr)
            && keys.map(Arc::as_ptr) == self.keys.as_ref().map(Arc::as_ptr)
    }

    /// Returns the guard of a route.
    pub(super) fn guard(self, route: &Route, meter: &Meter, refusals: &Arc<Refusals>) -> Option<Arc<Guard>> {
        let counts = || (meter.clone(), Arc::clone(refusals));
        let auth = route.auth.clone().zip(self.server).map(|(settings, server)| {
            let (meter, refusals) = counts();
            Arc::new(Auth { server, settings, meter, refusals })
        });
        let jwt = route.jwt.clone().zip(self.keys).map(|(settings, keys)| {
            let (meter, refusals) = counts();
            Arc::new(Jwt { settings, keys, meter, refusals })
        });
        (auth.is_some() || jwt.is_some()).then(|| Arc::new(Guard { jwt, auth }))
    }
}
