//! `polliwog doctor`: what is wrong between a client and a server, whatever stands between them.
//!
//! `probe` gathers [`Facts`]: what was asked and what came. `judge` is pure: facts in, verdicts out.
//! `remedy` knows why each trouble comes and which lines mend it, `report` prints.
//!
//! ```
//! use std::process::ExitCode;
//!
//! use clap::{Args as _, Command, FromArgMatches as _};
//! use polliwog::doctor::{self, Options};
//!
//! let matches = Options::augment_args(Command::new("doctor")).get_matches_from(["doctor", "http://127.0.0.1:1/"]);
//! // Nobody listens on port 1.
//! assert_eq!(doctor::run(Options::from_arg_matches(&matches)?), ExitCode::from(2));
//! # Ok::<(), clap::Error>(())
//! ```

mod facts;
mod judge;
mod options;
mod probe;
mod remedy;
mod report;

use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Mutex;

use http::header::{ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, COOKIE, HOST, ORIGIN, REFERER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use rustls::pki_types::ServerName;
use tokio::net::lookup_host;
use tokio::runtime::Builder;
use tokio_rustls::TlsConnector;

use self::facts::{Facts, Target};
pub use self::options::Options;
use self::probe::{Client, Sessions};
use self::report::Colour;
use crate::chain::Chain;
use crate::tls::{Trust, client_config, unverified_config};

/// Examines a server and prints what is wrong.
pub fn run(options: Options) -> ExitCode {
    if let Some(fault) = options.fault() {
        return fail(fault);
    }
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(error),
    };
    let code = runtime.block_on(examine(options));
    // A pending name look-up would delay the exit.
    runtime.shutdown_background();
    code
}

async fn examine(options: Options) -> ExitCode {
    let client = match client(&options).await {
        Ok(client) => client,
        Err(why) => return fail(why),
    };
    let (sessions, mut facts) = (Sessions::new(client), Facts::default());
    let (dialect, silence, origin) = (options.dialect(), options.duration, options.origin.as_ref());
    let examination = probe::examine(dialect, &sessions, silence, origin, &mut facts);
    let examined = tokio::select! {
        examined = examination => examined,
        // If no signal handler can be installed, the first signal ends the process anyway.
        Ok(()) = tokio::signal::ctrl_c() => Err("interrupted".to_owned()),
    };
    sessions.close_all().await;
    let target = target(&options);
    if let Err(why) = examined {
        return fail(format_args!("{target}: {why}"));
    }
    let origin = options.origin.as_ref().and_then(|origin| origin.to_str().ok());
    let verdicts = judge::judge(&facts, &place(&options), origin);
    let printed = if options.json {
        writeln!(io::stdout(), "{:#}", report::json(&target, &verdicts))
    } else {
        io::stdout().write_all(report::text(&target, &verdicts, colour()).as_bytes())
    };
    if printed.is_err() || report::is_wrong(&verdicts) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Looks up the host and reads the trusted authorities.
async fn client(options: &Options) -> Result<Client, String> {
    let url = &options.url;
    let host = url.host().unwrap_or_default();
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = url.port_u16().unwrap_or(if options.is_secure() { 443 } else { 80 });
    let found = lookup_host((name.as_str(), port)).await;
    let addresses: Vec<SocketAddr> =
        found.map_err(|error| format!("cannot resolve {name}: {error}"))?.collect();
    let (tls, unverified) = if options.is_secure() {
        let trust = options.ca.clone().map_or(Trust::Public, Trust::File);
        let settings = if options.insecure {
            unverified_config(&trust).map(|(config, unverified)| (config, Some(unverified)))
        } else {
            client_config(&trust, None).map(|config| (config, None))
        };
        let (config, unverified) = settings.map_err(|error| Chain(&error).to_string())?;
        let name = ServerName::try_from(name).map_err(|_| format!("{url} has no host"))?;
        (Some((TlsConnector::from(config), name)), unverified)
    } else {
        (None, None)
    };
    let authority = url.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let own = origin(options, &authority);
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (HOST, authority.as_str()),
        (USER_AGENT, concat!("Mozilla/5.0 (compatible; polliwog-doctor/", env!("CARGO_PKG_VERSION"), ")")),
        (ACCEPT, "*/*"),
        (ACCEPT_ENCODING, "gzip, deflate"),
        (ACCEPT_LANGUAGE, "en-US,en;q=0.9"),
        (ORIGIN, &own),
    ] {
        let value = HeaderValue::from_str(value).map_err(|_| format!("{url} has no host"))?;
        headers.insert(name, value);
    }
    headers.extend(options.headers());
    let (path, query) = (options.path().to_owned(), url.query().unwrap_or_default().to_owned());
    let (patience, heads) = (options.timeout, Mutex::default());
    let own = demanding(options);
    Ok(Client { addresses, tls, unverified, path, query, headers, own, patience, heads })
}

/// Returns the origin of a page of the server's own.
fn origin(options: &Options, authority: &str) -> String {
    format!("{}://{authority}", if options.is_secure() { "https" } else { "http" })
}

/// Returns where requests go.
fn place(options: &Options) -> Target {
    let host = options.url.host().unwrap_or_default().to_owned();
    Target {
        is_secure: options.is_secure(),
        host,
        path: options.path().to_owned(),
        dialect: options.dialect(),
    }
}

/// Returns the names of headers for which a page of another origin needs permission (Fetch, "CORS-safelisted").
fn demanding(options: &Options) -> Vec<HeaderName> {
    let is_free = |name: &HeaderName| {
        [COOKIE, HOST, ORIGIN, USER_AGENT, ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, REFERER].contains(name)
    };
    options.headers().keys().filter(|name| !is_free(name)).cloned().collect()
}

/// Returns what is examined, without the query, which may hold a token.
fn target(options: &Options) -> String {
    let url = &options.url;
    let authority = url.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    format!("{}://{authority}{}", url.scheme_str().unwrap_or_default(), options.path())
}

fn colour() -> Colour {
    let is_wanted =
        io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if is_wanted { Colour::On } else { Colour::Off }
}

fn fail(why: impl std::fmt::Display) -> ExitCode {
    // If the standard error is closed, the exit code is enough.
    let _unread = writeln!(io::stderr(), "polliwog: {why}");
    ExitCode::from(UNREACHABLE)
}

/// The command line is invalid, or nothing could connect.
const UNREACHABLE: u8 = 2;
