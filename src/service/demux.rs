//! Dialect `mux`: another proxy's sessions over one connection, each with a link of its own (`docs/mux.md`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL, UPGRADE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use subtle::ConstantTimeEq;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::arrivals;
use super::refusals::Reason;
use super::replies::{plain, unavailable};
use super::session_route::SessionRoute;
use super::{Client, Response};
use crate::address::RemoteAddress;
use crate::duplex::{Buffers, WebSocket};
use crate::meter::Op;
use crate::mux::{Hello, Profile, Side};
use crate::packet::Closing;
use crate::transport::web_socket_ask::{Accepted, Upgrading, WebSocketAsk};
use crate::trunk::{Ended, Pump, Trunk, frame_max, read_hello};

/// A route on which other proxies bring their sessions.
#[derive(Debug)]
pub struct Demux {
    pub(super) route: Arc<SessionRoute>,
    /// Proxies with sessions here, by their epochs.
    epochs: Arc<Epochs>,
}

/// Trunks by the names of their epochs.
#[derive(Debug, Default)]
struct Epochs(Mutex<HashMap<String, Arc<Epoch>>>);

/// One proxy's sessions, on any connection.
#[derive(Debug)]
struct Epoch {
    trunk: Arc<Trunk>,
    /// Cancelled when a newer connection takes over.
    taken: tokio_util::sync::CancellationToken,
}

impl Demux {
    /// Creates the demultiplexer of a route.
    pub fn new(route: SessionRoute) -> Self {
        Self { route: Arc::new(route), epochs: Arc::default() }
    }

    /// Returns the route's successor in another configuration; other proxies' sessions continue.
    #[must_use]
    pub fn continued(&self, route: SessionRoute) -> Self {
        Self { route: Arc::new(route), epochs: Arc::clone(&self.epochs) }
    }

    /// Serves one request.
    pub fn serve(self: Arc<Self>, mut head: Parts, client: Client) -> Response {
        let ask = WebSocketAsk::take(&mut head);
        let response = match self.admit(&head, ask, client.peer) {
            Ok((response, upgrading, profile)) => {
                let demux = Arc::clone(&self);
                self.route.tracker.spawn(async move {
                    if let Some((stream, read_ahead)) = upgrading.stream().await {
                        let max = frame_max(demux.route.message_max);
                        // Its pings detect whether the other side is alive.
                        let stream = stream.with_patience(None);
                        let socket = stream.into_web_socket(read_ahead, Role::Server, max, Buffers::Large);
                        demux.run(socket, profile, client).await;
                    }
                });
                response
            }
            Err(refusal) => *refusal,
        };
        self.route.meter.request(Op::Other, response.status().as_u16());
        response
    }

    fn admit(
        &self,
        head: &Parts,
        ask: Option<WebSocketAsk>,
        peer: RemoteAddress,
    ) -> Result<(Response, Upgrading, Profile), Box<Response>> {
        let refuse = |status, text| Err(Box::new(plain(status, text)));
        let Some(ask) = ask else {
            let mut response = plain(StatusCode::UPGRADE_REQUIRED, "this path accepts only WebSocket\n");
            response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
            return Err(Box::new(response));
        };
        if let Some(token) = &self.route.settings.mux.token
            && !head
                .headers
                .get(AUTHORIZATION)
                .is_some_and(|sent| is_same_secret(sent.as_bytes(), token.as_bytes()))
        {
            self.route.refusals.note_with(Reason::Token, Some(&format_args!("peer={peer}")));
            let mut response = plain(StatusCode::UNAUTHORIZED, "a valid token is required\n");
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return Err(Box::new(response));
        }
        if self.route.draining.is_cancelled() {
            self.route.refusals.note(Reason::Draining);
            return Err(Box::new(unavailable("the proxy is stopping\n")));
        }
        let Some(profile) = offered(&head.headers) else {
            return refuse(StatusCode::BAD_REQUEST, "expected a subprotocol of polliwog.mux.v1\n");
        };
        let protocol = HeaderValue::from_static(profile.subprotocol());
        // Its messages are short, and many of them leave at once.
        match ask.accept(Some(protocol), None) {
            Ok(Accepted { response, upgrading, .. }) => Ok((response, upgrading, profile)),
            Err(why) => refuse(StatusCode::BAD_REQUEST, why),
        }
    }

    /// Serves one connection to its end.
    async fn run(&self, socket: WebSocket, profile: Profile, client: Client) {
        let Some((socket, hello)) = read_hello(socket, profile).await else { return };
        let resume = Duration::from_millis(hello.resume_ms).min(RESUME_MAX);
        let name = hello.epoch.clone();
        let epoch = self
            .epochs
            .enter(&name, || Trunk::new(Side::Backend, self.hello(), self.route.registry.budget().clone()));
        let trunk = &epoch.trunk;
        let connection = trunk.greet(hello);
        let mut pump = Pump::new(trunk, connection, socket, profile);
        let ended = tokio::select! {
            ended = pump.run() => Some(ended),
            () = arrivals::serve(&self.route, trunk, client) => None,
            () = epoch.taken.cancelled() => Some(Ended::Broken),
        };
        // The pump may notice first.
        if epoch.taken.is_cancelled() {
            return pump.close(1001, "another connection took over").await;
        }
        let closing = match ended {
            Some(Ended::Broken) => {
                drop(pump);
                trunk.disconnect(connection);
                let patience = if trunk.is_idle() { Duration::ZERO } else { resume };
                tokio::select! {
                    () = epoch.taken.cancelled() => return,
                    () = tokio::time::sleep(patience) => Closing::new(1006, "the proxy did not come back"),
                    () = self.route.draining.cancelled() => Closing::new(1001, "proxy is stopping"),
                }
            }
            Some(Ended::Violated(reason)) => {
                self.route.refusals.note_with(Reason::Mux, Some(&reason));
                self.route.tracker.spawn(pump.close(1002, reason));
                Closing::new(1002, "the proxy does not keep to the protocol")
            }
            None => {
                pump.close(1001, "going away").await;
                Closing::new(1001, "proxy is stopping")
            }
        };
        // Removed first, so that no connection joins sessions that are about to fail; and not if one has already taken
        // over: then the sessions are its own.
        if self.epochs.leave(&name, &epoch) {
            trunk.fail(&closing);
        }
    }

    fn hello(&self) -> Hello {
        Hello {
            epoch: String::new(),
            credit: self.route.settings.mux.credit as u64,
            max_message: Some(self.route.message_max as u64),
            resume_ms: 0,
            resume: true,
            close_packets: true,
        }
    }
}

impl Epochs {
    /// Finds the epoch's sessions, or begins it; its earlier connection is closed.
    fn enter(&self, name: &str, begin: impl FnOnce() -> Trunk) -> Arc<Epoch> {
        let mut epochs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let trunk = epochs.get(name).map_or_else(
            || Arc::new(begin()),
            |before| {
                before.taken.cancel();
                Arc::clone(&before.trunk)
            },
        );
        let epoch = Arc::new(Epoch { trunk, taken: tokio_util::sync::CancellationToken::new() });
        epochs.insert(name.to_owned(), Arc::clone(&epoch));
        epoch
    }

    /// Forgets the epoch, unless another connection has taken over.
    fn leave(&self, name: &str, epoch: &Arc<Epoch>) -> bool {
        let mut epochs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = epochs.get(name).is_some_and(|now| Arc::ptr_eq(now, epoch));
        if ours {
            epochs.remove(name);
        }
        ours
    }
}

/// Returns the preferred profile among those offered.
fn offered(headers: &HeaderMap) -> Option<Profile> {
    let offers: Vec<&str> = headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    Profile::ALL.iter().copied().find(|profile| offers.contains(&profile.subprotocol()))
}

/// Compares secrets in constant time.
pub(super) fn is_same_secret(sent: &[u8], ours: &[u8]) -> bool {
    // Not `==`, which ends at the first difference; a loop of our own the compiler may turn into one.
    sent.ct_eq(ours).into()
}

/// The longest wait for another proxy, whatever it asks for.
const RESUME_MAX: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_profile_is_preferred() {
        let profile = |offer: &'static str| {
            offered(&HeaderMap::from_iter([(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(offer))]))
        };
        assert_eq!(profile("polliwog.mux.v1.json, polliwog.mux.v1"), Some(Profile::Binary));
        assert_eq!(profile("chat, polliwog.mux.v1.json"), Some(Profile::Json));
        assert_eq!(profile("polliwog.mux.v2"), None);
    }

    #[test]
    fn only_the_same_secret_is_the_same() {
        assert!(is_same_secret(b"abc", b"abc"));
        // Differences that would cancel out if they were added up, a single bit of the last byte, and no difference.
        assert!(
            !is_same_secret(b"bac", b"abc")
                && !is_same_secret(b"abb", b"abc")
                && !is_same_secret(b"", b"abc")
        );
        assert!(
            !is_same_secret(b"abd", b"abc")
                && !is_same_secret(b"ab", b"abc")
                && !is_same_secret(b"abcd", b"abc")
        );
    }
}
