//! Reloads that meet each other, and an end that meets a reload.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use super::{ROUTE, start};
use crate::support::http::{Client, Response};
use crate::support::poller::POLLING;
use crate::support::processes::Processes;
use crate::support::target::{Target, free_port};
use crate::support::{SOON, Setup, World, eventually};

/// More than may wait for the reload before.
const ASKERS: usize = 12;

impl World {
    /// Has each of `ASKERS` put a configuration of its own in place and ask for a reload, all at the same moment. Returns the responses.
    fn reload_at_once(&self, text: impl Fn(usize) -> String + Sync) -> Vec<Response> {
        let (folder, admin, begin) = (self.target.folder(), self.target.admin, Barrier::new(ASKERS));
        let ask = |number: usize| {
            let own = folder.join(format!("{number}.toml"));
            fs::write(&own, text(number)).unwrap();
            let mut admin = Client::connect(admin);
            begin.wait();
            // As a whole: what is read is never half of one.
            fs::rename(own, folder.join("config.toml")).unwrap();
            admin.send_post("/api/reload", b"");
            admin.answer_within(4 * SOON).expect("each request is answered")
        };
        thread::scope(|scope| {
            let ask = &ask;
            let all: Vec<_> = (0..ASKERS).map(|number| scope.spawn(move || ask(number))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        })
    }

    /// Fails unless the configuration in force is the one that the file has.
    fn assert_in_force(&self) {
        let text = self.config();
        for number in 0..ASKERS {
            let path = format!("/number{number}/");
            let status = self.get(&POLLING.replace("/engine.io/", &path)).status;
            assert_eq!(status, if text.contains(&path) { 200 } else { 404 }, "{path}");
        }
        self.accept();
    }
}

#[test]
fn reloads_at_once_are_each_answered_and_the_last_file_is_in_force() {
    let world = start(&Setup::new());
    let (mut poller, peer) = world.poller();
    let (mut socket, other) = world.websocket();
    poller.park();
    let text = world.config();
    let of = |number: usize| text.replace(ROUTE, &format!("path = \"/number{number}/\"\nlinger = \"0ms\""));
    let mut done = 0;
    for _ in 0..3 {
        world.target.signal("HUP");
        for answer in world.reload_at_once(of) {
            answer.assert(200, "{\n  \"faults\": []\n}\n");
        }
        done += ASKERS;
        world.assert_in_force();
    }
    // Signals may have been taken as one.
    let counted = |outcome: &str, count: usize| {
        world.metric(&format!("polliwog_config_reloads_total{{outcome=\"{outcome}\"}} {count}"))
    };
    assert!((done..=done + 3).any(|count| counted("done", count)), "{}", world.log());
    assert!(counted("refused", 0));

    // Some of the files have a fault. Who is answered 200 has one in force that was there after it asked.
    let odd_fails = |number: usize| if number % 2 == 1 { of(number) + "\nwhat = 1\n" } else { of(number) };
    let answers = world.reload_at_once(odd_fails);
    for answer in &answers {
        match answer.status {
            200 => answer.assert(200, "{\n  \"faults\": []\n}\n"),
            status => assert!(status == 422 && answer.text().contains("unknown key"), "{answer:?}"),
        }
    }
    let refused = answers.iter().filter(|answer| answer.status == 422).count();
    assert!(counted("refused", refused));
    world.write(&of(0));
    world.reload().assert(200, "{\n  \"faults\": []\n}\n");
    world.assert_in_force();

    // The sessions from before have noticed nothing.
    peer.send("down");
    assert_eq!(poller.parked().text(), "4down");
    poller.post_ok("4up");
    peer.assert_text("up");
    other.send("down");
    socket.assert_text("4down");
    socket.send("4up");
    other.assert_text("up");
}

/// The socket of a supervisor, with what a process says to it.
struct Supervisor {
    path: PathBuf,
    socket: UnixDatagram,
}

impl Supervisor {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("polliwog-{name}-{}", free_port().port()));
        let _absent = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(4 * SOON)).unwrap();
        Self { path, socket }
    }

    /// Returns the next thing that it is told.
    #[track_caller]
    fn hears(&self) -> String {
        let mut state = [0; 100];
        let len = self.socket.recv(&mut state).expect("it is told something in time");
        String::from_utf8(state[..len].to_vec()).unwrap()
    }

    /// Returns what it was told since.
    fn has_heard(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).unwrap();
        let mut state = [0; 100];
        let mut all = Vec::new();
        while let Ok(len) = self.socket.recv(&mut state) {
            all.push(String::from_utf8(state[..len].to_vec()).unwrap());
        }
        self.socket.set_nonblocking(false).unwrap();
        all
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.path);
    }
}

/// Sends a process a reload that takes so many routes, and a signal to end while it runs. Returns whether the two met.
fn end_meets_reload(routes: usize) -> bool {
    let supervisor = Supervisor::new("end");
    let setup = Setup::new().server("drain_timeout = \"4s\"");
    let mut world = World::start_with(&setup, |setup, backend| {
        let told = |command: &mut std::process::Command| {
            command.env("NOTIFY_SOCKET", &supervisor.path);
        };
        Target::proxy_in(told, "", |public, admin| setup.toml(public, admin, backend))
    });
    assert!(supervisor.hears().starts_with("READY=1"));
    let (mut poller, peer) = world.poller();
    let (mut parked, other) = world.poller();
    peer.send("last words");
    peer.settle();
    parked.park();
    // It listens elsewhere too, and has another upstream.
    let (first, second) = (world.target.public, free_port());
    let mut text = world
        .config()
        .replace(&format!("listen = [\"{first}\"]"), &format!("listen = [\"{first}\", \"{second}\"]"));
    text.push_str("\n[upstreams.c]\nkind = \"http\"\nurl = \"http://127.0.0.1:1\"\n");
    for route in 0..routes {
        let _written =
            write!(text, "[[routes]]\npath = \"/r{route}/\"\ndialect = \"http\"\nupstream = \"c\"\n");
    }
    world.write(&text);
    let mut admins: Vec<_> = (0..3).map(|_| Client::connect(world.target.admin)).collect();
    let before = micros();
    for admin in &mut admins {
        admin.send_post("/api/reload", b"");
    }
    let told = supervisor.hears();
    let time = told.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").and_then(|time| time.parse().ok());
    assert!(time.is_some_and(|time| (before..=micros()).contains(&time)), "{told} after {before}");
    world.target.signal("TERM");
    // Each is done, or refused whole.
    for admin in &mut admins {
        let answer = admin.answer_within(4 * SOON).expect("each request is answered");
        match answer.status {
            200 => answer.assert(200, "{\n  \"faults\": []\n}\n"),
            status => {
                let says = answer.text().contains("this process is about to end");
                assert!(status == 422 && says, "{answer:?}");
            }
        }
    }
    // All of the drain is as it is without.
    assert_eq!(poller.poll(), "4last words");
    // With a noop if the poll came after the end of the session.
    for last in [poller.poll(), parked.parked().text().to_owned()] {
        assert!(["1", "6\u{1e}1"].contains(&&*last), "{last:?}");
    }
    peer.assert_closed();
    other.assert_closed();
    let status = world.target.exit_within(4 * SOON).expect("it ends in time");
    assert_eq!(status.code(), Some(0), "{}", world.log());
    assert!(std::net::TcpStream::connect(second).is_err());
    // Nothing that it is told would take the end back.
    let heard = supervisor.has_heard();
    let stopping = heard.iter().position(|one| one == "STOPPING=1").expect("it is told of the end");
    assert_eq!(stopping + 1, heard.len(), "{heard:?}");
    stopping == 0
}

/// Returns the time of the clock that systemd compares.
fn micros() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

#[test]
fn a_drain_that_begins_during_a_reload_loses_nothing() {
    // How long a reload takes depends on the machine.
    assert!([200, 1_000, 4_000].into_iter().any(end_meets_reload), "the reloads were all too fast");
}

#[test]
fn a_process_that_has_left_looks_at_no_file_and_says_nothing_of_reloads() {
    let supervisor = Supervisor::new("left");
    let setup = Setup::new().server("watch = \"100ms\"");
    let processes = Processes::start_with(&setup, "30s", |command| {
        command.env("NOTIFY_SOCKET", &supervisor.path);
    });
    let first = processes.world.target.id();
    assert_eq!(supervisor.hears(), format!("READY=1\nMAINPID={first}"));
    // It stays for its session.
    let (mut poller, peer) = processes.world.poller();
    let youngest = processes.succeed();
    assert_eq!(supervisor.hears(), format!("READY=1\nMAINPID={youngest}"));
    let (text, mut heard) = (processes.world.config(), Vec::new());
    for number in 0..3 {
        processes.world.write(&text.replace(ROUTE, &format!("{ROUTE}\nlinger = \"{number}ms\"")));
        processes.await_log("the configuration was reloaded", number + 1);
        heard.extend(supervisor.has_heard());
    }
    // Some looks more.
    thread::sleep(Duration::from_millis(300));
    crate::support::processes::kill("HUP", first);
    processes.await_log("the configuration was not reloaded", 1);
    let refused = processes.count("the configuration was not reloaded");
    assert_eq!(refused, 1, "{}", processes.world.log());
    heard.extend(supervisor.has_heard());
    let is_of_a_reload = |one: &String| one.starts_with("RELOADING=1\n") || one == "READY=1";
    assert!(heard.len() == 6 && heard.iter().all(is_of_a_reload), "{heard:?}");
    (poller.gets, poller.posts) = (processes.world.http(), processes.world.http());
    poller.post_ok("4up");
    peer.assert_text("up");
    eventually(|| processes.world.get(POLLING).status == 200, || processes.world.log());
}
