//! From a request's head to the transport that serves it: what a dialect's request means for the sessions.

use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;
use hyper::body::Incoming;

use super::cors::{Asked, CorsLayer};
use super::handshake::{Arrival, Handshake};
use super::serving::Serving;
use super::session_route::SessionRoute;
use super::tally;
use super::{Connection, Response, preflight};
use crate::bridge::{Bridge, ClientSocket, Entry, turn_away};
use crate::dialect::{Dialect, Known, Op, Reject, Road};
use crate::framing::{Framing, Revision};
use crate::meter;
use crate::packet::Transport;
use crate::session::PollRefused;
use crate::spelling::HeadBytes;
use crate::transport::polling::{self, AnswerPoll, Asker};
use crate::transport::web_socket_ask::{WebSocketAsk, first_protocol};
use crate::transport::{Abort, websocket};

/// Serves the requests of one route of a dialect.
#[derive(Debug)]
pub struct Gateway {
    dialect: &'static dyn Dialect,
    socket_io: bool,
    route: SessionRoute,
    cors: Arc<CorsLayer>,
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
    /// The gateway of a route whose clients speak `dialect`; `socket_io` where the messages of its sessions are known to be
    /// Socket.IO's.
    pub fn new(dialect: &'static dyn Dialect, socket_io: bool, route: SessionRoute) -> Self {
        let (settings, old) = (&route.settings, route.leads_to_old_server());
        let cors = Arc::new(CorsLayer::new(&settings.cors, old, settings.response_headers.clone()));
        Self { dialect, socket_io, route, cors }
    }

    /// Serves one request.
    pub(super) fn serve(self: &Arc<Self>, head: Parts, body: Incoming, connection: &Connection) -> Serving {
        let origin = self.cors.ask(&head);
        if let Some(response) = self.cors.answer_preflight(&head, &origin) {
            self.route.meter.request(meter::Op::Other, response.status().as_u16());
            return Serving::done(response);
        }
        let this = Arc::clone(self);
        if !self.cors.mirrors_options(&head) {
            return this.route(head, body, connection, origin);
        }
        let connection = connection.clone();
        Serving::other(async move {
            let asked = preflight::ask(&this.handshake(), &head, connection.client, &this.cors).await;
            let Some(mut response) = asked else {
                return this.route(head, body, &connection, origin).await;
            };
            this.route.meter.request(meter::Op::Other, response.status().as_u16());
            this.cors.apply(&origin, &mut response);
            Ok(response)
        })
    }

    const fn handshake(&self) -> Handshake<'_> {
        Handshake { dialect: self.dialect, socket_io: self.socket_io, route: &self.route }
    }

    /// Leads a request to its session. Its head is gone before a poll waits: one that kept it would cost 7 kB more.
    fn route(
        self: Arc<Self>,
        mut head: Parts,
        body: Incoming,
        connection: &Connection,
        origin: Asked,
    ) -> Serving {
        let ask = WebSocketAsk::take(&mut head);
        let task = match self.read(&head, ask.as_ref()) {
            Ok(task) => task,
            Err(refusal) => {
                polling::discard(body, &self.route.tracker);
                // Of a request that names a session, nothing else ends so.
                let useless = refusal.status() == StatusCode::INTERNAL_SERVER_ERROR;
                let options = useless.then(|| self.cors.answer_options(&head)).flatten();
                let mut response = options.unwrap_or(*refusal);
                self.cors.apply(&origin, &mut response);
                return Serving::done(response);
            }
        };
        let op = task.op();
        tally::count_request(&self.route.meter, op, &head);
        let answered = |mut response| {
            self.cors.apply(&origin, &mut response);
            tally::count_answer(&self.route.meter, op, &response);
            Serving::done(response)
        };
        let asker =
            Asker::new(&head.headers, self.route.settings.compression && !matches!(task, Task::Push(_)));
        match task {
            Task::Poll(bridge) => match bridge.poll() {
                Ok(parked) => Serving::poll(
                    AnswerPoll::new(parked, asker, self.dialect),
                    Arc::clone(&self.cors),
                    origin,
                ),
                Err(refused) => answered(self.refuse(refused)),
            },
            Task::Upgrade(bridge) => {
                let info = bridge.info();
                let (framing, max_payload) = (info.framing, info.max_payload);
                let probe = move |socket| async move {
                    if let Err(socket) = bridge.probe(socket) {
                        turn_away(socket).await;
                    }
                };
                answered(self.take_socket(ask, &head, framing, max_payload, probe))
            }
            Task::CloseAtOnce => {
                answered(self.take_socket(ask, &head, Framing::new(Revision::V4), 0, turn_away))
            }
            Task::Push(bridge) => Serving::other(async move {
                let mut response = self.push(bridge, head, body, asker).await?;
                self.cors.apply(&origin, &mut response);
                tally::count_answer(&self.route.meter, op, &response);
                Ok(response)
            }),
            Task::Handshake(transport, framing) => {
                // Its headers are what the backend gets to see.
                head.extensions.insert(HeadBytes(connection.heads.take_request()));
                let client = connection.client;
                Serving::other(async move {
                    let arrival = Arrival { head, ask, client, transport, framing, asker };
                    let mut response = self.handshake().begin(arrival, &self.cors).await;
                    self.cors.apply(&origin, &mut response);
                    tally::count_answer(&self.route.meter, op, &response);
                    Ok(response)
                })
            }
        }
    }

    fn read(&self, head: &Parts, ask: Option<&WebSocketAsk>) -> Result<Task, Box<Response>> {
        let mut found = None;
        let road = ask.map_or(Road::Http, |_| Road::WebSocket);
        let op = self.dialect.read_head(head, road, self.route.settings.accepts, &mut |sid| {
            // A sid of another route is unknown here: its settings are not this route's.
            let entry = self.route.registry.find(sid).filter(|entry| entry.route() == self.route.index)?;
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
                self.route.refusals.note_version(head);
            }
            let response = polling::respond(self.dialect.reply(&reject, road));
            self.route.meter.request(meter::Op::Other, response.status().as_u16());
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
                polling::discard(body, &self.route.tracker);
                return Ok(self.refuse(refused));
            }
        };
        let framing = push.bridge().info().framing;
        let Some(form) = self.dialect.read_push(framing, &head.headers) else {
            push.refuse_invalid();
            polling::discard(body, &self.route.tracker);
            return Ok(polling::refuse(self.dialect, &Reject::Empty));
        };
        drop(head);
        polling::take_push(push, form, body, asker, self.dialect).await
    }

    /// Makes a request's connection a WebSocket, and hands it on.
    fn take_socket<T: Future<Output = ()> + Send>(
        &self,
        ask: Option<WebSocketAsk>,
        head: &Parts,
        framing: Framing,
        max_payload: usize,
        then: impl FnOnce(Box<dyn ClientSocket>) -> T + Send + 'static,
    ) -> Response {
        let refuse = |reject: &Reject| polling::respond(self.dialect.reply(reject, Road::WebSocket));
        let Some(ask) = ask else { return refuse(&Reject::BadRequest) };
        let (response, upgrading) = match ask.accept(first_protocol(&head.headers)) {
            Ok(accepted) => accepted,
            Err(why) => return refuse(&Reject::BadWebSocket(why)),
        };
        let meter = self.route.meter.clone();
        let framed = websocket::framed(upgrading, self.dialect, framing, max_payload, meter);
        self.route.tracker.spawn(async move {
            if let Some(socket) = framed.await {
                then(socket).await;
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
