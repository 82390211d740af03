//! From a request's head to the transport that serves it: what a dialect's request means for the sessions.

use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;
use hyper::body::Incoming;
use tokio_util::task::TaskTracker;

use super::cors::{Asked, CorsLayer};
use super::handshake::{Arrival, Handshake};
use super::refusals::Refusals;
use super::relay::RelayRoute;
use super::serving::Serving;
use super::settings::Route;
use super::tally;
use super::{Connection, Response};
use crate::bridge::{Bridge, Entry, Registry, turn_away};
use crate::dialect::{Accepts, Dialect, Known, Op, Reject, Road};
use crate::framing::{Framing, Revision};
use crate::meter::{self, Meter};
use crate::packet::Transport;
use crate::session::PollRefused;
use crate::spelling::HeadBytes;
use crate::transport::polling::{self, AnswerPoll, Asker};
use crate::transport::{Abort, websocket};

/// One route and what its requests need.
#[derive(Debug)]
pub struct Gateway {
    /// What its clients speak.
    pub dialect: &'static dyn Dialect,
    /// Which route it is, in the order of the configuration.
    pub index: usize,
    /// Whether the messages of its sessions are known to be Socket.IO's.
    pub socket_io: bool,
    /// How its sessions begin.
    pub handshake: Handshake,
    /// Where its sessions are found.
    pub registry: Registry,
    /// The tracker of its sessions' tasks.
    pub tracker: TaskTracker,
    /// Where it counts.
    pub meter: Meter,
    /// What the log says of requests that it refuses.
    pub refusals: Arc<Refusals>,
    /// What its relayed sessions need.
    pub relay: RelayRoute,
}

/// An [`Op`] with the session that it is for.
enum Task {
    Handshake(Transport, Framing),
    Poll(Arc<Bridge>),
    Push(Arc<Bridge>),
    Upgrade(Arc<Bridge>),
    CloseAtOnce,
}

impl Task {
    const fn op(&self) -> meter::Op {
        match self {
            Self::Handshake(Transport::Polling, _) => meter::Op::Handshake,
            Self::Handshake(Transport::WebSocket, _) => meter::Op::SocketHandshake,
            Self::Poll(_) => meter::Op::Poll,
            Self::Push(_) => meter::Op::Push,
            Self::Upgrade(_) | Self::CloseAtOnce => meter::Op::Upgrade,
        }
    }
}

impl Gateway {
    /// Serves one request.
    pub(super) fn serve(
        self: &Arc<Self>,
        head: Parts,
        body: Incoming,
        connection: &Connection,
        route: &Arc<Route>,
        cors: &Arc<CorsLayer>,
    ) -> Serving {
        let origin = cors.ask(&head);
        if let Some(response) = cors.answer_preflight(&head, &origin) {
            self.meter.request(meter::Op::Other, response.status().as_u16());
            return Serving::done(response);
        }
        let (this, route, cors) = (Arc::clone(self), Arc::clone(route), Arc::clone(cors));
        if !cors.mirrors_options(&head) {
            return this.route(head, body, connection, route, cors, origin);
        }
        let connection = connection.clone();
        Serving::other(async move {
            let Some(mut response) = this.preflight(&head, connection.client, &route, &cors).await else {
                return this.route(head, body, &connection, route, cors, origin).await;
            };
            this.meter.request(meter::Op::Other, response.status().as_u16());
            cors.apply(&origin, &mut response);
            Ok(response)
        })
    }

    /// Leads a request to its session. Its head is gone before a poll waits: one that kept it would cost 7 kB more.
    fn route(
        self: Arc<Self>,
        mut head: Parts,
        body: Incoming,
        connection: &Connection,
        route: Arc<Route>,
        cors: Arc<CorsLayer>,
        origin: Asked,
    ) -> Serving {
        let task = match self.read(&head, route.accepts) {
            Ok(task) => task,
            Err(refusal) => {
                polling::discard(body, &self.tracker);
                // Of a request that names a session, nothing else ends so.
                let useless = refusal.status() == StatusCode::INTERNAL_SERVER_ERROR;
                let options = useless.then(|| cors.answer_options(&head)).flatten();
                let mut response = options.unwrap_or(*refusal);
                cors.apply(&origin, &mut response);
                return Serving::done(response);
            }
        };
        let op = task.op();
        tally::count_request(&self.meter, op, &head);
        let answered = |mut response| {
            cors.apply(&origin, &mut response);
            tally::count_answer(&self.meter, op, &response);
            Serving::done(response)
        };
        let asker = Asker::new(&head.headers, route.compression && !matches!(task, Task::Push(_)));
        match task {
            Task::Poll(bridge) => match bridge.poll() {
                Ok(parked) => Serving::poll(AnswerPoll::new(parked, asker, self.dialect), cors, origin),
                Err(refused) => answered(self.refuse(refused)),
            },
            Task::Upgrade(bridge) => answered(self.upgrade(bridge, head)),
            Task::CloseAtOnce => answered(self.close_at_once(head)),
            Task::Push(bridge) => Serving::other(async move {
                let mut response = self.push(bridge, head, body, asker).await?;
                cors.apply(&origin, &mut response);
                tally::count_answer(&self.meter, op, &response);
                Ok(response)
            }),
            Task::Handshake(transport, framing) => {
                // Its headers are what the backend gets to see.
                head.extensions.insert(HeadBytes(connection.heads.take_request()));
                let client = connection.client;
                Serving::other(async move {
                    let arrival = Arrival { head, client, transport, framing, asker };
                    let mut response = self.handshake.begin(&self, arrival, &route, &cors).await;
                    cors.apply(&origin, &mut response);
                    tally::count_answer(&self.meter, op, &response);
                    Ok(response)
                })
            }
        }
    }

    fn read(&self, head: &Parts, accepts: Accepts) -> Result<Task, Box<Response>> {
        let mut found = None;
        let op = self.dialect.read_head(head, accepts, &mut |sid| {
            // A sid of another route is unknown here: its settings are not this route's.
            let entry = self.registry.find(sid).filter(|entry| entry.route() == self.index)?;
            let known = match &entry {
                Entry::Bridge(bridge) => {
                    Known { transport: bridge.transport(), revision: bridge.info().framing.revision }
                }
                Entry::Relay(relay) => Known { transport: Transport::WebSocket, revision: relay.revision },
            };
            found = Some(entry);
            Some(known)
        });
        let task = match (op, found) {
            (Ok(Op::Handshake(transport, framing)), _) => Ok(Task::Handshake(transport, framing)),
            (Ok(Op::Poll), Some(Entry::Bridge(bridge))) => Ok(Task::Poll(bridge)),
            (Ok(Op::Push), Some(Entry::Bridge(bridge))) => Ok(Task::Push(bridge)),
            (Ok(Op::Upgrade), Some(Entry::Bridge(bridge))) => Ok(Task::Upgrade(bridge)),
            // A session that began with a WebSocket keeps the one it has.
            (Ok(Op::CloseAtOnce), _) | (Ok(Op::Upgrade), Some(Entry::Relay(_))) => Ok(Task::CloseAtOnce),
            (Ok(Op::Poll | Op::Push), Some(Entry::Relay(_))) => Err(Reject::BadRequest),
            (Ok(Op::Poll | Op::Push | Op::Upgrade), None) => Err(Reject::UnknownSid),
            (Err(reject), _) => Err(reject),
        };
        task.map_err(|reject| {
            if reject == Reject::UnsupportedVersion {
                self.refusals.note_version(head);
            }
            let response = polling::respond(self.dialect.reply(&reject, Road::of(&head.headers)));
            self.meter.request(meter::Op::Other, response.status().as_u16());
            Box::new(response)
        })
    }

    async fn push(
        &self,
        bridge: Arc<Bridge>,
        head: Parts,
        body: Incoming,
        asker: Asker,
    ) -> Result<Response, Abort> {
        let push = match bridge.push() {
            Ok(push) => push,
            Err(refused) => {
                polling::discard(body, &self.tracker);
                return Ok(self.refuse(refused));
            }
        };
        let framing = push.bridge().info().framing;
        let Some(form) = self.dialect.read_push(framing, &head.headers) else {
            push.refuse_invalid();
            polling::discard(body, &self.tracker);
            return Ok(polling::refuse(self.dialect, &Reject::Empty));
        };
        drop(head);
        polling::take_push(push, form, body, asker, self.dialect).await
    }

    fn upgrade(&self, bridge: Arc<Bridge>, mut head: Parts) -> Response {
        let response =
            match websocket::accept(&head.method, &head.headers, websocket::first_protocol(&head.headers)) {
                Ok(response) => response,
                Err(reject) => return polling::respond(self.dialect.reply(&reject, Road::WebSocket)),
            };
        let info = bridge.info();
        let (framing, max_payload, meter) = (info.framing, info.max_payload, info.meter.clone());
        let framed = websocket::framed(take_upgrade(&mut head), self.dialect, framing, max_payload, meter);
        self.tracker.spawn(async move {
            if let Some(socket) = framed.await
                && let Err(socket) = bridge.probe(socket)
            {
                turn_away(socket).await;
            }
        });
        response
    }

    fn close_at_once(&self, mut head: Parts) -> Response {
        let response =
            match websocket::accept(&head.method, &head.headers, websocket::first_protocol(&head.headers)) {
                Ok(response) => response,
                Err(reject) => return polling::respond(self.dialect.reply(&reject, Road::WebSocket)),
            };
        let framing = Framing::new(Revision::V4);
        let framed = websocket::framed(take_upgrade(&mut head), self.dialect, framing, 0, self.meter.clone());
        self.tracker.spawn(async move {
            if let Some(socket) = framed.await {
                turn_away(socket).await;
            }
        });
        response
    }

    fn refuse(&self, refused: PollRefused) -> Response {
        let reject = match refused {
            PollRefused::Overlap => Reject::Empty,
            PollRefused::WrongTransport => Reject::BadRequest,
            PollRefused::Over => Reject::UnknownSid,
        };
        polling::refuse(self.dialect, &reject)
    }
}

/// The connection behind a request, for the moment when it becomes a WebSocket.
pub(super) fn take_upgrade(head: &mut Parts) -> hyper::upgrade::OnUpgrade {
    let mut request = http::Request::new(());
    std::mem::swap(request.extensions_mut(), &mut head.extensions);
    hyper::upgrade::on(&mut request)
}
