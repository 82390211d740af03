//! The options of `polliwog load`, and the errors for those that contradict each other.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::mix::{Kind, Mix};
use super::pace::Bursts;
use super::sources::Sources;
pub(super) use crate::client_options::Dialect;
use crate::client_options::{self, duration, header, url};
use crate::units;

/// Load-test a server with realistic clients and print the results.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP, disable_version_flag = true)]
pub struct Options {
    /// URL of the server: http, https, ws or wss [default path: /socket.io/; with other dialects /sockjs/, /feed/ or /].
    #[arg(value_name = "URL", value_parser = url)]
    pub(super) url: Uri,
    /// Number of clients.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) sessions: u32,
    /// The protocol of the clients.
    #[arg(long, value_name = "DIALECT", value_enum, default_value_t = Dialect::EngineIo)]
    pub(super) dialect: Dialect,
    /// The transport: polling, streaming (sockjs and longpoll), websocket, upgrade (engine.io), or a mixture such as
    /// polling=70,websocket=30 [default: polling; websocket with --dialect websocket or a ws URL].
    #[arg(long, value_name = "TRANSPORT")]
    pub(super) transport: Option<Mix>,
    /// The Engine.IO version: 4, or 3 for servers of Socket.IO 1 and 2.
    #[arg(long, value_name = "VERSION", default_value_t = EIO, value_parser = clap::value_parser!(u8).range(3..=4))]
    pub(super) eio: u8,
    /// The same as --dialect websocket.
    #[arg(long, conflicts_with_all = ["eio", "socketio", "dialect"])]
    pub(super) plain: bool,
    /// How the application answers: echo sends each message back unchanged, socketio acknowledges the event "echo", as
    /// the shipped demo does [default: socketio if there is no path or it contains socket.io; otherwise echo].
    #[arg(long, value_name = "KIND")]
    pub(super) events: Option<Events>,
    /// The same as --events socketio.
    #[arg(long, conflicts_with = "events")]
    pub(super) socketio: bool,
    /// Sessions to open per second.
    #[arg(long, value_name = "N", default_value_t = 500.0, value_parser = positive)]
    pub(super) connect_rate: f64,
    /// Messages per second from each session, answered or not; 0 leaves the sessions idle
    /// [default: send the next message once all earlier ones are answered].
    #[arg(long, value_name = "N", value_parser = rate)]
    pub(super) rate: Option<f64>,
    /// Size of a message; its answer has the same size.
    #[arg(long, value_name = "SIZE", default_value = "32", value_parser = size)]
    pub(super) size: usize,
    /// Messages to send at once; a list such as 1,4,16 is cycled through. This does not change the rate.
    #[arg(long, value_name = "N", default_value = "1", value_parser = bursts)]
    pub(super) burst: Bursts,
    /// How long to run after all sessions have been opened.
    #[arg(long, short = 'd', value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(super) duration: Duration,
    /// How long to wait for the last answers, which count as lost after that.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(super) drain: Duration,
    /// Source addresses: one, a range such as 127.0.0.2-127.0.0.9, or a network; may be repeated.
    #[arg(long, value_name = "ADDR")]
    pub(super) source: Vec<Sources>,
    /// A header for each request, such as "Cookie: id=1"; may be repeated.
    #[arg(long, value_name = "HEADER", value_parser = header)]
    pub(super) header: Vec<(HeaderName, HeaderValue)>,
    /// PEM file of the authorities to trust instead of the system's.
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// Number of threads.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: u16,
    /// Write all figures as JSON; - is standard output, instead of the table.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write an HTML page with charts.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Show an earlier run's figures beside these: a file that --json wrote.
    #[arg(long, value_name = "FILE")]
    pub(super) compare: Option<PathBuf>,
}

/// How a message is answered: with itself, or with the acknowledgement of the event `echo` and its argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Events {
    Echo,
    Socketio,
}

impl Options {
    /// Returns why the options contradict each other, if they do.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let (dialect, mix) = (self.dialect(), self.mix());
        if dialect == Dialect::Websocket && mix != Mix::only(Kind::WebSocket) {
            return Some("plain WebSockets have one transport: websocket");
        }
        if dialect != Dialect::EngineIo && self.is_socket_io() {
            return Some("only engine.io has Socket.IO events");
        }
        if dialect != Dialect::EngineIo && self.eio != EIO {
            return Some("--eio is about Engine.IO");
        }
        if dialect != Dialect::EngineIo && mix.has(Kind::Upgrade) {
            return Some("only engine.io has upgrades");
        }
        if dialect == Dialect::EngineIo && mix.has(Kind::Streaming) {
            return Some("engine.io has no streaming; sockjs and longpoll have");
        }
        if dialect == Dialect::Longpoll && mix.has(Kind::WebSocket) {
            return Some("longpoll has two transports: polling and streaming");
        }
        None
    }

    /// Returns the protocol of the clients.
    pub(super) fn dialect(&self) -> Dialect {
        if self.plain { Dialect::Websocket } else { self.dialect }
    }

    /// Returns how the sessions connect.
    pub(super) fn mix(&self) -> Mix {
        let is_ws = self.url.scheme_str().is_some_and(|scheme| scheme.starts_with("ws"));
        let is_plain = self.dialect() == Dialect::Websocket;
        let own = if is_plain || is_ws { Kind::WebSocket } else { Kind::Polling };
        self.transport.unwrap_or(Mix::only(own))
    }

    /// Returns whether events are sent.
    pub(super) fn is_socket_io(&self) -> bool {
        let is_engine_io = self.dialect() == Dialect::EngineIo;
        let guess = || is_engine_io && (self.has_no_path() || self.url.path().contains("socket.io"));
        self.socketio || self.events.map_or_else(guess, |events| events == Events::Socketio)
    }

    /// Returns whether TLS is spoken.
    pub(super) fn is_secure(&self) -> bool {
        client_options::is_secure(&self.url)
    }

    fn has_no_path(&self) -> bool {
        matches!(self.url.path(), "" | "/")
    }

    /// Returns what is asked for.
    pub(super) fn path(&self) -> &str {
        match self.url.path() {
            path if !self.has_no_path() => path,
            _ if self.dialect() == Dialect::Websocket => "/",
            _ if self.dialect() == Dialect::Sockjs => "/sockjs/",
            _ if self.dialect() == Dialect::Longpoll => "/feed/",
            _ if self.is_socket_io() => "/socket.io/",
            _ => "/engine.io/",
        }
    }

    /// Returns the URL, with the default path if it has none.
    pub(super) fn target(&self) -> String {
        let url = self.url.to_string();
        let slashless = url.strip_suffix('/').filter(|_| self.has_no_path() && self.url.query().is_none());
        slashless.map_or_else(|| url.clone(), |base| format!("{base}{}", self.path()))
    }

    /// Returns the user's own headers.
    pub(super) fn headers(&self) -> HeaderMap {
        self.header.iter().cloned().collect()
    }

    /// Returns how long the sessions take to begin.
    pub(super) fn ramp(&self) -> Duration {
        Duration::try_from_secs_f64(f64::from(self.sessions - 1) / self.connect_rate).unwrap_or(Duration::MAX)
    }
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let rate: f64 = text.parse().map_err(|_| "expected a number")?;
    if rate.is_finite() && rate >= 0.0 { Ok(rate) } else { Err("expected a number from 0 on") }
}

fn positive(text: &str) -> Result<f64, &'static str> {
    rate(text).and_then(|rate| if rate > 0.0 { Ok(rate) } else { Err("expected a number above 0") })
}

fn size(text: &str) -> Result<usize, String> {
    let size = units::parse_size(text).map_err(|error| error.to_string())?;
    if size <= SIZE_MAX { Ok(size) } else { Err("at most 16MiB".to_owned()) }
}

fn bursts(text: &str) -> Result<Bursts, &'static str> {
    let sizes: Result<Vec<u32>, _> = text.split(',').map(str::parse).collect();
    let sizes = sizes.ok().filter(|sizes| sizes.iter().all(|&size| size <= BURST_MAX));
    sizes.and_then(|sizes| Bursts::new(&sizes)).ok_or("expected numbers from 1 to 4096, such as 1,4,16")
}

const EIO: u8 = 4;
const SIZE_MAX: usize = 16 << 20;
const BURST_MAX: u32 = 4096;
const AFTER_HELP: &str = "\
Every message is numbered. Lost, duplicated and reordered messages are counted and set exit code 1,
as do disconnected sessions. With --rate, latency counts from when a message was due to be sent.

Against the shipped demo:
  polliwog load http://127.0.0.1:8080 -n 1000 --rate 1 --html load.html

SIGINT ends a run early and prints the table; a second SIGINT exits at once.

Exit code: 0 clean; 1 messages lost, duplicated or reordered, sessions disconnected, or nothing could
connect; 2 invalid command line.";

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches as _};

    use super::*;

    fn read(args: &[&str]) -> Result<Options, String> {
        let command = Options::augment_args(Command::new("load").no_binary_name(true));
        let matches = command.try_get_matches_from(args).map_err(|error| error.to_string())?;
        Options::from_arg_matches(&matches).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_is_what_stock_clients_do() {
        let path = |args: &[&str]| read(args).unwrap().path().to_owned();
        assert_eq!(path(&["http://h"]), "/socket.io/");
        assert_eq!(path(&["http://h", "--events", "echo"]), "/engine.io/");
        for (args, events) in [
            (&["http://h"][..], true),
            (&["http://h/a/socket.io/"], true),
            (&["http://h/socket.io/", "--events", "echo"], false),
            (&["http://h/engine.io/"], false),
            (&["http://h/engine.io/", "--socketio"], true),
            (&["ws://h/socket.io/", "--plain"], false),
        ] {
            assert_eq!(read(args).unwrap().is_socket_io(), events, "{args:?}");
        }
        assert_eq!(path(&["http://h/", "--socketio"]), "/socket.io/");
        assert_eq!(path(&["ws://h", "--plain"]), "/");
        assert_eq!(path(&["http://h", "--dialect", "sockjs"]), "/sockjs/");
        assert_eq!(path(&["http://h", "--dialect", "longpoll"]), "/feed/");
        assert_eq!(path(&["http://h/chat"]), "/chat");
        for (args, kind) in [
            (&["http://h"][..], Kind::Polling),
            (&["ws://h"], Kind::WebSocket),
            (&["http://h", "--plain"], Kind::WebSocket),
            (&["ws://h", "--transport", "polling"], Kind::Polling),
        ] {
            assert_eq!(read(args).unwrap().mix(), Mix::only(kind), "{args:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for args in [
            &[][..],
            &["h"],
            &["ftp://h"],
            &["http://user:secret@h"],
            &["http://h", "--sessions", "0"],
            &["http://h", "--transport", "polling=50"],
            &["http://h", "--eio", "5"],
            &["http://h", "--rate", "-1"],
            &["http://h", "--rate", "NaN"],
            &["http://h", "--connect-rate", "0"],
            &["http://h", "--size", "1GB"],
            &["http://h", "--burst", "0"],
            &["http://h", "--burst", "1,,2"],
            &["http://h", "--duration", "soon"],
            &["http://h", "--source", "localhost"],
            &["http://h", "--header", "Cookie"],
            &["http://h", "--plain", "--eio", "4"],
            &["http://h", "--plain", "--socketio"],
            &["http://h", "--plain", "--dialect", "sockjs"],
            &["http://h", "--dialect", "engineio"],
        ] {
            assert!(read(args).is_err(), "{args:?}");
        }
        for args in [
            &["ws://h", "--plain", "--transport", "polling"][..],
            &["ws://h", "--plain", "--events", "socketio"],
            &["http://h", "--dialect", "websocket", "--transport", "streaming"],
            &["http://h", "--dialect", "sockjs", "--transport", "upgrade"],
            &["http://h", "--dialect", "sockjs", "--socketio"],
            &["http://h", "--dialect", "sockjs", "--eio", "3"],
            &["http://h", "--dialect", "longpoll", "--transport", "websocket"],
            &["http://h", "--transport", "streaming"],
        ] {
            assert!(read(args).unwrap().fault().is_some(), "{args:?}");
        }
    }

    #[test]
    fn a_duration_without_its_unit_is_refused_with_a_proposal() {
        for option in ["--duration", "-d", "--drain"] {
            let refusal = read(&["http://h", option, "30"]).unwrap_err();
            let meant = "expected a duration such as \"25s\" or \"300ms\"; did you mean \"30s\"?";
            assert!(refusal.contains(meant), "{refusal}");
        }
        assert_eq!(read(&["http://h", "--drain", "0"]).unwrap().drain, Duration::ZERO);
    }

    #[test]
    fn the_last_session_begins_at_the_end_of_the_ramp() {
        let ramp =
            |sessions| read(&["http://h", "--sessions", sessions, "--connect-rate", "10"]).unwrap().ramp();
        assert_eq!((ramp("1"), ramp("21")), (Duration::ZERO, Duration::from_secs(2)));
    }
}
