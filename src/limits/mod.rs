//! How much one client may take, and all together: connections, sessions, handshakes, requests and tunnels.
//!
//! [`Limits`] is the type to read first. What is held is counted by guards ([`HeldConnection`], [`HeldSession`]); what
//! comes per second, by token buckets. The counts of a client stay for as long as the cache has room: if one is dropped,
//! its client begins anew, which harms nobody else.

mod client;
mod held;
mod settings;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::address::{RemoteAddress, TrustedProxy, is_among};
use crate::bucket::Bucket;
use crate::limited::{Limit, Limited};
pub use client::Client;
use client::is_private;
use held::{Count, Held};
pub use held::{HeldConnection, HeldRequest, HeldSession, HeldTunnel};
pub use settings::Settings;

/// What clients may take, and have taken.
#[derive(Clone, Debug)]
pub struct Limits(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rules: ArcSwap<Rules>,
    connections: Count,
    tunnels: Count,
    handshakes: Mutex<Bucket>,
    clients: Cache<Client, Arc<Counts>, foldhash::quality::RandomState>,
    limited: Limited,
    /// Whether the log has said that a proxy in front is not trusted.
    has_warned: AtomicBool,
}

/// What holds now.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Rules {
    settings: Settings,
    trusted: Vec<TrustedProxy>,
}

/// What one client has taken.
#[derive(Default, Debug)]
struct Counts {
    connections: Count,
    sessions: Count,
    requests: Count,
    tunnels: Count,
    preflights: Count,
    handshakes: Mutex<Bucket>,
}

/// A handshake that comes too early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooEarly {
    /// How long it should wait.
    pub wait: Duration,
}

/// Which limit a tunnel is beyond.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TunnelLimit {
    /// That of its client.
    Client,
    /// That of all.
    All,
}

impl Limits {
    /// Creates what holds for clients whose proxies in front are `trusted`.
    pub fn new(settings: Settings, trusted: &[TrustedProxy], limited: Limited) -> Self {
        let clients = Cache::builder().max_capacity(CLIENTS_MAX).eviction_policy(EvictionPolicy::lru());
        Self(Arc::new(Inner {
            rules: ArcSwap::from_pointee(Rules { settings, trusted: trusted.to_vec() }),
            connections: Count::default(),
            tunnels: Count::default(),
            handshakes: Mutex::default(),
            clients: clients.build_with_hasher(foldhash::quality::RandomState::default()),
            limited,
            has_warned: AtomicBool::new(false),
        }))
    }

    /// Sets what holds from now on; what was taken stays taken.
    pub fn set(&self, settings: Settings, trusted: &[TrustedProxy]) {
        self.0.rules.store(Arc::new(Rules { settings, trusted: trusted.to_vec() }));
    }

    /// Returns the client at an address, which the trusted proxies in front have told; `None` is a Unix socket's. There is
    /// none where many clients may have the same address: behind a proxy that tells nothing, and, unless the operator says
    /// otherwise, in a private network.
    pub fn client(&self, address: Option<IpAddr>) -> Option<Client> {
        let rules = self.0.rules.load();
        let is_trusted = match address {
            Some(address) => is_among(address, &rules.trusted),
            None => rules.trusted.contains(&TrustedProxy::Unix),
        };
        let is_clients = address.is_some_and(|address| !is_private(address))
            || rules.settings.count_private
            || !rules.trusted.is_empty();
        (is_clients && !is_trusted).then(|| Client::of(address))
    }

    /// Counts a connection of a client that is not known yet; `None` if there are too many.
    pub fn connect(&self) -> Option<HeldConnection> {
        let held = self.0.connections.take(self.0.rules.load().settings.max_connections);
        if held.is_none() {
            self.0.limited.reached(Limit::MaxConnections, None);
        }
        held.map(HeldConnection::new)
    }

    /// Counts it as its client's.
    ///
    /// # Errors
    /// That has too many.
    pub fn connected(&self, connection: &mut HeldConnection, peer: RemoteAddress) -> Result<(), Client> {
        let Some(client) = self.client(peer.ip()) else { return Ok(()) };
        let max = self.0.rules.load().settings.client_connections;
        if max == Settings::NONE || connection.is_of(self.counts(client).connections.take(max)) {
            return Ok(());
        }
        self.0.limited.reached(Limit::ClientConnections, Some(&client));
        Err(client)
    }

    /// Counts a tunnel.
    ///
    /// # Errors
    /// There are too many, in all or of its client.
    pub fn tunnel(&self, client: Option<Client>) -> Result<HeldTunnel, TunnelLimit> {
        let settings = self.0.rules.load().settings;
        let own = self.share(client, settings.client_tunnels, Limit::ClientTunnels, |counts| &counts.tunnels);
        let own = own.map_err(|_| TunnelLimit::Client)?;
        let all = self.0.tunnels.take(settings.max_tunnels).ok_or_else(|| {
            self.0.limited.reached(Limit::MaxTunnels, None);
            TunnelLimit::All
        })?;
        Ok(HeldTunnel::new(all, own))
    }

    /// Counts a forwarded request of a client, which may have to wait in line.
    ///
    /// # Errors
    /// It has too many.
    pub fn request(&self, client: Option<Client>) -> Result<HeldRequest, Client> {
        let max = self.0.rules.load().settings.client_requests;
        self.share(client, max, Limit::ClientRequests, |counts| &counts.requests).map(HeldRequest::new)
    }

    /// Counts a preflight of a client that its backend is asked about; `None` if it has `max`.
    pub fn preflight(&self, client: Option<Client>, max: usize) -> Option<HeldRequest> {
        let Some(client) = client else { return Some(HeldRequest::new(None)) };
        self.counts(client).preflights.take(max).map(|held| HeldRequest::new(Some(held)))
    }

    /// Counts a handshake.
    ///
    /// # Errors
    /// There were too many in a short time. It has not been counted.
    pub fn shake(&self, client: Option<Client>, now: Instant) -> Result<(), TooEarly> {
        let settings = self.0.rules.load().settings;
        let early = |at: Instant| TooEarly { wait: at.saturating_duration_since(now) };
        // A client that has too many must not take those of the others.
        let own = client.filter(|_| settings.client_handshakes_per_second != Settings::NONE);
        let own = own.map(|client| (client, self.counts(client)));
        if let Some((client, counts)) = &own {
            take(&counts.handshakes, settings.client_handshakes_per_second, now).map_err(|at| {
                self.0.limited.reached(Limit::ClientHandshakes, Some(client));
                early(at)
            })?;
        }
        take(&self.0.handshakes, settings.handshakes_per_second, now).map_err(|at| {
            // What does not begin because of the others costs its client nothing.
            if let Some((_, counts)) = &own {
                give_back(&counts.handshakes, settings.client_handshakes_per_second);
            }
            self.0.limited.reached(Limit::Handshakes, None);
            early(at)
        })
    }

    /// Counts a session of a client.
    ///
    /// # Errors
    /// It has too many.
    pub fn begin(&self, client: Option<Client>) -> Result<HeldSession, Client> {
        let max = self.0.rules.load().settings.client_sessions;
        self.share(client, max, Limit::ClientSessions, |counts| &counts.sessions).map(HeldSession::new)
    }

    /// Takes one of what a client may have, where one is known and limited.
    fn share(
        &self,
        client: Option<Client>,
        max: usize,
        limit: Limit,
        of: fn(&Counts) -> &Count,
    ) -> Result<Option<Held>, Client> {
        let Some(client) = client.filter(|_| max != Settings::NONE) else { return Ok(None) };
        of(&self.counts(client)).take(max).map(Some).ok_or_else(|| {
            self.0.limited.reached(limit, Some(&client));
            client
        })
    }

    /// Counts a connection of a client that a listener does not let in.
    pub fn note_denied(&self, client: RemoteAddress) {
        let address = Client::of(client.ip());
        self.0.limited.reached(Limit::Deny, Some(&address));
    }

    /// Warns, once, that headers which say whose a request is come from a peer that is not trusted.
    pub fn note_untrusted(&self, peer: RemoteAddress) {
        if !self.0.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %peer,
                "a request has X-Forwarded-For and comes from none of trusted_proxies: if a proxy stands there, name it in \
                 server.trusted_proxies, or its clients count as one"
            );
        }
    }

    /// Returns what counts other limits.
    pub fn limited(&self) -> Limited {
        self.0.limited.clone()
    }

    fn counts(&self, client: Client) -> Arc<Counts> {
        self.0.clients.get_with(client, Arc::default)
    }
}

/// Takes one from a bucket that gets so many a second.
fn take(bucket: &Mutex<Bucket>, per_second: usize, now: Instant) -> Result<(), Instant> {
    let Some(price) = price(per_second) else { return Ok(()) };
    bucket.lock().unwrap_or_else(PoisonError::into_inner).take(price, BURST, now)
}

/// Gives one back.
fn give_back(bucket: &Mutex<Bucket>, per_second: usize) {
    if let Some(price) = price(per_second) {
        bucket.lock().unwrap_or_else(PoisonError::into_inner).give_back(price);
    }
}

/// Returns what one costs where so many may come a second; `None` if all may.
fn price(per_second: usize) -> Option<Duration> {
    SECOND.checked_div(u32::try_from(per_second).ok()?)
}

/// Nobody is limited, for tests.
impl Default for Limits {
    fn default() -> Self {
        Self::new(Settings::default(), &[], Limited::default())
    }
}

const SECOND: Duration = Duration::from_secs(1);
/// How much may come at once: what else comes in this time. All clients come again within seconds of a restart.
const BURST: Duration = Duration::from_secs(10);
/// Some 20 MB. A site with as many networks of IPv6 is as many clients anyway.
const CLIENTS_MAX: u64 = 100_000;
