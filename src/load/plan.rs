//! What a run will do: created from the options, once, before the first connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::lookup_host;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::client::{Common, Protocol, Start};
use super::conversation::Terms;
use super::net::{Connector, Head};
use super::options::{Dialect, Options};
use super::pace::Pace;
use super::payloads::{Language, Payloads};
use super::stats::Stats;
use crate::revision::Revision;
use crate::tls::{TlsError, Trust, client_config};

/// A run.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) options: Options,
    pub(super) common: Arc<Common>,
    sources: Vec<IpAddr>,
}

/// Why a run can't begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlanError {
    /// The URL's host is not a valid header value.
    #[error("{0} has no host")]
    Host(String),
    /// The host could not be resolved.
    #[error("cannot resolve {host}")]
    Lookup {
        /// The host's name.
        host: String,
        /// The resolver's error.
        source: io::Error,
    },
    /// None of the server's addresses can be reached from one of the sources.
    #[error("{host} has no address that {from} can reach")]
    Family {
        /// The host's name.
        host: String,
        /// The source.
        from: IpAddr,
    },
    /// TLS could not be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
}

impl Plan {
    /// Looks up the host and reads the trusted authorities.
    pub(super) async fn new(
        options: Options,
        stats: &Arc<Mutex<Stats>>,
        stop: &CancellationToken,
    ) -> Result<Self, PlanError> {
        let url = &options.url;
        let unfit = || PlanError::Host(url.to_string());
        let host = url.host().ok_or_else(unfit)?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_u16().unwrap_or(if options.is_secure() { 443 } else { 80 });
        let found = lookup_host((host.as_str(), port)).await.map(Iterator::collect);
        let addresses: Vec<SocketAddr> = match found {
            Ok(addresses) => addresses,
            Err(source) => return Err(PlanError::Lookup { host, source }),
        };
        let sources: Vec<IpAddr> =
            options.source.iter().flat_map(|sources| sources.0.iter().copied()).collect();
        let reaches = |from: &IpAddr| addresses.iter().any(|to| to.is_ipv4() == from.is_ipv4());
        if let Some(&from) = sources.iter().find(|from| !reaches(from)) {
            return Err(PlanError::Family { host, from });
        }
        let tls = if options.is_secure() {
            let trust = options.ca.clone().map_or(Trust::Public, Trust::File);
            let name = ServerName::try_from(host).map_err(|_| unfit())?;
            Some((TlsConnector::from(client_config(&trust, None)?), name))
        } else {
            None
        };
        let head =
            Head::new(url, options.path(), options.is_secure(), options.headers()).ok_or_else(unfit)?;
        let protocol = match (options.dialect(), options.eio) {
            (Dialect::Websocket, _) => Protocol::Plain,
            (Dialect::Sockjs, _) => Protocol::SockJs,
            (Dialect::Longpoll, _) => Protocol::LongPoll,
            (Dialect::EngineIo, 3) => Protocol::EngineIo(Revision::V3),
            (Dialect::EngineIo, _) => Protocol::EngineIo(Revision::V4),
        };
        let language = if options.is_socket_io() {
            Language::SocketIo { asks: protocol == Protocol::EngineIo(Revision::V4) }
        } else {
            Language::Echo
        };
        let terms = Terms {
            pace: Pace::new(options.rate, options.burst.clone()),
            payloads: Payloads::new(language, options.size),
            patience: options.drain,
        };
        let common = Common {
            connector: Arc::new(Connector { addresses, tls }),
            head,
            protocol,
            terms: Arc::new(terms),
            stats: Arc::clone(stats),
            stop: stop.clone(),
        };
        Ok(Self { options, common: Arc::new(common), sources })
    }

    /// Returns each session: what it is, and when it begins.
    pub(super) fn starts(&self, began: Instant) -> impl Iterator<Item = Start> {
        let Options { sessions, connect_rate, .. } = self.options;
        let kinds = self.options.mix().kinds(sessions).into_iter();
        kinds.zip(0_u32..).map(move |(kind, number)| {
            let wait = Duration::try_from_secs_f64(f64::from(number) / connect_rate);
            let due = wait.ok().and_then(|wait| began.checked_add(wait));
            Start {
                kind,
                source: self.sources.get(number as usize % self.sources.len().max(1)).copied(),
                // Neighbours are far apart, and any number of sessions is spread evenly.
                share: (f64::from(number) * GOLDEN).fract(),
                // A ramp whose end exceeds the clock ends with the run.
                begin: due.unwrap_or_else(|| self.end(began)),
            }
        })
    }

    /// Returns when nothing more is sent.
    pub(super) fn end(&self, began: Instant) -> Instant {
        let whole = self.options.ramp().saturating_add(self.options.duration);
        began.checked_add(whole).unwrap_or(began + YEAR)
    }
}

impl PlanError {
    /// Returns whether other options would help.
    pub(super) const fn is_usage(&self) -> bool {
        match self {
            Self::Host(_) | Self::Family { .. } => true,
            Self::Lookup { .. } | Self::Tls(_) => false,
        }
    }
}

/// The fraction whose multiples fill the span from 0 to 1 most evenly.
const GOLDEN: f64 = 0.618_033_988_749_895;
/// Longer than any run.
const YEAR: Duration = Duration::from_hours(365 * 24);
