//! Reaching a backend over TCP or TLS: its URLs in turn, the next one where one cannot be reached, and a watch on those
//! that are all down.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::background::Background;
use crate::chain::Chain;
use crate::duplex::{Duplex, set_keepalive};
use crate::tls::client_config;
use crate::upstream::handshake::{self, Accepted, Terms};
use crate::upstream::target::Target;
use crate::upstream::tls::Tls;
use crate::upstream::{BuildError, Host, OpenError, OpenRequest, Relayed, Settings, is_secure};

/// The addresses of one upstream, and whether they can be reached.
#[derive(Debug)]
pub(super) struct Dialer {
    places: Vec<Place>,
    connect_timeout: Duration,
    /// Which place is tried first by the next one who dials.
    next: AtomicUsize,
    /// The prober's life while the upstream is down.
    prober: Mutex<Option<CancellationToken>>,
    background: Background,
}

#[derive(Debug)]
struct Place {
    host: String,
    port: u16,
    target: Target,
    tls: Option<Tls>,
}

impl Dialer {
    pub(super) fn new(settings: &Settings, background: Background) -> Result<Arc<Self>, BuildError> {
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
            prober: Mutex::new(None),
            background,
        }))
    }

    /// Whether none of the places could be reached when one was last tried.
    pub(super) fn is_down(&self) -> bool {
        self.prober.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Connects to the first place that can be reached, and asks it for a WebSocket.
    pub(super) async fn open(
        self: &Arc<Self>,
        request: OpenRequest,
        terms: &Terms,
        deadline: Deadline,
    ) -> Result<Accepted, OpenError> {
        let (stream, target) = self.dial(deadline).await?;
        deadline.bound(handshake::shake(stream, target, request, terms)).await.flatten()
    }

    /// The same, in the client's own words.
    pub(super) async fn relay(
        self: &Arc<Self>,
        request: OpenRequest,
        host: Host,
        deadline: Deadline,
    ) -> Result<Relayed, OpenError> {
        let (stream, target) = self.dial(deadline).await?;
        deadline.bound(handshake::shake_for(stream, target, request, host)).await.flatten()
    }

    /// Connects to the first place that can be reached, starting with another one each time.
    pub(super) async fn dial(self: &Arc<Self>, deadline: Deadline) -> Result<(Duplex, &Target), OpenError> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        // A deadline that ends the search has found no place either.
        let (stream, place) = match deadline.bound(self.connect(first)).await.flatten() {
            Ok(reached) => reached,
            Err(error) => {
                self.note_down(&error);
                return Err(error);
            }
        };
        self.note_up();
        Ok((stream, &place.target))
    }

    async fn connect(&self, first: usize) -> Result<(Duplex, &Place), OpenError> {
        let mut refusal = None;
        let count = self.places.len();
        for place in self.places.iter().cycle().skip(first % count).take(count) {
            match place.connect(self.connect_timeout).await {
                Ok(stream) => return Ok((stream, place)),
                Err(error) => {
                    debug!(%place, error = %Chain(&error), "a place cannot be reached");
                    if error.kind() != io::ErrorKind::TimedOut {
                        refusal = Some(error);
                    }
                }
            }
        }
        // Only where nobody said anything it is a matter of time.
        Err(refusal.map_or(OpenError::Slow(self.connect_timeout), OpenError::Down))
    }

    fn note_up(&self) {
        let prober = self.prober.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(prober) = prober {
            prober.cancel();
            info!(upstream = %self, "the upstream can be reached again");
        }
    }

    fn note_down(self: &Arc<Self>, error: &OpenError) {
        let mut prober = self.prober.lock().unwrap_or_else(PoisonError::into_inner);
        if prober.is_none() {
            let life = self.background.stop.child_token();
            *prober = Some(life.clone());
            warn!(upstream = %self, error = %Chain(error), "the upstream cannot be reached");
            let dialer = Arc::clone(self);
            self.background.spawn_vital("the prober of an upstream", async move {
                life.run_until_cancelled(dialer.probe()).await;
            });
        }
    }

    /// Tries once a second until somebody listens again.
    async fn probe(&self) {
        loop {
            sleep(PROBE_INTERVAL).await;
            if self.connect(0).await.is_ok() {
                return self.note_up();
            }
        }
    }
}

/// Only hosts and ports: what an operator needs to know it by.
impl std::fmt::Display for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, place) in self.places.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{place}")?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Place {
    fn new(
        url: &Uri,
        tls: Option<&Arc<ClientConfig>>,
        server_name: Option<&ServerName<'static>>,
    ) -> Result<Self, BuildError> {
        let fault = || BuildError::Url(url.clone());
        let scheme = url.scheme_str().unwrap_or_default().to_ascii_lowercase();
        if !matches!(&*scheme, "ws" | "wss" | "http" | "https") {
            return Err(fault());
        }
        let host = url.host().ok_or_else(fault)?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_u16().unwrap_or(if is_secure(url) { 443 } else { 80 });
        let target = Target::new(url).ok_or_else(fault)?;
        let mut place = Self { host, port, target, tls: None };
        if let Some(config) = tls.filter(|_| is_secure(url)) {
            let own_name = || ServerName::try_from(place.host.clone()).map_err(|_| fault());
            let name = server_name.cloned().map_or_else(own_name, Ok)?;
            place.tls = Some(Tls::new(config, name, place.to_string()));
        }
        Ok(place)
    }

    /// Tries all the addresses behind the host's name; each has the same time.
    async fn connect(&self, connect_timeout: Duration) -> io::Result<Duplex> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host's name has no address");
        for address in timeout(connect_timeout, self.resolve()).await?? {
            match self.reach(address, connect_timeout).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Where TLS is spoken, its handshake may take as long again: a place that says nothing must not keep the next one
    /// from being tried.
    async fn reach(&self, address: SocketAddr, connect_timeout: Duration) -> io::Result<Duplex> {
        let stream = timeout(connect_timeout, TcpStream::connect(address)).await??;
        // A message must not wait for the acknowledgement of the one before it.
        stream.set_nodelay(true)?;
        set_keepalive(&stream)?;
        match &self.tls {
            Some(tls) => timeout(connect_timeout, tls.shake(stream)).await?,
            None => Ok(stream.into()),
        }
    }

    async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        Ok(lookup_host((self.host.as_str(), self.port)).await?.collect())
    }
}

/// When a whole opening must be over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    at: Instant,
    span: Duration,
}

impl Deadline {
    pub(super) fn after(span: Duration) -> Self {
        let now = Instant::now();
        Self { at: now.checked_add(span).unwrap_or(now + YEAR), span }
    }

    /// Waits for `work` until the deadline.
    pub(super) async fn bound<F: Future>(&self, work: F) -> Result<F::Output, OpenError> {
        timeout_at(self.at, work).await.map_err(|_| OpenError::Slow(self.span))
    }
}

/// Often enough to notice a restart, and too seldom to be a burden.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// Longer than anybody waits.
const YEAR: Duration = Duration::from_hours(365 * 24);

#[cfg(test)]
mod tests {
    use super::*;

    fn build(urls: &[&str]) -> Result<Arc<Dialer>, BuildError> {
        let urls = urls.iter().map(|url| url.parse().unwrap()).collect();
        let settings = Settings { urls, ..Settings::default() };
        Dialer::new(&settings, Background::default())
    }

    #[test]
    fn only_a_url_that_can_be_dialled_is_taken() {
        for url in ["ftp://h/", "h", "/path"] {
            assert!(matches!(build(&[url]), Err(BuildError::Url(_))), "{url}");
        }
        assert!(matches!(build(&[]), Err(BuildError::NoUrl)));
    }

    #[test]
    fn an_upstream_is_shown_by_its_hosts_alone() {
        let dialer = build(&["ws://user:secret@one/path?token=1", "ws://[::1]:3000"]).unwrap();
        assert_eq!(dialer.to_string(), "one:80,::1:3000");
        assert_eq!(build(&["WSS://one", "wss://two:80/"]).unwrap().to_string(), "one:443,two:80");
    }
}
