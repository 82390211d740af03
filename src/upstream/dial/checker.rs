//! Checks every address of an upstream, each at intervals of its own, whether it is in use or not.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::header::{CONNECTION, HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::Empty;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use super::{Dialer, PROBE_INTERVAL};
use crate::address::RemoteAddress;
use crate::chain::Chain;
use crate::descriptors;
use crate::duplex::Duplex;
use crate::packet::Transport;
use crate::spelling::Spelling;
use crate::upstream::address::{Change, Endpoint, Thresholds};
use crate::upstream::check::{Check, CheckBy};
use crate::upstream::handshake::{self, Terms, alongside, handle_error};
use crate::upstream::target::Target;
use crate::upstream::{Health, OpenError, OpenRequest};

/// Why a check was not passed.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Unreached(#[from] io::Error),
    #[error(transparent)]
    Failed(#[from] OpenError),
    #[error("it answered with status {0}")]
    Status(StatusCode),
    #[error("it did not answer within {} ms", .0.as_millis())]
    Slow(Duration),
}

/// The checks of one upstream.
struct Checks {
    check: Check,
    /// How a WebSocket is asked for.
    terms: Option<Terms>,
}

impl Dialer {
    /// Starts the checks, if there are to be any; those that ask for a WebSocket do it on these terms.
    pub(in crate::upstream) fn start_checks(self: &Arc<Self>, terms: Option<Terms>) {
        let Some(check) = self.check.clone() else { return };
        let (dialer, checks) = (Arc::clone(self), Checks { check, terms });
        let (stop, abandoned) = (self.background.stop.clone(), self.abandoned.clone());
        self.background.spawn_vital("the checks of an upstream", async move {
            let work = abandoned.run_until_cancelled(dialer.check_all(&checks));
            stop.run_until_cancelled(work).await;
        });
    }

    async fn check_all(self: &Arc<Self>, checks: &Checks) {
        let mut pending = FuturesUnordered::new();
        loop {
            let news = self.addresses.news();
            let (due, next) = self.addresses.due_checks();
            pending.extend(due.into_iter().map(|endpoint| self.check_one(endpoint, checks)));
            let next_is_due = async {
                match next {
                    Some(next) => sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(()) = pending.next() => {}
                () = next_is_due => {}
                // There may be another address.
                () = news => {}
            }
        }
    }

    async fn check_one(self: &Arc<Self>, endpoint: Endpoint, checks: &Checks) {
        let (start, check) = (Instant::now(), &checks.check);
        let limit = check.timeout;
        let examined =
            timeout(limit, self.examine(endpoint, checks)).await.unwrap_or(Err(Fault::Slow(limit)));
        // A backend that is back is noticed as soon as without checks.
        let is_down = self.health() == Health::Down;
        let interval = if is_down { check.interval.min(PROBE_INTERVAL) } else { check.interval };
        let thresholds = Thresholds { rise: check.rise, fall: check.fall };
        let passed = match &examined {
            // A name has been resolved, and its addresses take its place.
            Ok(()) if endpoint.address.is_none() => None,
            Ok(()) => Some(true),
            // That is this process's own fault.
            Err(Fault::Unreached(error)) if descriptors::is_shortage(error) => None,
            Err(Fault::Failed(OpenError::NoDescriptor(_) | OpenError::NoRandomness(_))) => None,
            Err(_) => Some(false),
        };
        let (change, line) = self.addresses.checked(endpoint, passed, thresholds, start + jittered(interval));
        if passed == Some(true) && !self.addresses.is_sick(endpoint) {
            self.note_up(endpoint);
        }
        let address = self.name(endpoint);
        match (change, line, examined) {
            (Change::Passes, Some(_), _) => {
                info!(upstream = %self, %address, "the address passes its checks again");
            }
            (Change::Fails, line, Err(fault)) => {
                if let Some(count) = line {
                    warn!(upstream = %self, %address, error = %Chain(&fault), count, "the address fails its checks; it is used only if all others fail too");
                }
                self.note_sick();
            }
            (Change::None | Change::Passes | Change::Fails, _, _) => {}
        }
    }

    async fn examine(self: &Arc<Self>, endpoint: Endpoint, checks: &Checks) -> Result<(), Fault> {
        if endpoint.address.is_none() {
            return Ok(self.resolve(endpoint.server).await?);
        }
        let stream = self.secure(endpoint, self.connect(endpoint).await?, None).await?;
        let target = &self.servers[endpoint.server].target;
        match (&checks.check.by, &checks.terms) {
            (CheckBy::WebSocket, Some(terms)) => open(stream, target, terms).await,
            (CheckBy::WebSocket, None) => Ok(()),
            (CheckBy::Path(path), _) => match ask(stream, target, path).await? {
                status if checks.check.expect.has(status) => Ok(()),
                status => Err(Fault::Status(status)),
            },
        }
    }
}

/// Asks for a path, and returns the status of the answer.
async fn ask(stream: Duplex, target: &Target, path: &PathAndQuery) -> Result<StatusCode, Fault> {
    let (mut sender, connection) = handshake::connect(stream).await?;
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = Uri::from(path.clone());
    let headers = request.headers_mut();
    headers.insert(HOST, target.authority().clone());
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let work = async move { sender.send_request(request).await.map_err(handle_error) };
    Ok(alongside(connection, work).await?.status())
}

/// Opens a WebSocket, and closes it.
async fn open(stream: Duplex, target: &Target, terms: &Terms) -> Result<(), Fault> {
    let request = OpenRequest {
        prefix: String::new(),
        path: String::new(),
        query: String::new(),
        headers: HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static(AGENT))]),
        client: RemoteAddress::Unix,
        dialect: "websocket",
        transport: Transport::WebSocket,
        revision: None,
        spelling: Spelling::default(),
    };
    let mut socket = handshake::perform(stream, target, request, terms).await?.socket;
    // A backend that answers no Close has passed all the same.
    let _ = timeout(CLOSE_TIMEOUT, poll_fn(|cx| socket.poll_close(cx, None, |_| false))).await;
    Ok(())
}

/// Returns an interval that differs from proxy to proxy, so that their checks don't come all at once.
fn jittered(interval: Duration) -> Duration {
    let mut random = [0; 2];
    // Without randomness they come in step, which is no harm to few.
    let _ = getrandom::fill(&mut random);
    let share = f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX);
    interval.mul_f64(0.9 + share / 5.0)
}

const AGENT: &str = concat!("polliwog/", env!("CARGO_PKG_VERSION"), " (check)");
/// Servers answer a Close at once.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
