//! This process between two others: what it takes over from its predecessor, and how its successor takes over from it.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::listed::{Handed, Listed, handed_name, key, own_name};
use crate::background::Background;
use crate::cluster::{Kin, Me, Secured};
use crate::duplex::Carries;
use crate::server::{self, ListenerSettings, Server, SocketName};
use crate::service::Nodes;
use crate::sid::{Node, Tag};
use crate::succession::{
    Activated, ActivationError, Conversation, Folder, Heir, Listening, Own, Settings, Started, Wish,
    read_wish, socket,
};

/// A process that begins, and keeps others from beginning meanwhile.
pub(super) struct Beginning {
    settings: Settings,
    folder: Folder,
    own: Own,
    heir: Option<Heir>,
}

impl Beginning {
    /// Enters the folder, and asks the predecessor for its listeners.
    async fn begin(settings: &Settings, tag: Tag) -> anyhow::Result<Self> {
        let folder = Folder::enter(&settings.directory).await.context("[succession]")?;
        let own = folder.join(tag).context("[succession]")?;
        let mut heir = None;
        for &other in &folder.others {
            match Heir::ask(&settings.directory, other, own.node).await {
                Ok(Some(found)) => {
                    heir = Some(found);
                    break;
                }
                // Its successor comes later: the youngest is asked first.
                Ok(None) => {}
                Err(error) => tracing::warn!(process = %other, %error, "a process hands no listeners over"),
            }
        }
        Ok(Self { settings: settings.clone(), folder, own, heir })
    }

    /// Takes the socket of this name; or, since it may be another listener's now, of this address.
    fn take(&mut self, name: &SocketName) -> Option<server::Handed> {
        let heir = self.heir.as_mut()?;
        let address = name.address.to_string();
        let is_there = |one: &str| one.split_once(' ').is_some_and(|(_, there)| there == address);
        let taken = heir.take(|one| own_name(one).0 == handed_name(name));
        // Of port 0 there are several.
        let taken = taken.or_else(|| heir.take(|one| !name.address.is_any() && is_there(one)))?;
        tracing::debug!(listener = key(&name.listener), address = %name.address, "a listener was taken over");
        let is_lent = own_name(&taken.name).1;
        Some(server::Handed { descriptor: taken.descriptor, is_lent })
    }

    /// Returns the processes before and after this one.
    pub(super) fn kin(&self, me: Me, secured: Secured, helpers: &Background) -> Kin {
        Kin::new(self.settings.directory.clone(), me, secured, helpers)
    }

    /// Has the predecessor leave, now that this process accepts, and opens the door for a successor.
    pub(super) async fn take_over(self, door: Door, wanted: Arc<Notify>, helpers: &Background) -> Succession {
        let Self { settings, folder, own, heir } = self;
        if let Some(heir) = heir {
            let predecessor = heir.predecessor;
            match heir.take_over().await {
                Ok(()) => tracing::info!(%predecessor, "took over from the process before"),
                Err(error) => tracing::warn!(%predecessor, %error, "the process before has gone"),
            }
        }
        let succession = Succession {
            directory: settings.directory,
            me: own.node,
            predecessors: folder.others.clone(),
            listening: Arc::clone(&door.listening),
            left: door.left.clone(),
        };
        let supervised = supervise(wanted, door.left.clone(), door.started.clone());
        helpers.spawn_endless("the start of a successor", supervised);
        door.asked.clone().spawn_endless("the socket for other processes", door.run(own));
        succession
    }
}

/// A process that serves, or has left.
pub(super) struct Succession {
    directory: PathBuf,
    me: Node,
    predecessors: Vec<Node>,
    listening: Handed,
    left: CancellationToken,
}

impl Succession {
    /// Returns the listeners that it hands over.
    pub(super) fn listed(&self) -> Listed {
        Listed(Arc::clone(&self.listening))
    }

    /// Hands no listener over from now on. Nothing keeps them open then but those who accept.
    pub(super) fn keep_listeners(&self) {
        forget(&self.listening);
    }

    /// Has the processes before this one end as well, unless another one has taken over; ready when they have.
    pub(super) async fn end_predecessors(&self) {
        if !self.left.is_cancelled() {
            join_all(self.predecessors.iter().map(|&other| self.end(other))).await;
        }
    }

    async fn end(&self, other: Node) {
        // Most have ended long ago.
        let Ok(mut stream) = UnixStream::connect(socket(&self.directory, other)).await else { return };
        if stream.write_all(Wish::End(self.me).line().as_bytes()).await.is_ok() {
            // Its end closes the connection.
            let _ = stream.read_u8().await;
        }
    }
}

/// Where other processes connect.
#[derive(Clone)]
pub(super) struct Door {
    nodes: Nodes,
    asked: Background,
    listening: Handed,
    left: CancellationToken,
    started: CancellationToken,
}

impl Door {
    /// Creates it. `nodes` serves what others ask, on connections of `asked`; `listening` is handed to a successor, which
    /// cancels `left`. `started` is the beginning of the drain.
    pub(super) fn new(
        nodes: Nodes,
        asked: Background,
        listening: Vec<Listening>,
        left: CancellationToken,
        started: CancellationToken,
    ) -> Self {
        Self { nodes, asked, listening: Arc::new(Mutex::new(Some(Arc::new(listening)))), left, started }
    }

    async fn run(self, own: Own) {
        loop {
            match own.accept().await {
                Ok(stream) => {
                    self.asked.tracker.spawn(self.clone().serve(stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept other processes");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn serve(self, mut stream: UnixStream) {
        let stop = self.asked.stop.clone();
        match stop.run_until_cancelled(read_wish(&mut stream)).await.flatten() {
            Some(Wish::Ask(node)) => {
                let stream: Box<dyn Carries> = Box::new(stream);
                // It ends by itself, behind the answers that were given.
                self.nodes.serve_kin(node, stream.into()).await;
            }
            Some(Wish::Hand(heir)) => {
                let handed = stop.run_until_cancelled(self.hand(Conversation::new(stream, heir))).await;
                if let Some(Err(error)) = handed {
                    tracing::warn!(%heir, %error, "the process that was about to take over has gone; this one serves on");
                }
            }
            Some(Wish::End(node)) => {
                tracing::info!(successor = %node, "draining, because the process after this one stops");
                self.started.cancel();
                // Held until this process ends.
                let _ = stop.run_until_cancelled(stream.read_u8()).await;
            }
            // One that only looks whether somebody is there says nothing.
            None => {}
        }
    }

    async fn hand(&self, mut conversation: Conversation) -> io::Result<()> {
        let Some(listening) = held(&self.listening) else { return conversation.refuse().await };
        conversation.hand(&listening).await?;
        drop(listening);
        conversation.is_taken().await?;
        tracing::info!(successor = %conversation.heir, "another process has taken over");
        forget(&self.listening);
        self.left.cancel();
        conversation.leave().await;
        Ok(())
    }
}

fn held(listening: &Handed) -> Option<Arc<Vec<Listening>>> {
    listening.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn forget(listening: &Handed) {
    *listening.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Starts a successor whenever one is wanted, and reports one that fails.
async fn supervise(wanted: Arc<Notify>, left: CancellationToken, draining: CancellationToken) {
    loop {
        wanted.notified().await;
        if draining.is_cancelled() || left.is_cancelled() {
            tracing::info!("no successor is started: this process ends");
            continue;
        }
        let mut successor = match Started::start() {
            Ok(started) => started,
            Err(error) => {
                tracing::error!(%error, "the successor cannot be started; this process serves on");
                continue;
            }
        };
        tracing::info!(pid = successor.id(), "a successor was started");
        tokio::select! {
            biased;
            () = left.cancelled() => {}
            ended = successor.ended() => {
                let status = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
                tracing::error!(status, "the successor failed to start; this process serves on");
                continue;
            }
            () = sleep(START_TIMEOUT) => {
                successor.kill();
                tracing::error!("the successor did not begin to serve in time and was ended; this process serves on");
            }
            () = refuse(&wanted) => {}
        }
        // So that it does not stay as a zombie.
        tokio::select! {
            _ended = successor.ended() => {}
            () = refuse(&wanted) => {}
        }
    }
}

/// Reports for as long as it is polled that another successor is not started.
async fn refuse(wanted: &Notify) {
    loop {
        wanted.notified().await;
        tracing::info!("a successor was started already");
    }
}

/// The listeners that this process need not bind, since another one has.
pub(super) struct Inherited {
    beginning: Option<Beginning>,
    activated: Activated,
}

impl Inherited {
    /// Asks the process before, and takes what a supervisor hands over to these listeners and the others.
    pub(super) async fn of(
        settings: Option<&Settings>,
        tag: Tag,
        listeners: &[ListenerSettings],
    ) -> anyhow::Result<Self> {
        let keys = listeners.iter().map(|listener| key(&listener.name).to_owned()).collect();
        let activated = Activated::of_process(keys)?;
        let beginning = match settings {
            Some(settings) => Some(Beginning::begin(settings, tag).await?),
            None => None,
        };
        Ok(Self { beginning, activated })
    }

    /// Returns the name of this process, if others may ask it.
    pub(super) fn me(&self) -> Option<Node> {
        self.beginning.as_ref().map(|beginning| beginning.own.node)
    }

    /// Binds the listeners of the settings, unless they are there.
    pub(super) fn bind(&mut self, settings: &server::Settings) -> anyhow::Result<Server> {
        let mut taken = Vec::new();
        for name in settings.listeners.iter().flat_map(ListenerSettings::sockets) {
            if let Some(before) = self.beginning.as_mut().and_then(|beginning| beginning.take(&name)) {
                taken.push((name, before));
            } else if let Some(handed) = self.activated.take(key(&name.listener), &name.address)? {
                tracing::info!(listener = key(&name.listener), address = %name.address, "a listener was handed over");
                taken.push((name, server::Handed { descriptor: handed, is_lent: true }));
            }
        }
        let take = |name: &SocketName| {
            let position = taken.iter().position(|(one, _)| one == name)?;
            Some(taken.remove(position).1)
        };
        Ok(Server::bind(settings, take)?)
    }

    /// Returns what is left to do with the process before, once all listeners are bound.
    ///
    /// # Errors
    /// A listener was handed over that nobody needs.
    pub(super) fn finish(self) -> Result<Option<Beginning>, ActivationError> {
        self.activated.finish()?;
        Ok(self.beginning)
    }
}

/// Longer than a process takes to start on a busy machine.
const START_TIMEOUT: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
