//! The options of `polliwog doctor`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::client_options::{self, Dialect, duration, header, url};

/// Find out what is wrong between a client and a server, whatever stands between them.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP, disable_version_flag = true)]
pub struct Options {
    /// URL of the server, as clients have it: http, https, ws or wss [default path: /socket.io/; with other dialects /sockjs/,
    /// /feed/ or /].
    #[arg(value_name = "URL", value_parser = url)]
    pub(super) url: Uri,
    /// The path, if the URL has none: the option `path` of Socket.IO's clients.
    #[arg(long, value_name = "PATH", value_parser = path)]
    pub(super) path: Option<String>,
    /// The protocol of the clients: websocket is any WebSocket server, longpoll what Polliwog has for clients with HTTP alone.
    #[arg(long, value_name = "DIALECT", value_enum, default_value_t = Dialect::EngineIo)]
    pub(super) dialect: Dialect,
    /// The same as --dialect sockjs.
    #[arg(long, conflicts_with = "dialect")]
    pub(super) sockjs: bool,
    /// Where clients' pages come from, if not from the server itself, such as `https://app.example.org`.
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    pub(super) origin: Option<HeaderValue>,
    /// A header for each request, such as "Cookie: id=1"; may be repeated.
    #[arg(long, value_name = "HEADER", value_parser = header)]
    pub(super) header: Vec<(HeaderName, HeaderValue)>,
    /// PEM file of the authorities to trust instead of the system's.
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// Examine the server even if its certificate is not trusted, and say so.
    #[arg(long)]
    pub(super) insecure: bool,
    /// How long an answer may take.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(super) timeout: Duration,
    /// How long to watch a poll and a WebSocket on which nothing is said.
    #[arg(long, short = 'd', value_name = "TIME", default_value = "20s", value_parser = duration)]
    pub(super) duration: Duration,
    /// Print the findings as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

impl Options {
    /// Returns why the options contradict each other, if they do.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if self.path.is_some() && !self.has_no_path() {
            return Some("the URL has a path already: leave out --path");
        }
        if self.timeout.is_zero() || self.timeout.max(self.duration) > LONGEST {
            return Some("--timeout is above 0, and neither it nor --duration above 10m");
        }
        if self.origin.is_some() && !matches!(self.dialect(), Dialect::EngineIo | Dialect::Longpoll) {
            return Some("--origin is about engine.io and longpoll");
        }
        None
    }

    /// Returns whether TLS is spoken.
    pub(super) fn is_secure(&self) -> bool {
        client_options::is_secure(&self.url)
    }

    fn has_no_path(&self) -> bool {
        matches!(self.url.path(), "" | "/")
    }

    /// Returns the protocol of the clients.
    pub(super) const fn dialect(&self) -> Dialect {
        if self.sockjs { Dialect::Sockjs } else { self.dialect }
    }

    /// Returns what is asked for.
    pub(super) fn path(&self) -> &str {
        match (&self.path, self.dialect()) {
            (Some(path), _) => path,
            _ if !self.has_no_path() => self.url.path(),
            (None, Dialect::EngineIo) => "/socket.io/",
            (None, Dialect::Sockjs) => "/sockjs/",
            (None, Dialect::Longpoll) => "/feed/",
            (None, Dialect::Websocket) => "/",
        }
    }

    /// Returns the user's own headers.
    pub(super) fn headers(&self) -> HeaderMap {
        self.header.iter().cloned().collect()
    }
}

/// As Socket.IO's clients, which add what is missing.
fn path(text: &str) -> Result<String, &'static str> {
    let path = format!("/{}/", text.trim_matches('/')).replace("//", "/");
    let is_path = path.parse::<Uri>().is_ok_and(|uri| uri.path() == path);
    if is_path { Ok(path) } else { Err("expected a path such as /socket.io/") }
}

fn origin(text: &str) -> Result<HeaderValue, &'static str> {
    let fits = text == "null"
        || text.split_once("://").is_some_and(|(scheme, host)| {
            !scheme.is_empty() && !host.is_empty() && !host.contains(['/', '@', ' ', ','])
        });
    if fits { text.parse().map_err(|_| EXPECTED_ORIGIN) } else { Err(EXPECTED_ORIGIN) }
}

const EXPECTED_ORIGIN: &str = "expected an origin such as https://app.example.org";
const LONGEST: Duration = Duration::from_mins(10);
const AFTER_HELP: &str = "\
Some forty requests are sent, at most four at once. No message reaches the application, and
each session is closed.

  polliwog doctor https://chat.example.org
  polliwog doctor https://example.org --path /chat/ --header \"Authorization: Bearer ...\"
  polliwog doctor wss://example.org/live --dialect websocket

Exit code: 0 nothing is wrong; 1 something is; 2 invalid command line, or nothing could connect.";

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches as _};

    use super::*;

    fn read(args: &[&str]) -> Result<Options, String> {
        let command = Options::augment_args(Command::new("doctor").no_binary_name(true));
        let matches = command.try_get_matches_from(args).map_err(|error| error.to_string())?;
        Options::from_arg_matches(&matches).map_err(|error| error.to_string())
    }

    #[test]
    fn the_path_is_the_urls_or_the_options_or_that_of_socket_io() {
        for (args, path) in [
            (&["http://h"][..], "/socket.io/"),
            (&["https://h/a/socket.io/"], "/a/socket.io/"),
            (&["wss://h/", "--path", "chat"], "/chat/"),
            (&["ws://h", "--path", "/chat/"], "/chat/"),
            (&["ws://h", "--sockjs"], "/sockjs/"),
            (&["ws://h", "--dialect", "sockjs", "--path", "/chat/"], "/chat/"),
            (&["ws://h/", "--dialect", "longpoll"], "/feed/"),
            (&["ws://h", "--dialect", "websocket"], "/"),
            (&["ws://h/live", "--dialect", "websocket"], "/live"),
        ] {
            let options = read(args).unwrap();
            assert_eq!((options.path(), options.fault()), (path, None), "{args:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(read(&["http://h", "--origin", "https://a.example/x"]).is_err());
        assert!(read(&["http://h", "--origin", "https://a.example"]).is_ok());
        for args in [
            &[][..],
            &["h"],
            &["http://u:p@h"],
            &["http://h", "--path", "a b"],
            &["http://h", "-d", "5"],
            &["http://h", "--sockjs", "--dialect", "longpoll"],
        ] {
            assert!(read(args).is_err(), "{args:?}");
        }
        for args in [
            &["http://h/a/", "--path", "/b/"][..],
            &["http://h", "--timeout", "0"],
            &["http://h", "--duration", "1h"],
            &["http://h", "--sockjs", "--origin", "https://a.example"],
            &["http://h", "--dialect", "websocket", "--origin", "https://a.example"],
        ] {
            assert!(read(args).unwrap().fault().is_some(), "{args:?}");
        }
    }
}
