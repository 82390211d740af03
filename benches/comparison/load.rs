//! Clients at work in a closed loop: each does the next operation when the last is done.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::{Client, open_web_socket};
use crate::frame;
use crate::line::Line;
use crate::peer::Peer;
use crate::receiver::Receiver;
use crate::subject::Subject;
use crate::words::{GROUP, MESSAGE};

/// What clients do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// A message answers a parked poll, and the next parks; or it goes out on a stream.
    Push(Receiver),
    /// A POST of one message.
    Post(Receiver),
    /// A POST, whose echo answers a GET.
    Echo,
    /// Messages over WebSocket, of which each client keeps so many under way.
    WebSocket(u32),
}

/// A running load.
pub(crate) struct Load {
    pace: Rc<Pace>,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Load {
    /// Opens so many sessions and starts their operations.
    pub(crate) async fn begin(
        work: Work,
        peer: Peer,
        subject: &Rc<Subject>,
        sessions: usize,
    ) -> anyhow::Result<Self> {
        let mut load = Self { pace: Rc::new(Pace::default()), tasks: JoinSet::new() };
        match work {
            Work::Push(receiver) => load.push(peer, receiver, subject, sessions).await?,
            Work::Post(receiver) => load.post(peer, receiver, subject.address, sessions).await?,
            Work::Echo if !subject.others.is_empty() => load.roaming_echo(peer, subject, sessions).await?,
            Work::Echo => load.echo(peer, subject.address, sessions).await?,
            Work::WebSocket(outstanding) => load.web_socket(subject.address, sessions, outstanding).await?,
        }
        Ok(load)
    }

    /// Returns how many operations are done.
    pub(crate) fn count(&self) -> u64 {
        self.pace.done.get()
    }

    /// Lets the clients work for a while.
    pub(crate) async fn run_for(&mut self, time: Duration) -> anyhow::Result<()> {
        self.pace.allow(u64::MAX);
        self.wait(time).await
    }

    /// Lets the clients work until exactly so many more operations are done.
    pub(crate) async fn run_exactly(&mut self, more: u64) -> anyhow::Result<()> {
        let goal = self.count() + more;
        self.pace.allow(goal);
        while self.count() < goal {
            self.wait(Duration::from_millis(5)).await?;
        }
        Ok(())
    }

    /// Ends the clients.
    pub(crate) async fn end(mut self) {
        self.tasks.shutdown().await;
    }

    async fn wait(&mut self, time: Duration) -> anyhow::Result<()> {
        tokio::select! {
            () = sleep(time) => Ok(()),
            Some(ended) = self.tasks.join_next() => ended?,
        }
    }

    /// Returns two lanes of groups: while one group of a lane is answered, the lane's others wait.
    async fn push(
        &mut self,
        peer: Peer,
        receiver: Receiver,
        subject: &Rc<Subject>,
        sessions: usize,
    ) -> anyhow::Result<()> {
        let groups: Vec<_> = (0..sessions / GROUP).map(|_| Rc::new(Group::default())).collect();
        for number in 0..sessions {
            let mut client = Client::open_at(peer, receiver, subject.address, number).await?;
            client.ask().await?;
            let group = Rc::clone(&groups[number / GROUP]);
            self.tasks.spawn_local(async move {
                loop {
                    client.message().await?;
                    client.ask().await?;
                    group.answered.set(group.answered.get() + 1);
                    if group.answered.get() == GROUP {
                        group.complete.notify_one();
                    }
                }
            });
        }
        for lane in 0..LANES {
            let numbered = (0..).zip(&groups).skip(lane).step_by(LANES);
            let groups: Vec<(u16, _)> = numbered.map(|(number, group)| (number, Rc::clone(group))).collect();
            let (pace, subject) = (Rc::clone(&self.pace), Rc::clone(subject));
            self.tasks.spawn_local(async move {
                for (number, group) in groups.iter().cycle() {
                    pace.start(GROUP as u64).await;
                    group.answered.set(0);
                    subject.speaker.push(*number).await?;
                    group.complete.notified().await;
                    pace.finish(GROUP as u64);
                }
                Ok(())
            });
        }
        Ok(())
    }

    async fn post(
        &mut self,
        peer: Peer,
        receiver: Receiver,
        server: SocketAddr,
        sessions: usize,
    ) -> anyhow::Result<()> {
        for number in 0..sessions {
            let mut client = Client::open_at(peer, receiver, server, number).await?;
            client.ask().await?;
            let (pace, mut line) = (Rc::clone(&self.pace), Line::connect(server).await?);
            self.tasks.spawn_local(async move {
                loop {
                    pace.start(1).await;
                    client.post(&mut line).await?;
                    pace.finish(1);
                }
            });
        }
        Ok(())
    }

    async fn echo(&mut self, peer: Peer, server: SocketAddr, sessions: usize) -> anyhow::Result<()> {
        for number in 0..sessions {
            let mut client = Client::open_at(peer, Receiver::EngineIo, server, number).await?;
            let (pace, mut line) = (Rc::clone(&self.pace), Line::connect(server).await?);
            self.tasks.spawn_local(async move {
                loop {
                    pace.start(1).await;
                    client.ask().await?;
                    client.post(&mut line).await?;
                    client.message().await?;
                    pace.finish(1);
                }
            });
        }
        Ok(())
    }

    /// The same, with each request at a node by chance.
    async fn roaming_echo(&mut self, peer: Peer, subject: &Subject, sessions: usize) -> anyhow::Result<()> {
        let nodes: Vec<_> = [subject.address].into_iter().chain(subject.others.iter().copied()).collect();
        for number in 0..sessions {
            let home = nodes[number % nodes.len()];
            let mut client = Client::open_at(peer, Receiver::EngineIo, home, number).await?;
            let mut lines = Vec::new();
            for node in &nodes {
                lines.push((Line::connect(*node).await?, Line::connect(*node).await?));
            }
            let (pace, mut chance) = (Rc::clone(&self.pace), Chance(number as u64 + 1));
            self.tasks.spawn_local(async move {
                loop {
                    pace.start(1).await;
                    let (polled, posted) = (chance.below(lines.len()), chance.below(lines.len()));
                    std::mem::swap(&mut client.line, &mut lines[polled].0);
                    client.ask().await?;
                    client.post(&mut lines[posted].1).await?;
                    client.message().await?;
                    std::mem::swap(&mut client.line, &mut lines[polled].0);
                    pace.finish(1);
                }
            });
        }
        Ok(())
    }

    async fn web_socket(
        &mut self,
        server: SocketAddr,
        sessions: usize,
        outstanding: u32,
    ) -> anyhow::Result<()> {
        for number in 0..sessions {
            let (pace, mut line) = (Rc::clone(&self.pace), open_web_socket(server, number).await?);
            let message = frame::from_client(frame::TEXT, format!("4{MESSAGE}").as_bytes());
            self.tasks.spawn_local(async move {
                let mut count = outstanding;
                loop {
                    pace.start(count.into()).await;
                    line.send(&message.repeat(count as usize)).await?;
                    count = line.messages().await?;
                    pace.finish(count.into());
                }
            });
        }
        Ok(())
    }
}

/// Numbers by chance (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit
    }
}

#[derive(Default)]
struct Group {
    answered: Cell<usize>,
    complete: Notify,
}

/// How many operations the clients may start.
#[derive(Default)]
struct Pace {
    started: Cell<u64>,
    done: Cell<u64>,
    allowed: Cell<u64>,
    more: Notify,
}

impl Pace {
    fn allow(&self, count: u64) {
        self.allowed.set(count);
        self.more.notify_waiters();
    }

    /// Waits until so many operations may be started.
    async fn start(&self, count: u64) {
        // Nothing runs between the check and the wait: everything here is on one thread.
        while self.started.get() + count > self.allowed.get() {
            self.more.notified().await;
        }
        self.started.set(self.started.get() + count);
    }

    fn finish(&self, count: u64) {
        self.done.set(self.done.get() + count);
    }
}

const LANES: usize = 2;
