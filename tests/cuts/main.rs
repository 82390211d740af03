//! Messages under cuts: sessions of every dialect, transport and upstream, whose connections are cut at any byte on every hop.
//!
//! Each end knows what was sent and what was taken. A message may be missing only from the tail of a session whose end
//! the receiving side was told of; nothing arrives twice, changed, or out of order; a POST that was answered `ok` has
//! arrived; and a session that no cut concerns ends only when its ends want it. `tests/soak --cuts` runs it at length.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a harness measures time, spawns what ends with it, and says what it found"
)]

mod backend;
mod client;
mod engine;
mod feed;
mod frames;
mod http;
mod plan;
mod random;
mod relay;
mod report;
mod schedule;
mod session;
mod socket;
mod sockjs;
mod wire;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use http::STUCK;
use plan::Plan;
use report::Report;
use schedule::Schedule;
use session::{End, Session};
use world::{Proxies, World};

/// What the environment says: how much, and which seed.
#[derive(Clone, Debug)]
struct Options {
    messages: u64,
    cuts: u64,
    /// How many clients there are at a time.
    clients: u64,
    /// The longest time, after which the rest is left out.
    seconds: u64,
    seed: u64,
    /// The only session that is played, if not all are.
    only: Option<u64>,
    report: Option<String>,
    /// By how much the proxies' deadlines are longer than on a machine that does nothing else.
    patience: u64,
}

impl Options {
    fn read() -> Self {
        let text = |name: &str| std::env::var(format!("POLLIWOG_CUTS_{name}")).ok();
        let number = |name: &str| text(name).map(|value| value.parse::<u64>().expect("a number"));
        Self {
            messages: number("MESSAGES").unwrap_or(20_000),
            cuts: number("CUTS").unwrap_or(200),
            clients: number("CLIENTS").unwrap_or(100),
            seconds: number("SECONDS").unwrap_or(3600),
            seed: number("SEED").unwrap_or_else(new_seed),
            only: number("ONLY"),
            report: text("REPORT"),
            patience: number("PATIENCE").unwrap_or(1),
        }
    }
}

/// Returns a seed that differs from run to run.
fn new_seed() -> u64 {
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970");
    time.as_secs() * 1000 + u64::from(time.subsec_millis())
}

#[test]
fn nothing_is_lost_duplicated_or_reordered_silently_under_cuts_on_every_hop() {
    let options = Options::read();
    eprintln!("seed {}; again with: POLLIWOG_CUTS_SEED={}", options.seed, options.seed);
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    assert!(runtime.block_on(run(&options)), "the report above says what was found");
}

async fn run(options: &Options) -> bool {
    let schedule = Arc::new(Schedule::new(options.seed));
    let (listener, address) = backend::listen().await;
    let (proxies, world) = Proxies::start(address, &schedule, options.patience).await;
    let world = Arc::new(world);
    tokio::spawn(backend::serve(listener, Arc::clone(&world)));
    let (report, next, begun) =
        (Arc::<Mutex<Report>>::default(), Arc::new(AtomicU64::new(0)), Instant::now());
    let mut clients = Vec::new();
    for _ in 0..options.clients {
        let (options, world, report, next) =
            (options.clone(), Arc::clone(&world), Arc::clone(&report), Arc::clone(&next));
        clients.push(tokio::spawn(async move {
            let mut settling = Vec::new();
            while !is_enough(&options, &world, &report, begun) {
                let id = next.fetch_add(1, Ordering::Relaxed);
                let id = options.only.unwrap_or(id);
                if options.only.is_some() && world.session(id).is_some() {
                    // Only one at a time of a session that is played again.
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
                let session = Arc::new(Session::new(id, Plan::new(options.seed, id)));
                world.add(&session);
                client::run(&world, &session).await;
                settling.retain(|task: &tokio::task::JoinHandle<()>| !task.is_finished());
                settling.push(tokio::spawn(settle(
                    Arc::clone(&world),
                    session,
                    Arc::clone(&report),
                    options.patience,
                )));
            }
            for task in settling {
                task.await.expect("a judge does not panic");
            }
        }));
    }
    let progress = tokio::spawn(progress(Arc::clone(&world), Arc::clone(&report), begun));
    for client in clients {
        if client.await.is_err() {
            report.lock().expect("nobody panics with it").fault("a client panicked".to_owned());
        }
    }
    progress.abort();
    let left = settled(&proxies, &schedule).await;
    let mut report = report.lock().expect("nobody panics with it");
    if left.iter().sum::<u64>() > 0 {
        report.fault(format!("sessions are left in the proxies: {left:?}"));
    }
    if proxies.logs().contains("panicked") {
        report.fault(format!("a proxy panicked: {}", proxies.logs()));
    }
    eprint!("{}", report.text(&schedule, begun.elapsed()));
    if let Some(file) = &options.report {
        std::fs::write(file, report.json(&schedule, begun.elapsed()).to_string()).expect("the report's file");
    }
    report.is_clean()
}

fn is_enough(options: &Options, world: &World, report: &Mutex<Report>, begun: Instant) -> bool {
    let arrived = report.lock().expect("nobody panics with it").arrived;
    begun.elapsed().as_secs() > options.seconds
        || (arrived >= options.messages && world.schedule.total() >= options.cuts)
}

/// Waits until the session's backend has been told of its end, and judges.
async fn settle(world: Arc<World>, session: Arc<Session>, report: Arc<Mutex<Report>>, patience: u64) {
    let begun = Instant::now();
    // A backend that has seen nothing of the session may still be asked for it, by a handshake that was given up.
    let until = |backend| match backend {
        End::Unborn => Duration::from_secs(2 + 10 * patience),
        // The longest deadline is how long a client may be away that was never seen.
        End::Open => STUCK + Duration::from_secs(20 * patience),
        End::Told(_) => Duration::ZERO,
    };
    while begun.elapsed() < until(session.backend()) {
        // The interval between two looks.
        sleep(Duration::from_millis(100)).await;
    }
    world.remove(session.id);
    report.lock().expect("nobody panics with it").add(&session);
}

/// Returns how many sessions each proxy has, once there are none, or it takes too long.
async fn settled(proxies: &Proxies, schedule: &Arc<Schedule>) -> Vec<u64> {
    let begun = Instant::now();
    loop {
        let counts = proxies.sessions(schedule).await;
        if counts.iter().sum::<u64>() == 0 || begun.elapsed() > STUCK {
            return counts;
        }
        // They are counted once a second.
        sleep(Duration::from_millis(500)).await;
    }
}

/// Says every minute how far it is.
async fn progress(world: Arc<World>, report: Arc<Mutex<Report>>, begun: Instant) {
    loop {
        // The interval between two lines.
        sleep(Duration::from_mins(1)).await;
        let arrived = report.lock().expect("nobody panics with it").arrived;
        eprintln!("{:5} s: {arrived} messages, {} cuts", begun.elapsed().as_secs(), world.schedule.total());
    }
}
