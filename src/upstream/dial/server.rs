//! The target of one URL: the addresses of its host, and how to reach each.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, UnixStream, lookup_host};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::budget::Budget;
use crate::descriptors;
use crate::duplex::{Duplex, Socket, set_keepalive};
use crate::upstream::affinity::hash;
use crate::upstream::backend_address::BackendAddress;
use crate::upstream::target::Target;
use crate::upstream::tls::Tls;
use crate::upstream::{BuildError, is_secure};

/// One server of an upstream: one of its URLs.
#[derive(Debug)]
pub(super) struct Server {
    host: String,
    port: u16,
    /// Its Unix socket, if it has one.
    socket: Option<Arc<Path>>,
    /// Its address, if the host is an address and not a name, or is not asked for.
    pub(super) known: Option<BackendAddress>,
    pub(super) target: Target,
    tls: Option<Tls>,
    /// The last look-up of its name, and the place in line for the next.
    looked_up: Mutex<Option<LookedUp>>,
}

/// When a name was looked up, and why that failed, if it did.
#[derive(Debug)]
struct LookedUp {
    at: Instant,
    fault: Option<(io::ErrorKind, String)>,
}

/// Resolves a host's name and a port to addresses.
pub(super) type Resolve = fn(String, u16) -> Resolving;

/// The future of [`Resolve`].
pub(super) type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

impl Server {
    pub(super) fn new(
        url: &Uri,
        socket: Option<&Arc<Path>>,
        tls: Option<&Arc<ClientConfig>>,
        server_name: Option<&ServerName<'static>>,
        budget: &Budget,
    ) -> Result<Self, BuildError> {
        let fault = || BuildError::Url(url.clone());
        let scheme = url.scheme_str().unwrap_or_default().to_ascii_lowercase();
        if !matches!(&*scheme, "ws" | "wss" | "http" | "https") {
            return Err(fault());
        }
        let host = url.host().ok_or_else(fault)?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_u16().unwrap_or(if is_secure(url) { 443 } else { 80 });
        let target = Target::new(url).ok_or_else(fault)?;
        let address = host.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port).into());
        let known = socket.map(|path| BackendAddress::Unix(hash(path.as_os_str().as_bytes()))).or(address);
        let socket = socket.cloned();
        let mut server = Self { host, port, socket, known, target, tls: None, looked_up: Mutex::default() };
        if let Some(config) = tls.filter(|_| is_secure(url)) {
            let own_name = || ServerName::try_from(server.host.clone()).map_err(|_| fault());
            let name = server_name.cloned().map_or_else(own_name, Ok)?;
            server.tls = Some(Tls::new(config, name, server.to_string(), budget));
        }
        Ok(server)
    }

    /// Connects to an address.
    pub(super) async fn connect(
        &self,
        address: BackendAddress,
        connect_timeout: Duration,
    ) -> io::Result<Socket> {
        match (address, &self.socket) {
            (BackendAddress::Ip(address), _) => dial(address, connect_timeout).await,
            (BackendAddress::Unix(_), Some(path)) => {
                let stream = timeout(connect_timeout, dial_unix(path)).await??;
                descriptors::admit(&stream)?;
                Ok(stream.into())
            }
            (BackendAddress::Unix(_), None) => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }

    /// Runs the TLS handshake, if the URL has TLS. It may take as long again: a silent address must not keep the next
    /// one from being tried.
    pub(super) async fn secure(&self, stream: Socket, connect_timeout: Duration) -> io::Result<Duplex> {
        match &self.tls {
            Some(tls) => timeout(connect_timeout, tls.handshake(stream)).await?,
            None => Ok(stream.into()),
        }
    }

    /// Looks its name up, unless that was done a moment ago: dials that wait for the same name share one look-up. Returns
    /// the addresses if it was looked up now.
    pub(super) async fn look_up(
        &self,
        resolve: Resolve,
        longest: Duration,
    ) -> io::Result<Option<Vec<SocketAddr>>> {
        let mut looked_up = self.looked_up.lock().await;
        if let Some(LookedUp { at, fault }) = &*looked_up
            && at.elapsed() < FRESH
        {
            return fault.clone().map_or(Ok(None), |(kind, text)| Err(io::Error::new(kind, text)));
        }
        let resolved = self.resolve(resolve, longest).await;
        let fault = resolved.as_ref().err().map(|error| (error.kind(), error.to_string()));
        *looked_up = Some(LookedUp { at: Instant::now(), fault });
        resolved.map(Some)
    }

    async fn resolve(&self, resolve: Resolve, longest: Duration) -> io::Result<Vec<SocketAddr>> {
        let addresses = timeout(longest, resolve(self.host.clone(), self.port)).await??;
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the host's name has no address"));
        }
        Ok(addresses)
    }
}

async fn dial(address: SocketAddr, connect_timeout: Duration) -> io::Result<Socket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    descriptors::admit(&socket)?;
    let stream = timeout(connect_timeout, socket.connect(address)).await??;
    // A message must not wait for the acknowledgement of the one before.
    stream.set_nodelay(true)?;
    set_keepalive(&stream)?;
    Ok(stream.into())
}

async fn dial_unix(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            // Its queue is full, for which the system has no event.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(FULL_PACE).await,
            ended => return ended,
        }
    }
}

/// Asks the system's resolver.
pub(super) fn system(host: String, port: u16) -> Resolving {
    Box::pin(async move { Ok(lookup_host((host, port)).await?.collect()) })
}

/// Soon enough for a server that accepts again.
const FULL_PACE: Duration = Duration::from_millis(5);
/// As long as the answer of a look-up counts as new.
const FRESH: Duration = Duration::from_secs(1);

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.socket {
            Some(path) => write!(f, "unix:{}", path.display()),
            None => write!(f, "{}:{}", self.host, self.port),
        }
    }
}
