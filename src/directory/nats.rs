//! NATS as the engine, without `JetStream`: an entry is a subscription to the id's subject.
//!
//! A look-up is a request, and "no responders" is a no. Nothing has to be renewed, and a node's entries are gone with its
//! connection: so each connection, of any node, is the beginning of other contents ([`Present::changes`]).

mod claims;
mod present;
mod server;
mod text;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::client::{Request, RequestErrorKind};
use async_nats::connection::State;
use async_nats::{Client, Message, Subscriber};
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::select;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep};

use self::claims::{Claims, Heard, Question};
use self::present::Present;
use self::text::{NO_MORE, Notice};
use super::engine::{Answer, Answering, Connection, Contents, Down, Member, Verdict};
use super::id::Id;
use crate::sid::Node;

pub(super) use self::server::Nats;

/// A connection to the server.
struct NatsConnection {
    shared: Arc<Shared>,
    /// What answers other nodes.
    answering: Mutex<JoinSet<()>>,
}

struct Shared {
    client: Client,
    /// What every subject begins with.
    prefix: String,
    me: Node,
    address: String,
    /// Says that this node is there.
    here: Bytes,
    /// Names the connection.
    mark: String,
    began: Instant,
    claims: Mutex<Claims<oneshot::Sender<()>>>,
    present: Mutex<Present>,
    /// The server's last complaint.
    complaint: Arc<Mutex<Option<String>>>,
}

impl NatsConnection {
    /// Begins to listen to other nodes.
    async fn begin(
        client: Client,
        name: &str,
        me: Node,
        address: &str,
        complaint: Arc<Mutex<Option<String>>>,
    ) -> Result<Self, Down> {
        let mark = getrandom::u64().map_err(|error| Down(error.to_string()))?;
        let mark = format!("{mark:016x}");
        let here = Notice::Here { node: me, address, mark: &mark }.to_string().into();
        let prefix = format!("polliwog.{name}.");
        let (claims, present) = (Mutex::new(Claims::new(me)), Mutex::default());
        let began = Instant::now();
        let shared = Arc::new(Shared {
            client,
            prefix,
            me,
            address: address.to_owned(),
            here,
            mark,
            began,
            claims,
            present,
            complaint,
        });
        let connection = Self { shared, answering: Mutex::default() };
        let shared = &connection.shared;
        let all = select(shared.subscribe(shared.nodes()).await?, shared.subscribe(shared.own()).await?);
        connection.spawn(Arc::clone(shared).meet_others(all));
        Ok(connection)
    }

    /// Says that this node is there.
    async fn say_hello(&self) -> Result<(), Down> {
        self.call(self.shared.here.clone()).await
    }

    /// Returns the other nodes.
    async fn look(&self) -> Result<Vec<Member>, Down> {
        self.call(Bytes::new()).await?;
        Ok(lock(&self.shared.present).list(self.shared.began.elapsed()))
    }

    /// Waits until the other nodes have said that they are there.
    async fn call(&self, said: Bytes) -> Result<(), Down> {
        let shared = &self.shared;
        let called = shared.client.publish_with_reply(shared.nodes(), shared.own(), said);
        called.await.map_err(down)?;
        shared.pass().await?;
        sleep(OTHERS_WAIT).await;
        Ok(())
    }

    /// Subscribes to an id, unless this node has done so.
    async fn subscribe(&self, id: Id) -> Result<(), Down> {
        let shared = &self.shared;
        if lock(&shared.claims).is_begun(id) {
            return Ok(());
        }
        let subscriber = shared.subscribe(shared.subject(id)).await?;
        let (ends, ended) = oneshot::channel();
        lock(&shared.claims).begin(id, ends);
        self.spawn(Arc::clone(shared).answer(id, subscriber, ended));
        Ok(())
    }

    async fn claim_one(&self, id: Id, instead_of: Option<Node>) -> Result<Verdict, Down> {
        let shared = &self.shared;
        let question = Question::Claim { by: shared.me, instead_of };
        loop {
            if lock(&shared.claims).is_won(id) {
                return Ok(Verdict::Of(shared.me));
            }
            self.subscribe(id).await?;
            let heard = shared.ask(id, question).await?;
            if let Some(verdict) = lock(&shared.claims).settle(id, heard) {
                return Ok(verdict);
            }
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut answering = lock(&self.answering);
        while answering.try_join_next().is_some() {}
        answering.spawn(task);
    }
}

impl Connection for NatsConnection {
    fn claim<'c>(&'c self, ids: &'c [Id], instead_of: Option<Node>) -> Answering<'c, Answer<Vec<Verdict>>> {
        Box::pin(async move {
            let claimed = join_all(ids.iter().map(|id| self.claim_one(*id, instead_of))).await;
            let value = claimed.into_iter().collect::<Result<_, _>>()?;
            Ok(Answer { value, contents: self.shared.contents() })
        })
    }

    fn find(&self, id: Id) -> Answering<'_, Answer<Verdict>> {
        Box::pin(async move {
            let shared = &self.shared;
            let value = loop {
                if lock(&shared.claims).is_won(id) {
                    break Verdict::Of(shared.me);
                }
                match shared.ask(id, Question::Find).await? {
                    Heard::Nobody => break Verdict::Nobody,
                    Heard::Of(node) => break Verdict::Of(node),
                    Heard::NoMore => {}
                    Heard::Silence => break Verdict::Unsure,
                }
            };
            Ok(Answer { value, contents: shared.contents() })
        })
    }

    fn release<'c>(&'c self, ids: &'c [Id]) -> Answering<'c, ()> {
        Box::pin(async move {
            let mut claims = lock(&self.shared.claims);
            for id in ids {
                claims.release(*id);
            }
            Ok(())
        })
    }

    fn meet(&self) -> Answering<'_, Answer<Vec<Member>>> {
        Box::pin(async move {
            let shared = &self.shared;
            shared.publish(shared.nodes(), shared.here.clone()).await?;
            shared.pass().await?;
            let mut members = lock(&shared.present).list(shared.began.elapsed());
            members.push(Member { node: shared.me, address: shared.address.clone() });
            Ok(Answer { value: members, contents: shared.contents() })
        })
    }

    fn leave(&self) -> Answering<'_, ()> {
        Box::pin(async move {
            let shared = &self.shared;
            shared.publish(shared.nodes(), Notice::Gone(shared.me).to_string().into()).await?;
            shared.pass().await
        })
    }
}

impl Shared {
    fn subject(&self, id: Id) -> String {
        format!("{}s.{id}", self.prefix)
    }

    /// The subject on which all nodes say that they are there.
    fn nodes(&self) -> String {
        format!("{}nodes", self.prefix)
    }

    /// The subject on which they say so to this one.
    fn own(&self) -> String {
        format!("{}node.{}", self.prefix, self.me)
    }

    async fn subscribe(&self, subject: String) -> Result<Subscriber, Down> {
        self.client.subscribe(subject).await.map_err(down)
    }

    async fn publish(&self, subject: String, payload: Bytes) -> Result<(), Down> {
        self.client.publish(subject, payload).await.map_err(down)
    }

    /// Asks the other subscribers of a subject. The client would wait for another connection, so all waits are limited.
    async fn request(&self, subject: String, payload: Bytes) -> Result<Option<Message>, RequestErrorKind> {
        let request = Request::new().payload(payload).timeout(Some(ANSWER_MAX));
        match self.client.send_request(subject, request).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == RequestErrorKind::NoResponders => Ok(None),
            Err(error) => Err(error.kind()),
        }
    }

    /// Waits until the server has taken everything that was sent before. To flush the client waits for the socket alone.
    async fn pass(&self) -> Result<(), Down> {
        let passed = self.request(self.own(), Bytes::new()).await;
        self.assert_unbroken()?;
        passed.map(|_| ()).map_err(|error| {
            let complaint = lock(&self.complaint).clone();
            Down(complaint.unwrap_or_else(|| error.to_string()))
        })
    }

    async fn ask(&self, id: Id, question: Question) -> Result<Heard, Down> {
        let answer = self.request(self.subject(id), question.to_string().into()).await;
        self.assert_unbroken()?;
        match answer {
            Ok(None) => Ok(Heard::Nobody),
            Ok(Some(message)) if message.payload == NO_MORE => Ok(Heard::NoMore),
            Ok(Some(message)) => {
                let node = std::str::from_utf8(&message.payload).ok().and_then(Node::parse);
                node.map(Heard::Of).ok_or_else(|| Down("an answer names no node".to_owned()))
            }
            // A node that is stopped is subscribed as well.
            Err(RequestErrorKind::TimedOut) => Ok(Heard::Silence),
            Err(error) => Err(Down(error.to_string())),
        }
    }

    /// The client connects again by itself, but then the server has lost what this node had there.
    fn assert_unbroken(&self) -> Result<(), Down> {
        let connects = self.client.statistics().connects.load(std::sync::atomic::Ordering::Relaxed);
        let is_unbroken = connects == 1 && self.client.connection_state() == State::Connected;
        if is_unbroken { Ok(()) } else { Err(Down("the connection broke".to_owned())) }
    }

    fn contents(&self) -> Contents {
        Contents(format!("{} {}", self.mark, lock(&self.present).changes()))
    }

    /// Answers other nodes' questions about an id until `ended` or the claim gives way.
    async fn answer(self: Arc<Self>, id: Id, mut asked: Subscriber, mut ended: oneshot::Receiver<()>) {
        let mut is_over = false;
        loop {
            let message = tokio::select! {
                biased;
                _ = &mut ended, if !is_over => None,
                message = asked.next() => match message {
                    Some(message) => Some(message),
                    None => return,
                },
            };
            let heard = match message.as_ref().map(|message| Question::read(&message.payload)) {
                Some(Some(question)) if !is_over => lock(&self.claims).hear(id, question),
                _ => Heard::NoMore,
            };
            let said = match heard {
                Heard::Of(node) => node.to_string().into(),
                Heard::NoMore | Heard::Nobody | Heard::Silence => {
                    // The subscription ends before the answer is sent. What is on its way here gets one, too.
                    if !std::mem::replace(&mut is_over, true) && asked.drain().await.is_err() {
                        return;
                    }
                    Bytes::from_static(NO_MORE.as_bytes())
                }
            };
            if let Some(reply) = message.and_then(|message| message.reply)
                && self.client.publish(reply, said).await.is_err()
            {
                return;
            }
        }
    }

    /// Notes which nodes are there, and answers those that ask.
    async fn meet_others(self: Arc<Self>, mut all: impl Stream<Item = Message> + Unpin) {
        while let Some(message) = all.next().await {
            match Notice::read(&message.payload) {
                Some(Notice::Here { node, address, mark }) => {
                    lock(&self.present).hear(node, address, mark, self.began.elapsed());
                }
                Some(Notice::Gone(node)) => lock(&self.present).leave(node),
                None => {}
            }
            if let Some(reply) = message.reply
                && self.client.publish(reply, self.here.clone()).await.is_err()
            {
                return;
            }
        }
    }
}

fn down(error: impl std::error::Error) -> Down {
    Down(error.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long an answer may take: less than the directory waits, since a node that does not answer is no fault of the server.
const ANSWER_MAX: Duration = Duration::from_millis(150);
/// How long the other nodes may take to say that they are there.
const OTHERS_WAIT: Duration = Duration::from_millis(100);
