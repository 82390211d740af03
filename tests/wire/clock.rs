//! A wall clock that jumps by an hour, forward and back: dates follow it, tokens are judged by it, and no deadline moves.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::jwt::{Issuer, Jwks};
use crate::support::frames::Socket;
use crate::support::http::Response;
use crate::support::poller::{POLLING, WEBSOCKET};
use crate::support::target::Target;
use crate::support::world::{Excluded, proxy_is_asked};
use crate::support::{Setup, World, ms};

const HOUR: i64 = 3600;

/// What the clock of a proxy is changed by, until it is dropped.
struct Jumps {
    library: PathBuf,
    seconds: PathBuf,
}

impl Jumps {
    fn build() -> Self {
        let file = |name: &str| {
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("clock-{}-{name}", std::process::id()))
        };
        let jumps = Self { library: file("jumps.so"), seconds: file("seconds") };
        jumps.by(0);
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&jumps.library)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/clock/jumps.c"))
            .status();
        assert!(built.expect("a C compiler, as the proxy needs one too").success());
        jumps
    }

    /// Sets the clock, to as many seconds after the right time.
    fn by(&self, seconds: i64) {
        // In one step: half of a number is another.
        let next = self.seconds.with_extension("next");
        fs::write(&next, seconds.to_string()).unwrap();
        fs::rename(next, &self.seconds).unwrap();
    }
}

impl Drop for Jumps {
    fn drop(&mut self) {
        let _ = (fs::remove_file(&self.library), fs::remove_file(&self.seconds));
    }
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// Returns the time of a response, in seconds after 1970.
fn dated(answer: &Response) -> i64 {
    let date = httpdate::parse_http_date(answer.header("date").expect("a date")).unwrap();
    i64::try_from(date.duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// Answers the next ping, and returns how long it took to come.
#[track_caller]
fn next_ping(socket: &mut Socket) -> Duration {
    let start = Instant::now();
    socket.assert_text("2");
    socket.send("3");
    start.elapsed()
}

#[test]
fn a_clock_that_jumps_moves_dates_and_tokens_and_no_deadline() {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    let (jumps, issuer) = (Jumps::build(), Issuer::new());
    let jwks = Jwks::of(&issuer);
    let guarded = format!(
        "[[routes]]\npath = \"/guarded/\"\ndialect = \"websocket\"\nupstream = \"b\"\nrelay = false\n\
         jwt = {{ jwks = {:?}, leeway = 0 }}\n",
        jwks.0
    );
    let setup = Setup { sections: guarded, ..Setup::plain() }.heartbeat(250, 1000);
    let world = World::start_with(&setup, |setup, backend| {
        let surround = |command: &mut Command| {
            command.env("LD_PRELOAD", &jumps.library).env("CLOCK_JUMPS", &jumps.seconds);
        };
        Target::proxy_in(surround, "", |public, admin| setup.toml(public, admin, backend))
    });
    let enter = |claims: Value| {
        let token = format!("Bearer {}", issuer.sign(&claims));
        Socket::try_connect(world.target.public, "/guarded/", &[("Authorization", &*token)])
    };
    // Valid for half an hour, since a minute ago.
    let claims = json!({"exp": now() + HOUR / 2, "nbf": now() - 60});
    let mut guarded = enter(claims.clone()).expect("it is valid");
    let guarded_peer = world.accept();
    let mut socket = Socket::connect(world.target.public, WEBSOCKET);
    assert!(socket.text().starts_with('0'));
    let peer = world.accept();

    for (jump, refused) in [
        (0, None),
        (HOUR, Some("the token has expired\n")),
        (-HOUR, Some("the token is not valid yet\n")),
        (0, None),
    ] {
        jumps.by(jump);
        let answer = world.get("/nowhere");
        let late = dated(&answer) - now() - jump;
        assert!((-2..=2).contains(&late), "{jump}: the date is {late} s off");
        match (enter(claims.clone()), refused) {
            (Ok(_), None) => drop(world.accept()),
            (Err(answer), Some(why)) => answer.assert(401, why),
            (entered, _) => panic!("{jump}: {entered:?}"),
        }
        // Heartbeats go on at their pace, and nobody is taken for dead.
        for _ in 0..2 {
            let took = next_ping(&mut socket);
            assert!(took < ms(900), "{jump}: {took:?}");
        }
        // A session lives as long as its token was valid when it began.
        for (socket, peer, prefix) in [(&mut socket, &peer, "4"), (&mut guarded, &guarded_peer, "")] {
            socket.send(&format!("{prefix}up"));
            peer.assert_text("up");
            peer.send("down");
            while socket.text() != format!("{prefix}down") {
                // A ping that came meanwhile.
                socket.send("3");
            }
        }
        assert_eq!(world.get(POLLING).status, 200);
        drop(world.accept());
    }
    for trouble in [" ERROR ", "panicked"] {
        assert!(!world.log().contains(trouble), "{}", world.log());
    }
}
