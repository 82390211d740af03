//! Connects to a backend over TCP or TLS: its URLs in turn, and all addresses behind each. An address that fails is
//! tried after the others, and probed in the background.

mod server;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use self::server::Server;
use crate::background::Background;
use crate::chain::Chain;
use crate::descriptors;
use crate::duplex::Duplex;
use crate::meter::Dials;
use crate::throttle::Outage;
use crate::tls::client_config;
use crate::upstream::connector::{Connecting, Connector};
use crate::upstream::deadline::Deadline;
use crate::upstream::failed::{Endpoint, Failed};
use crate::upstream::handshake::{self, Accepted, Terms};
use crate::upstream::target::Target;
use crate::upstream::{BuildError, Health, Host, OpenError, OpenRequest, Relayed, Settings, is_secure};

/// The addresses of one upstream, and whether they can be reached.
#[derive(Debug)]
pub(super) struct Dialer {
    servers: Vec<Server>,
    connect_timeout: Duration,
    /// The server that the next dial starts with.
    next: AtomicUsize,
    failed: Failed,
    watch: Mutex<Watch>,
    /// The log lines of an upstream that is down.
    outage: Outage,
    background: Background,
}

#[derive(Debug, Default)]
struct Watch {
    health: Health,
    /// Cancels the prober, which runs while any address is among those that failed.
    prober: Option<CancellationToken>,
}

/// One search for an address that can be reached.
struct Search {
    /// The server to start with.
    first: usize,
    /// The address being tried.
    trying: Option<Endpoint>,
    /// Whether there are several addresses to try.
    has_choice: bool,
    /// Whether one was tried without success.
    has_failed: bool,
    /// Whether all addresses that had not failed before have failed now.
    is_last_resort: bool,
    /// The last failure other than a timeout.
    refusal: Option<io::Error>,
}

impl Connector for Dialer {
    fn connection(self: Arc<Self>, deadline: Deadline) -> Connecting {
        Box::pin(async move { self.dial(deadline).await.map(|(stream, target)| (stream, target.clone())) })
    }
}

impl Dialer {
    pub(super) fn new(
        settings: &Settings,
        background: Background,
        dials: Dials,
    ) -> Result<Arc<Self>, BuildError> {
        let secure = settings.urls.iter().any(is_secure);
        let tls = if secure {
            Some(client_config(&settings.tls.trust, settings.tls.identity.as_ref())?)
        } else {
            None
        };
        let server = |url| Server::new(url, tls.as_ref(), settings.tls.server_name.as_ref());
        let servers = settings.urls.iter().map(server).collect::<Result<Vec<_>, _>>()?;
        if servers.is_empty() {
            return Err(BuildError::NoUrl);
        }
        Ok(Arc::new(Self {
            servers,
            connect_timeout: settings.connect_timeout,
            next: AtomicUsize::new(0),
            failed: Failed::new(dials),
            watch: Mutex::default(),
            outage: Outage::default(),
            background,
        }))
    }

    /// Returns the result of the last attempt to reach an address.
    pub(super) fn health(&self) -> Health {
        self.watch().health
    }

    pub(super) fn is_down(&self) -> bool {
        self.health() == Health::Down
    }

    /// Tries to reach one address if none was tried before.
    pub(super) async fn check_health(self: &Arc<Self>) {
        if self.health() == Health::Unknown {
            let _ = self.dial(Deadline::after(self.connect_timeout)).await;
        }
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects to the first address that can be reached, and requests a WebSocket.
    pub(super) async fn open(
        self: &Arc<Self>,
        request: OpenRequest,
        terms: &Terms,
        deadline: Deadline,
    ) -> Result<Accepted, OpenError> {
        let (stream, target) = self.dial(deadline).await?;
        deadline.bound(handshake::perform(stream, target, request, terms)).await.flatten()
    }

    /// Does the same with the client's own handshake headers.
    pub(super) async fn relay(
        self: &Arc<Self>,
        request: OpenRequest,
        host: Host,
        deadline: Deadline,
    ) -> Result<Relayed, OpenError> {
        let (stream, target) = self.dial(deadline).await?;
        deadline.bound(handshake::perform_for(stream, target, request, host)).await.flatten()
    }

    /// Connects to the first address that can be reached, starting with another server each time.
    ///
    /// Without a free descriptor it waits for a moment, in which half-closed clients may release some.
    pub(super) async fn dial(self: &Arc<Self>, deadline: Deadline) -> Result<(Duplex, &Target), OpenError> {
        let wait_until = Instant::now() + ROOM_TIMEOUT;
        loop {
            match self.search(deadline).await {
                Err(OpenError::NoDescriptor(_)) if Instant::now() < wait_until => sleep(ROOM_PACE).await,
                ended => return ended,
            }
        }
    }

    async fn search(self: &Arc<Self>, deadline: Deadline) -> Result<(Duplex, &Target), OpenError> {
        let mut search = Search {
            first: self.next.fetch_add(1, Ordering::Relaxed),
            trying: None,
            has_choice: self.servers.len() > 1,
            has_failed: false,
            is_last_resort: false,
            refusal: None,
        };
        let error = match deadline.bound(self.connect(&mut search)).await {
            Ok(Some((stream, server))) => return Ok((stream, &server.target)),
            // It is a timeout only if no address gave any answer.
            Ok(None) => match search.refusal {
                // That says nothing about the backend.
                Some(error) if descriptors::is_shortage(&error) => {
                    return Err(OpenError::NoDescriptor(error));
                }
                Some(error) => OpenError::Down(error),
                None => OpenError::Slow(self.connect_timeout),
            },
            Err(error) => {
                // The interrupted attempt is to blame if it had all the time.
                if let Some(endpoint) = search.trying.filter(|_| !search.has_failed) {
                    self.note_failed(endpoint, &io::ErrorKind::TimedOut.into(), search.has_choice);
                }
                // Another address may work that was not tried yet.
                if search.has_choice && !search.is_last_resort {
                    return Err(error);
                }
                error
            }
        };
        self.note_down(&error);
        Err(error)
    }

    async fn connect(self: &Arc<Self>, search: &mut Search) -> Option<(Duplex, &Server)> {
        let (first, count) = (search.first, self.servers.len());
        let mut later = Vec::new();
        for server in (0..count).cycle().skip(first % count).take(count) {
            let name = Endpoint { server, address: None };
            if self.failed.rank(name).is_some() {
                later.push(name);
                continue;
            }
            for endpoint in self.resolve(name, search).await {
                if self.failed.rank(endpoint).is_some() {
                    later.push(endpoint);
                } else if let Some(stream) = self.attempt(endpoint, search).await {
                    return Some((stream, &self.servers[server]));
                }
            }
        }
        // None is given up: an address may be reachable again by now.
        search.is_last_resort = true;
        later.sort_by_key(|endpoint| self.failed.rank(*endpoint));
        for endpoint in later {
            let endpoints = if endpoint.address.is_none() {
                self.resolve(endpoint, search).await
            } else {
                vec![endpoint]
            };
            for endpoint in endpoints {
                if let Some(stream) = self.attempt(endpoint, search).await {
                    return Some((stream, &self.servers[endpoint.server]));
                }
            }
        }
        None
    }

    /// Resolves a host's name to its addresses.
    async fn resolve(self: &Arc<Self>, name: Endpoint, search: &mut Search) -> Vec<Endpoint> {
        search.trying = Some(name);
        match self.addresses(name.server).await {
            Ok(addresses) => {
                self.forget(name);
                search.has_choice |= addresses.len() > 1;
                addresses.into_iter().map(|address| Endpoint { address: Some(address), ..name }).collect()
            }
            Err(error) => {
                self.give_up(name, error, search);
                Vec::new()
            }
        }
    }

    async fn attempt(self: &Arc<Self>, endpoint: Endpoint, search: &mut Search) -> Option<Duplex> {
        search.trying = Some(endpoint);
        match self.reach(endpoint).await {
            Ok(stream) => {
                self.note_up(endpoint);
                Some(stream)
            }
            Err(error) => {
                self.give_up(endpoint, error, search);
                None
            }
        }
    }

    fn give_up(self: &Arc<Self>, endpoint: Endpoint, error: io::Error, search: &mut Search) {
        debug!(upstream = %self, error = %Chain(&error), "an address cannot be reached");
        if !descriptors::is_shortage(&error) {
            self.note_failed(endpoint, &error, search.has_choice);
        }
        search.has_failed = true;
        if error.kind() != io::ErrorKind::TimedOut {
            search.refusal = Some(error);
        }
    }

    async fn addresses(&self, server: usize) -> io::Result<Vec<SocketAddr>> {
        // Without a free descriptor, a resolver reports the name as unknown.
        descriptors::check()?;
        let addresses = timeout(self.connect_timeout, self.servers[server].resolve()).await??;
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the host's name has no address"));
        }
        Ok(addresses)
    }

    async fn reach(&self, endpoint: Endpoint) -> io::Result<Duplex> {
        let address = endpoint.address.ok_or(io::ErrorKind::AddrNotAvailable)?;
        self.servers[endpoint.server].reach(address, self.connect_timeout).await
    }

    fn note_up(&self, endpoint: Endpoint) {
        self.forget(endpoint);
        let mut watch = self.watch();
        self.end_outage(&mut watch);
        self.settle(watch);
    }

    fn end_outage(&self, watch: &mut Watch) {
        let was_down = std::mem::replace(&mut watch.health, Health::Up) == Health::Down;
        if was_down && self.outage.end() {
            info!(upstream = %self, "the upstream can be reached again");
        }
    }

    fn forget(&self, endpoint: Endpoint) {
        if self.failed.forget(endpoint) {
            info!(upstream = %self, address = %self.name(endpoint), "the address can be reached again");
        }
    }

    fn note_down(&self, error: &OpenError) {
        let mut watch = self.watch();
        // Unless another dial has reached it meanwhile.
        if self.failed.is_empty() {
            return;
        }
        watch.health = Health::Down;
        if let Some(count) = self.outage.begin() {
            warn!(upstream = %self, error = %Chain(error), count, "the upstream cannot be reached");
        }
    }

    fn note_failed(self: &Arc<Self>, endpoint: Endpoint, error: &io::Error, has_choice: bool) {
        if let Some(count) = self.failed.note(endpoint, error.kind() == io::ErrorKind::TimedOut, has_choice) {
            let address = self.name(endpoint);
            warn!(upstream = %self, %address, error = %Chain(error), count, "the address cannot be reached; other addresses are tried first");
        }
        let mut watch = self.watch();
        if watch.prober.is_none() {
            let life = self.background.stop.child_token();
            watch.prober = Some(life.clone());
            let dialer = Arc::clone(self);
            self.background.spawn_vital("the prober of an upstream", async move {
                life.run_until_cancelled(dialer.probe()).await;
            });
        }
    }

    /// Ends the prober if it has nothing left to do.
    fn settle(&self, mut watch: MutexGuard<'_, Watch>) {
        if self.failed.is_empty() {
            self.end_outage(&mut watch);
            if let Some(prober) = watch.prober.take() {
                prober.cancel();
            }
        }
    }

    /// Probes the addresses that failed: at growing intervals, but once a second if none can be reached.
    async fn probe(self: &Arc<Self>) {
        loop {
            sleep(PROBE_INTERVAL).await;
            let due = self.failed.due(self.is_down());
            join_all(due.into_iter().map(|endpoint| self.probe_endpoint(endpoint))).await;
            self.settle(self.watch());
        }
    }

    async fn probe_endpoint(self: &Arc<Self>, endpoint: Endpoint) {
        match (self.addresses(endpoint.server).await, endpoint.address) {
            // The name now resolves to other addresses.
            (Ok(addresses), Some(address)) if !addresses.contains(&address) => self.forget(endpoint),
            (Ok(_) | Err(_), Some(_)) => match self.reach(endpoint).await {
                Ok(_) => self.note_up(endpoint),
                Err(_) => self.failed.postpone(endpoint),
            },
            (Ok(addresses), None) => {
                self.forget(endpoint);
                for address in addresses {
                    let endpoint = Endpoint { address: Some(address), ..endpoint };
                    match self.reach(endpoint).await {
                        Ok(_) => return self.note_up(endpoint),
                        Err(error) if descriptors::is_shortage(&error) => {}
                        Err(error) => self.note_failed(endpoint, &error, false),
                    }
                }
            }
            (Err(_), None) => self.failed.postpone(endpoint),
        }
    }

    fn name(&self, Endpoint { server, address }: Endpoint) -> String {
        address.map_or_else(|| self.servers[server].to_string(), |address| address.to_string())
    }
}

/// Only hosts and ports: what an operator needs to identify it.
impl std::fmt::Display for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, server) in self.servers.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{server}")?;
        }
        Ok(())
    }
}

/// Often enough to notice a restart, and too seldom to be a burden.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// Longer than it takes to notice half-closed clients, and short enough for a client that then gets a 503.
const ROOM_TIMEOUT: Duration = Duration::from_millis(500);
const ROOM_PACE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
