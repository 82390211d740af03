//! Connects to a backend over TCP or TLS: to all addresses behind its URLs, by the upstream's policy. An address that
//! fails is tried after the others, and probed in the background.

mod announce;
mod checker;
mod names;
mod prober;
mod reached;
mod search;
mod server;
mod shake;

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub(super) use self::reached::Reached;
use self::server::{Resolve, Server};
use crate::address::RemoteAddress;
use crate::background::Background;
use crate::chain::Chain;
use crate::duplex::{Duplex, Socket};
use crate::meter::Dials;
use crate::throttle::Outage;
use crate::tls::client_config;
use crate::upstream::address::{
    Addresses, Among, Endpoint, Joined, Overfull, Place, Purpose, Unchosen, Wish,
};
use crate::upstream::affinity::Key;
use crate::upstream::backend_address::BackendAddress;
use crate::upstream::connector::{Connecting, Connector};
use crate::upstream::deadline::Deadline;
use crate::upstream::{
    BuildError, Check, HashBy, Health, Kind, Limits, OpenError, OpenRequest, ProxyVersion, Settings, Sight,
    is_secure,
};

/// The addresses of one upstream, and whether they can be reached.
#[derive(Debug)]
pub(super) struct Dialer {
    servers: Vec<Server>,
    addresses: Arc<Addresses>,
    hash: Option<HashBy>,
    retry: bool,
    /// What its handshakes are for.
    purpose: Purpose,
    hold: Duration,
    check: Option<Check>,
    /// Cancelled when no configuration names the upstream any more.
    abandoned: CancellationToken,
    proxy_protocol: Option<ProxyVersion>,
    connect_timeout: Duration,
    resolve_interval: Duration,
    resolve: Resolve,
    watch: Mutex<Watch>,
    /// Notified when an upstream that was down can be reached again.
    back: Notify,
    /// The log lines of an upstream that is down.
    outage: Outage,
    background: Background,
}

#[derive(Debug, Default)]
struct Watch {
    health: Health,
    /// Cancels the prober, which runs while any address is among those that failed.
    prober: Option<CancellationToken>,
    /// Whether a task resolves the names again and again, which begins with the first of them.
    resolves: bool,
}

impl Connector for Dialer {
    fn place(&self, key: Option<Key>) -> Option<Place> {
        self.addresses.choose(Among::All, Wish::new(Purpose::Other, key)).ok()
    }

    fn key(&self, headers: &HeaderMap, query: &str, client: Option<IpAddr>) -> Option<Key> {
        self.hash.as_ref()?.key(headers, query, client)
    }

    fn connection(self: Arc<Self>, place: Option<Place>, key: Option<Key>, deadline: Deadline) -> Connecting {
        Box::pin(async move {
            let reached = self.dial_from(place, Wish::new(Purpose::Other, key), None, deadline).await?;
            Ok((reached.stream, reached.target.clone(), Some(reached.place)))
        })
    }
}

impl Dialer {
    pub(super) fn new(
        settings: &Settings,
        background: Background,
        dials: Dials,
    ) -> Result<Arc<Self>, BuildError> {
        Self::with_resolver(settings, background, dials, server::system)
    }

    fn with_resolver(
        settings: &Settings,
        background: Background,
        dials: Dials,
        resolve: Resolve,
    ) -> Result<Arc<Self>, BuildError> {
        let secure = settings.urls.iter().any(is_secure);
        let tls = if secure {
            Some(client_config(&settings.tls.trust, settings.tls.identity.as_ref())?)
        } else {
            None
        };
        let name = settings.tls.server_name.as_ref();
        let server = |url, socket| Server::new(url, socket, tls.as_ref(), name, dials.budget());
        let servers = match (&*settings.sockets, &*settings.urls) {
            ([], urls) => urls.iter().map(|url| server(url, None)).collect::<Result<Vec<_>, _>>(),
            (sockets, [url, ..]) => sockets.iter().map(|socket| server(url, Some(socket))).collect(),
            (_, []) => Ok(Vec::new()),
        }?;
        if servers.is_empty() {
            return Err(BuildError::NoUrl);
        }
        let endpoints =
            servers.iter().enumerate().map(|(server, each)| Endpoint { server, address: each.known });
        Ok(Arc::new(Self {
            addresses: Addresses::new(
                settings.balance,
                settings.slow_start,
                endpoints,
                settings.limits,
                dials,
            ),
            servers,
            hash: settings.hash.clone(),
            retry: settings.retry,
            purpose: if settings.kind == Kind::Mux { Purpose::Other } else { Purpose::Session },
            hold: settings.hold,
            check: settings.check.clone(),
            abandoned: CancellationToken::new(),
            proxy_protocol: settings.proxy_protocol,
            connect_timeout: settings.connect_timeout,
            resolve_interval: settings.resolve_interval,
            resolve,
            watch: Mutex::default(),
            back: Notify::new(),
            outage: Outage::default(),
            background,
        }))
    }

    /// Returns the result of the last attempt to reach an address.
    pub(super) fn health(&self) -> Health {
        self.watch().health
    }

    /// Finds out whether an address can be reached if none was tried before.
    pub(super) async fn check_health(self: &Arc<Self>) {
        while self.check.is_some() && !self.abandoned.is_cancelled() {
            let news = self.addresses.news();
            if self.health() != Health::Unknown {
                return;
            }
            news.await;
        }
        if self.health() == Health::Unknown {
            // Without a hold: the question is about now.
            let _ = self
                .search(None, Wish::new(Purpose::Other, None), None, Deadline::after(self.connect_timeout))
                .await;
        }
    }

    /// Returns what an operator may see of the addresses.
    pub(super) fn sight(&self) -> Sight {
        self.addresses.sight(|endpoint| self.name(endpoint))
    }

    /// Sets the limits from now on.
    pub(super) fn limit(&self, limits: Limits) {
        self.addresses.limit(limits);
    }

    /// Returns whether an address may have only so many sessions.
    pub(super) fn is_limited(&self) -> bool {
        self.addresses.is_limited()
    }

    /// Notes that sessions may begin on a shared connection to this address, until the result is dropped.
    pub(super) fn join(&self, endpoint: Endpoint) -> Joined {
        self.addresses.join(endpoint)
    }

    /// Returns a place for a session on a shared connection, after a wait if there is none; `None` without connections.
    pub(super) async fn seat(&self) -> Result<Option<Place>, OpenError> {
        let wish = Wish::new(Purpose::Shared, None);
        match self.addresses.choose(Among::All, wish) {
            Ok(place) => Ok(Some(place)),
            Err(Unchosen::None) => Ok(None),
            Err(Unchosen::Full) => self.addresses.wait(wish).await.map_err(|Overfull| OpenError::Full),
        }
    }

    /// Ends the checks.
    pub(super) fn abandon(&self) {
        self.abandoned.cancel();
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects to an address that can be reached, for this client; with a key, to that which suits it best.
    pub(super) async fn dial(
        self: &Arc<Self>,
        key: Option<Key>,
        client: Option<RemoteAddress>,
        deadline: Deadline,
    ) -> Result<Reached<'_>, OpenError> {
        self.dial_from(None, Wish::new(Purpose::Other, key), client, deadline).await
    }

    /// Returns the key of a request, if its address depends on one.
    pub(super) fn key_of(&self, request: &OpenRequest) -> Option<Key> {
        self.key(&request.headers, &request.query, request.client.ip())
    }

    /// Connects to this address, or to another one if it can't be reached.
    ///
    /// Without a free descriptor it waits for a moment, in which half-closed clients may release some. While no address can
    /// be reached, it waits as long as the settings say, and while all are full in line; after that, the deadline begins
    /// again.
    async fn dial_from(
        self: &Arc<Self>,
        mut first: Option<Place>,
        wish: Wish<'_>,
        client: Option<RemoteAddress>,
        mut deadline: Deadline,
    ) -> Result<Reached<'_>, OpenError> {
        let now = Instant::now();
        let (wait_until, hold_until) = (now + ROOM_TIMEOUT, now + self.hold);
        loop {
            // It knows of all that happens from now on.
            let back = self.back.notified();
            // Where addresses are checked, one that is out is known to refuse.
            if self.check.is_some() && self.health() == Health::Down && Instant::now() < hold_until {
                let _ = timeout_at(hold_until, back).await;
                deadline = deadline.again();
                continue;
            }
            match self.search(first.take(), wish, client, deadline).await {
                Err(OpenError::NoDescriptor(_)) if Instant::now() < wait_until => sleep(ROOM_PACE).await,
                Err(OpenError::Down(_) | OpenError::Slow(_))
                    if Instant::now() < hold_until && self.health() == Health::Down =>
                {
                    // After the hold, one last search says why.
                    let _ = timeout_at(hold_until, back).await;
                    deadline = deadline.again();
                }
                Err(OpenError::Full) => {
                    first = self.addresses.wait(wish).await.map_err(|Overfull| OpenError::Full)?;
                    deadline = deadline.again();
                }
                ended => return ended,
            }
        }
    }

    /// Ready once its name no longer has this address.
    pub(super) async fn lost(&self, endpoint: Endpoint) {
        self.addresses.lost(endpoint).await;
    }

    async fn connect(&self, endpoint: Endpoint) -> io::Result<Socket> {
        let address = endpoint.address.ok_or(io::ErrorKind::AddrNotAvailable)?;
        self.servers[endpoint.server].connect(address, self.connect_timeout).await
    }

    /// Announces the client, if there is one and the settings say so, and runs the TLS handshake.
    async fn secure(
        &self,
        endpoint: Endpoint,
        mut stream: Socket,
        client: Option<RemoteAddress>,
    ) -> io::Result<Duplex> {
        if let Some(version) = self.proxy_protocol {
            timeout(self.connect_timeout, announce::announce(&mut stream, version, client)).await??;
        }
        self.servers[endpoint.server].secure(stream, self.connect_timeout).await
    }

    fn note_up(&self, endpoint: Endpoint) {
        if self.addresses.reached(endpoint) {
            info!(upstream = %self, address = %self.name(endpoint), "the address can be reached again");
        }
        let mut watch = self.watch();
        if !self.addresses.is_sick(endpoint) {
            self.end_outage(&mut watch);
        } else if self.addresses.are_all_out() {
            watch.health = Health::Down;
        }
        self.settle(watch);
    }

    /// Notes that an address fails its checks.
    fn note_sick(&self) {
        let mut watch = self.watch();
        if !self.addresses.are_all_out() {
            return;
        }
        watch.health = Health::Down;
        if let Some(count) = self.outage.begin() {
            warn!(upstream = %self, count, "no address of the upstream is in order");
        }
    }

    fn end_outage(&self, watch: &mut Watch) {
        let was_down = std::mem::replace(&mut watch.health, Health::Up) == Health::Down;
        if was_down {
            self.back.notify_waiters();
        }
        if was_down && self.outage.end() {
            info!(upstream = %self, "the upstream can be reached again");
        }
    }

    fn note_down(&self, error: &OpenError) {
        let mut watch = self.watch();
        // Unless there is one that was not tried, or another dial has reached one meanwhile.
        if !self.addresses.are_all_out() {
            return;
        }
        watch.health = Health::Down;
        if let Some(count) = self.outage.begin() {
            warn!(upstream = %self, error = %Chain(error), count, "the upstream cannot be reached");
        }
    }

    fn note_failed(self: &Arc<Self>, endpoint: Endpoint, error: &io::Error) {
        if let Some(count) = self.addresses.failed(endpoint, error.kind() == io::ErrorKind::TimedOut) {
            let address = self.name(endpoint);
            warn!(upstream = %self, %address, error = %Chain(error), count, "the address cannot be reached; other addresses are tried first");
        }
        self.start_prober();
    }

    fn name(&self, Endpoint { server, address }: Endpoint) -> String {
        match address {
            Some(BackendAddress::Ip(address)) => address.to_string(),
            Some(BackendAddress::Unix(_)) | None => self.servers[server].to_string(),
        }
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
