//! The configuration is read again while connections and sessions live on.

mod rounds;
pub(super) mod watch;

use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::{Notify, mpsc, oneshot, watch as channel};
use tokio_util::sync::CancellationToken;

use self::rounds::{Due, Rounds};
use self::watch::{Seen, Watch};
use super::limit::raise_limit;
use super::listed::Listed;
use super::listeners;
use super::log::Logs;
use super::memory;
use super::peers::{self, Certified};
use super::wiring::Wiring;
use crate::acme::Orders;
use crate::chain::Chain;
use crate::config::{Config, Differing, LoadError, Origin, Places};
use crate::meter::Reload;
use crate::server::{BindError, Open, Settings};
use crate::service::Current;
use crate::service::admin::{Control, Fault, Reloading};
use crate::succession::{notify_reloaded, notify_reloading};

/// What runs, as far as a new configuration replaces it.
pub(super) struct Reloader {
    pub(super) origin: Origin,
    /// What is in force.
    pub(super) config: channel::Sender<Arc<Config>>,
    pub(super) wiring: Arc<Wiring>,
    pub(super) current: Current,
    pub(super) public: Open,
    pub(super) admin: Open,
    /// What other nodes meet.
    pub(super) certified: Option<Certified>,
    pub(super) orders: Orders,
    /// The listeners that a successor gets.
    pub(super) listed: Option<Listed>,
    pub(super) logs: Logs,
    pub(super) watch: Watch,
    /// Cancelled when nothing is reloaded any more.
    pub(super) ends: [CancellationToken; 2],
}

/// What asks for a reload.
pub(super) struct Wishes {
    /// A signal.
    pub(super) signalled: Arc<Notify>,
    /// Requests, each with the place for its outcome.
    pub(super) asked: mpsc::Receiver<oneshot::Sender<Result<(), Vec<Fault>>>>,
}

/// Why a configuration does not take over.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("this process is about to end")]
    Ending,
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("{0:#}")]
    Start(#[from] anyhow::Error),
}

impl Reloader {
    /// Reloads whenever it is wished for, and when a file has changed.
    pub(super) async fn run(mut self, mut wishes: Wishes) {
        let mut rounds = Rounds::new();
        loop {
            let watch = self.config.borrow().server.watch;
            tokio::select! {
                () = wishes.signalled.notified() => {
                    let _told = self.reload();
                }
                Some(asked) = wishes.asked.recv() => {
                    let _gone = asked.send(self.reload());
                }
                due = rounds.next(watch) => match due {
                    Due::Past => self.forget_past(),
                    // What is written once this process ends is for the next one.
                    Due::Look => {
                        let is_ending = self.is_ending();
                        let seen = if is_ending { Seen::Same } else { self.watch.look().await };
                        rounds.looked(seen);
                        if seen == Seen::Changed {
                            tracing::info!("a file has changed");
                            let _told = self.reload();
                        }
                    }
                }
            }
        }
    }

    /// Takes the configuration over, or says why not.
    fn reload(&mut self) -> Result<(), Vec<Fault>> {
        // From a process that ends, systemd would take it for news of the one that follows.
        let is_told = !self.is_ending();
        if is_told {
            notify_reloading();
        }
        let files = self.watch.now();
        let outcome = self.next();
        if is_told && !self.is_ending() {
            notify_reloaded();
        }
        // What was refused is tried again only once it is something else.
        self.watch = Watch::new(&self.config.borrow(), &self.origin, files);
        let metrics = &self.wiring.metrics;
        match outcome {
            Ok(()) => {
                metrics.reloaded(Reload::Done);
                let running = self.current.load();
                tracing::info!(
                    routes = running.routes().len(),
                    upstreams = running.upstreams().len(),
                    "the configuration was reloaded"
                );
                Ok(())
            }
            Err(refused) => {
                metrics.reloaded(Reload::Refused);
                let faults = refused.faults();
                for fault in &faults {
                    let Fault { place, key, problem } = fault;
                    tracing::error!(place, key, problem, "the configuration was not reloaded");
                }
                Err(faults)
            }
        }
    }

    fn is_ending(&self) -> bool {
        self.ends.iter().any(CancellationToken::is_cancelled)
    }

    fn next(&mut self) -> Result<(), Refused> {
        if self.is_ending() {
            return Err(Refused::Ending);
        }
        let before = Arc::clone(&self.config.borrow());
        let (config, places) = before.reload(&self.origin)?;
        let refused = |error| Refused::bind(error, &config.server, &places);
        let server = self.public.prepare(&config.server).map_err(refused)?;
        let admin = self.admin.prepare(&listeners::admin(&config)).context("[admin]")?;
        let certified = self.certified.as_ref().map(|now| now.prepare(&config)).transpose()?;
        let running = self.wiring.next(&config, &self.current.load())?;
        let listed = self.listed.as_ref().map(|listed| listed.next(&server)).transpose()?;
        let log = self.logs.prepare(&config.log).context("[log] access_to")?;
        if self.is_ending() {
            // The end may have begun meanwhile.
            return Err(Refused::Ending);
        }

        // Nothing fails from here on.
        self.current.load().gone_from(&running).for_each(|gone| gone.abandon());
        for upstream in running.upstreams() {
            if let Some(settings) = config.upstreams.get(upstream.name()) {
                upstream.limit(settings.limits);
            }
        }
        self.current.replace(running);
        let earlier = self.public.local_addrs();
        self.public.replace(server);
        self.admin.replace(admin);
        self.orders.want(self.public.ordered());
        if let Some((now, next)) = self.certified.as_mut().zip(certified) {
            now.replace(next);
        }
        if let Some(listed) = listed {
            listed.take_over();
        }
        listeners::note_change(&config, &earlier, &self.public.local_addrs());
        self.wiring.registry.budget().set_max(config.limits.memory_max.bytes(memory::available()));
        self.wiring.limits.set(config.limits.clients, &config.server.trusted_proxies);
        self.wiring.registry.set_max(config.server.max_sessions);
        self.wiring.metrics.sessions_limit(config.server.max_sessions);
        if config.server.max_sessions != before.server.max_sessions {
            raise_limit(config.server.max_sessions);
        }
        self.logs.replace(&config.log, log);
        if let Some(cluster) = &self.wiring.cluster {
            cluster.me().now_has(peers::hash(&config.routes));
        }
        self.config.send_replace(Arc::new(config));
        Ok(())
    }

    /// Lets those routes of earlier configurations go that have no session any more, and their upstreams with them.
    fn forget_past(&self) {
        if let Some(running) = self.current.load().without_past(|past| self.wiring.is_over(past)) {
            self.current.replace(running);
        }
    }
}

impl Refused {
    /// Names the key of an address that cannot be bound.
    fn bind(error: BindError, settings: &Settings, places: &Places) -> Self {
        let faults =
            error.address().and_then(|address| places.unusable(settings, address, Chain(&error).to_string()));
        match faults {
            Some(faults) => Self::Load(faults.into()),
            None => Self::Start(anyhow::Error::new(error).context("[server]")),
        }
    }

    fn faults(&self) -> Vec<Fault> {
        match self {
            Self::Load(LoadError::Faulty(faults)) => faults
                .placed()
                .map(|(place, fault)| Fault {
                    place: Some(place),
                    key: Some(fault.key.clone()).filter(|key| !key.is_empty()),
                    problem: fault.problem.to_string(),
                })
                .collect(),
            Self::Ending | Self::Load(LoadError::Unreadable { .. }) | Self::Start(_) => {
                vec![Fault { problem: self.to_string(), ..Fault::default() }]
            }
        }
    }
}

/// Returns what the admin listener offers, and what it wishes for.
pub(super) fn control(
    signalled: Arc<Notify>,
    config: channel::Receiver<Arc<Config>>,
    drain: &CancellationToken,
    stop: &CancellationToken,
) -> (Control, Wishes) {
    let (ask, asked) = mpsc::channel(ASKED_MAX);
    let reload = move || -> Reloading {
        let ask = ask.clone();
        Box::pin(async move {
            let (sender, outcome) = oneshot::channel();
            let is_asked = ask.send(sender).await.is_ok();
            let ending = || vec![Fault { problem: Refused::Ending.to_string(), ..Fault::default() }];
            if is_asked { outcome.await.unwrap_or_else(|_| Err(ending())) } else { Err(ending()) }
        })
    };
    let differing = move |query: &str| Differing::of(&config.borrow(), query).to_json();
    let (drain, stop) = (drain.clone(), stop.clone());
    (
        Control { reload: Arc::new(reload), differing: Arc::new(differing), drain, stop },
        Wishes { signalled, asked },
    )
}

/// Reloads that wait for the one before.
const ASKED_MAX: usize = 8;
