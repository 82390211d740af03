//! Kind `mux`: all sessions over one WebSocket, or a few (`docs/mux.md`).

mod backoff;
mod epoch;
mod link;
mod reach;
mod settings;
mod slot;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::select_all;
use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::time::{Instant, timeout_at};

use self::link::MuxLink;
use self::slot::{LOST, Slot};
use crate::background::Background;
use crate::budget::Budget;
use crate::meter::Dials;
use crate::mux::{Accepted, Denied, Open};
use crate::packet::Closing;
use crate::reply::{Refused, Refuser, Reply};
use crate::revision::Versions;
use crate::sid::Sid;
use crate::trunk::Unopened as Unanswered;
use crate::upstream::address::Place;
use crate::upstream::deadline::Deadline;
use crate::upstream::dial::Dialer;
use crate::upstream::engineio;
use crate::upstream::forward::Forwarder;
use crate::upstream::{
    BuildError, Health, HealthCheck, Heartbeat, Limits, Link, OpenError, OpenRequest, Opened, Opening,
    Protocol, Relaying, Settings, Sight, Upstream, kept_headers,
};

pub use settings::MuxSettings;

/// A backend that receives all its sessions over shared connections.
#[derive(Debug)]
pub(super) struct Mux {
    slots: Vec<Arc<Slot>>,
    /// The slot for the next session.
    next: AtomicUsize,
    dialer: Arc<Dialer>,
    forwarder: Forwarder,
    settings: Settings,
}

/// Why a session was not opened.
enum Unopened {
    /// The backend was not asked: there was no connection.
    Unsent(OpenError),
    /// The connection broke before the answer, and everything on it has ended with it.
    Lost(OpenError),
    /// The backend drains, and has not begun it.
    Draining(OpenError),
    Failed(OpenError),
}

impl From<OpenError> for Unopened {
    fn from(error: OpenError) -> Self {
        Self::Failed(error)
    }
}

impl Mux {
    pub(super) fn new(
        settings: &Settings,
        background: Background,
        dials: Dials,
        budget: &Budget,
    ) -> Result<Self, BuildError> {
        // Its slots dial again by themselves; what waits for them waits here.
        let without = Settings { hold: Duration::ZERO, ..settings.clone() };
        let dialer = Dialer::new(&without, background.clone(), dials)?;
        let slot = |_| Slot::start(&dialer, settings, &background, budget);
        let slots = (0..settings.mux.connections.max(1)).map(slot).collect();
        dialer.start_checks(None);
        let forwarder = Forwarder::new(dialer.clone(), settings, background);
        Ok(Self { slots, next: AtomicUsize::new(0), dialer, forwarder, settings: settings.clone() })
    }

    async fn open(&self, request: OpenRequest) -> Result<(Opened, Box<dyn Link>), OpenError> {
        engineio::negotiate(self.settings.versions, request.revision)?;
        let question = question(request);
        let Settings { hold, retry, connect_timeout, .. } = self.settings;
        let start = Instant::now();
        let hold_until = start + hold;
        loop {
            if self.health() == Health::Down && Instant::now() < hold_until {
                let up = select_all(self.slots.iter().map(|slot| Box::pin(slot.is_up())));
                // After the hold, the slot says why.
                let _ = timeout_at(hold_until, up).await;
            }
            let elapsed = || start.elapsed();
            match self.ask(&question).await {
                // Its connection was not there yet, or had just broken, which only an attempt to connect shows.
                Err(Unopened::Unsent(OpenError::Down(_) | OpenError::Slow(_))) if elapsed() < hold => {}
                // What it may have begun it has ended, as a server that did not answer a GET (RFC 9110, section 9.2.2).
                Err(Unopened::Lost(_)) if retry && elapsed() < hold => {}
                // Another connection is there, or under way.
                Err(Unopened::Draining(_)) if elapsed() < hold.max(connect_timeout) => {}
                Err(
                    Unopened::Unsent(error)
                    | Unopened::Lost(error)
                    | Unopened::Draining(error)
                    | Unopened::Failed(error),
                ) => return Err(error),
                Ok(opened) => return Ok(opened),
            }
        }
    }

    /// Asks the backend for a session, once.
    async fn ask(&self, question: &Open) -> Result<(Opened, Box<dyn Link>), Unopened> {
        let (slot, place) = self.seat().await?;
        let deadline = Deadline::after(self.settings.handshake_timeout);
        let (trunk, id, answer) = slot.ask(question).ok_or_else(|| slot.unreached())?;
        slot.retry_soon();
        // If it is dropped, the session is withdrawn.
        let link = MuxLink::new(Arc::clone(&trunk), id, place);
        match deadline.bound(answer).await?.unwrap_or(Err(Unanswered::Lost(Closing::default()))) {
            Ok(accepted) => Ok((opened(*accepted), Box::new(link))),
            Err(Unanswered::Denied(denied)) => {
                let crossed = denied.status == StatusCode::SERVICE_UNAVAILABLE && trunk.is_draining();
                let refused = OpenError::Refused(Box::new(refused(*denied)));
                Err(if crossed { Unopened::Draining(refused) } else { Unopened::Failed(refused) })
            }
            Err(Unanswered::Unsent) => Err(Unopened::Unsent(slot.unreached())),
            Err(Unanswered::Lost(closing)) if closing == LOST => Err(Unopened::Lost(slot.unreached())),
            Err(Unanswered::Lost(closing)) => {
                tracing::debug!(reason = closing.reason.as_str(), "a session was not opened");
                Err(slot.unreached().into())
            }
        }
    }

    /// Returns the slot of a new session, with the session's place at its address if their number is limited.
    async fn seat(&self) -> Result<(&Arc<Slot>, Option<Box<Place>>), Unopened> {
        let deadline = Deadline::after(self.settings.handshake_timeout);
        while self.dialer.is_limited() {
            if let Some(place) = self.dialer.seat().await? {
                let leads_there = |slot: &&Arc<Slot>| slot.endpoint() == Some(place.endpoint());
                if let Some(slot) = self.in_turn().find(leads_there) {
                    return Ok((slot, Some(Box::new(place))));
                }
                // It has just broken.
                tokio::task::yield_now().await;
            } else if self.health() == Health::Down {
                let slot = self.slot();
                slot.retry_soon();
                return Err(Unopened::Unsent(slot.unreached()));
            } else {
                // Where a session would be is known once there is a connection.
                let joined = select_all(self.slots.iter().map(|slot| Box::pin(slot.is_joined())));
                deadline.bound(joined).await?;
            }
        }
        Ok((self.slot(), None))
    }

    fn in_turn(&self) -> impl Iterator<Item = &Arc<Slot>> {
        let first = self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len();
        self.slots.iter().cycle().skip(first).take(self.slots.len())
    }

    /// Returns the next slot in turn; one that is down only if all are.
    fn slot(&self) -> &Arc<Slot> {
        let mut turn = self.in_turn().peekable();
        let first = turn.peek().copied();
        turn.find(|slot| !slot.is_down()).or(first).unwrap_or(&self.slots[0])
    }
}

impl Upstream for Mux {
    fn open(&self, request: OpenRequest) -> Opening<'_> {
        Box::pin(self.open(request))
    }

    fn forwarder(&self) -> &Forwarder {
        &self.forwarder
    }

    fn protocol(&self) -> Protocol {
        Protocol::Mux
    }

    fn versions(&self) -> Versions {
        self.settings.versions
    }

    fn relay(&self, _request: OpenRequest) -> Relaying<'_> {
        let fault = OpenError::Protocol("a shared connection has no room for a bare WebSocket".to_owned());
        Box::pin(std::future::ready(Err(fault)))
    }

    fn health(&self) -> Health {
        let is = |health| move |slot: &Arc<Slot>| slot.health() == health;
        if self.slots.iter().any(is(Health::Up)) {
            Health::Up
        } else if self.slots.iter().all(is(Health::Down)) {
            Health::Down
        } else {
            Health::Unknown
        }
    }

    fn check_health(&self) -> HealthCheck<'_> {
        // Each slot dials by itself.
        Box::pin(async { drop(select_all(self.slots.iter().map(|slot| Box::pin(slot.known()))).await) })
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

    fn drain(&self, patience: Duration) {
        for slot in &self.slots {
            slot.trunk().drain(patience.as_secs().max(1));
        }
    }
}

fn question(request: OpenRequest) -> Open {
    let OpenRequest { prefix, path, query, mut headers, client, dialect, transport, revision, spelling: _ } =
        request;
    let offer = headers.remove(SEC_WEBSOCKET_PROTOCOL);
    let protocols = offer.as_ref().and_then(|offer| offer.to_str().ok()).map(|offer| {
        offer.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
    });
    let question = if query.is_empty() { "" } else { "?" };
    Open {
        path: format!("{prefix}{path}{question}{query}"),
        dialect: dialect.to_owned(),
        revision,
        transport: transport.word().to_owned(),
        client: client.to_string(),
        headers,
        protocols: protocols.unwrap_or_default(),
    }
}

fn opened(accepted: Accepted) -> Opened {
    let Accepted { sid, headers, protocol, ping_interval, ping_timeout, max_payload } = accepted;
    let heartbeat = ping_interval.zip(ping_timeout).map(|(interval, timeout)| Heartbeat {
        interval: Duration::from_millis(interval.max(1)),
        timeout: Duration::from_millis(timeout.max(1)),
    });
    Opened {
        sid: sid.as_deref().and_then(Sid::parse),
        heartbeat,
        max_payload: max_payload.and_then(|max| usize::try_from(max).ok()),
        headers: kept(headers, kept_headers::keep_for_client),
        subprotocol: protocol.and_then(|protocol| HeaderValue::try_from(protocol).ok()),
    }
}

fn refused(denied: Denied) -> Refused {
    let by = if denied.engine_io { Refuser::EngineIo } else { Refuser::Other };
    let headers = kept(denied.headers, kept_headers::keep_of_refusal);
    Refused { reply: Reply { status: denied.status, headers, body: denied.reason.into() }, by }
}

fn kept(mut headers: HeaderMap, keep: fn(&mut HeaderMap)) -> HeaderMap {
    keep(&mut headers);
    headers
}
