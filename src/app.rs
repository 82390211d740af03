//! Builds a running proxy from a configuration: loads, listens, and drains. Besides its wiring, it is the only place
//! that knows every folder.
//!
//! ```
//! use std::net::TcpListener;
//! use std::process::ExitCode;
//!
//! use polliwog::config::{Config, Source};
//!
//! let taken = TcpListener::bind("127.0.0.1:0")?;
//! let routes = "[[routes]]\npath = '/'\ndialect = 'http'\nupstream = 'a'\n[upstreams.a]\nkind = 'http'\nurl = 'http://127.0.0.1:3000'\n";
//! let listen = format!("[server]\nlisten = ['{}']\n[admin]\nlisten = '127.0.0.1:0'\n", taken.local_addr()?);
//! let config = Config::parse(&(listen + routes), "config.toml", [].into_iter())?;
//! let run = polliwog::app::prepare().expect("signals can be handled");
//! // It would serve until a signal ends it; where an address is taken it says so and fails.
//! assert_eq!(run(config, &Source::File("config.toml".into())), ExitCode::FAILURE);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod directory;
mod ending;
mod hints;
mod inspect;
mod listeners;
mod peers;
mod succession;
mod wiring;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::join_all;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use self::ending::{CONNECTIONS_TIMEOUT, Endings, finish, nothing_is_cut, stay};
pub use self::inspect::inspect;
use self::listeners::Listeners;
use self::succession::Door;
use self::wiring::{Wiring, Work};
use crate::background::{Background, Vital};
use crate::bridge::Registry;
use crate::cluster::Cluster;
use crate::config::{Config, Log, Source};
use crate::descriptors;
use crate::drain::{Drain, Signals};
use crate::meter::{Listener, Metrics};
use crate::server::{BindError, ConnectInfo};
use crate::service::admin::{Admin, NodesState, Readiness, Sights, State, UpstreamState};
use crate::service::{Client, Connection, Current, Locations, Running, Stack, Via};
use crate::succession::notify_ready;
use crate::upstream::{BuildError, InUse};

/// Prepares to run the proxy, before anything slow: from here on, signals have their meaning for a proxy. A signal that
/// comes in the meantime takes effect as soon as the proxy runs.
///
/// # Errors
/// The exit code; the reason has been printed.
pub fn prepare() -> Result<impl FnOnce(Config, &Source) -> ExitCode, ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start").map_err(|error| fail(&error))?;
    let listening = runtime.block_on(async { Signals::listen() });
    let signals = listening.context("cannot handle signals").map_err(|error| fail(&error))?;
    Ok(move |config: Config, source: &Source| run(runtime, signals, config, source))
}

/// Runs the proxy until it is told to stop.
fn run(runtime: Runtime, signals: Signals, config: Config, source: &Source) -> ExitCode {
    start_log(&config.log);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), config = %source, "starting");
    raise_limit(config.server.max_sessions);
    let code = match runtime.block_on(serve_or_fail(config, signals, Vital::default())) {
        Ok(End::Clean) => ExitCode::SUCCESS,
        Ok(End::Cut) => ExitCode::FAILURE,
        Err(error) => fail(&error),
    };
    // What is left was aborted, so nothing waits for it.
    runtime.shutdown_background();
    code
}

/// How the proxy ended.
enum End {
    /// Every session was closed cleanly.
    Clean,
    /// Some sessions were aborted.
    Cut,
}

/// Serves until a drain is over or a vital task has panicked: a process without one of those is less useful than one
/// that is restarted.
async fn serve_or_fail(config: Config, signals: Signals, vital: Vital) -> anyhow::Result<End> {
    tokio::select! {
        ended = serve(config, signals, &vital) => ended,
        () = vital.failed() => Err(anyhow::anyhow!("a vital task panicked")),
    }
}

async fn serve(config: Config, signals: Signals, vital: &Vital) -> anyhow::Result<End> {
    let wanted = config.succession.is_some().then(Arc::<Notify>::default);
    let drain = Drain::on(signals, vital, wanted.clone());
    let metrics = Metrics::new();
    metrics.sessions_limit(config.server.max_sessions);
    let listeners = Listeners::bind(&config).await?;
    let listening = listeners.listening(&config)?;
    let Listeners { public, admin, peers, node, beginning } = listeners;

    let work = Work::default();
    let helpers = Background { vital: vital.clone(), ..Background::default() };
    let (registry, ending) = (Registry::of_node(config.server.max_sessions, node), CancellationToken::new());
    helpers.spawn_vital("session maintenance", registry.clone().run_maintenance(helpers.stop.clone()));
    let directory = directory::kept(&config, node, &registry, &helpers)?;
    let cluster =
        |node| peers::cluster(&config, node, beginning.as_ref(), directory.as_ref(), &helpers, &metrics);
    let cluster = node.map(cluster).transpose()?;
    let located = node.zip(cluster.clone()).map(|(node, cluster)| Locations::new(node, cluster, directory));
    let wiring = Wiring {
        registry: registry.clone(),
        work: work.clone(),
        helpers: helpers.clone(),
        draining: ending.clone(),
        metrics: metrics.clone(),
        via: Arc::new(Via::new().context("no name for Via")?),
        locations: located.map(Arc::new),
        cluster: cluster.clone(),
    };
    let current = Current::new(Running::default());
    current.replace(wiring.next(&config, &current.load())?);

    let endings = Endings::default();
    listeners::note(&config, &public, &admin);
    let served = current.clone();
    let make = move |info: ConnectInfo| {
        let client = Client { peer: info.peer, secure: info.secure };
        Stack::new(served.clone(), Connection::of_client(client, info.patience, info.raw_headers))
    };
    public.serve(make, &work.connections, vital, &endings.public, &metrics.connections(Listener::Public));
    // A process without [cluster] has no nodes to show.
    let shown = cluster.clone().filter(|_| config.cluster.is_some());
    let service = Admin::new(
        metrics.clone(),
        readiness(&drain.started, current.clone(), shown.clone()),
        nodes(shown, registry.clone()),
    );
    let make = move |_: ConnectInfo| service.clone();
    admin.serve(make, &helpers.tracker, vital, &endings.admin, &metrics.connections(Listener::Admin));

    let asked = Background { vital: vital.clone(), ..Background::default() };
    let nodes = cluster
        .map(|cluster| peers::nodes(&config, cluster, &wiring, current.clone(), &asked, &drain.started));
    if let Some((peers, nodes)) = peers.zip(nodes.clone()) {
        peers.serve(nodes, &wiring, vital, &endings.peers);
    }
    let succession = match (beginning, nodes, wanted) {
        (Some(beginning), Some(nodes), Some(wanted)) => {
            let (asked, started, left) = (asked.clone(), drain.started.clone(), endings.left.clone());
            let door = Door::new(nodes, asked, listening, left, started);
            Some(beginning.take_over(door, wanted, &helpers).await)
        }
        _ => None,
    };
    notify_ready();

    stay(&config, &drain, &endings, &registry, &work, succession.as_ref()).await;
    ending.cancel();
    // Once it is shown, handshakes are refused.
    metrics.draining();
    for upstream in current.load().upstreams() {
        upstream.drain(config.server.drain_timeout);
    }
    let deadline = Instant::now() + config.server.drain_timeout;
    let finished =
        finish(&wiring, &endings.public, succession.as_ref(), deadline, config.server.drain_timeout);
    let ended = tokio::select! {
        biased;
        () = drain.cut.cancelled() => nothing_is_cut(&registry, &work),
        ended = finished => ended,
    };
    if let Some(cluster) = &wiring.cluster {
        // Its clients have sessions at other nodes, which live on.
        cluster.fall_mute();
    }
    endings.public.cut.cancel();
    // An aborted connection reports to its session what was lost.
    work.connections.close();
    let _ = timeout(CONNECTIONS_TIMEOUT, work.connections.wait()).await;
    // So does one to another node, with what its clients have not taken. The listener ends first, so a node that asks
    // again hears that this one is gone.
    endings.peers.end.cancel();
    asked.stop.cancel();
    asked.tracker.close();
    let _ = timeout(CONNECTIONS_TIMEOUT, asked.tracker.wait()).await;
    let clean = ended && registry.cut() == 0;
    if !clean {
        report_cut(&registry, &work);
    }
    endings.admin.end.cancel();
    helpers.stop.cancel();
    helpers.tracker.close();
    let _ = timeout_at(Instant::now() + HELPERS_TIMEOUT, helpers.tracker.wait()).await;
    tracing::info!(clean, "stopped");
    Ok(if clean { End::Clean } else { End::Cut })
}

/// Logs what a drain has not delivered. Clients and backends learn that their sessions have ended, but not what was lost.
fn report_cut(registry: &Registry, work: &Work) {
    tracing::warn!(
        cut_sessions = registry.cut(),
        lost_messages = registry.lost(),
        open_sessions = registry.taken(),
        open_forwards = work.forwards.len(),
        "the drain ended before everything was delivered"
    );
}

/// Returns what readiness is judged by.
fn readiness(draining: &CancellationToken, current: Current, cluster: Option<Arc<Cluster>>) -> Readiness {
    let draining = draining.clone();
    Arc::new(move || {
        let upstreams = current.load().upstreams().to_vec();
        let (draining, cluster) = (draining.clone(), cluster.clone());
        Box::pin(async move {
            // An upstream that was not used yet counts as down until it was reached.
            let _ =
                timeout(HEALTH_TIMEOUT, join_all(upstreams.iter().map(|upstream| upstream.check_health())))
                    .await;
            let condition = |upstream: &Arc<InUse>| UpstreamState {
                name: upstream.name().to_owned(),
                required: upstream.settings().required,
                health: upstream.health(),
            };
            let upstreams = upstreams.iter().map(condition).collect();
            let nodes = cluster.map(|cluster| NodesState {
                are_known: cluster.is_known(),
                twin: cluster.twin(),
                sights: cluster.sights(0),
            });
            State { draining: draining.is_cancelled(), upstreams, nodes }
        })
    })
}

/// Returns what shows the nodes.
fn nodes(cluster: Option<Arc<Cluster>>, registry: Registry) -> Sights {
    Arc::new(move || cluster.as_ref().map(|cluster| cluster.sights(registry.taken())).unwrap_or_default())
}

fn start_log(log: &Log) {
    let builder = tracing_subscriber::fmt().with_max_level(log.level).with_writer(io::stderr);
    // If the log can't be written, its error can't either: the subscriber's way to report one panics.
    let builder = builder.log_internal_errors(false);
    // Only a test can have set a subscriber before.
    let _ = if log.json {
        builder.json().try_init()
    } else {
        builder.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init()
    };
}

/// Raises the limit of open files, and warns if it is too low.
fn raise_limit(max_sessions: usize) {
    match descriptors::raise_limit() {
        Ok(limit) if limit / DESCRIPTORS_EACH < max_sessions as u64 => {
            tracing::warn!(
                limit,
                max_sessions,
                "too few file descriptors, as a session takes up to {DESCRIPTORS_EACH}: raise `ulimit -Hn` or lower max_sessions"
            );
        }
        Ok(limit) => tracing::debug!(limit, "file descriptors"),
        Err(error) => tracing::warn!(%error, "cannot determine the limit of open files"),
    }
}

/// Prints an error with all its causes.
fn fail(error: &anyhow::Error) -> ExitCode {
    let _unread = writeln!(io::stderr(), "polliwog: {error:#}");
    // An unusable certificate is the configuration's fault (sysexits, EX_CONFIG).
    let tls = error.chain().any(|cause| {
        matches!(cause.downcast_ref(), Some(BindError::Tls(_)))
            || matches!(cause.downcast_ref(), Some(BuildError::Tls(_)))
    });
    if tls { ExitCode::from(78) } else { ExitCode::FAILURE }
}

/// A polling client's two connections, the one that it upgrades to, and the backend's.
const DESCRIPTORS_EACH: u64 = 4;
/// Shorter than the timeout of a load balancer's or an orchestrator's probe (a second).
const HEALTH_TIMEOUT: Duration = Duration::from_millis(500);
const HELPERS_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_vital_task_that_panics_ends_the_process_with_1() {
        let text = "[server]\nlisten = '127.0.0.1:0'\n[admin]\nlisten = '127.0.0.1:0'\n[[routes]]\npath = '/'\n\
                    dialect = 'http'\nupstream = 'b'\n[upstreams.b]\nkind = 'http'\nurl = 'http://127.0.0.1:1'\n";
        let config = Config::parse(text, "this test", std::iter::empty()).unwrap();
        let vital = Vital::default();
        let served = serve_or_fail(config, Signals::listen().unwrap(), vital.clone());
        let panics = vital.guard("a task of this test", async { panic!("on purpose") });
        let (ended, ()) = tokio::join!(served, panics);
        let error = ended.map(drop).unwrap_err();
        assert_eq!(fail(&error), ExitCode::FAILURE, "{error:#}");
    }
}
