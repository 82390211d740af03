//! Where other nodes ask: the service of the peer listener.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response as HttpResponse, StatusCode, Uri};
use http_body_util::Full;
use hyper::upgrade::OnUpgrade;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::answering::Answering;
use super::demux::is_same_secret;
use super::locations::{FOUND, NOT_FOUND, find_at};
use super::replies::{OUT_OF_ROUTE, plain};
use super::running::{Handler, Served};
use super::serving::Serving;
use super::{Client, Connection, Current, Hop};
use crate::address::RemoteAddress;
use crate::bridge::Registry;
use crate::client_body::ClientBody;
use crate::cluster::{
    ASKER, CAME_IN, Cluster, Greeting, Inquiry, InquiryBody, Kin, LEAVING, Peer, Prepared, WANT, remote,
};
use crate::dialect::RequestKind;
use crate::duplex::{Duplex, Patience, RawHeaders};
use crate::hop;
use crate::meter::Side;
use crate::peer::{Ask, Known, PROTOCOL};
use crate::sid::Node;
use crate::throttle::Throttle;
use crate::transport::web_socket_ask::PeerUpgrade;

/// Serves other nodes, each on a connection that carries all of its requests.
#[derive(Clone)]
pub struct Nodes(Arc<NodesSettings>, Arc<Throttle>);

/// What serves them.
pub struct NodesSettings {
    /// All nodes.
    pub cluster: Arc<Cluster>,
    /// What they must send in `Authorization`.
    pub token: HeaderValue,
    /// How long one may be silent.
    pub silence_timeout: Duration,
    /// The routes of the sessions.
    pub current: Current,
    /// The sessions.
    pub registry: Registry,
    /// The tracker of their requests.
    pub requests: TaskTracker,
    /// The tracker of their connections.
    pub connections: TaskTracker,
    /// Cancelled when this node begins to drain.
    pub leaving: CancellationToken,
    /// Cancelled when their connections should end.
    pub stop: CancellationToken,
}

impl Nodes {
    /// Creates the service.
    pub fn new(settings: NodesSettings) -> Self {
        Self(Arc::new(settings), Arc::default())
    }

    /// Returns the other processes of this host.
    pub fn kin(&self) -> Kin {
        self.0.cluster.kin().clone()
    }

    /// Decides whether a node may ask here; `None` if it only wants to know which node this is, as `check --cluster` does.
    fn judge(&self, headers: &HeaderMap) -> Result<Option<Greeting>, (StatusCode, &'static str)> {
        let upgrades = hop::names(headers, &UPGRADE, PROTOCOL);
        if !upgrades && !headers.contains_key(WANT) {
            return Err((StatusCode::UPGRADE_REQUIRED, "only other nodes ask here\n"));
        }
        let sent = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        if !is_same_secret(sent, self.0.token.as_bytes()) {
            if let Some(count) = self.1.count() {
                // It tells who it is, but nobody knows whether that is true.
                let node = Greeting::read(headers).map(|greeting| greeting.node.to_string());
                tracing::warn!(node, count, "a node that asks here has another token");
            }
            return Err((StatusCode::UNAUTHORIZED, "wrong token\n"));
        }
        let me = self.0.cluster.me().node;
        if headers.get(WANT).is_none_or(|want| want.as_bytes() != me.tag.to_string().as_bytes()) {
            return Err((StatusCode::MISDIRECTED_REQUEST, "this is another node\n"));
        }
        if !upgrades {
            return Ok(None);
        }
        let greeting = Greeting::read(headers).ok_or((StatusCode::BAD_REQUEST, "which node?\n"))?;
        if greeting.node.tag == me.tag {
            self.0.cluster.greeted_by_twin(&greeting);
            return Err((StatusCode::CONFLICT, "this node has that name\n"));
        }
        Ok(Some(greeting))
    }

    /// Serves one node until its connection ends.
    async fn serve_node(self, greeting: Greeting, upgrade: OnUpgrade) {
        let Ok(upgraded) = upgrade.await else { return };
        let Ok((stream, read)) = Duplex::from_upgraded(upgraded) else { return };
        let node = greeting.node;
        let asker = self.0.cluster.greeted(greeting);
        self.serve_stream(node, asker, stream.behind(read), Hop::Peer).await;
    }

    /// Serves another process of this host until its connection ends.
    pub async fn serve_kin(self, node: Node, stream: Duplex) {
        self.serve_stream(node, None, stream, Hop::Kin).await;
    }

    pub(super) async fn serve_stream(&self, node: Node, asker: Option<Arc<Peer>>, stream: Duplex, hop: Hop) {
        // What belongs to a client's connection, and matters to none of these requests.
        let nobody = Client { peer: RemoteAddress::Unix, secure: false, subject: None };
        let patience = Patience::new(self.0.silence_timeout);
        let mut shared =
            Connection { hop, ..Connection::of_client(nobody, None, patience, RawHeaders::default()) };
        let Self(settings, _) = &self;
        tracing::debug!(%node, "a node has connected");
        let sessions = || {
            let own = u32::try_from(self.0.registry.taken()).unwrap_or(u32::MAX);
            // To other nodes all processes of this host are one; those know of each other.
            let held = if hop == Hop::Peer { settings.cluster.kin().held() } else { 0 };
            own.saturating_add(held)
        };
        let begin = |ask: Box<Ask>, inquiry, body| {
            if let Some(asker) = &asker {
                asker.count_answered();
            }
            self.begin(node, ask, inquiry, body, &mut shared);
        };
        let entrance = settings.cluster.entrance(node);
        let (silence, leaving) = (settings.silence_timeout, settings.leaving.clone());
        entrance.run(stream, silence, sessions, leaving, settings.stop.clone(), begin).await;
    }

    /// Begins to serve a request of a node as one of a client of this node, whose connection `connection` becomes.
    fn begin(
        &self,
        node: Node,
        ask: Box<Ask>,
        inquiry: Inquiry,
        mut body: InquiryBody,
        connection: &mut Connection,
    ) {
        // No session begins here, and a backend was told at the begin.
        connection.client = Client { peer: remote(ask.client), secure: ask.known.secure, subject: None };
        connection.head_len = NonZeroU32::new(ask.known.head_len);
        let (serving, upgrade) = match self.serve_read(&ask, &mut body, connection) {
            Some(serving) => (serving, None),
            None => self.serve(node, *ask, body, connection),
        };
        let open = self.0.cluster.meter().ask(Side::Owner);
        Answering::new(serving, inquiry, upgrade, open).start(&self.0.requests);
    }

    /// Serves a request as that node has read it. `None` if it must be read here.
    fn serve_read(&self, ask: &Ask, body: &mut InquiryBody, connection: &Connection) -> Option<Serving> {
        let read = ask.known.read.filter(|_| !ask.known.is_search && !ask.known.upgrades)?;
        let gateway = Arc::clone(self.0.current.load().numbered(read.route)?);
        let sid = str::from_utf8(read.sid(&ask.target)?).ok()?;
        gateway.serve_read(read.intent, sid, ask.headers.map(), body, connection)
    }

    /// Reads a request and serves it. Returns also where its client's stream is awaited, if it asks for another protocol.
    fn serve(
        &self,
        node: Node,
        ask: Ask,
        body: InquiryBody,
        connection: &mut Connection,
    ) -> (Serving, Option<oneshot::Sender<Duplex>>) {
        let Ask { method, target, headers, client: _, known, content: _ } = ask;
        let mut headers = headers.into_map();
        let listener = known.names_listener.then(|| headers.remove(&CAME_IN)).flatten();
        connection.listener = listener.and_then(|name| Some(Arc::from(name.to_str().ok()?)));
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        let upgrade = known.upgrades.then(|| {
            let (sender, upgrade) = oneshot::channel();
            request.extensions_mut().insert(PeerUpgrade::new(upgrade));
            sender
        });
        let serving = match Uri::from_maybe_shared(target) {
            Err(_) => Serving::done(plain(StatusCode::BAD_REQUEST, "the target is none\n")),
            Ok(target) => {
                *request.uri_mut() = target;
                if known.is_search {
                    self.search(request, known, node, connection)
                } else {
                    self.route(request, body, connection)
                }
            }
        };
        (serving, upgrade)
    }

    /// Answers a node that looks for the session of a request: whether a process of this host has it.
    fn search(&self, request: Request<()>, known: Known, node: Node, connection: &Connection) -> Serving {
        let (client, listener, hop) = (connection.client.peer, connection.listener.as_ref(), connection.hop);
        let (mut head, ()) = request.into_parts();
        let told = |is_found| plain(if is_found { FOUND } else { NOT_FOUND }, "");
        let named = head.headers.get(&ASKER).filter(|_| hop == Hop::Kin);
        let asker = named.and_then(|named| Node::parse(named.to_str().ok()?)).unwrap_or(node);
        let kind = if known.upgrades { RequestKind::WebSocket } else { RequestKind::Http };
        let is_here = match self.0.current.load().find(&mut head, listener) {
            Ok(Some(Served { handler: Handler::Gateway { gateway, .. }, .. })) => {
                gateway.has(&head, kind, asker)
            }
            Ok(_) | Err(_) => false,
        };
        let kin = if hop == Hop::Peer && !is_here { self.0.cluster.kin().all() } else { Vec::new() };
        if kin.is_empty() {
            return Serving::done(told(is_here));
        }
        let Ok(search) = Prepared::search_of(asker, &head, client, known) else {
            return Serving::done(told(false));
        };
        Serving::other(async move { Ok(told(find_at(kin, search).await.is_some())) })
    }

    fn route(&self, request: Request<()>, body: InquiryBody, connection: &Connection) -> Serving {
        let (mut head, ()) = request.into_parts();
        match self.0.current.load().find(&mut head, connection.listener.as_ref()) {
            Ok(Some(Served { handler: Handler::Gateway { gateway, .. }, .. })) => {
                gateway.serve(head, body.into(), connection)
            }
            Ok(_) => Serving::done(plain(StatusCode::NOT_FOUND, "no route with sessions for this path\n")),
            Err(_) => Serving::done(plain(StatusCode::BAD_REQUEST, OUT_OF_ROUTE)),
        }
    }
}

impl Service<Request<ClientBody>> for Nodes {
    type Response = HttpResponse<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ClientBody>) -> Self::Future {
        let mut response = HttpResponse::default();
        match self.judge(request.headers()) {
            Ok(None) => {
                self.0.cluster.me().write(response.headers_mut());
                if self.0.leaving.is_cancelled() {
                    response.headers_mut().insert(LEAVING, HeaderValue::from_static("1"));
                }
            }
            Ok(Some(greeting)) => {
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                let headers = response.headers_mut();
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
                headers.insert(UPGRADE, HeaderValue::from_static(PROTOCOL));
                self.0.cluster.me().write(headers);
                self.0.connections.spawn(self.clone().serve_node(greeting, hyper::upgrade::on(request)));
            }
            Err((status, why)) => {
                tracing::debug!(status = status.as_u16(), why = why.trim_end(), "a node was refused");
                *response.status_mut() = status;
                if !matches!(status, StatusCode::UPGRADE_REQUIRED | StatusCode::UNAUTHORIZED) {
                    self.0.cluster.me().write(response.headers_mut());
                }
                *response.body_mut() = Full::from(why);
            }
        }
        ready(Ok(response))
    }
}

impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nodes").field("me", self.0.cluster.me()).finish_non_exhaustive()
    }
}
