//! The command line: commands, flags and exit codes.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | clean exit |
//! | 1 | failure, a drain that aborted sessions, tunnels or responses, a process that is not healthy, a load run that saw disorder or disconnects, or a server with which something is wrong |
//! | 2 | invalid command line, or a server to examine that cannot be reached |
//! | 78 | invalid configuration (`EX_CONFIG` of sysexits) |
//!
//! ```
//! use std::ffi::OsString;
//! use std::process::ExitCode;
//!
//! use polliwog::{app, cli, doctor, load};
//!
//! let run = |args: &[&str]| {
//!     let args = args.iter().map(OsString::from);
//!     let env = [("POLLIWOG_LOG__LEVEL".into(), "loud".into())];
//!     let (prepare, load, doctor) = (app::prepare, load::run, doctor::run);
//!     let (inspect, compare, health) = (app::inspect, app::compare, app::health);
//!     let actions = cli::Actions { prepare, inspect, compare, health, load, doctor };
//!     cli::main(args, env.into_iter(), &actions)
//! };
//! assert_eq!(run(&["polliwog", "--version"]), ExitCode::SUCCESS);
//! assert_eq!(run(&["polliwog", "--no-such-flag"]), ExitCode::from(2));
//! assert_eq!(run(&["polliwog", "check"]), ExitCode::from(78));
//! ```

mod papers;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::{Config, Differing, Origin, Source};
use crate::service::AdminSettings;
use crate::tls::{Expiry, Identity};

/// Whether a process is healthy, and what it says; or why it cannot be asked.
pub type Health = Result<(bool, String), String>;

/// What the commands do.
#[derive(Debug)]
pub struct Actions<L, D, R> {
    /// Returns the proxy once signals are handled.
    pub prepare: fn() -> Result<R, ExitCode>,
    /// Asks the nodes of a cluster.
    pub inspect: fn(&Config) -> ExitCode,
    /// Asks a process that runs what differs from a configuration.
    pub compare: fn(&Config, &str) -> Result<Differing, String>,
    /// Asks a process whether it runs, or takes new sessions, and what it says.
    pub health: fn(&AdminSettings, bool) -> Health,
    /// The load generator, with its own options.
    pub load: fn(L) -> ExitCode,
    /// The examination of a server, with its own options.
    pub doctor: fn(D) -> ExitCode,
}

/// Parses the command line, loads the configuration and runs the command.
pub fn main<L: Args, D: Args, R: FnOnce(Config, Origin) -> ExitCode>(
    args: impl Iterator<Item = OsString>,
    env: impl Iterator<Item = (OsString, OsString)>,
    actions: &Actions<L, D, R>,
) -> ExitCode {
    let cli = match Cli::<L, D>::try_parse_from(args) {
        Ok(cli) => cli,
        Err(answer) => return print_answer(&answer),
    };
    let env: Vec<_> = env.collect();
    let outer = cli.file.config;
    let load_config = |own: ConfigFile, use_of: Use| {
        let named = own.config.as_deref().or(outer.as_deref());
        let loaded = match use_of {
            Use::Check => Config::load_to_check(named, env.iter().cloned()),
            Use::Run => Config::load(named, env.iter().cloned()),
        };
        match loaded {
            Ok((config, source)) => Ok((config, Origin { source, env: env.clone() })),
            Err(error) => Err(refuse(&error)),
        }
    };
    match cli.command.unwrap_or_else(|| Command::Run(ConfigFile::default())) {
        Command::Load { file, .. } if file.is_some() || outer.is_some() => reads_none::<L, D>("load"),
        Command::Doctor { file, .. } if file.is_some() || outer.is_some() => reads_none::<L, D>("doctor"),
        Command::Load { options, .. } => (actions.load)(options),
        Command::Doctor { options, .. } => (actions.doctor)(options),
        Command::Check { file, cluster, against } => match load_config(file, Use::Check) {
            Ok((config, origin)) => {
                let mut code = check(&config, &origin.source);
                if let Some(admin) = against.filter(|_| code == ExitCode::SUCCESS) {
                    code = report((actions.compare)(&config, &admin), &config, &origin);
                }
                if cluster && code == ExitCode::SUCCESS { (actions.inspect)(&config) } else { code }
            }
            Err(code) => code,
        },
        Command::Health { file, ready } => {
            let named = file.config.as_deref().or(outer.as_deref());
            match Config::load_admin(named, env.into_iter()) {
                Ok(admin) => tell((actions.health)(&admin, ready)),
                Err(error) => refuse(&error),
            }
        }
        Command::Completions { shell } => code_of(&papers::print_completions(Cli::<L, D>::command(), shell)),
        Command::Man { folder } => match papers::write_pages(Cli::<L, D>::command(), &folder) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
        Command::Run(file) => {
            // A signal may come at any moment, so its handler is installed before the configuration is read.
            let started =
                (actions.prepare)().and_then(|run| load_config(file, Use::Run).map(|loaded| (run, loaded)));
            match started {
                Ok((run, (config, origin))) => run(config, origin),
                Err(code) => code,
            }
        }
    }
}

/// Connects Socket.IO, SockJS and other HTTP clients to a WebSocket backend.
#[derive(Debug, Parser)]
#[command(name = "polliwog", version, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli<L: Args, D: Args> {
    #[command(flatten)]
    file: ConfigFile,
    #[command(subcommand)]
    command: Option<Command<L, D>>,
}

#[derive(Debug, Subcommand)]
enum Command<L: Args, D: Args> {
    /// Run the proxy (the default); SIGTERM drains it, a second SIGTERM stops it at once.
    Run(ConfigFile),
    /// List every fault in the configuration and exit.
    Check {
        #[command(flatten)]
        file: ConfigFile,
        /// Ask the nodes of the cluster as well, and print what a balancer may know.
        #[arg(long)]
        cluster: bool,
        /// Ask a running proxy whether it could reload this: the URL of its admin listener, or unix: and the path of its socket.
        #[arg(long, value_name = "URL")]
        against: Option<String>,
    },
    /// Ask the proxy that runs on this host whether it is alive.
    #[command(after_help = HEALTH_HELP)]
    Health {
        #[command(flatten)]
        file: ConfigFile,
        /// Whether it takes new sessions: not in a drain, and not without its upstreams.
        #[arg(long)]
        ready: bool,
    },
    /// Load-test a server with realistic clients and print the results.
    Load {
        // Not offered, and refused with a better reason than clap's.
        #[arg(long = "config", hide = true)]
        file: Option<PathBuf>,
        #[command(flatten)]
        options: L,
    },
    /// Find out what is wrong between a client and a server, whatever stands between them.
    Doctor {
        // As above.
        #[arg(long = "config", hide = true)]
        file: Option<PathBuf>,
        #[command(flatten)]
        options: D,
    },
    /// Print what completes these commands in a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Write the manual pages of these commands to a folder.
    #[command(hide = true)]
    Man {
        /// The folder, which must exist.
        folder: PathBuf,
    },
}

/// What a configuration is loaded for.
#[derive(Clone, Copy)]
enum Use {
    Check,
    Run,
}

// Stands before and behind the commands that read a file, and is no option of the one that reads none.
#[derive(Debug, Default, Args)]
struct ConfigFile {
    /// Configuration file [default: config.toml in the working directory, else a built-in demo].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

const HEALTH_HELP: &str = "\
It is asked at admin.listen of its configuration.

Exit code: 0 yes; 1 no, or it does not answer; 78 no such file.";

const AFTER_HELP: &str = "\
Environment variables override keys: POLLIWOG_SERVER__LISTEN=0.0.0.0:80 sets
server.listen, POLLIWOG_ROUTES__0__PATH=/chat/ sets the path of the first route.

Exit code: 0 clean exit; 1 failure, a drain that aborted sessions, a proxy that is
not healthy, a load run that saw disorder or disconnects, or a server with which
something is wrong; 2 invalid command line, or such a server cannot be reached;
78 bad configuration.";

/// Says that the configuration is valid, and when its certificates expire; the files that it names were read with it.
fn check(config: &Config, source: &Source) -> ExitCode {
    for listener in config.idle_listeners() {
        let _unread = writeln!(io::stderr(), "{source}: listener {:?} has no route", listener.name);
    }
    for warning in [config.admin_is_open(), config.asks_too_many()].into_iter().flatten() {
        let _unread = writeln!(io::stderr(), "{source}: {warning}");
    }
    let now = SystemTime::now();
    let line = |one: Identity| {
        let file = one.certificate.display().to_string();
        let expiry = Expiry::of(&one)
            .map_or("no certificate that can be used yet".to_owned(), |expiry| expiry.told(now));
        format!("\n{file}: {expiry}")
    };
    let expiries = config.identities().map(line).collect::<String>();
    print(io::stdout(), format!("{source}: ok ({}){expiries}", summary(config)))
}

/// Reports what differs from a process that runs, and only changes at a restart.
fn report(differing: Result<Differing, String>, config: &Config, origin: &Origin) -> ExitCode {
    match differing {
        Ok(differing) => {
            let names = differing.names(config);
            if names.is_empty() {
                return print(io::stdout(), "it can be reloaded");
            }
            match Config::fixed_faults(origin, &differing) {
                Ok(faults) => refuse(&faults),
                // It came by a pipe: without the lines.
                Err(_) => refuse(&format!("{}: only a restart changes {}", origin.source, names.join(", "))),
            }
        }
        Err(why) => fail(&format_args!("--against: {why}")),
    }
}

/// Prints what a process says of its health.
fn tell(health: Health) -> ExitCode {
    match health {
        Ok((is_healthy, said)) => {
            let code = print(io::stdout(), said.trim_end());
            if is_healthy { code } else { ExitCode::FAILURE }
        }
        Err(why) => fail(&why),
    }
}

/// Refuses a configuration for a command that is a client.
fn reads_none<L: Args, D: Args>(command: &str) -> ExitCode {
    let conflict = format!("{command} is a client and reads no configuration: leave out --config");
    print_answer(&Cli::<L, D>::command().error(ErrorKind::ArgumentConflict, conflict))
}

/// Prints the help, the version, or the fault in the command line.
fn print_answer(answer: &clap::Error) -> ExitCode {
    let printed = answer.print();
    if answer.use_stderr() { ExitCode::from(USAGE) } else { code_of(&printed) }
}

/// Prints why the configuration is invalid, one line per fault.
fn refuse(error: &impl Display) -> ExitCode {
    // If nobody reads standard error, the exit code says enough.
    let _unread = writeln!(io::stderr(), "{error}");
    ExitCode::from(CONFIG)
}

fn fail(why: &impl Display) -> ExitCode {
    let _unread = writeln!(io::stderr(), "{why}");
    ExitCode::FAILURE
}

fn print(mut to: impl Write, line: impl Display) -> ExitCode {
    code_of(&writeln!(to, "{line}").and_then(|()| to.flush()))
}

fn code_of(printed: &io::Result<()>) -> ExitCode {
    if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn summary(config: &Config) -> String {
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let listeners = counted(config.server.listeners.iter().map(|one| one.listen.len()).sum(), "listener");
    let routes = counted(config.routes.len(), "route");
    let upstreams = counted(config.upstreams.len(), "upstream");
    format!("{listeners}, {routes}, {upstreams}")
}

const USAGE: u8 = 2;
const CONFIG: u8 = 78;
