//! Connects to a backend over TCP or TLS: its URLs in turn, and all addresses behind each. An address that fails is
//! tried after the others, and probed in the background.

mod place;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use self::place::Place;
use crate::background::Background;
use crate::chain::Chain;
use crate::descriptors;
use crate::duplex::Duplex;
use crate::meter::Dials;
use crate::throttle::Outage;
use crate::tls::client_config;
use crate::upstream::connector::{Connecting, Connector};
use crate::upstream::deadline::Deadline;
use crate::upstream::failed::{Failed, Way};
use crate::upstream::handshake::{self, Accepted, Terms};
use crate::upstream::target::Target;
use crate::upstream::{BuildError, Health, Host, OpenError, OpenRequest, Relayed, Settings, is_secure};

/// The addresses of one upstream, and whether they can be reached.
#[derive(Debug)]
pub(super) struct Dialer {
    places: Vec<Place>,
    connect_timeout: Duration,
    /// The place that the next dial starts with.
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
    /// The place to start with.
    first: usize,
    /// The address being tried.
    trying: Option<Way>,
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
        let place = |url| Place::new(url, tls.as_ref(), settings.tls.server_name.as_ref());
        let places = settings.urls.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        if places.is_empty() {
            return Err(BuildError::NoUrl);
        }
        Ok(Arc::new(Self {
            places,
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
    pub(super) async fn look(self: &Arc<Self>) {
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
        deadline.bound(handshake::shake(stream, target, request, terms)).await.flatten()
    }

    /// Does the same with the client's own handshake headers.
    pub(super) async fn relay(
        self: &Arc<Self>,
        request: OpenRequest,
        host: Host,
        deadline: Deadline,
    ) -> Result<Relayed, OpenError> {
        let (stream, target) = self.dial(deadline).await?;
        deadline.bound(handshake::shake_for(stream, target, request, host)).await.flatten()
    }

    /// Connects to the first address that can be reached, starting with another place each time.
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
            has_choice: self.places.len() > 1,
            has_failed: false,
            is_last_resort: false,
            refusal: None,
        };
        let error = match deadline.bound(self.connect(&mut search)).await {
            Ok(Some((stream, place))) => return Ok((stream, &place.target)),
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
                if let Some(way) = search.trying.filter(|_| !search.has_failed) {
                    self.note_failed(way, &io::ErrorKind::TimedOut.into(), search.has_choice);
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

    async fn connect(self: &Arc<Self>, search: &mut Search) -> Option<(Duplex, &Place)> {
        let (first, count) = (search.first, self.places.len());
        let mut later = Vec::new();
        for place in (0..count).cycle().skip(first % count).take(count) {
            let name = Way { place, address: None };
            if self.failed.rank(name).is_some() {
                later.push(name);
                continue;
            }
            for way in self.resolve(name, search).await {
                if self.failed.rank(way).is_some() {
                    later.push(way);
                } else if let Some(stream) = self.attempt(way, search).await {
                    return Some((stream, &self.places[place]));
                }
            }
        }
        // None is given up: an address may be reachable again by now.
        search.is_last_resort = true;
        later.sort_by_key(|way| self.failed.rank(*way));
        for way in later {
            let ways = if way.address.is_none() { self.resolve(way, search).await } else { vec![way] };
            for way in ways {
                if let Some(stream) = self.attempt(way, search).await {
                    return Some((stream, &self.places[way.place]));
                }
            }
        }
        None
    }

    /// Resolves a host's name to its addresses.
    async fn resolve(self: &Arc<Self>, name: Way, search: &mut Search) -> Vec<Way> {
        search.trying = Some(name);
        match self.addresses(name.place).await {
            Ok(addresses) => {
                self.forget(name);
                search.has_choice |= addresses.len() > 1;
                addresses.into_iter().map(|address| Way { address: Some(address), ..name }).collect()
            }
            Err(error) => {
                self.give_up(name, error, search);
                Vec::new()
            }
        }
    }

    async fn attempt(self: &Arc<Self>, way: Way, search: &mut Search) -> Option<Duplex> {
        search.trying = Some(way);
        match self.reach(way).await {
            Ok(stream) => {
                self.note_up(way);
                Some(stream)
            }
            Err(error) => {
                self.give_up(way, error, search);
                None
            }
        }
    }

    fn give_up(self: &Arc<Self>, way: Way, error: io::Error, search: &mut Search) {
        debug!(upstream = %self, error = %Chain(&error), "an address cannot be reached");
        if !descriptors::is_shortage(&error) {
            self.note_failed(way, &error, search.has_choice);
        }
        search.has_failed = true;
        if error.kind() != io::ErrorKind::TimedOut {
            search.refusal = Some(error);
        }
    }

    async fn addresses(&self, place: usize) -> io::Result<Vec<SocketAddr>> {
        // Without a free descriptor, a resolver reports the name as unknown.
        descriptors::check()?;
        let addresses = timeout(self.connect_timeout, self.places[place].resolve()).await??;
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the host's name has no address"));
        }
        Ok(addresses)
    }

    async fn reach(&self, way: Way) -> io::Result<Duplex> {
        let address = way.address.ok_or(io::ErrorKind::AddrNotAvailable)?;
        self.places[way.place].reach(address, self.connect_timeout).await
    }

    fn note_up(&self, way: Way) {
        self.forget(way);
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

    fn forget(&self, way: Way) {
        if self.failed.forget(way) {
            info!(upstream = %self, address = %self.name(way), "the address can be reached again");
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

    fn note_failed(self: &Arc<Self>, way: Way, error: &io::Error, has_choice: bool) {
        if let Some(count) = self.failed.note(way, error.kind() == io::ErrorKind::TimedOut, has_choice) {
            let address = self.name(way);
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
            join_all(due.into_iter().map(|way| self.probe_way(way))).await;
            self.settle(self.watch());
        }
    }

    async fn probe_way(self: &Arc<Self>, way: Way) {
        match (self.addresses(way.place).await, way.address) {
            // The name now resolves to other addresses.
            (Ok(addresses), Some(address)) if !addresses.contains(&address) => self.forget(way),
            (Ok(_) | Err(_), Some(_)) => match self.reach(way).await {
                Ok(_) => self.note_up(way),
                Err(_) => self.failed.postpone(way),
            },
            (Ok(addresses), None) => {
                self.forget(way);
                for address in addresses {
                    let way = Way { address: Some(address), ..way };
                    match self.reach(way).await {
                        Ok(_) => return self.note_up(way),
                        Err(error) if descriptors::is_shortage(&error) => {}
                        Err(error) => self.note_failed(way, &error, false),
                    }
                }
            }
            (Err(_), None) => self.failed.postpone(way),
        }
    }

    fn name(&self, way: Way) -> String {
        way.address.map_or_else(|| self.places[way.place].to_string(), |address| address.to_string())
    }
}

/// Only hosts and ports: what an operator needs to identify it.
impl std::fmt::Display for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, place) in self.places.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{place}")?;
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
