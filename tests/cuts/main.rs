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
mod configuration;
mod engine;
mod feed;
mod frames;
mod http;
mod plan;
mod proxies;
mod random;
#[expect(dead_code, reason = "the tests of single faults use the rest")]
mod relay;
mod report;
mod schedule;
mod session;
mod socket;
mod sockjs;
mod unrest;
mod wire;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::sleep;

use http::STUCK;
use plan::Plan;
use proxies::{Proxies, Sample};
use report::{Report, Soak};
use schedule::Schedule;
use session::{End, Session};
use unrest::Unrest;
use world::World;

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
    /// The seconds of a soak, which has reloads, restarts and kills, too.
    soak: Option<u64>,
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
            soak: number("SOAK"),
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

/// What all parts of a run share.
#[derive(Clone)]
struct Run {
    options: Options,
    world: Arc<World>,
    report: Arc<Mutex<Report>>,
    next: Arc<AtomicU64>,
}

async fn run(options: &Options) -> bool {
    let schedule = Arc::new(Schedule::new(options.seed));
    let (listener, address) = backend::listen().await;
    let (mut proxies, world) = Proxies::start(address, &schedule, options.patience).await;
    let world = Arc::new(world);
    tokio::spawn(backend::serve(listener, Arc::clone(&world)));
    let begun = Instant::now();
    let run = Run { options: options.clone(), world, report: Arc::default(), next: Arc::default() };
    if let Some(seconds) = options.soak {
        run.soak(&mut proxies, seconds).await;
    } else {
        run.play(options.seconds).await;
        run.settled(&proxies).await;
    }
    let mut report = run.report.lock().expect("nobody panics with it");
    if proxies.logs().contains("panicked") {
        report.fault(format!("a proxy panicked: {}", proxies.logs()));
    }
    eprint!("{}", report.text(&schedule, begun.elapsed()));
    if let Some(file) = &options.report {
        std::fs::write(file, report.json(&schedule, begun.elapsed()).to_string()).expect("the report's file");
    }
    report.is_clean()
}

impl Run {
    fn fault(&self, text: String) {
        self.report.lock().expect("nobody panics with it").fault(text);
    }

    /// Plays sessions until there are enough, but for so long at most, and judges them.
    async fn play(&self, seconds: u64) {
        let begun = Instant::now();
        let mut clients = Vec::new();
        for _ in 0..self.options.clients {
            clients.push(tokio::spawn(self.clone().clients(begun, seconds)));
        }
        let progress = tokio::spawn(progress(self.clone(), begun));
        for client in clients {
            if client.await.is_err() {
                self.fault("a client panicked".to_owned());
            }
        }
        progress.abort();
    }

    /// Plays one session after another.
    async fn clients(self, begun: Instant, seconds: u64) {
        let mut settling: Vec<JoinHandle<()>> = Vec::new();
        while begun.elapsed().as_secs() < seconds && !self.is_enough() {
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            let id = self.options.only.unwrap_or(id);
            if self.options.only.is_some() && self.world.session(id).is_some() {
                // Only one at a time of a session that is played again.
                sleep(Duration::from_millis(100)).await;
                continue;
            }
            let session = Arc::new(Session::new(id, Plan::new(self.options.seed, id)));
            self.world.add(&session);
            client::run(&self.world, &session).await;
            settling.retain(|task| !task.is_finished());
            settling.push(tokio::spawn(self.clone().settle(session)));
        }
        for task in settling {
            task.await.expect("a judge does not panic");
        }
    }

    fn is_enough(&self) -> bool {
        let arrived = self.report.lock().expect("nobody panics with it").arrived;
        arrived >= self.options.messages && self.world.schedule.total() >= self.options.cuts
    }

    /// Waits until the session's backend has been told of its end, and judges.
    async fn settle(self, session: Arc<Session>) {
        let (begun, patience) = (Instant::now(), self.options.patience);
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
        self.world.remove(session.id);
        self.report.lock().expect("nobody panics with it").add(&session);
    }

    /// Returns what each proxy has once none has a session, which it is a fault to wait for too long.
    async fn settled(&self, proxies: &Proxies) -> Vec<Sample> {
        let begun = Instant::now();
        loop {
            let samples = proxies.samples().await;
            if samples.iter().all(|sample| sample.sessions == 0) {
                return samples;
            }
            if begun.elapsed() > STUCK {
                self.fault(format!("sessions are left in the proxies: {samples:?}"));
                return samples;
            }
            // They are counted once a second.
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// Plays for so long, the first third in peace; then what the proxies have is to be what they had.
    async fn soak(&self, proxies: &mut Proxies, seconds: u64) {
        let start = proxies.samples().await;
        self.play(seconds / 3).await;
        let before = self.rested(proxies).await;
        let mut unrest = Unrest::default();
        let time = Duration::from_secs(seconds - seconds / 3);
        let during = {
            let harm = async {
                unrest.go_on(proxies, &self.world, time).await;
                proxies.samples().await
            };
            tokio::join!(self.play(time.as_secs()), harm).1
        };
        let after = self.rested(proxies).await;
        for fault in std::mem::take(&mut unrest.faults) {
            self.fault(fault);
        }
        // What a process has that was started anew is compared with what the first node had: both are at rest.
        let most = &before[0];
        for (index, now) in after.iter().enumerate() {
            let grown = now.descriptors > most.descriptors + SLACK || now.tasks > most.tasks + SLACK;
            if grown || now.memory > most.memory + most.memory / 4 + (16 << 20) {
                self.fault(format!("proxy {index} has grown: {now:?}, but {most:?} before"));
            }
        }
        let mut report = self.report.lock().expect("nobody panics with it");
        report.soak = Some(Soak {
            start,
            before,
            during,
            after,
            reloads: unrest.reloads,
            restarts: unrest.restarts,
            kills: unrest.kills,
        });
    }

    /// Returns what the proxies have once connections that nobody uses have ended, too.
    async fn rested(&self, proxies: &Proxies) -> Vec<Sample> {
        self.settled(proxies).await;
        // No event shows that the last connections are closed, and their tasks have ended.
        sleep(Duration::from_secs(3)).await;
        proxies.samples().await
    }
}

/// How many descriptors and tasks a proxy at rest may have more than before.
const SLACK: u64 = 10;

/// Says every minute how far it is.
async fn progress(run: Run, begun: Instant) {
    loop {
        // The interval between two lines.
        sleep(Duration::from_mins(1)).await;
        let arrived = run.report.lock().expect("nobody panics with it").arrived;
        eprintln!(
            "{:5} s: {arrived} messages, {} cuts",
            begun.elapsed().as_secs(),
            run.world.schedule.total()
        );
    }
}
