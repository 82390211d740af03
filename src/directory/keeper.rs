//! This node's view of the directory, and the task that keeps it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::time::{Duration, Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::engine::{Answer, Connection, Contents, Down, Engine, Member, Verdict};
use super::held::{Held, Key, Sessions};
use super::id::Id;
use crate::meter::{DirectoryMeter, DirectoryOp, DirectoryOutcome};
use crate::sid::Node;
use crate::throttle::Outage;

/// This node's view of the directory.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

/// The nodes that there were at a look.
#[derive(Clone, Debug)]
pub struct Meeting {
    /// All of them, this one as well.
    pub members: Vec<Member>,
    /// When the look began: who came later may be missing.
    pub begun: Instant,
}

struct Inner {
    me: Node,
    ttl: Duration,
    engine: Box<dyn Engine>,
    /// `None` while the engine is down.
    line: Mutex<Option<Line>>,
    held: Mutex<Held>,
    /// Notified when the line is no good any more, or the contents have changed.
    troubled: Notify,
    members: watch::Sender<Option<Meeting>>,
    outage: Outage,
    meter: DirectoryMeter,
}

/// The living connection.
#[derive(Clone)]
struct Line {
    connection: Arc<dyn Connection>,
    contents: Contents,
    /// Since when these contents are known.
    since: Instant,
}

/// Holds an id for a session of this node.
#[must_use]
pub struct Hold {
    directory: Directory,
    id: Id,
}

impl Directory {
    /// Creates the view of the node `me`, whose entries stay for `ttl` if they are not written again.
    pub fn new(me: Node, ttl: Duration, engine: Box<dyn Engine>, meter: DirectoryMeter) -> Self {
        Self(Arc::new(Inner {
            me,
            ttl,
            engine,
            line: Mutex::default(),
            held: Mutex::default(),
            troubled: Notify::new(),
            members: watch::Sender::default(),
            outage: Outage::default(),
            meter,
        }))
    }

    /// Holds an id, which is this node's in the directory as soon as no other node has it.
    pub fn hold(&self, id: Id, key: Key) -> Hold {
        lock(&self.0.held).hold(id, key);
        Hold { directory: self.clone(), id }
    }

    /// Claims an id that is held. `instead_of` is a node that is known not to have it.
    pub async fn claim(&self, id: Id, instead_of: Option<Node>) -> Verdict {
        let ids = [id];
        let ask = |line: Line| async move {
            let answer = self.within(&line, line.connection.claim(&ids, instead_of)).await?;
            let verdict = answer.value.first().copied().unwrap_or(Verdict::Unsure);
            let is_ours = verdict == Verdict::Of(self.0.me);
            self.note(id, verdict);
            Some(match verdict {
                // Others may have lost their entry.
                Verdict::Of(_) if is_ours && !self.is_mature(&line, &answer) => Verdict::Unsure,
                Verdict::Of(node) => Verdict::Of(node),
                Verdict::Nobody | Verdict::Unsure => self.unsure(),
            })
        };
        self.counted(DirectoryOp::Claim, ask).await
    }

    /// Finds an id.
    pub async fn find(&self, id: Id) -> Verdict {
        let ask = |line: Line| async move {
            let answer = self.within(&line, line.connection.find(id)).await?;
            Some(match answer.value {
                Verdict::Of(node) => Verdict::Of(node),
                Verdict::Nobody if self.is_mature(&line, &answer) => Verdict::Nobody,
                Verdict::Nobody => Verdict::Unsure,
                Verdict::Unsure => self.unsure(),
            })
        };
        self.counted(DirectoryOp::Find, ask).await
    }

    /// Returns the nodes that there are, once the engine has told.
    pub fn members(&self) -> watch::Receiver<Option<Meeting>> {
        self.0.members.subscribe()
    }

    /// Has the engine say soon which nodes there are.
    pub fn look_again(&self) {
        self.0.troubled.notify_one();
    }

    /// Returns whether the engine answers.
    pub fn is_up(&self) -> bool {
        self.line().is_some()
    }

    /// Keeps the directory for these sessions until `stop`.
    pub async fn run(self, sessions: impl Sessions, stop: CancellationToken) {
        let kept = async {
            loop {
                let address = self.0.engine.address();
                let Err(error) = self.keep(&sessions).await;
                self.set_line(None);
                if let Some(count) = self.0.outage.begin() {
                    tracing::warn!(address, %error, count, "the directory is down; sessions go on");
                }
                sleep(AGAIN_AFTER).await;
            }
        };
        if stop.run_until_cancelled(kept).await.is_none()
            && let Some(line) = self.line()
        {
            let _gone_anyway = timeout(WAIT, line.connection.leave()).await;
        }
    }

    /// Connects, and keeps the directory until the connection fails.
    async fn keep(&self, sessions: &impl Sessions) -> Result<Never, Down> {
        let connecting = timeout(CONNECT, self.0.engine.connect());
        let connection = connecting.await.map_err(|_| Down("it does not answer".to_owned()))??;
        self.meet(&connection).await?;
        if self.0.outage.end() {
            tracing::info!(address = self.0.engine.address(), "the directory is up again");
        }
        let every = |period| {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let (mut beats, mut sweeps, mut renewals) = (every(BEAT), every(SWEEP), every(self.0.ttl / 3));
        loop {
            tokio::select! {
                () = self.0.troubled.notified() => {
                    if !self.is_up() {
                        return Err(Down("a question got no answer".to_owned()));
                    }
                    self.meet(&connection).await?;
                }
                due = beats.tick() => {
                    self.meet(&connection).await?;
                    if due.elapsed() < AWAY {
                        let unconfirmed = lock(&self.0.held).unconfirmed();
                        self.claim_each(&connection, &unconfirmed).await?;
                    } else {
                        // This process was stopped for so long that the others took it for gone.
                        self.claim_all(&connection).await?;
                    }
                    self.give_way(sessions);
                }
                _ = sweeps.tick() => self.sweep(&connection, sessions).await?,
                _ = renewals.tick() => self.claim_all(&connection).await?,
            }
        }
    }

    /// Releases the ids that this node has no more.
    async fn sweep(&self, connection: &Arc<dyn Connection>, sessions: &impl Sessions) -> Result<(), Down> {
        let gone = lock(&self.0.held).sweep(|key| sessions.is_known(key));
        for ids in gone.chunks(BATCH) {
            self.keeping(connection.release(ids)).await?;
            // One that is held again was claimed before this, or after it.
            for id in ids {
                self.note(*id, Verdict::Nobody);
            }
        }
        lock(&self.0.held).released();
        Ok(())
    }

    async fn claim_all(&self, connection: &Arc<dyn Connection>) -> Result<(), Down> {
        let all = lock(&self.0.held).all();
        self.claim_each(connection, &all).await
    }

    async fn claim_each(&self, connection: &Arc<dyn Connection>, all: &[Id]) -> Result<(), Down> {
        for ids in all.chunks(BATCH) {
            let answer = self.keeping(connection.claim(ids, None)).await?;
            for (id, verdict) in ids.iter().zip(answer.value) {
                self.note(*id, verdict);
            }
        }
        Ok(())
    }

    /// Ends the sessions whose ids other nodes have taken over, while this one was away.
    fn give_way(&self, sessions: &impl Sessions) {
        let members = self.members_now();
        let is_there = |node| members.iter().any(|member| member.node == node);
        let lost = lock(&self.0.held).lost(is_there, Instant::now());
        if !lost.is_empty() {
            tracing::warn!(
                count = lost.len(),
                "other nodes have taken over sessions of this one, which end here"
            );
        }
        for (key, loss) in &lost {
            sessions.give_way(key, *loss);
        }
    }

    fn note(&self, id: Id, verdict: Verdict) {
        lock(&self.0.held).note(id, verdict, self.0.me, Instant::now());
    }

    /// Says that this node is there, and notes which others are, and which contents the engine has.
    async fn meet(&self, connection: &Arc<dyn Connection>) -> Result<(), Down> {
        let begun = Instant::now();
        let Answer { value: mut members, contents } = self.keeping(connection.meet()).await?;
        let now = Instant::now();
        let is_new = {
            let known = self.line().filter(|line| line.contents == contents);
            let since = known.as_ref().map_or(now, |line| line.since);
            self.set_line(Some(Line { connection: Arc::clone(connection), contents, since }));
            known.is_none()
        };
        if lock(&self.0.line).as_ref().is_some_and(|line| now < line.since + YOUTH) {
            // Those that have not said so again yet are there as well.
            let known = self.members_now();
            let is_missing = |one: &Member| members.iter().all(|member| member.node.tag != one.node.tag);
            let missing: Vec<_> = known.into_iter().filter(is_missing).collect();
            members.extend(missing);
        }
        self.0.members.send_replace(Some(Meeting { members, begun }));
        if is_new {
            self.claim_all(connection).await?;
        }
        Ok(())
    }

    fn members_now(&self) -> Vec<Member> {
        self.0.members.borrow().as_ref().map(|meeting| meeting.members.clone()).unwrap_or_default()
    }

    fn line(&self) -> Option<Line> {
        lock(&self.0.line).clone()
    }

    /// Asks, if there is a connection, and counts what comes of it.
    async fn counted<F: Future<Output = Option<Verdict>>>(
        &self,
        op: DirectoryOp,
        ask: impl FnOnce(Line) -> F,
    ) -> Verdict {
        let verdict = match self.line() {
            Some(line) => ask(line).await,
            None => None,
        };
        let outcome = match verdict {
            Some(Verdict::Of(_) | Verdict::Nobody) => DirectoryOutcome::Answered,
            Some(Verdict::Unsure) => DirectoryOutcome::Unsure,
            None => DirectoryOutcome::Failed,
        };
        self.0.meter.asked(op, outcome);
        verdict.unwrap_or(Verdict::Unsure)
    }

    /// Asks something for the directory's own sake.
    async fn keeping<T>(&self, asked: impl Future<Output = Result<T, Down>> + Send) -> Result<T, Down> {
        let answer = self.in_time(asked).await;
        let outcome = if answer.is_ok() { DirectoryOutcome::Answered } else { DirectoryOutcome::Failed };
        self.0.meter.asked(DirectoryOp::Keep, outcome);
        answer
    }

    /// Limits the wait for an answer, and records it.
    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, Down>> + Send) -> Result<T, Down> {
        let began = Instant::now();
        let answer = timeout(WAIT, asked).await;
        self.0.meter.answered_after(began.elapsed());
        answer.unwrap_or_else(|_| Err(Down("an answer took too long".to_owned())))
    }

    /// Sets the connection on which requests are answered.
    fn set_line(&self, line: Option<Line>) {
        self.0.meter.is_up(line.is_some());
        *lock(&self.0.line) = line;
    }

    /// Returns the answer of a question for a request, unless it takes too long.
    async fn within<T>(&self, line: &Line, asked: impl Future<Output = Result<T, Down>> + Send) -> Option<T> {
        if let Ok(answer) = self.in_time(asked).await {
            return Some(answer);
        }
        let taken = lock(&self.0.line).take_if(|now| Arc::ptr_eq(&now.connection, &line.connection));
        if taken.is_some() {
            self.0.meter.is_up(false);
        }
        self.0.troubled.notify_one();
        None
    }

    /// Has the engine asked soon whether it is still there, since it did not know an answer.
    fn unsure(&self) -> Verdict {
        self.0.troubled.notify_one();
        Verdict::Unsure
    }

    /// Returns whether an answer is from contents in which every node has written what it has.
    fn is_mature<T>(&self, line: &Line, answer: &Answer<T>) -> bool {
        if answer.contents != line.contents {
            self.0.troubled.notify_one();
            return false;
        }
        Instant::now() >= line.since + YOUTH
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        lock(&self.directory.0.held).let_go(self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is never returned.
enum Never {}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Directory").field(&self.0.engine).finish()
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hold").field(&self.id).finish()
    }
}

/// How long a request waits for the engine.
const WAIT: Duration = Duration::from_millis(250);
const CONNECT: Duration = Duration::from_secs(1);
const AGAIN_AFTER: Duration = Duration::from_millis(200);
/// How often a node says that it is there.
const BEAT: Duration = Duration::from_secs(2);
/// How long a node counts as there after it has said so.
const AWAY: Duration = Duration::from_secs(6);
const SWEEP: Duration = Duration::from_secs(1);
/// How long contents are young: long enough for every node to see that they are new, and to write what it has.
const YOUTH: Duration = Duration::from_secs(10);
/// How many ids go into one question.
const BATCH: usize = 500;
