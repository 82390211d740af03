//! One node in memory: its index, its route, what serves it, and its view of the others.

use std::fmt;
use std::sync::Arc;

use bytes::Buf as _;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::BodyExt as _;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::backend::Backend;
use super::net::{CONNECT_TIMEOUT, Door, Net, greeting_of};
use crate::background::Background;
use crate::bridge::{BridgeInfo, Front, Registry, RouteInfo};
use crate::budget::Budget;
use crate::cluster::{Cluster, Greeting, InquiryBody, Me, Peers, Roster, Settings};
use crate::dialect::{self, Ask, Beginning, Dialect, Environment, RequestKind};
use crate::duplex::{Duplex, Patience, RawHeaders};
use crate::limits::Limits;
use crate::meter::{ClusterMeter, Metrics};
use crate::packet::Heartbeat;
use crate::service::{
    Client, Connection, Current, Gateway, Handler, Hop, Locations, Nodes, NodesSettings, Refusals, Route,
    Running, Served, SessionRoute, Via,
};
use crate::session::{self, Session, Transport};
use crate::sid::{Node, Tag};
use crate::upstream::{self, InUse, Kind};

/// One node.
pub(super) struct Site {
    pub(super) node: Node,
    pub(super) cluster: Arc<Cluster>,
    pub(super) registry: Registry,
    pub(super) current: Current,
    pub(super) gateway: Arc<Gateway>,
    /// What it serves other nodes with.
    pub(super) asked: TaskTracker,
    /// How its sessions begin, if the dialect is `engine.io`.
    beginning: Option<Box<Beginning>>,
    nodes: Nodes,
    background: Background,
    stop: CancellationToken,
    killed: CancellationToken,
}

/// What all nodes have.
pub(super) struct Common {
    dialect: Arc<dyn Dialect>,
    upstream: Arc<InUse>,
    settings: Arc<Route>,
    path: &'static str,
}

impl Common {
    /// Returns what nodes with a route of this dialect have in common.
    pub(super) fn of(name: &str, path: &'static str, session: session::Settings) -> Self {
        let urls = vec!["ws://127.0.0.1:1/".parse().unwrap()];
        let nowhere = upstream::Settings { kind: Kind::EngineIo, urls, ..upstream::Settings::default() };
        let background = Background::default();
        let upstream =
            InUse::start("u", &nowhere, &background, Metrics::new().dials("u"), &Budget::default()).unwrap();
        let backend = dialect::Backend {
            protocol: upstream.protocol(),
            versions: upstream.versions(),
            socket_io: false,
        };
        let dialect = (dialect::find(name).unwrap().build)(&dialect::Settings::default(), backend);
        let settings = Arc::new(Route { session: Arc::new(session), ..Route::at(path, None) });
        Self { dialect, upstream, settings, path }
    }
}

impl Site {
    /// Starts a node at this address, which others dial there.
    pub(super) fn start(
        net: &Net,
        common: &Common,
        node: Node,
        address: &str,
        roster: impl FnOnce(&Background) -> Roster,
    ) -> Arc<Self> {
        let (background, stop) = (Background::default(), CancellationToken::new());
        let killed = CancellationToken::new();
        let registry = Registry::of_node(1_000_000, Some(node), Budget::default());
        let me = Me::starting(node, "");
        let settings = cluster_settings(node.tag, address);
        let door = Door { net: net.clone(), me: me.clone(), address: address.to_owned() };
        let cluster = Cluster::by(
            Box::new(door),
            &settings,
            me,
            roster(&background),
            None,
            &background,
            ClusterMeter::default(),
        );
        let metrics = Metrics::new();
        let route = SessionRoute {
            id: common.settings.id(),
            info: Arc::new(RouteInfo {
                id: common.settings.id(),
                dialect: common.settings.dialect,
                upstream: Arc::clone(&common.upstream),
                access: crate::access_log::AccessLog::default(),
                names: registry.names(),
            }),
            settings: Arc::clone(&common.settings),
            upstream: Arc::clone(&common.upstream),
            message_max: 1 << 20,
            guard: None,
            trusted_proxies: Arc::from([]),
            via: Arc::new(Via::new().unwrap()),
            draining: CancellationToken::new(),
            limits: Limits::default(),
            registry: registry.clone(),
            cluster: Some(Arc::clone(&cluster)),
            locations: Some(Arc::new(Locations::new(node, Arc::clone(&cluster), None))),
            tracker: background.tracker.clone(),
            meter: metrics.route(common.path, "u"),
            refusals: Arc::new(Refusals::of(common.path)),
        };
        let gateway = Arc::new(Gateway::new(Arc::clone(&common.dialect), route));
        let handler = Handler::Gateway { gateway: Arc::clone(&gateway), files: None };
        let served = Served { route: Arc::clone(&common.settings), handler };
        let current = Current::new(Running::new(vec![served], Vec::new(), Duration::ZERO, Vec::new()));
        let asked = TaskTracker::new();
        let nodes = Nodes::new(NodesSettings {
            cluster: Arc::clone(&cluster),
            token: settings.token,
            silence_timeout: SILENCE_TIMEOUT,
            current: current.clone(),
            registry: registry.clone(),
            requests: asked.clone(),
            connections: background.tracker.clone(),
            leaving: CancellationToken::new(),
            stop: stop.clone(),
        });
        let beginning = common.beginning();
        let site = Self {
            node,
            cluster,
            registry,
            current,
            gateway,
            asked,
            beginning,
            nodes,
            background,
            stop,
            killed,
        };
        let site = Arc::new(site);
        net.listen(address, &site);
        site
    }

    /// Ends the node's process: all of its connections break.
    pub(super) fn kill(&self) {
        self.killed.cancel();
        self.background.stop.cancel();
    }

    /// Ends the node's connections as a process that has stopped.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    pub(super) fn greeting(&self) -> Greeting {
        greeting_of(self.cluster.me())
    }

    /// Serves another node on the owner's end of a line.
    pub(super) fn accept(self: &Arc<Self>, greeting: Greeting, line: Duplex) {
        let nodes = self.nodes.clone();
        let node = greeting.node;
        let asker = self.cluster.greeted(greeting);
        let killed = self.killed.clone();
        let serve = async move { nodes.serve_stream(node, asker, line, Hop::Peer).await };
        self.background.tracker.spawn(async move { killed.run_until_cancelled(serve).await });
    }

    /// Begins a session here whose client polls, and returns its id.
    pub(super) fn begin(&self, backend: &Backend) -> String {
        let route = &self.gateway.route;
        let Ok(reservation) = route.reserve() else { panic!("no randomness") };
        let pace = Heartbeat { interval: NEVER, timeout: NEVER };
        let Some(Beginning { policy, framing, .. }) = self.beginning.as_deref() else {
            panic!("no handshake")
        };
        let session = Session::new(
            Arc::clone(policy),
            Arc::clone(&route.settings.session),
            Transport::Polling,
            pace,
            NEVER,
            None,
            Instant::now().into_std(),
        );
        let info = BridgeInfo {
            sid: reservation.sid().clone(),
            transport: Transport::Polling,
            framing: Arc::clone(framing),
            max_payload: 1 << 20,
            pushes: policy.pushes,
            headers: None,
            route: None,
            limited: crate::limited::Limited::default(),
            meter: route.meter.clone(),
            tally: crate::tally::Tally::of(None),
            span: None,
            owner: None,
            tracker: route.tracker.clone(),
        };
        let sid = reservation.sid().as_str().to_owned();
        let admission = self.registry.admit().expect("there is room");
        reservation.begin(session, info, backend.link(), Front::Polling, admission);
        sid
    }

    /// Asks here for a target, as a client that waits for the response to a GET, and returns its status and body.
    pub(super) async fn get(&self, target: &str) -> (u16, String) {
        self.ask(head_of(target)).await
    }

    /// Asks the same with a POST without a body.
    pub(super) async fn post(&self, target: &str) -> (u16, String) {
        let mut head = head_of(target);
        head.method = Method::POST;
        self.ask(head).await
    }

    async fn ask(&self, head: Parts) -> (u16, String) {
        let client = Client {
            peer: std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into(),
            secure: false,
            subject: None,
        };
        let connection =
            Connection::of_client(client, None, Patience::new(Duration::from_mins(1)), RawHeaders::default());
        let serving = self.gateway.serve(head, InquiryBody::default().into(), &connection);
        let Ok(response) = serving.await else { return (0, String::new()) };
        let status = response.status().as_u16();
        let (mut body, mut read) = (response.into_body(), Vec::new());
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return (0, String::new()) };
            // Each piece is taken as it comes: its node has room for so much only.
            if let Ok(mut piece) = frame.into_data() {
                read.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
            }
        }
        (status, String::from_utf8(read).unwrap())
    }
}

impl Common {
    fn beginning(&self) -> Option<Box<Beginning>> {
        let head = head_of(&format!("{}?EIO=4&transport=polling", self.path));
        let request =
            dialect::Request { head: &head, path: "/", kind: RequestKind::Http, environment: &Nothing };
        match self.dialect.read(&request) {
            Ok(Ask::Begin(beginning)) => Some(beginning),
            Ok(_) | Err(_) => None,
        }
    }
}

fn head_of(target: &str) -> Parts {
    Request::get(target).header("host", "a").body(()).unwrap().into_parts().0
}

/// A route that tells its dialect nothing.
#[derive(Debug)]
struct Nothing;

impl Environment for Nothing {
    fn unix_time(&self) -> u64 {
        0
    }

    fn random(&self) -> u32 {
        0
    }

    fn allows_origin(&self, _headers: &HeaderMap) -> bool {
        true
    }

    fn is_restricted(&self) -> bool {
        false
    }

    fn handshakes_take(&self) -> Duration {
        Duration::ZERO
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Site").field(&self.node).finish()
    }
}

fn cluster_settings(tag: Tag, address: &str) -> Settings {
    Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        advertise: address.to_owned(),
        node: tag,
        peers: Peers::Directory,
        tls: None,
        token: HeaderValue::from_static("Bearer x"),
        connect_timeout: CONNECT_TIMEOUT,
        silence_timeout: SILENCE_TIMEOUT,
    }
}

/// No heartbeat is due in these tests.
const NEVER: Duration = Duration::from_hours(1000);
/// Longer than in production, so that a hundred nodes have little to do.
const SILENCE_TIMEOUT: Duration = Duration::from_mins(1);
